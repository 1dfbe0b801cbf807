//! The key that seals the database, and the file in which it is kept.
//!
//! `key.json` in the profile's folder names the entry of the keyring that holds the data key, or
//! holds the key itself: wrapped with a passphrase (Argon2id, RFC 9106), or, only if that was asked
//! for, in clear. The database is never re-encrypted when a passphrase changes: only this file is.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keyring::{self, KeyringError};
use super::passphrase::Cost;
use crate::private;

/// No more of the key file is read, bytes. Chosen: it has a few hundred.
const KEY_FILE_MAX: u64 = 64 * 1024;

const AAD: &[u8] = b"tincan/1 data-key";

/// Where the data key of a new profile is kept. When the profile is opened its key file says where:
/// only a passphrase has to be given again.
#[derive(Clone)]
#[non_exhaustive]
pub enum KeySource {
    /// In the keyring of this user's desktop (Secret Service), under the name of the device.
    Keyring,
    /// Wrapped with this passphrase.
    Passphrase(Zeroizing<String>),
    /// In clear beside the database, readable by this user only: whoever can read the files can
    /// read the messages.
    Plain,
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keyring => "Keyring",
            Self::Passphrase(_) => "Passphrase(..)",
            Self::Plain => "Plain",
        })
    }
}

impl KeySource {
    /// The keyring, if there is one that answers. Asks over D-Bus, so it may take a moment.
    #[must_use]
    pub fn keyring() -> Option<Self> {
        keyring::is_there().then_some(Self::Keyring)
    }
}

/// Why there is no data key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataKeyError {
    /// The passphrase does not open it.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// It is wrapped, and no passphrase was given.
    #[error("this profile is protected by a passphrase")]
    PassphraseNeeded,
    /// The keyring's reason.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// There is a database and no key for it.
    #[error("key file {path} is missing")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what this program writes.
    #[error("key file {path} is damaged: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The file cannot be read or written.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// 32 bytes that seal the database.
pub(crate) struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    pub(crate) fn generate() -> Self {
        Self(Zeroizing::new(rand::random()))
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key file.
pub(crate) struct KeyFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
enum Stored {
    Keyring {
        entry: String,
    },
    Plain {
        key: String,
    },
    Passphrase {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        salt: String,
        nonce: String,
        wrapped: String,
    },
}

impl KeyFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Keeps `key`, in a keyring under the name `entry`; the old file is replaced only when the new
    /// one is durable.
    pub(crate) fn write(
        &self,
        key: &DataKey,
        source: &KeySource,
        entry: &str,
    ) -> Result<(), DataKeyError> {
        let stored = match source {
            KeySource::Keyring => {
                keyring::put(entry, key)?;
                Stored::Keyring {
                    entry: entry.to_owned(),
                }
            }
            KeySource::Plain => Stored::Plain {
                key: URL_SAFE_NO_PAD.encode(key.as_bytes()),
            },
            KeySource::Passphrase(passphrase) => self.wrap(key, passphrase)?,
        };
        let json = serde_json::to_vec_pretty(&stored).map_err(|error| self.damaged(&error))?;
        write_private(&self.path, &json).map_err(|source| DataKeyError::Io {
            path: self.path.clone(),
            source,
        })
    }

    /// Whether the key is wrapped with a passphrase.
    pub(crate) fn needs_passphrase(&self) -> Result<bool, DataKeyError> {
        Ok(matches!(self.load()?, Stored::Passphrase { .. }))
    }

    /// Reads the key from where the file says. A passphrase that is not needed is ignored.
    pub(crate) fn read(&self, source: &KeySource) -> Result<DataKey, DataKeyError> {
        match (self.load()?, source) {
            (Stored::Keyring { entry }, _) => Ok(keyring::get(&entry)?),
            (Stored::Plain { key }, _) => Ok(DataKey::from_bytes(self.decode(&key)?)),
            (Stored::Passphrase { .. }, KeySource::Plain | KeySource::Keyring) => {
                Err(DataKeyError::PassphraseNeeded)
            }
            (
                Stored::Passphrase {
                    memory_kib,
                    passes,
                    lanes,
                    salt,
                    nonce,
                    wrapped,
                },
                KeySource::Passphrase(passphrase),
            ) => {
                let salt: [u8; 16] = self.decode(&salt)?;
                let nonce: [u8; 24] = self.decode(&nonce)?;
                let wrapped: [u8; 48] = self.decode(&wrapped)?;
                let cost = Cost {
                    memory_kib,
                    passes,
                    lanes,
                };
                let kek = self.derive(passphrase, &salt, cost)?;
                let payload = Payload {
                    msg: wrapped.as_slice(),
                    aad: AAD,
                };
                let key = XChaCha20Poly1305::new((&*kek).into())
                    .decrypt(&XNonce::from(nonce), payload)
                    .map_err(|_| DataKeyError::WrongPassphrase)?;
                let key: [u8; 32] = Zeroizing::new(key)
                    .as_slice()
                    .try_into()
                    .map_err(|_| self.damaged(&"the wrapped key has a wrong length"))?;
                Ok(DataKey(Zeroizing::new(key)))
            }
        }
    }

    fn wrap(&self, key: &DataKey, passphrase: &str) -> Result<Stored, DataKeyError> {
        let (salt, nonce): ([u8; 16], [u8; 24]) = (rand::random(), rand::random());
        let kek = self.derive(passphrase, &salt, Cost::CHOSEN)?;
        let payload = Payload {
            msg: key.as_bytes().as_slice(),
            aad: AAD,
        };
        let wrapped = XChaCha20Poly1305::new((&*kek).into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|error| self.damaged(&error))?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (salt, nonce, wrapped) = (encode(&salt), encode(&nonce), encode(&wrapped));
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = Cost::CHOSEN;
        Ok(Stored::Passphrase {
            memory_kib,
            passes,
            lanes,
            salt,
            nonce,
            wrapped,
        })
    }

    fn derive(
        &self,
        passphrase: &str,
        salt: &[u8; 16],
        cost: Cost,
    ) -> Result<Zeroizing<[u8; 32]>, DataKeyError> {
        cost.derive(passphrase, salt)
            .map_err(|error| self.damaged(&error))
    }

    fn load(&self) -> Result<Stored, DataKeyError> {
        let json = read_private(&self.path).map_err(|source| DataKeyError::Io {
            path: self.path.clone(),
            source,
        })?;
        serde_json::from_slice(&json).map_err(|error| self.damaged(&error))
    }

    fn decode<const N: usize>(&self, text: &str) -> Result<[u8; N], DataKeyError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| self.damaged(&error))?;
        bytes
            .try_into()
            .map_err(|_| self.damaged(&"a field has a wrong length"))
    }

    fn damaged(&self, detail: &dyn std::fmt::Display) -> DataKeyError {
        DataKeyError::Damaged {
            path: self.path.clone(),
            detail: detail.to_string(),
        }
    }
}

/// Writes a file that only this user can read: to a new name, synced, renamed over the old one.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    // What an interrupted attempt has left.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private::open(&new, fs::File::options().write(true).create_new(true))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent()
        .map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

fn read_private(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = private::open(path, fs::File::options().read(true))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(KEY_FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn passphrase(text: &str) -> KeySource {
        KeySource::Passphrase(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn the_right_passphrase_opens_it_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("key.json"));
        let key = DataKey::generate();
        file.write(&key, &passphrase("correct horse"), "").unwrap();
        assert!(file.needs_passphrase().unwrap());
        assert_eq!(
            file.read(&passphrase("correct horse")).unwrap().as_bytes(),
            key.as_bytes()
        );
        let wrong = file.read(&passphrase("wrong horse")).err();
        assert!(matches!(wrong, Some(DataKeyError::WrongPassphrase)));
        let none = file.read(&KeySource::Plain).err();
        assert!(matches!(none, Some(DataKeyError::PassphraseNeeded)));
    }

    #[test]
    fn the_file_is_private_and_a_wrapped_key_is_not_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let file = KeyFile::new(path.clone());
        let key = DataKey::generate();
        file.write(&key, &passphrase("x"), "").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&URL_SAFE_NO_PAD.encode(key.as_bytes())));
    }

    #[test]
    fn regression_what_stands_in_the_place_of_the_new_file_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let (file, key) = (KeyFile::new(path), DataKey::generate());
        let elsewhere = folder.path().join("elsewhere");
        fs::write(&elsewhere, "x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("key.new")).unwrap();
        file.write(&key, &KeySource::Plain, "").unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), b"x");
        let read = file.read(&KeySource::Plain).unwrap();
        assert_eq!(read.as_bytes(), key.as_bytes());
    }

    #[test]
    fn a_damaged_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        fs::write(&path, "{\"mode\":\"plain\",\"key\":\"AAAA\"}").unwrap();
        let error = KeyFile::new(path).read(&KeySource::Plain).err();
        assert!(matches!(error, Some(DataKeyError::Damaged { .. })));
    }
}
