//! The folder of a profile: which files are where, and that only one process has it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// Longest path of a Unix socket, bytes (`sun_path` has 108 on Linux, with a closing zero).
const SOCKET_PATH_MAX: usize = 107;

/// Why a profile's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// The system's reason.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Another process runs this profile.
    #[error("this profile is in use by another process")]
    InUse,
    /// There is no profile in it.
    #[error("there is no profile in {path}")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// No place for it is known.
    #[error("no home folder is known")]
    NoPlace,
}

/// A profile's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

/// Held while the profile is open; the lock ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct HomeLock {
    _file: File,
}

impl Home {
    /// The folder at `path`.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The place that XDG gives it: `$XDG_DATA_HOME/tincan`.
    ///
    /// # Errors
    /// [`HomeError::NoPlace`] if this user has no home folder.
    pub fn standard() -> Result<Self, HomeError> {
        use etcetera::BaseStrategy as _;
        let strategy = etcetera::choose_base_strategy().map_err(|_| HomeError::NoPlace)?;
        Ok(Self::at(strategy.data_dir().join("tincan")))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a profile in it.
    #[must_use]
    pub fn has_profile(&self) -> bool {
        self.key_file().exists() && self.database().exists()
    }

    /// Whether the data key is wrapped with a passphrase.
    ///
    /// # Errors
    /// [`crate::DataKeyError`] if the key file cannot be read.
    pub fn needs_passphrase(&self) -> Result<bool, crate::DataKeyError> {
        crate::store::KeyFile::new(self.key_file()).needs_passphrase()
    }

    /// Makes the folder, readable by this user only.
    pub(crate) fn create(&self) -> Result<(), HomeError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|error| self.io(error))
    }

    /// Takes the profile for this process.
    pub(crate) fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.path.join("lock");
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| HomeError::Io {
            path: path.clone(),
            source,
        })?;
        match file.try_lock() {
            Ok(()) => Ok(HomeLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(HomeError::InUse),
            Err(TryLockError::Error(source)) => Err(HomeError::Io { path, source }),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("tincan.redb")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.path.join("key.json")
    }

    /// The socket of whoever runs this profile: in the folder, or, where that path is too long for
    /// a socket, under a name made from it in the runtime folder.
    pub(crate) fn socket(&self) -> PathBuf {
        let path = self.path.join("peer.sock");
        if path.as_os_str().len() <= SOCKET_PATH_MAX {
            return path;
        }
        use sha2::{Digest as _, Sha256};
        use std::fmt::Write as _;
        let absolute = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let hash = Sha256::digest(absolute.as_os_str().as_encoded_bytes());
        let mut name = String::from("tincan-");
        for byte in hash.iter().take(8) {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        let folder =
            std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        folder.join(name).with_extension("sock")
    }

    pub(crate) fn io(&self, source: std::io::Error) -> HomeError {
        HomeError::Io {
            path: self.path.clone(),
            source,
        }
    }
}
