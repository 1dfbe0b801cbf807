//! The database's schema: every table is keyed by queue (or owner) first.
//!
//! | table | key | value |
//! |---|---|---|
//! | `queues` | queue | kind, token hash, last index, counts |
//! | `entries` | queue, index | sealed bytes that wait |
//! | `ids` | queue, index | envelope id and when it came; outlives its entry |
//! | `seen` | queue, envelope id | index |
//! | `owners` | owner | token hash, next serial |
//! | `packages` | owner, serial | key packages that wait; serial 0 is the last resort |
//! | `package_ids` | owner, serial | SHA-256 of packages, also of those handed out |

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use tincan_protocol::ids::{QueueId, TokenHash};

use super::{QueueKind, StoreError, token};

type Id = &'static [u8; 32];
type QueueTuple<'a> = (u8, &'a [u8; 32], u64, u64, u64, u64, u64);

pub(super) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
pub(super) const QUEUES: TableDefinition<'static, Id, QueueTuple<'static>> =
    TableDefinition::new("queues");
pub(super) const ENTRIES: TableDefinition<'static, (Id, u64), &[u8]> =
    TableDefinition::new("entries");
pub(super) const IDS: TableDefinition<'static, (Id, u64), (Id, u64)> = TableDefinition::new("ids");
pub(super) const SEEN: TableDefinition<'static, (Id, Id), u64> = TableDefinition::new("seen");
const OWNERS: TableDefinition<'static, Id, (Id, u64)> = TableDefinition::new("owners");
const PACKAGES: TableDefinition<'static, (Id, u64), &[u8]> = TableDefinition::new("packages");
const PACKAGE_IDS: TableDefinition<'static, (Id, u64), Id> = TableDefinition::new("package_ids");

/// All tables, open in one write transaction.
pub(super) struct Tables<'txn> {
    pub(super) queues: Table<'txn, Id, QueueTuple<'static>>,
    pub(super) entries: Table<'txn, (Id, u64), &'static [u8]>,
    pub(super) ids: Table<'txn, (Id, u64), (Id, u64)>,
    pub(super) seen: Table<'txn, (Id, Id), u64>,
    pub(super) owners: Table<'txn, Id, (Id, u64)>,
    pub(super) packages: Table<'txn, (Id, u64), &'static [u8]>,
    pub(super) package_ids: Table<'txn, (Id, u64), Id>,
}

impl<'txn> Tables<'txn> {
    /// Opens every table, and makes those that are missing.
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            queues: transaction.open_table(QUEUES)?,
            entries: transaction.open_table(ENTRIES)?,
            ids: transaction.open_table(IDS)?,
            seen: transaction.open_table(SEEN)?,
            owners: transaction.open_table(OWNERS)?,
            packages: transaction.open_table(PACKAGES)?,
            package_ids: transaction.open_table(PACKAGE_IDS)?,
        })
    }

    /// The queue's row, also that of a deleted queue.
    pub(super) fn row(&self, queue: &QueueId) -> Result<Option<QueueRow>, StoreError> {
        let found = self.queues.get(queue.as_bytes())?;
        found
            .map(|guard| QueueRow::from_tuple(guard.value()))
            .transpose()
    }

    /// The queue's row if it lives and the token is its own.
    pub(super) fn row_to_write(
        &self,
        queue: &QueueId,
        presented: &TokenHash,
    ) -> Result<Option<QueueRow>, StoreError> {
        let row = self.row(queue)?.filter(QueueRow::is_alive);
        let fits = token::fits(row.as_ref().map(|row| &row.token), presented);
        Ok(row.filter(|_| fits))
    }

    pub(super) fn save(&mut self, queue: &QueueId, row: &QueueRow) -> Result<(), StoreError> {
        self.queues.insert(queue.as_bytes(), row.to_tuple())?;
        Ok(())
    }
}

/// What is kept of a queue beside its entries.
#[derive(Clone, Debug)]
pub(super) struct QueueRow {
    pub(super) kind: QueueKind,
    pub(super) token: [u8; 32],
    /// The highest index ever given.
    pub(super) last_index: u64,
    /// Entries that wait.
    pub(super) entries: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Ids remembered, of waiting and of deleted entries.
    pub(super) ids: u64,
    /// Unix milliseconds of its deletion; 0 while it lives. The row stays for a while, so that the
    /// same queue, made again, goes on with higher indices.
    pub(super) deleted_ms: u64,
}

impl QueueRow {
    pub(super) fn new(kind: QueueKind, token: &TokenHash, last_index: u64) -> Self {
        let token = *token.as_bytes();
        Self {
            kind,
            token,
            last_index,
            entries: 0,
            bytes: 0,
            ids: 0,
            deleted_ms: 0,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.deleted_ms == 0
    }

    pub(super) fn from_tuple(tuple: QueueTuple<'_>) -> Result<Self, StoreError> {
        let (kind, token, last_index, entries, bytes, ids, deleted_ms) = tuple;
        let kind = match kind {
            1 => QueueKind::Mailbox,
            2 => QueueKind::Log,
            _ => {
                return Err(StoreError {
                    reason: format!("queue of unknown kind {kind}"),
                });
            }
        };
        Ok(Self {
            kind,
            token: *token,
            last_index,
            entries,
            bytes,
            ids,
            deleted_ms,
        })
    }

    fn to_tuple(&self) -> QueueTuple<'_> {
        let kind = match self.kind {
            QueueKind::Mailbox => 1,
            QueueKind::Log => 2,
        };
        (
            kind,
            &self.token,
            self.last_index,
            self.entries,
            self.bytes,
            self.ids,
            self.deleted_ms,
        )
    }
}

/// What the operator of the relay reads in its log, behind the name of the file.
fn reason(error: redb::Error) -> String {
    match error {
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            "its disk is full; free some space there, and the relay goes on by itself".to_owned()
        }
        other => other.to_string(),
    }
}

macro_rules! store_error_from {
    ($($error:ty),*) => {$(
        impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self { reason: reason(error.into()) }
            }
        }
    )*};
}

store_error_from!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError
);
