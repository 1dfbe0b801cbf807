//! The open database file, which can be closed, and opened again.
//!
//! redb refuses everything after a failed write until the file is opened anew; so that is done
//! here when there is room again, below whoever holds a [`super::Store`]. And a file that was
//! closed in order need not be checked from one end to the other when it is opened the next time.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Builder, Database, StorageBackend, StorageError};
use tokio::sync::watch;

use super::StoreError;
use crate::private;

/// Memory that redb may use for pages, bytes. Chosen: the working set of a conversation is a few
/// hundred pages; the default (1 GiB) would let an idle program grow without need.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

type Opener = dyn Fn() -> Result<Database, StoreError> + Send + Sync;

pub(super) struct DatabaseFile {
    opener: Box<Opener>,
    /// None while it is closed.
    open: RwLock<Option<Arc<Database>>>,
    /// The last attempt to write found no room.
    is_full: watch::Sender<bool>,
}

impl DatabaseFile {
    /// Makes a new one.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        let file = private::open(path, options).map_err(StorageError::Io)?;
        Ok(Self::with(opener(path), database(FileBackend::new(file)?)?))
    }

    /// Opens what is there; an empty file is no database.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(opener(path))
    }

    /// Opens what `opener` finds, now and again.
    pub(super) fn open_with(opener: Box<Opener>) -> Result<Self, StoreError> {
        let database = opener()?;
        Ok(Self::with(opener, database))
    }

    fn with(opener: Box<Opener>, database: Database) -> Self {
        Self {
            opener,
            open: RwLock::new(Some(Arc::new(database))),
            is_full: watch::Sender::new(false),
        }
    }

    pub(super) fn get(&self) -> Result<Arc<Database>, StoreError> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or(StoreError::Closed)
    }

    /// Whether there was no room for the last thing that was to be written.
    pub(super) fn is_full(&self) -> watch::Receiver<bool> {
        self.is_full.subscribe()
    }

    /// Something was written.
    pub(super) fn has_room(&self) {
        self.is_full.send_if_modified(std::mem::take);
    }

    /// Closes it, as soon as the last transaction has ended.
    pub(super) fn close(&self) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        *open = None;
    }

    /// Closes and opens it. If that fails it stays closed, and may be tried again.
    pub(super) fn reopen(&self) -> Result<(), StoreError> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        *open = None;
        *open = Some(Arc::new(self.noted((self.opener)())?));
        Ok(())
    }

    /// Keeps in mind whether what writes to the file has found no room for it: those who find it closed
    /// meanwhile want to know why.
    pub(super) fn noted<T>(&self, written: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::DiskFull) = written {
            self.is_full
                .send_if_modified(|is_full| !std::mem::replace(is_full, true));
        }
        written
    }
}

fn opener(path: &Path) -> Box<Opener> {
    let path = path.to_owned();
    Box::new(move || open_file(&path))
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    let file = private::open(path, File::options().read(true).write(true));
    let file = file.map_err(StorageError::Io)?;
    // redb would make a new database of it.
    if file.metadata().map_err(StorageError::Io)?.len() == 0 {
        return Err(StoreError::Damaged {
            detail: "the file is empty".to_owned(),
        });
    }
    database(FileBackend::new(file)?)
}

/// With our settings, on any medium.
pub(super) fn database(medium: impl StorageBackend) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    Ok(builder.create_with_backend(medium)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

    const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("numbers");

    fn put(file: &DatabaseFile, number: u64) {
        let write = file.get().unwrap().begin_write().unwrap();
        write
            .open_table(TABLE)
            .unwrap()
            .insert(number, number)
            .unwrap();
        write.commit().unwrap();
    }

    #[test]
    fn regression_a_file_is_closed_in_order_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.redb");
        let file = DatabaseFile::create(&path).unwrap();
        put(&file, 1);
        file.reopen().unwrap();
        put(&file, 2);
        file.close();
        assert!(matches!(file.get(), Err(StoreError::Closed)));
        // Bit 1 of byte 9 says that the file has to be checked from one end to the other (redb's
        // design document, "God byte").
        assert_eq!(std::fs::read(&path).unwrap()[9] & 2, 0);
        file.reopen().unwrap();
        let read = file.get().unwrap().begin_read().unwrap();
        let numbers = read.open_table(TABLE).unwrap();
        assert_eq!(numbers.iter().unwrap().count(), 2);
    }

    #[test]
    fn regression_the_file_is_private_and_an_open_one_is_closed() {
        use std::fs::{Permissions, metadata, set_permissions};
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.redb");
        let mode = || metadata(&path).unwrap().permissions().mode() & 0o777;
        DatabaseFile::create(&path).unwrap();
        assert_eq!(mode(), 0o600);
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        DatabaseFile::open(&path).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn regression_an_empty_file_is_damaged_and_not_a_new_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.redb");
        std::fs::write(&path, "").unwrap();
        let error = DatabaseFile::open(&path).err();
        assert!(
            matches!(error, Some(StoreError::Damaged { .. })),
            "{error:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
