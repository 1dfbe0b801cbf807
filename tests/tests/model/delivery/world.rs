//! What comes of an action: in a session and on the link; in [`super::relaying`] at the relay.

use tincan_core::DeliveryState;

use super::Delivery;
use super::actions::Action;
use super::budget::Bounds;
use super::mailbox::Mailbox;
use super::properties::{Invariant, broken_by_commit};
use super::rule::Rule;
use super::session::{Input, Turn, Way};
use super::state::{Disk, Env, Envelope, Frame, Memory, Out, Side, State};

impl State {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let side = || Side {
            disk: Disk::new(),
            durable: None,
            memory: Memory {
                next_load: 1,
                ..Memory::default()
            },
            held: Vec::new(),
            told: Vec::new(),
        };
        Self {
            sides: [side(), side()],
            wires: [Vec::new(), Vec::new()],
            link: false,
            link_is_bad: false,
            answers: [Vec::new(), Vec::new()],
            mailboxes: [Mailbox::default(), Mailbox::default()],
            budget: bounds.budget,
            broken: None,
        }
    }
}

impl Delivery {
    /// What comes of an action; `None` if nothing.
    pub(crate) fn after(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        let mut next = Step {
            fresh: state.fresh(),
            state,
            without: self.without,
            relay: self.bounds.relay,
        };
        next.act(action);
        next.sync_unseen();
        let state = next.state.normalized();
        (state != *before).then_some(state)
    }
}

pub(super) struct Step {
    pub(super) state: State,
    /// A name that nothing has, also nothing that has just been taken off its way.
    fresh: Env,
    without: Option<Rule>,
    /// There is another way than the link.
    relay: bool,
}

impl Step {
    fn act(&mut self, action: Action) {
        let budget = &mut self.state.budget;
        match action {
            Action::Send { at } => {
                budget.messages[at] -= 1;
                // Numbered from the other end, so that no two messages say the same.
                let text = budget.messages[at];
                self.turn(at, |turn| turn.send(text));
            }
            Action::Read { at } => {
                budget.reads[at] -= 1;
                let up_to = self.state.sides[at].disk.next_shown - 1;
                self.input(at, Input::Read { up_to });
            }
            Action::Commit { at } => self.commit(at, usize::MAX),
            Action::CommitThenCrash { at, left } => {
                budget.crashes -= 1;
                self.commit(at, left);
                self.crash(at);
            }
            Action::Crash { at } => {
                budget.crashes -= 1;
                self.crash(at);
            }
            Action::LinkUp => {
                budget.link_ups = budget.link_ups.saturating_sub(1);
                self.state.link = true;
                (0..2).for_each(|at| self.input(at, Input::LinkUp));
            }
            Action::LinkDown => {
                if !std::mem::take(&mut self.state.link_is_bad) {
                    budget.link_losses -= 1;
                }
                self.lose_link();
                (0..2).for_each(|at| self.input(at, Input::LinkDown));
            }
            Action::Deliver { to } => self.deliver(to, 0),
            Action::Overtake { to, index } => {
                budget.reorders -= 1;
                self.deliver(to, index);
            }
            Action::Duplicate { to } => {
                budget.duplicates -= 1;
                let frame = self.state.wires[to][0].clone();
                self.state.wires[to].insert(0, frame);
                self.deliver(to, 0);
            }
            Action::Drop { to } => {
                budget.drops -= 1;
                self.state.link_is_bad = true;
                self.state.wires[to].remove(0);
            }
            Action::RefusePut { to } => {
                budget.refusals -= 1;
                self.state.link_is_bad = !self.relay;
                if let Frame::Put(envelope) = self.state.wires[to].remove(0) {
                    self.state.wires[1 - to].push(Frame::Nack(envelope.id));
                }
            }
            Action::RelayUp { at } => self.relay_up(at),
            Action::RelayDown { at } => {
                budget.relay_losses -= 1;
                self.relay_down(at);
            }
            Action::RelaySync { of } => self.relay_sync(of),
            Action::RelayCrash => {
                budget.relay_crashes -= 1;
                self.relay_crash();
            }
            Action::Answer { at } => {
                let answer = self.state.answers[at].remove(0);
                self.answer(at, answer);
            }
            Action::AnswerAgain { at } => {
                budget.duplicates -= 1;
                let answer = self.state.answers[at][0];
                self.answer(at, answer);
            }
            Action::Fetch { at } => {
                let push = self.state.mailboxes[at].pushed.remove(0);
                self.fetch(at, push);
            }
            Action::FetchAgain { at } => {
                budget.duplicates -= 1;
                let push = self.state.mailboxes[at].pushed[0].clone();
                self.fetch(at, push);
            }
            Action::RelayFull { of } => {
                budget.refusals -= 1;
                self.state.mailboxes[of].refuses = true;
            }
            Action::RelayHasRoom { of } => self.state.mailboxes[of].refuses = false,
            Action::RelayLoses { of, told } => self.relay_loses(of, told),
            Action::LoseKey { to, way } => {
                budget.keys -= 1;
                let id = self
                    .state
                    .next_envelope(to, way)
                    .map(|envelope| envelope.id);
                self.state.sides[to].disk.lost.extend(id);
            }
            Action::Tick { at } => {
                if self.state.is_impatient(at) {
                    let budget = &mut self.state.budget;
                    budget.impatience = budget.impatience.saturating_sub(1);
                }
                self.turn(at, |turn| turn.time_passes(false));
            }
            Action::Expire { at } => {
                budget.expiries -= 1;
                self.turn(at, |turn| turn.time_passes(true));
            }
        }
    }

    pub(super) fn input(&mut self, at: usize, input: Input) {
        self.turn(at, |turn| turn.input(input));
    }

    /// A call of the session, in an open transaction.
    pub(super) fn turn(&mut self, at: usize, call: impl FnOnce(&mut Turn<'_>)) {
        let side = &mut self.state.sides[at];
        if side.durable.is_none() {
            side.durable = Some(Box::new(side.disk.clone()));
        }
        let mut turn = Turn {
            side,
            fresh: self.fresh,
            without: self.without,
            unread: false,
        };
        call(&mut turn);
        self.fresh = turn.fresh;
        let hasty = match self.without {
            Some(Rule::TransmitAfterCommit) => {
                |out: &Out| matches!(out, Out::Put(_) | Out::Deposit(_))
            }
            Some(Rule::AckAfterCommit) => {
                |out: &Out| matches!(out, Out::Stored(_) | Out::AckMailbox(_))
            }
            _ => |_: &Out| false,
        };
        let (now, later) = std::mem::take(&mut side.held).into_iter().partition(hasty);
        side.held = later;
        now.into_iter().for_each(|out: Out| self.leave(at, out));
        let side = &mut self.state.sides[at];
        if side.held.is_empty() && side.durable.as_deref() == Some(&side.disk) {
            // There is nothing to commit.
            side.durable = None;
        }
    }

    /// Makes the open transaction durable and lets out the first of what waits for it.
    fn commit(&mut self, at: usize, left: usize) {
        let side = &mut self.state.sides[at];
        let Some(old) = side.durable.take() else {
            return;
        };
        let held = std::mem::take(&mut side.held);
        if let Some(invariant) = broken_by_commit(&old, &side.disk) {
            self.state.broken = Some(invariant);
        }
        if self.without == Some(Rule::SeqWithItsMessage) {
            // It comes with the commit after this one, and so not if that one never comes.
            let side = &mut self.state.sides[at];
            let late = std::mem::replace(&mut side.disk.next_seq, old.next_seq);
            held.into_iter()
                .take(left)
                .for_each(|out| self.leave(at, out));
            if left == usize::MAX {
                self.state.sides[at].disk.next_seq = late;
            }
            return;
        }
        held.into_iter()
            .take(left)
            .for_each(|out| self.leave(at, out));
    }

    fn leave(&mut self, at: usize, out: Out) {
        let State {
            sides,
            wires,
            link,
            mailboxes,
            broken,
            ..
        } = &mut self.state;
        let relay_up = sides[at].memory.relay_up;
        match out {
            Out::Put(envelope) => {
                *broken = broken.or(sides[at].broken_by_leaving(&envelope));
                if *link {
                    wires[1 - at].push(Frame::Put(envelope));
                }
            }
            Out::Deposit(envelope) => {
                *broken = broken.or(sides[at].broken_by_leaving(&envelope));
                if relay_up {
                    let answer = mailboxes[1 - at].take_deposit(envelope, self.without);
                    self.relay_answers(at, answer);
                }
            }
            Out::Stored(id) => {
                if !may_say_stored(&sides[at], &sides[1 - at], id) {
                    broken.get_or_insert(Invariant::AckDurable);
                }
                if *link {
                    wires[1 - at].push(Frame::Stored(id));
                }
            }
            Out::Nack(id) => wires[1 - at].push(Frame::Nack(id)),
            Out::AckMailbox(index) => {
                let mailbox = &mut mailboxes[at];
                let mut acked = mailbox.entries.iter().filter(|entry| entry.0 <= index);
                let durable =
                    |envelope: &Envelope| sides[at].may_acknowledge(envelope.id, envelope.seq());
                if !acked.all(|entry| durable(&entry.1)) {
                    broken.get_or_insert(Invariant::AckDurable);
                }
                if relay_up {
                    mailbox.take_ack(index);
                }
            }
            Out::State { seq, state } => {
                if !sides[at].tell(seq, state) {
                    broken.get_or_insert(Invariant::Forward);
                }
            }
            Out::Waiting { seq, .. } => {
                if !sides[at].tell(seq, DeliveryState::Pending) {
                    broken.get_or_insert(Invariant::Forward);
                }
            }
            Out::Received { .. } | Out::Gap(_) => {}
        }
    }

    fn crash(&mut self, at: usize) {
        let without = self.without;
        let side = &mut self.state.sides[at];
        if let Some(durable) = side.durable.take() {
            side.disk = *durable;
        }
        side.held.clear();
        side.memory = Memory::restored(side, without);
        self.relay_connection_ends(at);
        if self.state.link {
            self.lose_link();
            self.input(1 - at, Input::LinkDown);
        }
    }

    fn lose_link(&mut self) {
        self.state.link = false;
        self.state.link_is_bad = false;
        self.state.wires.iter_mut().for_each(Vec::clear);
    }

    fn deliver(&mut self, to: usize, index: usize) {
        let input = match self.state.wires[to].remove(index) {
            Frame::Put(envelope) => Input::Envelope {
                way: Way::Link,
                envelope,
            },
            Frame::Stored(id) => Input::Stored(id),
            Frame::Nack(id) => Input::Nack(id),
        };
        self.input(to, input);
    }
}

/// Whether the acknowledgement of this envelope may leave: judged by the sender's row, if it is still
/// there; if not, it was delivered.
fn may_say_stored(side: &Side, sender: &Side, id: Env) -> bool {
    let mut rows = sender.durable().outbox.iter();
    let seq = rows.find(|row| row.id == id).map(|row| row.seq);
    side.may_acknowledge(id, seq)
}
