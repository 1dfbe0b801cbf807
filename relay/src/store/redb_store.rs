//! The embedded store: one redb file.
//!
//! A transaction commits in two phases: redb then never has to decide by checksums, which whoever
//! controls the contents could forge, which of its two roots is the valid one after a crash. A
//! commit costs the same few syncs however many writes are in it.
//!
//! After a failed write redb refuses all others until the file has been opened anew, so this store
//! does that with the next operation: a relay whose disk was full goes on when there is room.

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, StorageError};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tincan_protocol::ids::{QueueId, StoreId};

use super::queues::{self, Rules};
use super::tables::{META, Tables};
use super::{Page, Read, Refused, Scan, Store, StoreError, Write, Written, key_packages, scan};
use crate::limits::{MAILBOX_TTL, RelayLimits};

/// Version of the tables. A relay refuses a database of a later one.
pub const SCHEMA_VERSION: u64 = 1;

/// Bytes of database pages kept in memory. redb's own default of 1 GiB is more than many hosts of
/// a relay have; the hot pages are those of the B-trees' upper levels.
const CACHE_BYTES: usize = 64 << 20;

/// Why a relay's database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error("{path} is in use by another relay; stop that one or choose another data folder")]
    Locked {
        /// The database's file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot open {path}: {reason}; make sure that its folder exists and is writable")]
    Inaccessible {
        /// The database's file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// It is not a database, or a part of it was changed or lost.
    #[error(
        "{path} is damaged ({reason}); put a backup in its place, or move it away to start with an \
         empty relay"
    )]
    Damaged {
        /// The database's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A later relay wrote it.
    #[error(
        "{path} has schema version {found}, this relay knows {SCHEMA_VERSION}; use a newer relay"
    )]
    Newer {
        /// The database's file.
        path: PathBuf,
        /// The version found.
        found: u64,
    },
    /// No thread for the store.
    #[error("cannot start the store's thread: {reason}; raise the limit of threads or tasks")]
    Thread {
        /// What the system said.
        reason: io::Error,
    },
    /// The limits contradict the protocol.
    #[error("mailbox time-to-live must be between 14 and 30 days, not {days}")]
    MailboxTtl {
        /// The value, in whole days.
        days: u64,
    },
}

type Opener = dyn Fn() -> Result<Database, DatabaseError> + Send;

/// The embedded store: one redb file.
pub struct RedbStore {
    /// For messages.
    path: PathBuf,
    opener: Box<Opener>,
    limits: RelayLimits,
    id: StoreId,
    /// `None` after a failure, until it has been opened again.
    database: Option<Database>,
}

impl std::fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbStore")
            .field("open", &self.database.is_some())
            .finish_non_exhaustive()
    }
}

impl RedbStore {
    /// Opens the file, or makes it, readable for its owner only. Every page is checked.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open(path: &Path, limits: RelayLimits) -> Result<Self, OpenError> {
        make_if_missing(path).map_err(|error| open_error(path, error))?;
        let file = path.to_owned();
        Self::open_with(path, limits, move || {
            let backend = FileBackend::new(open_file(&file)?)?;
            Database::builder()
                .set_cache_size(CACHE_BYTES)
                .set_check_integrity_on_open(true)
                .create_with_backend(backend)
        })
    }

    /// Opens through any redb backend: a simulated disk, for example. `path` is for messages only.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open_with(
        path: &Path,
        limits: RelayLimits,
        opener: impl Fn() -> Result<Database, DatabaseError> + Send + 'static,
    ) -> Result<Self, OpenError> {
        if !MAILBOX_TTL.contains(&limits.mailbox_ttl) {
            return Err(OpenError::MailboxTtl {
                days: limits.mailbox_ttl.as_secs() / 86_400,
            });
        }
        let mut store = Self {
            path: path.to_owned(),
            opener: Box::new(opener),
            limits,
            id: StoreId::from_bytes([0; 16]),
            database: None,
        };
        let database = unpanicked(|| (store.opener)())
            .map_err(|reason| damaged(path, reason))?
            .map_err(|error| open_error(path, error))?;
        store.database = Some(database);
        let (found, id) = store
            .prepare()
            .map_err(|error| damaged(path, error.reason))?;
        store.id = id;
        if found > SCHEMA_VERSION {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
            });
        }
        Ok(store)
    }

    /// Makes the tables and returns the schema's version and the store's name.
    fn prepare(&mut self) -> Result<(u64, StoreId), StoreError> {
        self.with_database(|database, _| {
            let transaction = begin(database)?;
            let (found, id) = {
                let mut meta = transaction.open_table(META)?;
                let mut get_or_put = |key, new: u64| -> Result<u64, StoreError> {
                    let found = redb::ReadableTable::get(&meta, key)?.map(|guard| guard.value());
                    if found.is_none() {
                        meta.insert(key, new)?;
                    }
                    Ok(found.unwrap_or(new))
                };
                let found = get_or_put("schema", SCHEMA_VERSION)?;
                let high = get_or_put("store_id_high", rand::random())?;
                let low = get_or_put("store_id_low", rand::random())?;
                let id = u128::from(high) << 64 | u128::from(low);
                (found, StoreId::from_bytes(id.to_be_bytes()))
            };
            if found > SCHEMA_VERSION {
                transaction.abort()?;
                return Ok((found, id));
            }
            drop(Tables::open(&transaction)?);
            transaction.commit()?;
            Ok((found, id))
        })
    }

    /// Runs something on the database, opened anew if the last operation failed.
    fn with_database<T>(
        &mut self,
        run: impl FnOnce(&Database, &RelayLimits) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = self.with_unnamed_database(run);
        result.map_err(|StoreError { reason }| StoreError {
            reason: format!("{}: {reason}", self.path.display()),
        })
    }

    fn with_unnamed_database<T>(
        &mut self,
        run: impl FnOnce(&Database, &RelayLimits) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => unpanicked(|| (self.opener)()).map_err(|reason| StoreError { reason })??,
        };
        let result = unpanicked(|| run(&database, &self.limits));
        let result = result.unwrap_or_else(|reason| Err(StoreError { reason }));
        if result.is_ok() {
            self.database = Some(database);
        } else {
            // Closing a database whose disk fails may fail in its own way.
            let _ = unpanicked(|| drop(database));
        }
        result
    }
}

impl Store for RedbStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn commit(&mut self, writes: &[Write], now_ms: u64) -> Result<Vec<Written>, StoreError> {
        self.with_database(|database, limits| {
            let transaction = begin(database)?;
            let mut tables = Tables::open(&transaction)?;
            let rules = Rules { limits, now_ms };
            let written: Result<Vec<_>, _> = writes
                .iter()
                .map(|write| apply(&mut tables, rules, write))
                .collect();
            drop(tables);
            let written = written?;
            transaction.commit()?;
            Ok(written)
        })
    }

    fn read(&mut self, read: &Read) -> Result<Result<Page, Refused>, StoreError> {
        self.with_database(|database, _| scan::read(&database.begin_read()?, read))
    }

    fn scan(
        &mut self,
        from: Option<QueueId>,
        queues: usize,
        now_ms: u64,
    ) -> Result<Scan, StoreError> {
        self.with_database(|database, limits| {
            scan::scan(
                &database.begin_read()?,
                Rules { limits, now_ms },
                from,
                queues,
            )
        })
    }
}

fn apply(tables: &mut Tables<'_>, rules: Rules<'_>, write: &Write) -> Result<Written, StoreError> {
    match write {
        Write::Create { queue, kind, token } => queues::create(tables, queue, *kind, token),
        Write::Delete { queue } => queues::delete(tables, rules, queue),
        Write::Deposit {
            queue,
            token,
            env_id,
            envelope,
        } => queues::deposit(tables, rules, queue, token, env_id, envelope),
        Write::Append {
            queue,
            token,
            after_index,
            env_id,
            entry,
        } => queues::append(tables, rules, queue, token, *after_index, (env_id, entry)),
        Write::Ack { queue, index } => queues::ack(tables, queue, *index),
        Write::Expire { queue } => queues::expire(tables, rules, queue),
        Write::Publish {
            owner,
            token,
            packages,
            last_resort,
        } => key_packages::publish(tables, owner, token, packages, last_resort.as_ref()),
        Write::Take { owner, token } => key_packages::take(tables, owner, token),
    }
}

fn begin(database: &Database) -> Result<redb::WriteTransaction, StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Makes an empty database where there is none: beside its place, and moved there when it is whole. redb
/// refuses what is left of one whose making was interrupted.
fn make_if_missing(path: &Path) -> Result<(), DatabaseError> {
    if path.exists() {
        return Ok(());
    }
    let new = beside(path);
    let file = open_file(&new)?;
    if file.try_lock().is_err() {
        return Err(DatabaseError::DatabaseAlreadyOpen);
    }
    // Another process may have moved it there before it gave the lock up.
    if path.exists() {
        return Ok(());
    }
    file.set_len(0)?;
    let database = Database::builder().create_with_backend(FileBackend::new(file)?)?;
    fs::rename(&new, path)?;
    sync_folder(path)?;
    // Not before: what has the name now must not be taken for a remainder.
    drop(database);
    Ok(())
}

/// Where a database is made.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// So that the file has its name after a power cut as well.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn damaged(path: &Path, reason: String) -> OpenError {
    OpenError::Damaged {
        path: path.to_owned(),
        reason,
    }
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked { path },
        DatabaseError::Storage(StorageError::Io(reason)) if !is_about_contents(&reason) => {
            OpenError::Inaccessible { path, reason }
        }
        other => OpenError::Damaged {
            path,
            reason: other.to_string(),
        },
    }
}

/// Whether the system could read the file and its contents are wrong: no database, or cut short.
fn is_about_contents(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

/// redb panics on some damages of its file; a relay answers UNAVAILABLE instead of dying.
fn unpanicked<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!(
            "database engine gave up: {}",
            text.unwrap_or("no reason given")
        )
    })
}
