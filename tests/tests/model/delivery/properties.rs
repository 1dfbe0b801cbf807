//! The invariants of the protocol (numbers as in its list) as properties of the model.
//!
//! What a step may not do is noted in [`State::broken`] by the step itself; what a state may not be
//! is looked at in every state.

use stateright::Property;
use tincan_core::DeliveryState;

use super::Delivery;
use super::state::{Disk, Env, Envelope, Message, Payload, Side, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Invariant {
    Durable,
    AckDurable,
    Forward,
    OneContent,
}

pub(crate) const DURABLE: &str = "1 no byte leaves before its transaction is durable";
pub(crate) const ACK_DURABLE: &str = "2 what is acknowledged is durable";
pub(crate) const ONCE: &str = "3 at most one row per seq";
pub(crate) const ENDS: &str = "4 fair continuations deliver everything";
pub(crate) const RESTS: &str = "4 where nothing moves any more everything is delivered";
pub(crate) const ORDER: &str = "5 display order follows seq and gaps are explicit";
pub(crate) const FORWARD: &str = "6 states only move forward";
pub(crate) const ONE_CONTENT: &str = "7 a seq never carries two contents";
pub(crate) const COMMITTED: &str = "8 delivered implies committed there";

pub(crate) fn all() -> Vec<Property<Delivery>> {
    vec![
        Property::always(DURABLE, |_, state: &State| {
            state.broken != Some(Invariant::Durable)
        }),
        Property::always(ACK_DURABLE, |_, state: &State| {
            state.broken != Some(Invariant::AckDurable)
        }),
        Property::always(FORWARD, |_, state: &State| {
            state.broken != Some(Invariant::Forward)
        }),
        Property::always(ONCE, |_, state: &State| {
            state.sides.iter().all(|side| side.durable().is_once())
        }),
        Property::always(ORDER, |_, state: &State| {
            state.sides.iter().all(|side| side.durable().is_in_order())
        }),
        Property::always(ONE_CONTENT, |_, state: &State| {
            state.broken != Some(Invariant::OneContent)
                && (0..2).all(|at| state.says_what_was_sent(at))
        }),
        Property::always(COMMITTED, |_, state: &State| {
            (0..2).all(|at| state.is_committed_there(at))
        }),
        Property::always(RESTS, |model: &Delivery, state: &State| {
            state.broken.is_some() || state.is_complete() || !model.is_at_rest(state)
        }),
        Property::always(ENDS, |model: &Delivery, state: &State| {
            state.broken.is_some() || model.ends(state)
        }),
    ]
}

impl State {
    /// Everything that was durably sent is delivered and shown, or has failed.
    pub(crate) fn is_complete(&self) -> bool {
        (0..2).all(|at| {
            let (here, there) = (self.sides[at].durable(), self.sides[1 - at].durable());
            let mut seqs = 1..here.next_seq;
            let shown = |seq: u8| there.timeline.iter().any(|message| message.seq == seq);
            there.held.is_empty()
                && seqs.all(|seq| {
                    let delivered = here.delivered.has(seq) && shown(seq);
                    delivered || here.failed.has(seq)
                })
        })
    }

    fn says_what_was_sent(&self, at: usize) -> bool {
        let (here, there) = (self.sides[at].durable(), self.sides[1 - at].durable());
        let mut received = there.timeline.iter().chain(&there.held);
        received.all(|message| here.sent(message.seq) == Some(message.text))
    }

    /// What this side, or its person, takes for delivered.
    fn is_committed_there(&self, at: usize) -> bool {
        let (here, there) = (&self.sides[at], self.sides[1 - at].durable());
        let delivered = here.durable().delivered;
        let told = (1..).zip(&here.told);
        let told = told.filter(|(_, state)| **state >= DeliveryState::Delivered);
        let mut seqs = delivered.iter().chain(told.map(|(seq, _)| seq));
        seqs.all(|seq| there.received.has(seq))
    }
}

impl Disk {
    fn sent(&self, seq: u8) -> Option<u8> {
        self.sent.get(usize::from(seq) - 1).copied()
    }

    fn is_once(&self) -> bool {
        let mut seqs: Vec<u8> = self.rows().map(|message| message.seq).collect();
        seqs.sort_unstable();
        seqs.windows(2).all(|pair| pair[0] != pair[1])
    }

    fn rows(&self) -> impl Iterator<Item = &Message> {
        self.timeline.iter().chain(&self.held)
    }

    fn is_in_order(&self) -> bool {
        let shown = |seq: u8| self.timeline.iter().any(|message| message.seq == seq);
        let in_gap = |seq: u8| {
            let mut gaps = self.gaps.iter();
            gaps.any(|gap| gap.first <= seq && seq <= gap.last)
        };
        let in_order = self.timeline.is_sorted_by_key(|message| message.seq);
        in_order && (1..self.next_shown).all(|seq| shown(seq) != in_gap(seq))
    }

    /// Whether this message is in a row, and its seq is taken for received.
    pub(crate) fn has(&self, seq: u8) -> bool {
        self.received.has(seq) && self.rows().any(|message| message.seq == seq)
    }
}

impl Side {
    /// Invariants 1 and 7, as an envelope leaves: the ratchet and the message behind it are durable,
    /// and it says what the message said.
    pub(crate) fn broken_by_leaving(&self, envelope: &Envelope) -> Option<Invariant> {
        let durable = self.durable();
        if !durable.sealed.contains(&envelope.id) {
            return Some(Invariant::Durable);
        }
        match envelope.payload {
            Payload::Control(_) => None,
            Payload::Message(Message { seq, text }) => match durable.sent(seq) {
                None => Some(Invariant::Durable),
                Some(sent) if sent != text => Some(Invariant::OneContent),
                Some(_) => None,
            },
        }
    }

    /// Invariant 2, as an acknowledgement leaves: the mark and what it stands for are durable. `seq`
    /// is that of the message in the envelope, if there is one.
    pub(crate) fn may_acknowledge(&self, id: Env, seq: Option<u8>) -> bool {
        let durable = self.durable();
        let kept = seq.is_none_or(|seq| durable.has(seq));
        durable.seen.contains(&id) && (kept || durable.lost.contains(&id))
    }

    /// Invariant 6, as the person is told; false if it was further already.
    pub(crate) fn tell(&mut self, seq: u8, state: DeliveryState) -> bool {
        let at = usize::from(seq) - 1;
        if self.told.len() <= at {
            self.told.resize(at + 1, DeliveryState::Pending);
        }
        let old = std::mem::replace(&mut self.told[at], state);
        is_forward(old, state)
    }
}

/// Invariants 6 and 7 of what is durable.
pub(crate) fn broken_by_commit(old: &Disk, new: &Disk) -> Option<Invariant> {
    if !new.sent.starts_with(&old.sent) {
        return Some(Invariant::OneContent);
    }
    let mut seqs = 1..old.next_seq;
    let forward = seqs.all(|seq| is_forward(old.state_of(seq), new.state_of(seq)));
    (!forward).then_some(Invariant::Forward)
}

/// `Failed` is before `Delivered`, which alone it may become.
fn is_forward(old: DeliveryState, new: DeliveryState) -> bool {
    old <= new
}
