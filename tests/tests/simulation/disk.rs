//! A disk in memory that loses what was not synced: each write on its own, whole or torn.
//!
//! A process has it through a [`Medium`], which does nothing any more once the process is dead. What
//! was written and not synced is kept beside the contents, so that a crash can take it back.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tincan_peer::simulation::StorageBackend;

use crate::fuse::Fuse;

/// What a disk writes whole or not at all, bytes.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    bytes: Vec<u8>,
    unsynced: Vec<Change>,
    /// What the unsynced changes have overwritten, one after the other.
    overwritten: Vec<u8>,
    /// How many more changes it takes, if its room has an end.
    room: Option<u16>,
    /// The process that may use it.
    owner: u64,
    /// How often somebody has waited until it had everything.
    syncs: u64,
    /// It says that it has everything when asked, and does nothing: a defect.
    lies: bool,
}

/// A change that a crash may take back. `kept` is where in `overwritten` stands what was there before.
#[derive(Clone, Debug)]
enum Change {
    /// What stood behind the new end is kept.
    Len {
        old: usize,
        new: usize,
        kept: Range<usize>,
    },
    Write {
        offset: usize,
        kept: Range<usize>,
    },
}

impl Disk {
    /// The disk as a new process has it; an earlier one's hold on it ends.
    pub(crate) fn mount(&self, fuse: &Fuse) -> Medium {
        let mut state = self.state();
        state.owner += 1;
        Medium {
            disk: self.clone(),
            owner: state.owner,
            fuse: fuse.clone(),
        }
    }

    /// The power goes: of what was not synced each write has reached the disk, or a part of it, or
    /// nothing.
    pub(crate) fn crash(&self, rng: &mut SmallRng) {
        let mut state = self.state();
        state.owner += 1;
        let changes = std::mem::take(&mut state.unsynced);
        for change in changes.iter().rev() {
            state.undo(change);
        }
        for change in &changes {
            match rng.random_range(0..4u8) {
                0 => {}
                1 => state.redo_torn(change, rng),
                _ => state.redo(change),
            }
        }
        state.sync();
    }

    /// A disk with the same on it.
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// It takes so many more changes and syncs, then none; or all.
    pub(crate) fn set_room(&self, room: Option<u16>) {
        self.state().room = room;
    }

    pub(crate) fn room(&self) -> Option<u16> {
        self.state().room
    }

    pub(crate) fn is_full(&self) -> bool {
        self.room() == Some(0)
    }

    /// Whether a crash would lose nothing but a change of the file's length, which redb does not wait
    /// for.
    pub(crate) fn is_synced(&self) -> bool {
        let state = self.state();
        let mut changes = state.unsynced.iter();
        changes.all(|change| matches!(change, Change::Len { .. }))
    }

    /// From now on it only says that it has everything.
    pub(crate) fn lie(&self) {
        self.state().lies = true;
    }

    /// How often somebody has waited until it had everything.
    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Whether these bytes stand somewhere on it.
    pub(crate) fn contains(&self, needle: &[u8]) -> bool {
        memmem(&self.state().bytes, needle)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

pub(crate) fn memmem(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

impl State {
    fn set_len(&mut self, new: usize) {
        let old = self.bytes.len();
        let kept = self.keep(new.min(old)..old);
        self.bytes.resize(new, 0);
        self.unsynced.push(Change::Len { old, new, kept });
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.bytes.len() < end {
            self.set_len(end);
        }
        let kept = self.keep(offset..end);
        self.bytes[offset..end].copy_from_slice(data);
        self.unsynced.push(Change::Write { offset, kept });
    }

    fn keep(&mut self, part: Range<usize>) -> Range<usize> {
        let start = self.overwritten.len();
        self.overwritten.extend_from_slice(&self.bytes[part]);
        start..self.overwritten.len()
    }

    fn sync(&mut self) {
        self.unsynced.clear();
        self.overwritten.clear();
    }

    /// Takes a change back, the last one first. What it had written is kept in the place of what it
    /// had overwritten.
    fn undo(&mut self, change: &Change) {
        match change {
            Change::Len { old, new, kept } => {
                self.bytes.resize(*old, 0);
                if new < old {
                    self.bytes[*new..].copy_from_slice(&self.overwritten[kept.clone()]);
                }
            }
            Change::Write { offset, kept } => {
                let here = &mut self.bytes[*offset..*offset + kept.len()];
                here.swap_with_slice(&mut self.overwritten[kept.clone()]);
            }
        }
    }

    /// Makes a change again that was taken back.
    fn redo(&mut self, change: &Change) {
        match change {
            Change::Len { new, .. } => self.bytes.resize(*new, 0),
            Change::Write { offset, kept } => self.put(*offset, kept.clone()),
        }
    }

    fn redo_torn(&mut self, change: &Change, rng: &mut SmallRng) {
        match change {
            Change::Len { .. } => self.redo(change),
            Change::Write { offset, kept } => {
                for start in kept.clone().step_by(SECTOR) {
                    if rng.random() {
                        let sector = start..kept.end.min(start + SECTOR);
                        self.put(offset + start - kept.start, sector);
                    }
                }
            }
        }
    }

    fn put(&mut self, offset: usize, kept: Range<usize>) {
        let end = offset + kept.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(&self.overwritten[kept]);
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    disk: Disk,
    owner: u64,
    fuse: Fuse,
}

impl Medium {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.owner != self.owner || self.fuse.is_burnt() {
            return Err(io::Error::other("this process is dead"));
        }
        Ok(state)
    }

    fn state_for_change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state()?;
        if !self.fuse.spend() {
            return Err(io::Error::other("this process has just died"));
        }
        if let Some(room) = &mut state.room {
            let Some(left) = room.checked_sub(1) else {
                return Err(io::ErrorKind::StorageFull.into());
            };
            *room = left;
        }
        Ok(state)
    }
}

impl StorageBackend for Medium {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state()?;
        let start = usize::try_from(offset).unwrap();
        let found = state.bytes.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state_for_change()?;
        state.set_len(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state_for_change()?;
        if !state.lies {
            state.sync();
        }
        state.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state_for_change()?;
        state.write(usize::try_from(offset).unwrap(), data);
        Ok(())
    }
}
