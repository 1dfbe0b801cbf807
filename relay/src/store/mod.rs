//! What the relay keeps, and what may be asked of it.
//!
//! Owns: the vocabulary between the [mailboxes](crate::mailbox) and whatever keeps their state
//! ([`RedbStore`] here; a database server can stand behind the same trait). Every operation names
//! one queue (or one owner of key packages) and touches nothing outside it, so that a store may
//! spread queues over machines.
//! Does not own: connections, who has proved what, windows.
//!
//! Invariants
//! - When [`Store::commit`] returns, everything in it is durable; when it fails, the caller must
//!   take it as unknown whether it happened. Every write may therefore be repeated.
//! - One index per (queue, envelope id); indices of a queue only grow, also over deletion and
//!   restarts.
//! - An envelope goes away only by its reader's ack, its queue's deletion or its age.

mod key_packages;
mod queues;
mod redb_store;
mod scan;
mod tables;
mod token;

pub use redb_store::{OpenError, RedbStore, SCHEMA_VERSION};

use bytes::Bytes;
use tincan_protocol::ids::{EnvelopeId, QueueId, StoreId, TokenHash};

/// The two kinds of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueKind {
    /// One reader; an ack deletes.
    Mailbox,
    /// Many readers; compare-and-append; only age deletes.
    Log,
}

/// A change of one queue or one owner's key packages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// Makes a queue, or replaces the token of an existing one.
    Create {
        /// The queue.
        queue: QueueId,
        /// What it shall be.
        kind: QueueKind,
        /// Hash of the token that lets others write.
        token: TokenHash,
    },
    /// Deletes a queue with everything in it; its last index is remembered for a while.
    Delete {
        /// The queue.
        queue: QueueId,
    },
    /// Puts an envelope into a mailbox, once.
    Deposit {
        /// The queue.
        queue: QueueId,
        /// Hash of the token that came with it.
        token: TokenHash,
        /// The envelope's id, made from its bytes.
        env_id: EnvelopeId,
        /// The sealed bytes.
        envelope: Bytes,
    },
    /// Appends to a log if `after_index` is its last index.
    Append {
        /// The queue.
        queue: QueueId,
        /// Hash of the token that came with it.
        token: TokenHash,
        /// The last index as the writer knows it.
        after_index: u64,
        /// The entry's id, made from its bytes.
        env_id: EnvelopeId,
        /// The sealed bytes.
        entry: Bytes,
    },
    /// Deletes a mailbox's envelopes up to and including `index`. Nothing on a log.
    Ack {
        /// The queue.
        queue: QueueId,
        /// Last index to delete.
        index: u64,
    },
    /// Forgets what is too old in one queue, at most [`EXPIRE_MAX`] envelopes.
    Expire {
        /// The queue.
        queue: QueueId,
    },
    /// Adds key packages.
    Publish {
        /// Whose they are.
        owner: QueueId,
        /// Hash of the token that lets others take one.
        token: TokenHash,
        /// Single-use packages.
        packages: Vec<Bytes>,
        /// Replaces the last-resort package.
        last_resort: Option<Bytes>,
    },
    /// Takes one key package out.
    Take {
        /// Whose.
        owner: QueueId,
        /// Hash of the token that came with it.
        token: TokenHash,
    },
}

/// Envelopes that one [`Write::Expire`] forgets at most, so that a batch stays short.
pub const EXPIRE_MAX: usize = 256;

impl Write {
    /// Bytes of payload, for the bound of a batch.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Deposit { envelope, .. } => envelope.len(),
            Self::Append { entry, .. } => entry.len(),
            Self::Publish {
                packages,
                last_resort,
                ..
            } => packages.iter().chain(last_resort).map(Bytes::len).sum(),
            _ => 0,
        }
    }

    /// Whether it carries no payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What became of a [`Write`]. A repeated deposit or append is answered like the first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// It is so now.
    Done,
    /// The envelope is in the mailbox, or has been.
    Deposited {
        /// Its index.
        index: u64,
    },
    /// The entry is in the log.
    Appended {
        /// Its index.
        index: u64,
    },
    /// The log's last index is another one.
    Conflict {
        /// The last index.
        last_index: u64,
    },
    /// What the owner has at the relay.
    Stock {
        /// Single-use packages left.
        single_use: u32,
        /// Whether there is a last-resort package.
        last_resort: bool,
    },
    /// A key package, no longer in the store if it was a single-use one.
    Package(Bytes),
    /// Nothing changed.
    Refused(Refused),
}

/// Why a write or read changed or gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// No such queue or owner, or the wrong token: who writes cannot tell these apart.
    Unauthorized,
    /// No such queue; said only to who has proved its key.
    NoSuchQueue,
    /// The queue is of the other kind.
    WrongKind,
    /// Quota of envelopes or bytes.
    QueueFull,
    /// Neither a single-use nor a last-resort package is left.
    NoKeyPackage,
}

/// A part of a queue to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The queue.
    pub queue: QueueId,
    /// Read behind this index.
    pub after_index: u64,
    /// At most this many entries.
    pub max_entries: usize,
    /// At most this many bytes; the first entry comes however large it is.
    pub max_bytes: usize,
}

/// A part of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The queue's kind.
    pub kind: QueueKind,
    /// The highest index ever given in the queue.
    pub last_index: u64,
    /// Indices, ascending, and sealed bytes.
    pub entries: Vec<(u64, Bytes)>,
    /// Whether more is behind the last entry.
    pub more: bool,
}

/// One step through all queues in search of what is too old.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Queues that hold something too old.
    pub stale: Vec<QueueId>,
    /// Where to go on; `None` after the last queue.
    pub next: Option<QueueId>,
}

/// The store did not do it, for a reason of its own: disk full, damaged, unreachable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("store is not available: {reason}")]
pub struct StoreError {
    /// What the engine said.
    pub reason: String,
}

/// Keeps queues and key packages. Blocking: it runs on a thread of its own.
pub trait Store: Send {
    /// Names what is kept here: made together with it, and never the same for another store, nor for
    /// one that was restored from a backup.
    fn id(&self) -> StoreId;

    /// Does all of it in one transaction, durable when this returns. `now_ms` is Unix time.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of it may be taken as done, and all of it may be tried again.
    fn commit(&mut self, writes: &[Write], now_ms: u64) -> Result<Vec<Written>, StoreError>;

    /// Reads a part of one queue as of the last commit.
    ///
    /// # Errors
    /// [`StoreError`]; it may be tried again.
    fn read(&mut self, read: &Read) -> Result<Result<Page, Refused>, StoreError>;

    /// Looks at up to `queues` queues from `from` on.
    ///
    /// # Errors
    /// [`StoreError`]; it may be tried again.
    fn scan(
        &mut self,
        from: Option<QueueId>,
        queues: usize,
        now_ms: u64,
    ) -> Result<Scan, StoreError>;
}
