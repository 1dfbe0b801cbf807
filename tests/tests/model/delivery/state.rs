//! A state of the model: two devices, the link between them and the mailbox of each.
//!
//! Of each device, what is durable and what is only in memory are apart: [`Disk`] is what a
//! transaction changes (twice, while one is open), [`Memory`] is what a crash drops, and
//! [`Side::held`] is what waits for the commit. [`Mailbox`] does the same for the relay.

use super::budget::Budget;
use super::mailbox::{Answer, Mailbox};
use super::seqs::Seqs;
use tincan_core::{DeliveryState, SentVia, WaitReason};

/// Names the bytes of an envelope. Names are given anew in every state (see
/// [`super::names`]), so that a conversation that goes on for ever has finitely many states.
pub(crate) type Env = u8;

/// Of an envelope that is not sealed yet.
pub(crate) const UNSEALED: Env = 0;

/// A set of names, sorted.
pub(crate) type Envs = Vec<Env>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope {
    pub(crate) id: Env,
    pub(crate) payload: Payload,
}

impl Envelope {
    /// Of the message in it, if there is one.
    pub(crate) fn seq(&self) -> Option<u8> {
        match &self.payload {
            Payload::Message(message) => Some(message.seq),
            Payload::Control(_) => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payload {
    Message(Message),
    Control(Control),
}

/// A message and what it says: a number that no other message of its sender has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    pub(crate) seq: u8,
    pub(crate) text: u8,
}

/// A receipt, and what is asked for along with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Control {
    pub(crate) received: Seqs,
    pub(crate) read_up_to: u8,
    pub(crate) stored_up_to: u8,
    pub(crate) delivered_up_to: u8,
    pub(crate) read_by_peer: u8,
    pub(crate) ask_ids: Vec<Env>,
    pub(crate) ask_ranges: Vec<(u8, u8)>,
}

/// An envelope of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) seq: u8,
    pub(crate) id: Env,
    /// What is sealed in it.
    pub(crate) text: u8,
    pub(crate) pending: bool,
    /// The furthest it has come; stays when it is sealed again.
    pub(crate) stored: Option<Via>,
    /// What is sealed now is at the relay.
    pub(crate) at_relay: bool,
}

/// Who has stored an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Via {
    Peer,
    Relay,
}

impl From<SentVia> for Via {
    fn from(via: SentVia) -> Self {
        match via {
            SentVia::Peer => Self::Peer,
            SentVia::Relay => Self::Relay,
        }
    }
}

/// Messages that are missing before one that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Gap {
    pub(crate) first: u8,
    pub(crate) last: u8,
}

/// What a crash leaves once it is committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    pub(crate) next_seq: u8,
    pub(crate) outbox: Vec<Row>,
    /// What was sent, seq after seq.
    pub(crate) sent: Vec<u8>,
    pub(crate) delivered: Seqs,
    pub(crate) read_by_peer: u8,
    pub(crate) failed: Seqs,
    pub(crate) wanted_ids: Envs,
    pub(crate) wanted: Vec<(u8, u8)>,
    /// Envelopes that were sealed here: the ratchet has moved past them. This set and the next three
    /// hold only names of envelopes that still are somewhere.
    pub(crate) sealed: Envs,
    pub(crate) seen: Envs,
    /// Their keys are used up.
    pub(crate) opened: Envs,
    /// Their keys are gone.
    pub(crate) lost: Envs,
    /// The other side's messages, in the order in which they are shown.
    pub(crate) timeline: Vec<Message>,
    pub(crate) held: Vec<Message>,
    pub(crate) received: Seqs,
    pub(crate) next_shown: u8,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) read_up_to: u8,
    pub(crate) asks: Vec<Env>,
    pub(crate) receipt_pending: bool,
    pub(crate) announced: u8,
    /// Once everything up to here is stored, the other side is told so.
    pub(crate) to_announce: Option<u8>,
    /// The other side's relay has begun anew, which this device has not dealt with yet. Not a row of
    /// its own: the relay's name there and the name noted here differ.
    pub(crate) relay_is_new: bool,
    /// The same of this device's own relay.
    pub(crate) mailbox_is_new: bool,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            next_seq: 1,
            outbox: Vec::new(),
            sent: Vec::new(),
            delivered: Seqs::default(),
            read_by_peer: 0,
            failed: Seqs::default(),
            wanted_ids: Vec::new(),
            wanted: Vec::new(),
            sealed: Vec::new(),
            seen: Vec::new(),
            opened: Vec::new(),
            lost: Vec::new(),
            timeline: Vec::new(),
            held: Vec::new(),
            received: Seqs::default(),
            next_shown: 1,
            gaps: Vec::new(),
            read_up_to: 0,
            asks: Vec::new(),
            receipt_pending: false,
            announced: 0,
            to_announce: None,
            relay_is_new: false,
            mailbox_is_new: false,
        }
    }

    pub(crate) fn row(&mut self, seq: u8) -> Option<&mut Row> {
        self.outbox.iter_mut().find(|row| row.seq == seq)
    }

    /// How far an own message has come.
    pub(crate) fn state_of(&self, seq: u8) -> DeliveryState {
        if self.delivered.has(seq) {
            let read = seq <= self.read_by_peer;
            return if read {
                DeliveryState::Read
            } else {
                DeliveryState::Delivered
            };
        }
        if self.failed.has(seq) {
            return DeliveryState::Failed;
        }
        let row = self.outbox.iter().find(|row| row.seq == seq);
        match row.and_then(|row| row.stored) {
            None => DeliveryState::Pending,
            Some(Via::Relay) => DeliveryState::SentToRelay,
            Some(Via::Peer) => DeliveryState::SentToPeer,
        }
    }
}

/// Where one envelope has been handed to, on one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Attempt {
    #[default]
    Idle,
    InFlight,
    /// Not again before time has passed.
    Later,
    /// Not again on this link.
    Refused,
}

/// An envelope in the window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) envelope: Envelope,
    pub(crate) seq: u8,
    pub(crate) direct: Attempt,
    pub(crate) deposit: Attempt,
    pub(crate) waiting: Option<Reason>,
    pub(crate) told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    NoPath,
    InFlight,
    QueueFull,
    Rejected,
    RelayUnavailable,
    RefusedByPeer,
}

impl From<WaitReason> for Reason {
    fn from(reason: WaitReason) -> Self {
        match reason {
            WaitReason::NoPath => Self::NoPath,
            WaitReason::InFlight => Self::InFlight,
            WaitReason::QueueFull => Self::QueueFull,
            WaitReason::Rejected => Self::Rejected,
            WaitReason::RelayUnavailable => Self::RelayUnavailable,
            WaitReason::RefusedByPeer => Self::RefusedByPeer,
            // The enum is open to other crates: the language asks for this arm.
            other => panic!("the core can wait for {other:?}: the model needs it too"),
        }
    }
}

/// A receipt on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ControlEntry {
    pub(crate) envelope: Envelope,
    pub(crate) direct: Attempt,
    pub(crate) deposit: Attempt,
    pub(crate) asked: Vec<Env>,
    pub(crate) asks_for_missing: bool,
}

/// A timer, as far as the model knows time: `Later` becomes `Now` when time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Due {
    #[default]
    No,
    Later,
    Now,
}

impl Due {
    /// As set again for another moment: the earlier one counts.
    pub(crate) const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, _) | (_, Self::Now) => Self::Now,
            (Self::Later, _) | (_, Self::Later) => Self::Later,
            (Self::No, Self::No) => Self::No,
        }
    }

    pub(crate) const fn after_time(self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Later | Self::Now => Self::Now,
        }
    }
}

/// Whether more of the own mailbox may come.
#[allow(clippy::enum_variant_names, reason = "the core's words")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    #[default]
    Down,
    Begun,
    Drained,
}

/// What a crash drops.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    pub(crate) window: Vec<Entry>,
    /// Envelopes from this seq on are not in the window.
    pub(crate) next_load: u8,
    pub(crate) mailbox: Reading,
    pub(crate) control_due: Due,
    pub(crate) control_changed: bool,
    pub(crate) control: Option<ControlEntry>,
    pub(crate) link_up: bool,
    pub(crate) relay_up: bool,
    /// Something is in flight on the link since it last answered.
    pub(crate) waiting: bool,
    pub(crate) stalled: bool,
    pub(crate) missing_since: Due,
    pub(crate) asked_up_to: u8,
    pub(crate) ask_again: Due,
    /// Unreadable envelopes have been asked for a moment ago.
    pub(crate) asks_paced: bool,
}

/// What waits for the commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Out {
    Put(Envelope),
    Stored(Env),
    Nack(Env),
    Deposit(Envelope),
    AckMailbox(u8),
    State { seq: u8, state: DeliveryState },
    Waiting { seq: u8, reason: Reason },
    Received { seq: u8, late: bool },
    Gap(Gap),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Side {
    /// As the open transaction sees it.
    pub(crate) disk: Disk,
    /// As a crash would leave it, while a transaction is open.
    pub(crate) durable: Option<Box<Disk>>,
    pub(crate) memory: Memory,
    pub(crate) held: Vec<Out>,
    /// What the person was told last of each own message.
    pub(crate) told: Vec<DeliveryState>,
}

impl Side {
    pub(crate) fn is_open(&self) -> bool {
        self.durable.is_some()
    }

    pub(crate) fn durable(&self) -> &Disk {
        self.durable.as_deref().unwrap_or(&self.disk)
    }
}

/// A frame on the link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Frame {
    Put(Envelope),
    Stored(Env),
    Nack(Env),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) sides: [Side; 2],
    /// Frames on their way to each side.
    pub(crate) wires: [Vec<Frame>; 2],
    pub(crate) link: bool,
    /// A frame was lost or refused on this link: its owner will give it up.
    pub(crate) link_is_bad: bool,
    pub(crate) answers: [Vec<Answer>; 2],
    pub(crate) mailboxes: [Mailbox; 2],
    pub(crate) budget: Budget,
    /// The first invariant that a step broke.
    pub(crate) broken: Option<super::properties::Invariant>,
}
