//! What comes of an action at the relay: the other half of [`super::world`].
//!
//! One relay has both mailboxes, and loses in a crash what it has taken for either. Each is synced by
//! itself, so that what two relays can do that crash apart is here as well: one of them syncs before.

use super::mailbox::{Answer, Push};
use super::properties::Invariant;
use super::session::{Input, Way};
use super::world::Step;

impl Step {
    pub(super) fn relay_up(&mut self, at: usize) {
        self.turn(at, |turn| {
            // What the store knows of the other side's relay changes with what is made of it.
            if std::mem::take(&mut turn.side.disk.relay_is_new) {
                turn.input(Input::RelayForgot);
            }
            turn.input(Input::RelayUp);
            if std::mem::take(&mut turn.side.disk.mailbox_is_new) {
                turn.input(Input::MailboxForgot);
            }
            turn.input(Input::MailboxUp);
        });
        self.state.mailboxes[at].subscribe();
    }

    pub(super) fn relay_down(&mut self, at: usize) {
        self.relay_connection_ends(at);
        self.turn(at, |turn| {
            turn.input(Input::RelayDown);
            turn.input(Input::MailboxDown);
        });
    }

    pub(super) fn relay_connection_ends(&mut self, at: usize) {
        self.state.answers[at].clear();
        self.state.mailboxes[at].reader_leaves();
        self.state.mailboxes[1 - at].writer_leaves();
    }

    pub(super) fn answer(&mut self, at: usize, answer: Answer) {
        let input = match answer {
            Answer::Deposited(id) => Input::Deposited(id),
            Answer::Refused(id) => Input::DepositRefused(id),
        };
        self.input(at, input);
    }

    pub(super) fn fetch(&mut self, at: usize, push: Push) {
        let input = match push {
            Push::Drained => Input::MailboxDrained,
            Push::Deliver(index, envelope) => Input::Envelope {
                way: Way::Mailbox { index },
                envelope,
            },
        };
        self.input(at, input);
    }

    pub(super) fn relay_sync(&mut self, of: usize) {
        let is_read = self.state.sides[of].memory.relay_up;
        let answer = self.state.mailboxes[of].sync(is_read);
        self.relay_answers(1 - of, answer);
    }

    /// Where the relay cannot crash any more nobody can tell how long a sync takes: that nothing is
    /// heard of a request is the same as that its answer is still on its way.
    pub(super) fn sync_unseen(&mut self) {
        if self.state.budget.relay_crashes > 0 {
            return;
        }
        for of in 0..2 {
            while !self.state.mailboxes[of].taken.is_empty() {
                self.relay_sync(of);
            }
        }
    }

    /// What it answers to a deposit of this side: invariant 2 says that it is durable there.
    pub(super) fn relay_answers(&mut self, at: usize, answer: Option<Answer>) {
        if let Some(Answer::Deposited(id)) = answer
            && !self.state.mailboxes[1 - at].known.contains(&id)
        {
            self.state.broken.get_or_insert(Invariant::AckDurable);
        }
        self.state.answers[at].extend(answer);
    }

    pub(super) fn relay_crash(&mut self) {
        for mailbox in &mut self.state.mailboxes {
            mailbox.taken.clear();
        }
        self.every_relay_connection_ends();
    }

    /// The relay of this side begins anew.
    pub(super) fn relay_loses(&mut self, of: usize, told: bool) {
        let budget = &mut self.state.budget;
        if told {
            budget.forgets -= 1;
        } else {
            budget.silent_forgets -= 1;
        }
        self.state.mailboxes[of].lose_everything();
        self.state.sides[1 - of].disk.relay_is_new |= told;
        self.state.sides[of].disk.mailbox_is_new |= told;
        self.every_relay_connection_ends();
    }

    fn every_relay_connection_ends(&mut self) {
        for at in 0..2 {
            if self.state.sides[at].memory.relay_up {
                self.relay_down(at);
            }
        }
    }
}
