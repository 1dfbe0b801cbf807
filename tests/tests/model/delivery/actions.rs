//! What can happen.
//!
//! An open transaction is dealt with before anything else happens: until its commit it can be seen
//! by nobody, and what it would be batched with comes to the same as one after the other, but that
//! a crash between them is left out. So no behaviour is lost, and many states are.

use super::Delivery;
use super::mailbox::{Mailbox, Push};
use super::state::{Due, Envelope, Frame, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// A person sends a message.
    Send {
        at: usize,
    },
    /// A person has read everything that is shown.
    Read {
        at: usize,
    },
    Commit {
        at: usize,
    },
    /// Committed, and this many of the outputs have left.
    CommitThenCrash {
        at: usize,
        left: usize,
    },
    Crash {
        at: usize,
    },
    LinkUp,
    /// Everything on it is gone.
    LinkDown,
    /// The first frame on the link to this side comes in.
    Deliver {
        to: usize,
    },
    /// A later one comes in first.
    Overtake {
        to: usize,
        index: usize,
    },
    /// The first one comes in and will come again.
    Duplicate {
        to: usize,
    },
    Drop {
        to: usize,
    },
    /// The first one, a `Put`, is not taken: the other side does not know the group yet.
    RefusePut {
        to: usize,
    },
    RelayUp {
        at: usize,
    },
    RelayDown {
        at: usize,
    },
    /// What the relay of this side has taken first becomes durable, and is answered.
    RelaySync {
        of: usize,
    },
    /// What is not durable there is gone, and every connection ends.
    RelayCrash,
    /// The relay's first answer comes in.
    Answer {
        at: usize,
    },
    /// And will come again.
    AnswerAgain {
        at: usize,
    },
    /// The relay's first push comes in.
    Fetch {
        at: usize,
    },
    /// And will come again.
    FetchAgain {
        at: usize,
    },
    /// The relay of this side takes no deposits for a while.
    RelayFull {
        of: usize,
    },
    RelayHasRoom {
        of: usize,
    },
    /// The relay of this side begins anew; `told`: as another one, which can be noticed.
    RelayLoses {
        of: usize,
        told: bool,
    },
    /// This side cannot open the next envelope on the link, or in its mailbox, any more.
    LoseKey {
        to: usize,
        way: Source,
    },
    /// Time passes for this side.
    Tick {
        at: usize,
    },
    /// So much that everything undelivered has failed.
    Expire {
        at: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Link,
    Mailbox,
}

impl State {
    /// Whether time that passes for this side is shorter than what is under way takes, or makes it
    /// ask what it has asked before.
    pub(crate) fn is_impatient(&self, at: usize) -> bool {
        let under_way = (0..2).any(|at| {
            let Mailbox { taken, pushed, .. } = &self.mailboxes[at];
            let at_relay = !taken.is_empty() || !pushed.is_empty();
            !self.wires[at].is_empty() || !self.answers[at].is_empty() || at_relay
        });
        under_way || self.sides[at].memory.ask_again != Due::No
    }

    /// The envelope that comes next by a way.
    pub(crate) fn next_envelope(&self, to: usize, way: Source) -> Option<&Envelope> {
        match way {
            Source::Link => match self.wires[to].first()? {
                Frame::Put(envelope) => Some(envelope),
                Frame::Stored(_) | Frame::Nack(_) => None,
            },
            Source::Mailbox => match self.mailboxes[to].pushed.first()? {
                Push::Deliver(_, envelope) => Some(envelope),
                Push::Drained => None,
            },
        }
    }
}

impl Delivery {
    /// Everything that may happen in a state.
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        if let Some(at) = (0..2).find(|&at| state.sides[at].is_open()) {
            actions.push(Action::Commit { at });
            if state.budget.crashes > 0 {
                actions.push(Action::Crash { at });
                let outputs = state.sides[at].held.len();
                actions.extend((0..outputs).map(|left| Action::CommitThenCrash { at, left }));
            }
            return;
        }
        self.regular(state, actions);
        if state.budget.impatience == 0 {
            actions.retain(|action| match action {
                Action::Tick { at } => !state.is_impatient(*at),
                _ => true,
            });
        }
        for at in 0..2 {
            self.faults_at(state, at, actions);
        }
        if self.bounds.relay && state.budget.relay_crashes > 0 {
            actions.push(Action::RelayCrash);
        }
        if !self.bounds.link && !state.link && state.budget.link_ups > 0 {
            actions.push(Action::LinkUp);
        }
        if state.link && state.budget.link_losses > 0 && !state.link_is_bad {
            actions.push(Action::LinkDown);
        }
    }

    /// What needs no fault to happen. A link that has lost something is given up by its owner.
    pub(crate) fn regular(&self, state: &State, actions: &mut Vec<Action>) {
        if state.link_is_bad {
            actions.push(Action::LinkDown);
        }
        if self.bounds.link && !state.link {
            actions.push(Action::LinkUp);
        }
        for at in 0..2 {
            let side = &state.sides[at];
            if !state.wires[at].is_empty() {
                actions.push(Action::Deliver { to: at });
            }
            if !state.mailboxes[at].taken.is_empty() {
                actions.push(Action::RelaySync { of: at });
            }
            if !state.answers[at].is_empty() {
                actions.push(Action::Answer { at });
            }
            if !state.mailboxes[at].pushed.is_empty() {
                actions.push(Action::Fetch { at });
            }
            if self.bounds.relay && !side.memory.relay_up {
                actions.push(Action::RelayUp { at });
            }
            if state.mailboxes[at].refuses {
                actions.push(Action::RelayHasRoom { of: at });
            }
            if state.budget.messages[at] > 0 {
                actions.push(Action::Send { at });
            }
            if state.budget.reads[at] > 0 && side.disk.next_shown - 1 > side.disk.read_up_to {
                actions.push(Action::Read { at });
            }
            actions.push(Action::Tick { at });
        }
    }

    fn faults_at(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let budget = &state.budget;
        let wire = &state.wires[at];
        if budget.crashes > 0 {
            actions.push(Action::Crash { at });
        }
        if budget.reorders > 0 {
            actions.extend((1..wire.len()).map(|index| Action::Overtake { to: at, index }));
        }
        if budget.duplicates > 0 {
            self.duplicates_at(state, at, actions);
        }
        if budget.drops > 0 && !wire.is_empty() {
            actions.push(Action::Drop { to: at });
        }
        if budget.refusals > 0 && matches!(wire.first(), Some(Frame::Put(_))) {
            actions.push(Action::RefusePut { to: at });
        }
        if budget.refusals > 0 && self.bounds.relay && !state.mailboxes[at].refuses {
            actions.push(Action::RelayFull { of: at });
        }
        if budget.relay_losses > 0 && state.sides[at].memory.relay_up {
            actions.push(Action::RelayDown { at });
        }
        if self.bounds.relay && budget.forgets > 0 {
            actions.push(Action::RelayLoses { of: at, told: true });
        }
        if self.bounds.relay && budget.silent_forgets > 0 {
            let told = false;
            actions.push(Action::RelayLoses { of: at, told });
        }
        if budget.keys > 0 {
            for way in [Source::Link, Source::Mailbox] {
                let next = state.next_envelope(at, way);
                let disk = &state.sides[at].disk;
                let opens = |envelope: &Envelope| {
                    !disk.lost.contains(&envelope.id) && !disk.seen.contains(&envelope.id)
                };
                if next.is_some_and(opens) {
                    actions.push(Action::LoseKey { to: at, way });
                }
            }
        }
        if budget.expiries > 0 && !state.sides[at].disk.outbox.is_empty() {
            actions.push(Action::Expire { at });
        }
    }

    fn duplicates_at(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        if !state.wires[at].is_empty() {
            actions.push(Action::Duplicate { to: at });
        }
        if !state.answers[at].is_empty() {
            actions.push(Action::AnswerAgain { at });
        }
        if !state.mailboxes[at].pushed.is_empty() {
            actions.push(Action::FetchAgain { at });
        }
    }
}
