//! The database of one profile: redb, every value sealed.
//!
//! Owns the file, the keys under which rows stand and their encryption. Does not own what rows
//! mean: the driver decides what changes together, in one [`Batch`].
//!
//! Invariants: a value is never written in clear (what is in the keys is in clear: conversation
//! numbers, stamps, ids); one [`Batch`] at a time; what a batch has written, it reads.
//!
//! Copy-on-write leaves old ciphertext in free pages until they are used again: deleting a message
//! takes it out of the database and not off the disk.

mod annotations;
mod batch;
mod contain;
mod data_key;
mod dump;
mod file;
mod journal;
mod keyring;
mod messages;
mod passphrase;
mod removals;
mod rows;
mod sealer;
mod session_rows;
mod tables;
mod timeline;
mod unread;

use std::path::Path;
use std::sync::Arc;

use redb::{DatabaseError, ReadTransaction, ReadableDatabase, StorageBackend, StorageError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

pub(crate) use annotations::Annotations;
pub(crate) use batch::Batch;
#[cfg(feature = "cli")]
pub(crate) use contain::before_abort;
pub(crate) use contain::contained;
#[cfg(feature = "tui")]
pub(crate) use contain::is_contained;
pub(crate) use data_key::{DataKey, KeyFile};
pub use data_key::{DataKeyError, KeySource};
pub(crate) use dump::{
    CONTACTS_TABLE, LEFT_TABLE, Loading, OUTBOX_ENVELOPES_TABLE, OUTBOX_TABLE, PROFILE_TABLE,
    SESSIONS_TABLE, TIMELINE_TABLE, is_message_row, left_bytes, read_left,
};
use file::DatabaseFile;
pub use journal::{ChangeName, JournalEvent};
pub use keyring::KeyringError;
pub use messages::MessageName;
pub(crate) use messages::{MessagePlace, NewMessage, expires_s, is_message};
pub(crate) use passphrase::Cost;
pub(crate) use removals::{DueRemoval, Removal, WHEN_SETTLED};
pub(crate) use rows::{
    ContactRow, ContactState, EndedQueueRow, InviteRow, OutboxMeta, ProfileRow, RequestStage,
    SentIndex, Settings, TimerSet, UnknownKept, VerifiedRow, seq_after_loss,
};
use sealer::Sealer;
pub use tables::ConversationNo;
pub(crate) use tables::Who;
pub(crate) use timeline::TimelineRow;

/// Version of the tables; a newer one is refused, an older one would be migrated here.
pub(crate) const SCHEMA_VERSION: u64 = 2;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("this profile is in use by another process")]
    Locked,
    /// The file is not a database, or pages of it are broken.
    #[error("the database is damaged ({detail})")]
    Damaged {
        /// What redb found.
        detail: String,
    },
    /// A value does not open with the data key: another key, or somebody changed the value.
    #[error("a value of the database cannot be decrypted (table {table})")]
    Sealed {
        /// The table it stands in.
        table: &'static str,
    },
    /// A value cannot be read by this version.
    #[error("a row of table {table} cannot be read: {detail}")]
    Row {
        /// The table it stands in.
        table: &'static str,
        /// The reader's reason.
        detail: String,
    },
    /// Written by a later version.
    #[error("the database has schema version {found}, this program knows {SCHEMA_VERSION}")]
    Newer {
        /// Version found.
        found: u64,
    },
    /// An earlier failure has closed it, or its owner has.
    #[error("the database is closed")]
    Closed,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// Anything else that the file system said.
    #[error("database: {0}")]
    Io(#[source] std::io::Error),
}

/// An open database.
#[derive(Clone)]
pub(crate) struct Store {
    file: Arc<DatabaseFile>,
    sealer: Arc<Sealer>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store(..)")
    }
}

impl Store {
    /// Makes the database at `path`.
    pub(crate) fn create(path: &Path, key: &DataKey) -> Result<Self, StoreError> {
        Self::with(DatabaseFile::create(path)?, key)
    }

    /// Opens the database at `path`.
    pub(crate) fn open(path: &Path, key: &DataKey) -> Result<Self, StoreError> {
        Self::with(contained(|| DatabaseFile::open(path))?, key)
    }

    /// Opens or makes the database on a medium that is not a file, now and again.
    pub(crate) fn open_on<M: StorageBackend>(
        medium: impl Fn() -> M + Send + Sync + 'static,
        key: &DataKey,
    ) -> Result<Self, StoreError> {
        let opener = Box::new(move || file::database(medium()));
        Self::with(contained(|| DatabaseFile::open_with(opener))?, key)
    }

    fn with(file: DatabaseFile, key: &DataKey) -> Result<Self, StoreError> {
        let store = Self {
            file: Arc::new(file),
            sealer: Arc::new(Sealer::new(key)),
        };
        contained(|| store.check_schema())?;
        Ok(store)
    }

    /// Closes the file in order; whoever holds the store gets [`StoreError::Closed`] from here on.
    pub(crate) fn close(&self) {
        self.file.close();
    }

    /// Opens the file again after a failure.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        contained(|| self.file.reopen())
    }

    /// Whether the disk had no room for what was to be written last.
    pub(crate) fn disk_is_full(&self) -> watch::Receiver<bool> {
        self.file.is_full()
    }

    /// Begins a batch. Waits for an earlier one to end.
    pub(crate) fn begin(&self) -> Result<Batch, StoreError> {
        Batch::begin(self)
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.file.get()?.begin_read()?)
    }

    /// Makes all tables at once, so that readers never meet a missing one.
    fn check_schema(&self) -> Result<(), StoreError> {
        let batch = self.begin()?;
        let found = batch.make_tables(SCHEMA_VERSION)?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer { found });
        }
        if found < 2 {
            // It knew messages by their places only.
            batch.index_messages(|no| {
                let snapshot = batch.snapshot(no)?;
                Ok(snapshot.map_or(0, |snapshot| snapshot.read_up_to))
            })?;
        }
        batch.put_schema(SCHEMA_VERSION)?;
        batch.commit()
    }

    fn seal_json<T: Serialize>(
        &self,
        table: &'static str,
        key: &[u8],
        value: &T,
    ) -> Result<Vec<u8>, StoreError> {
        let json = serde_json::to_vec(value).map_err(|error| row_error(table, &error))?;
        Ok(self.sealer.seal(table, key, &json))
    }

    fn open_json<T: DeserializeOwned>(
        &self,
        table: &'static str,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let json = self.sealer.open(table, key, sealed)?;
        serde_json::from_slice(&json).map_err(|error| row_error(table, &error))
    }
}

fn row_error(table: &'static str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Row {
        table,
        detail: error.to_string(),
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Self::DiskFull
            }
            // What redb says of a file whose header is not its own, or which ends too early.
            StorageError::Io(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                Self::Damaged {
                    detail: error.to_string(),
                }
            }
            StorageError::Io(error) => Self::Io(error),
            // It says so until it is opened again.
            StorageError::PreviousIo | StorageError::DatabaseClosed => Self::Closed,
            other => Self::Damaged {
                detail: other.to_string(),
            },
        }
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::Locked,
            DatabaseError::Storage(error) => error.into(),
            other => Self::Damaged {
                detail: other.to_string(),
            },
        }
    }
}

impl From<redb::TransactionError> for StoreError {
    fn from(error: redb::TransactionError) -> Self {
        match error {
            redb::TransactionError::Storage(error) => error.into(),
            other => Self::Damaged {
                detail: other.to_string(),
            },
        }
    }
}

impl From<redb::TableError> for StoreError {
    fn from(error: redb::TableError) -> Self {
        match error {
            redb::TableError::Storage(error) => error.into(),
            other => Self::Damaged {
                detail: other.to_string(),
            },
        }
    }
}

impl From<redb::CommitError> for StoreError {
    fn from(error: redb::CommitError) -> Self {
        match error {
            redb::CommitError::Storage(error) => error.into(),
            other => Self::Damaged {
                detail: other.to_string(),
            },
        }
    }
}
