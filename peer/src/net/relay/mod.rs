//! What is wanted of a relay, and what it says.

mod client;
mod replies;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use tincan_core::RefusedDeposit;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::{EnvelopeId, QueueId, StoreId, TokenHash, WriteToken};

pub use client::RelayClient;

use super::socket::Lost;
use crate::store::ConversationNo;

/// A mailbox of ours, as it should be at the relay.
#[derive(Clone, Debug)]
pub struct OwnQueue {
    /// Its key, which reads it.
    pub key: QueueKey,
    /// Hash of the token that lets others write.
    pub token_hash: TokenHash,
}

/// Which envelope of which conversation an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositTag {
    /// The conversation.
    pub no: ConversationNo,
    /// The envelope.
    pub id: EnvelopeId,
}

/// What the driver wants of a relay.
#[derive(Debug)]
pub enum RelayCommand {
    /// All mailboxes there should be; made and subscribed on every connection.
    Queues(Vec<OwnQueue>),
    /// A mailbox that there should not be any more.
    DeleteQueue(QueueKey),
    /// Put an envelope into somebody's mailbox.
    Deposit {
        /// For the answer.
        tag: DepositTag,
        /// Their mailbox.
        queue: QueueId,
        /// The right to write there.
        token: WriteToken,
        /// What to put.
        envelope: Bytes,
    },
    /// Everything up to here is durable.
    Ack {
        /// The own mailbox.
        queue: QueueId,
        /// The last index.
        index: u64,
    },
    /// Publishes packages; without any it asks for the stock.
    Publish {
        /// Whose.
        owner: QueueKey,
        /// Hash of the token that lets others take one.
        token_hash: TokenHash,
        /// Single-use packages.
        packages: Vec<Vec<u8>>,
        /// Takes the place of the one that is there.
        last_resort: Option<Vec<u8>>,
    },
    /// A package of somebody who is to be a contact.
    TakeKeyPackage {
        /// For the answer.
        request: u64,
        /// Whose.
        owner: QueueId,
        /// The right to take one.
        token: WriteToken,
    },
}

/// What a relay says.
#[derive(Debug)]
pub enum RelayEvent {
    /// With the name of what it keeps.
    Up(StoreId),
    /// There is no connection.
    Down(Lost),
    /// Reading of a mailbox began.
    Subscribed(QueueId),
    /// A mailbox is read to its end.
    Drained(QueueId),
    /// Something in a mailbox.
    Delivered {
        /// The mailbox.
        queue: QueueId,
        /// Its place there.
        index: u64,
        /// The sealed bytes.
        envelope: Bytes,
    },
    /// A mailbox is there no more.
    Deleted(QueueId),
    /// An envelope is durable there.
    Deposited(DepositTag),
    /// An envelope was not taken.
    Refused {
        /// Which.
        tag: DepositTag,
        /// Why.
        reason: RefusedDeposit,
        /// Not before this time is over.
        retry_after: Option<Duration>,
    },
    /// The own key packages that it has.
    Stock {
        /// How many.
        single_use: usize,
        /// Whether there is one for when these are used up.
        last_resort: bool,
    },
    /// The answer to [`RelayCommand::TakeKeyPackage`].
    KeyPackage {
        /// Which.
        request: u64,
        /// The package, or why there is none.
        package: Result<Vec<u8>, String>,
    },
}
