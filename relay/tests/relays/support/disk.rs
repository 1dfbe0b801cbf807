//! A disk in memory that keeps only what was synced when the power goes, counts syncs, can be full
//! and can break.

use redb::{Database, DatabaseError, StorageBackend};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use tincan_relay::RelayLimits;
use tincan_relay::store::{OpenError, RedbStore};

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    /// What reads see: `durable` with everything in `unsynced` done.
    current: Vec<u8>,
    unsynced: Vec<Change>,
    syncs: u64,
    capacity: Option<u64>,
    /// Syncs that still succeed.
    syncs_left: Option<u64>,
}

#[derive(Clone, Debug)]
enum Change {
    Len(usize),
    Write(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Len(len) => bytes.resize(*len, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    pub(crate) fn open(&self, limits: RelayLimits) -> Result<RedbStore, OpenError> {
        let disk = self.clone();
        RedbStore::open_with(Path::new("disk"), limits, move || disk.database())
    }

    pub(crate) fn store(&self) -> RedbStore {
        self.open(RelayLimits::default()).unwrap()
    }

    fn database(&self) -> Result<Database, DatabaseError> {
        Database::builder()
            .set_cache_size(1 << 20)
            .set_check_integrity_on_open(true)
            .create_with_backend(Backend(self.clone()))
    }

    /// The power goes: of what was not synced, each write has reached the disk or not, as `chance`
    /// says.
    pub(crate) fn crash(&self, mut chance: impl FnMut() -> bool) {
        let mut state = self.state();
        let mut bytes = std::mem::take(&mut state.durable);
        for change in std::mem::take(&mut state.unsynced) {
            if chance() {
                change.apply(&mut bytes);
            }
        }
        state.current.clone_from(&bytes);
        state.durable = bytes;
        state.syncs_left = None;
    }

    /// A disk as this one is now, so that the old one's user no longer matters.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state();
        let copy = State {
            durable: state.durable.clone(),
            current: state.current.clone(),
            unsynced: state.unsynced.clone(),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(copy)))
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Bytes at which it is full; `None` for a large disk.
    pub(crate) fn set_capacity(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    /// After this many syncs each one fails; `None` for a disk that works.
    pub(crate) fn break_after(&self, syncs: Option<u64>) {
        self.state().syncs_left = syncs;
    }

    pub(crate) fn len(&self) -> u64 {
        self.state().current.len() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

#[derive(Debug)]
struct Backend(Disk);

impl Backend {
    fn change(&self, change: Change, end: usize) -> io::Result<()> {
        let mut state = self.0.state();
        if state.capacity.is_some_and(|capacity| end as u64 > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change.apply(&mut state.current);
        state.unsynced.push(change);
        Ok(())
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.state();
        let start = usize::try_from(offset).unwrap();
        let found = state.current.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        self.change(Change::Len(len), len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state();
        if let Some(left) = &mut state.syncs_left {
            *left = left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
        }
        state.syncs += 1;
        let mut durable = std::mem::take(&mut state.durable);
        for change in std::mem::take(&mut state.unsynced) {
            change.apply(&mut durable);
        }
        state.durable = durable;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.change(Change::Write(offset, data.to_vec()), offset + data.len())
    }
}
