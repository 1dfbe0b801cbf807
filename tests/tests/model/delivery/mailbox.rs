//! A device's mailbox at its relay.
//!
//! What is durable there and what is only in the relay's memory are apart, as with the devices: a
//! request that is [taken](Mailbox::taken) is answered when it is synced, and lost in a crash before.

use super::rule::Rule;
use super::state::{Env, Envelope, Envs};

/// Indices begin anew where nothing refers to the old ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Mailbox {
    pub(crate) entries: Vec<(u8, Envelope)>,
    /// Names that were ever deposited, as far as they can come again.
    pub(crate) known: Envs,
    pub(crate) last_index: u8,
    /// Requests that are not durable yet, in their order.
    pub(crate) taken: Vec<Request>,
    pub(crate) pushed: Vec<Push>,
    /// It has no room now.
    pub(crate) refuses: bool,
}

/// What changes a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    /// By the other side; `answered` when it is synced, unless nobody waits for that any more.
    Deposit { envelope: Envelope, answered: bool },
    /// By its reader.
    Ack(u8),
}

/// The relay's answer to a deposit, on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Deposited(Env),
    Refused(Env),
}

/// What the relay has put on the way to a reader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Push {
    Deliver(u8, Envelope),
    Drained,
}

impl Mailbox {
    /// Somebody begins to read it: everything that is there, and then that this is all.
    pub(crate) fn subscribe(&mut self) {
        let entries = self.entries.iter().cloned();
        self.pushed = entries
            .map(|(index, envelope)| Push::Deliver(index, envelope))
            .collect();
        self.pushed.push(Push::Drained);
    }

    /// Takes an envelope; what is answered at once, which nothing should be.
    pub(crate) fn take_deposit(
        &mut self,
        envelope: Envelope,
        without: Option<Rule>,
    ) -> Option<Answer> {
        let at_once = without == Some(Rule::AnswerAfterSync);
        let answer = at_once.then_some(Answer::Deposited(envelope.id));
        self.taken.push(Request::Deposit {
            envelope,
            answered: !at_once,
        });
        answer
    }

    pub(crate) fn take_ack(&mut self, index: u8) {
        self.taken.push(Request::Ack(index));
    }

    /// Whoever deposits here is not connected any more. What was taken still happens.
    pub(crate) fn writer_leaves(&mut self) {
        for request in &mut self.taken {
            if let Request::Deposit { answered, .. } = request {
                *answered = false;
            }
        }
    }

    pub(crate) fn reader_leaves(&mut self) {
        self.pushed.clear();
    }

    /// Makes the first request durable; what is answered to it.
    pub(crate) fn sync(&mut self, is_read: bool) -> Option<Answer> {
        match self.taken.remove(0) {
            Request::Ack(index) => {
                self.entries.retain(|entry| entry.0 > index);
                None
            }
            Request::Deposit { envelope, answered } => {
                let answer = self.deposit(envelope, is_read);
                Some(answer).filter(|_| answered)
            }
        }
    }

    /// Stores an envelope, once.
    fn deposit(&mut self, envelope: Envelope, is_read: bool) -> Answer {
        let id = envelope.id;
        if self.refuses {
            return Answer::Refused(id);
        }
        if !self.known.contains(&id) {
            self.known.push(id);
            self.last_index += 1;
            self.entries.push((self.last_index, envelope.clone()));
            if is_read {
                self.pushed.push(Push::Deliver(self.last_index, envelope));
            }
        }
        Answer::Deposited(id)
    }

    /// The relay begins anew: nothing was ever here.
    pub(crate) fn lose_everything(&mut self) {
        *self = Self {
            refuses: self.refuses,
            ..Self::default()
        };
    }
}
