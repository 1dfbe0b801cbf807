//! A backup: everything of a profile that outlives its device, in one file under a passphrase.
//!
//! It holds the identity, contacts with all that was said, invites, and where each conversation stands. It does not
//! hold the device's key nor any key of a conversation: ratchets that run twice are broken. Who imports it has a new
//! device; it asks the contacts to begin their conversations anew, by what the backup knows of how they are
//! reached, and goes on with numbers that the old device cannot have used.
//!
//! The file, in `sealed_file.rs`: a header in clear, and a STREAM of chunks (Hoang, Reyhanitabar, Rogaway and Vizár
//! 2015; XChaCha20-Poly1305) under a key made with Argon2id. Inside, in `records.rs`, one row after the other.

mod export;
mod import;
mod records;
mod sealed_file;

use std::io;
use std::path::PathBuf;

pub(crate) use export::export;
pub(crate) use import::import;

use crate::store::{CONTACTS_TABLE, StoreError, TIMELINE_TABLE, is_message_row};

/// What is in a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Everybody who is known, also who only asks or is blocked.
    pub contacts: u64,
    /// Messages of both sides.
    pub messages: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl BackupReport {
    /// Takes note of a row, whose value is in clear.
    fn count(&mut self, table: &str, value: &[u8]) {
        match table {
            CONTACTS_TABLE => self.contacts += 1,
            TIMELINE_TABLE if is_message_row(value) => self.messages += 1,
            _ => {}
        }
    }
}

/// Why there is no backup, or nothing came of one. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// What it would be written over is not thrown away.
    #[error("{path} is there already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is empty.
    #[error("the passphrase of a backup cannot be empty")]
    NoPassphrase,
    /// It does not begin as a backup does.
    #[error("{path} is not a backup of a Tincan profile")]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// Another passphrase, or somebody has changed the file.
    #[error("the passphrase does not open {path}, or the file is damaged")]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The rest is missing or was changed.
    #[error("{path} is damaged: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Written by a later version.
    #[error("{path} was written by a later version of this program")]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// The system's reason.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The database's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The profile has been shut down.
    #[error("the profile is closed")]
    ShutDown,
}
