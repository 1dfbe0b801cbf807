//! The folder of a profile: which files are where, and that only one process has it.

use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::private;

/// What the folder allows: everything, to its owner.
const FOLDER_MODE: u32 = 0o700;

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
    /// A file, or below a file.
    #[error("{path} is not a folder")]
    NotAFolder {
        /// What was given as the folder.
        path: PathBuf,
    },
    /// Its owner could exchange what is in it.
    #[error("{path} belongs to another user")]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// It holds something else, so it is not ours to close.
    #[error("{path} is open to other users and holds other things than a profile")]
    Shared {
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

    /// Makes the folder, if there is none, for this user only. It is durable then.
    pub(crate) fn create(&self) -> Result<(), HomeError> {
        let missing: Vec<&Path> = self
            .path
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .collect();
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(FOLDER_MODE).create(&self.path);
        // What is in the way of the folder is named when it is opened.
        if let Err(error) = made
            && !matches!(
                error.kind(),
                std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::NotADirectory
            )
        {
            return Err(self.io(error));
        }
        for path in missing {
            let parent = match path.parent() {
                Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
                Some(parent) => parent,
                None => continue,
            };
            // One that may be written and not read cannot be synced.
            if let Ok(parent) = File::open(parent) {
                parent.sync_all().map_err(|error| self.io(error))?;
            }
        }
        self.check()
    }

    /// Makes sure that the folder is there, and this user's alone: one that was left open is closed.
    ///
    /// # Errors
    /// [`HomeError`] if it is not there, or another user's.
    pub fn check(&self) -> Result<(), HomeError> {
        self.open().map(drop)
    }

    /// Opens the folder and makes sure that it is this user's alone, so that what is in it needs no
    /// further protection. One that was left open is closed; files in it are checked one by one.
    pub(crate) fn open(&self) -> Result<File, HomeError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&self.path, flags, Mode::empty()).map_err(|error| {
            let path = self.path.clone();
            match error {
                Errno::NOENT => HomeError::Empty { path },
                Errno::NOTDIR => HomeError::NotAFolder { path },
                other => self.io(other.into()),
            }
        })?;
        let folder = File::from(folder);
        let metadata = folder.metadata().map_err(|error| self.io(error))?;
        let path = || self.path.clone();
        if !private::is_ours(&metadata) {
            return Err(HomeError::NotOurs { path: path() });
        }
        if private::is_open_to_others(&metadata) {
            if !self.has_profile() && !self.is_empty()? {
                return Err(HomeError::Shared { path: path() });
            }
            tracing::warn!(path = %self.path.display(), "the folder was open to other users");
            let mode = Permissions::from_mode(FOLDER_MODE);
            folder
                .set_permissions(mode)
                .map_err(|error| self.io(error))?;
        }
        Ok(folder)
    }

    fn is_empty(&self) -> Result<bool, HomeError> {
        let mut entries = fs::read_dir(&self.path).map_err(|error| self.io(error))?;
        Ok(entries.next().is_none())
    }

    /// Takes the profile for this process.
    pub(crate) fn lock(&self) -> Result<HomeLock, HomeError> {
        let path = self.path.join("lock");
        let mut options = File::options();
        let options = options.create(true).truncate(false).write(true);
        let file = private::open(&path, options).map_err(|source| HomeError::Io {
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

    pub(crate) fn io(&self, source: std::io::Error) -> HomeError {
        HomeError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, chown};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_folder_is_private_and_an_empty_one_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let new = Home::at(folder.path().join("a/b/c"));
        new.create().unwrap();
        assert_eq!(mode(new.path()), 0o700);
        let empty = Home::at(folder.path().join("empty"));
        fs::create_dir(empty.path()).unwrap();
        set_mode(empty.path(), 0o755);
        empty.create().unwrap();
        assert_eq!(mode(empty.path()), 0o700);
    }

    #[test]
    fn regression_the_folder_of_a_profile_that_was_left_open_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        fs::write(home.key_file(), "x").unwrap();
        fs::write(home.database(), "x").unwrap();
        set_mode(home.path(), 0o777);
        home.open().unwrap();
        assert_eq!(mode(home.path()), 0o700);
    }

    #[test]
    fn a_folder_that_others_use_too_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("something"), "x").unwrap();
        set_mode(folder.path(), 0o755);
        let error = Home::at(folder.path()).create().unwrap_err();
        assert!(matches!(error, HomeError::Shared { .. }), "{error}");
        assert_eq!(mode(folder.path()), 0o755);
    }

    #[test]
    fn regression_a_file_in_the_place_of_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        for path in [file.clone(), file.join("below")] {
            let home = Home::at(path);
            for error in [home.create().unwrap_err(), home.open().unwrap_err()] {
                assert!(matches!(error, HomeError::NotAFolder { .. }), "{error:?}");
            }
        }
    }

    #[test]
    fn regression_the_folder_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        // Only root can give a folder away; for everybody else the root folder is another user's.
        let home = if rustix::process::geteuid().is_root() {
            chown(folder.path(), Some(65_534), None).unwrap();
            Home::at(folder.path())
        } else {
            Home::at("/")
        };
        for error in [home.create().unwrap_err(), home.open().unwrap_err()] {
            assert!(matches!(error, HomeError::NotOurs { .. }), "{error:?}");
        }
    }

    #[test]
    fn the_lock_is_private_and_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let lock = folder.path().join("lock");
        let held = home.lock().unwrap();
        assert_eq!(mode(&lock), 0o600);
        assert!(matches!(home.lock(), Err(HomeError::InUse)));
        drop(held);
        fs::rename(&lock, folder.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", &lock).unwrap();
        assert!(matches!(home.lock(), Err(HomeError::Io { .. })));
    }
}
