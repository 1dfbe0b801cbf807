//! What happens to a session.

use bytes::Bytes;
use core::time::Duration;
use tincan_protocol::EnvelopeId;
use tincan_protocol::wire::NackReason;

/// The way an envelope came in, which is also the way its acknowledgement goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The direct link.
    Link,
    /// This device's mailbox, at this index.
    Mailbox {
        /// Index in the mailbox.
        index: u64,
    },
}

/// Why a relay did not take an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedDeposit {
    /// The mailbox is full: the other side has not been there for long.
    QueueFull,
    /// The mailbox is gone or the token is wrong: the other side has blocked this contact, or has
    /// moved.
    Rejected,
    /// The relay cannot or will not now.
    Unavailable,
}

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A direct link to the other device is open.
    LinkUp,
    /// It is gone.
    LinkDown,
    /// The other side's mailbox can be reached.
    RelayUp,
    /// It cannot.
    RelayDown,
    /// The other side's relay has lost what it kept.
    RelayForgot,
    /// This side's own relay has lost what it kept, perhaps words for this side.
    MailboxForgot,
    /// Reading of the own mailbox began.
    MailboxUp,
    /// Everything that was in the own mailbox has been delivered.
    MailboxDrained,
    /// The own mailbox cannot be read.
    MailboxDown,
    /// An envelope of this conversation came in.
    Envelope {
        /// How.
        via: Via,
        /// Its bytes.
        envelope: Bytes,
    },
    /// The other side has this envelope durably.
    Stored {
        /// Which.
        id: EnvelopeId,
    },
    /// The other side did not take this envelope.
    Nack {
        /// Which.
        id: EnvelopeId,
        /// Why.
        reason: NackReason,
    },
    /// The relay has this envelope durably.
    Deposited {
        /// Which.
        id: EnvelopeId,
    },
    /// The relay did not take this envelope.
    DepositRefused {
        /// Which.
        id: EnvelopeId,
        /// Why.
        reason: RefusedDeposit,
        /// The relay's advice.
        retry_after: Option<Duration>,
    },
    /// Messages of the other side up to this seq have been shown to the person.
    Read {
        /// Up to and including.
        up_to: u64,
    },
}
