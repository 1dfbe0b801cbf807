//! One question to the Secret Service at a time, each over a connection of its own.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{Entry, Error};
use zbus_secret_service_keyring_store::Store;
use zeroize::Zeroizing;

use super::KeyringError;
use crate::store::DataKey;

/// The attribute `service` of all entries of this program.
const SERVICE: &str = "tincan";

/// How long an answer may take. Chosen: a person may have to find and type the keyring's password.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether a keyring answers. It may still be locked.
pub(in crate::store) fn is_there() -> bool {
    ask(|_| Ok(())).is_ok()
}

/// Keeps a key under this name.
pub(in crate::store) fn put(entry: &str, key: &DataKey) -> Result<(), KeyringError> {
    let (name, key) = (entry.to_owned(), Zeroizing::new(*key.as_bytes()));
    ask(move |store| {
        entry_of(store, &name)
            .and_then(|entry| entry.set_secret(key.as_slice()))
            .map_err(|error| failure(&error, &name))
    })
}

/// The key that was kept under this name.
pub(in crate::store) fn get(entry: &str) -> Result<DataKey, KeyringError> {
    let name = entry.to_owned();
    let secret = ask(move |store| {
        entry_of(store, &name)
            .and_then(|entry| entry.get_secret())
            .map(Zeroizing::new)
            .map_err(|error| failure(&error, &name))
    })?;
    let key = secret.as_slice().try_into();
    let key = key.map_err(|_| KeyringError::Failed {
        reason: format!("{entry} has {} bytes and is no key", secret.len()),
    })?;
    Ok(DataKey::from_bytes(key))
}

fn entry_of(store: &Store, name: &str) -> keyring_core::Result<Entry> {
    let label = format!("Tincan profile {name}");
    store.build(SERVICE, name, Some(&[("label", label.as_str())].into()))
}

/// Asks in a thread of its own: the answer may never come, and the runtime that this may be called
/// in is none of the library's business.
fn ask<T: Send + 'static>(
    question: impl FnOnce(&Store) -> Result<T, KeyringError> + Send + 'static,
) -> Result<T, KeyringError> {
    let (tell, answer) = mpsc::channel();
    let asking = move || {
        let store = Store::new().map_err(|error| KeyringError::Absent {
            reason: reason(&error),
        });
        // Nobody listens any more if it took too long.
        let _ = tell.send(store.and_then(|store| question(&store)));
    };
    let thread = std::thread::Builder::new().name("keyring".to_owned());
    thread.spawn(asking).map_err(|error| KeyringError::Failed {
        reason: error.to_string(),
    })?;
    answer.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => KeyringError::NoAnswer {
            seconds: PATIENCE.as_secs(),
        },
        RecvTimeoutError::Disconnected => KeyringError::Failed {
            reason: "its client has broken down".to_owned(),
        },
    })?
}

fn failure(error: &Error, name: &str) -> KeyringError {
    match error {
        Error::NoEntry => KeyringError::NoKey {
            entry: name.to_owned(),
        },
        Error::NoStorageAccess(_) => KeyringError::Locked {
            reason: reason(error),
        },
        _ => KeyringError::Failed {
            reason: reason(error),
        },
    }
}

/// What the system has said, without what the layers above it add.
fn reason(error: &Error) -> String {
    match error {
        Error::NoStorageAccess(inner) | Error::PlatformFailure(inner) => inner.to_string(),
        // It would list the entries.
        Error::Ambiguous(entries) => format!("{} entries have the same name", entries.len()),
        other => other.to_string(),
    }
}
