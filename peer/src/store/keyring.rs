//! The data key in the keyring of this user's desktop: the Secret Service, reached over D-Bus.
//!
//! Needs the feature `keyring`; without it no keyring can be reached.

#[cfg(not(feature = "keyring"))]
mod none;
#[cfg(feature = "keyring")]
mod secret_service;

#[cfg(not(feature = "keyring"))]
pub(super) use none::{get, is_there, put};
#[cfg(feature = "keyring")]
pub(super) use secret_service::{get, is_there, put};

/// Why the keyring does not take or give a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// Nobody answers, or this program cannot ask.
    #[error("no keyring (Secret Service) can be reached: {reason}")]
    Absent {
        /// What was tried.
        reason: String,
    },
    /// It was not unlocked, or there is none in which new keys are kept.
    #[error("the keyring is locked: {reason}")]
    Locked {
        /// Its own reason.
        reason: String,
    },
    /// It may be waiting for its password.
    #[error("the keyring has not answered in {seconds} seconds")]
    NoAnswer {
        /// How long it was waited for.
        seconds: u64,
    },
    /// It is another keyring than the one that was used, or somebody has taken the key out of it.
    #[error("the key {entry} is not in the keyring")]
    NoKey {
        /// The key's name, which is the device's.
        entry: String,
    },
    /// Anything else.
    #[error("the keyring has failed: {reason}")]
    Failed {
        /// Its own reason.
        reason: String,
    },
}
