//! What a session wants done, in order.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::Content;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::wire::NackReason;
use tincan_protocol::{EnvelopeId, MsgId};

use crate::snapshot::Snapshot;

/// One step. See the crate's head for the rule.
#[derive(Clone, Debug)]
pub enum Output {
    /// Into the open transaction.
    Persist(Persist),
    /// Out, after the commit.
    Transmit(Transmit),
    /// To the person, after the commit.
    Event(Event),
}

/// A change of the store. Rows belong to this session's conversation.
#[derive(Clone, Debug)]
pub enum Persist {
    /// Replaces the session's snapshot.
    Snapshot(Snapshot),
    /// A new envelope in the outbox, pending, and its contents in the timeline.
    Outgoing {
        /// First seq inside.
        first: u64,
        /// Last seq inside.
        last: u64,
        /// Its id; that of no bytes while it is not sealed.
        id: EnvelopeId,
        /// Its bytes; none if it is sealed later, which a `Resealed` tells.
        envelope: Bytes,
        /// Unix milliseconds.
        created_ms: u64,
        /// It is not given up, however old it gets: [`tincan_protocol::content::Body::outlasts_expiry`].
        lasts: bool,
        /// What is inside, seq after seq.
        contents: Vec<SentContent>,
    },
    /// An envelope of the outbox was sealed, maybe again: new id and bytes, pending.
    Resealed {
        /// First seq inside.
        first: u64,
        /// Its new id.
        id: EnvelopeId,
        /// Its new bytes.
        envelope: Bytes,
    },
    /// An envelope of the outbox is stored elsewhere; it is not pending any more.
    OutboxStored {
        /// First seq inside.
        first: u64,
        /// Where.
        via: SentVia,
    },
    /// The other side's relay has lost what it kept: every envelope of the outbox whose present bytes
    /// are stored only there is pending again, also if earlier bytes of it were stored by the device.
    RelayForgot,
    /// Nothing in the outbox is sealed any more, and all of it is pending.
    Unsealed,
    /// Every envelope of the outbox whose seqs are all in this set may be dropped.
    Delivered {
        /// What the other side has received.
        delivered: SeqSet,
        /// What of it is new: only envelopes that reach into these ranges can be meant.
        new: Vec<(u64, u64)>,
    },
    /// This envelope was not delivered in time and is dropped.
    Expired {
        /// First seq inside.
        first: u64,
    },
    /// A received content, in the timeline at this place.
    Incoming {
        /// Its seq.
        seq: u64,
        /// Its place: the sender's stamp, moved so that a sender's messages keep their order.
        place: Hlc,
        /// The encoded content.
        content: Bytes,
    },
    /// A received content that waits for earlier ones; it is not in the timeline yet.
    Hold {
        /// Its seq.
        seq: u64,
        /// The encoded content.
        content: Bytes,
    },
    /// A held content moves into the timeline: a [`Persist::Incoming`] for it follows.
    Unhold {
        /// Its seq.
        seq: u64,
    },
    /// This envelope has been dealt with.
    Seen {
        /// Its id.
        id: EnvelopeId,
    },
}

/// A content of a new envelope.
#[derive(Clone, Debug)]
pub struct SentContent {
    /// Its seq.
    pub seq: u64,
    /// Its id.
    pub msg_id: MsgId,
    /// Its place in the timeline.
    pub place: Hlc,
    /// The encoded content.
    pub content: Bytes,
    /// See [`Persist::Outgoing`].
    pub lasts: bool,
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Over the direct link.
    Put {
        /// Its id.
        id: EnvelopeId,
        /// Its bytes.
        envelope: Bytes,
    },
    /// Over the direct link: this envelope is durable here.
    Stored {
        /// Its id.
        id: EnvelopeId,
    },
    /// Over the direct link: this envelope is not taken.
    Nack {
        /// Its id.
        id: EnvelopeId,
        /// Why.
        reason: NackReason,
    },
    /// Into the other side's mailbox.
    Deposit {
        /// Its id.
        id: EnvelopeId,
        /// Its bytes.
        envelope: Bytes,
    },
    /// To the own relay: everything up to this index is durable here.
    AckMailbox {
        /// Index in the mailbox.
        index: u64,
    },
}

/// How far a message has come. Ordered: a message only moves to a later state, except that a
/// failed one may still turn out to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DeliveryState {
    /// Durable here, on its way.
    Pending,
    /// Durable at the other side's relay.
    SentToRelay,
    /// Durable at the other side's device.
    SentToPeer,
    /// Not delivered in time.
    Failed,
    /// Opened and committed there.
    Delivered,
    /// Shown there.
    Read,
}

/// Who has stored an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentVia {
    /// The other side's device.
    Peer,
    /// The other side's relay.
    Relay,
}

/// Why something waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitReason {
    /// Neither a link nor the other side's relay can be reached.
    NoPath,
    /// Handed over, not answered yet.
    InFlight,
    /// The other side's mailbox is full.
    QueueFull,
    /// The other side's mailbox is gone: blocked, or moved.
    Rejected,
    /// The other side's relay cannot take it now.
    RelayUnavailable,
    /// The other side could not open it, or has a limit reached.
    RefusedByPeer,
}

/// Something a person, or the layer above, wants to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message takes its place in the timeline.
    Received {
        /// The content.
        content: Box<Content>,
        /// Its place in the timeline.
        place: Hlc,
        /// It fills a gap that was already shown.
        late: bool,
    },
    /// Own messages have come further.
    State {
        /// First seq.
        first: u64,
        /// Last seq.
        last: u64,
        /// How far.
        state: DeliveryState,
    },
    /// Own messages wait.
    Waiting {
        /// First seq.
        first: u64,
        /// Last seq.
        last: u64,
        /// What for.
        reason: WaitReason,
    },
    /// Messages of the other side are missing; what comes after them is shown now. They are asked
    /// for and take their place later.
    Gap {
        /// First missing seq.
        first: u64,
        /// Last missing seq.
        last: u64,
        /// Where they belong in the timeline.
        place: Hlc,
    },
    /// The other side did what no honest program does.
    Misbehaved {
        /// What.
        what: &'static str,
    },
}
