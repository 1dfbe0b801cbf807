//! In the place of the keyring where the feature is off.

use super::KeyringError;
use crate::store::DataKey;

pub(in crate::store) const fn is_there() -> bool {
    false
}

pub(in crate::store) fn put(_entry: &str, _key: &DataKey) -> Result<(), KeyringError> {
    Err(absent())
}

pub(in crate::store) fn get(_entry: &str) -> Result<DataKey, KeyringError> {
    Err(absent())
}

fn absent() -> KeyringError {
    KeyringError::Absent {
        reason: "this program was built without the feature `keyring`".to_owned(),
    }
}
