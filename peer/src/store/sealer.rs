//! Sealing of values: XChaCha20-Poly1305, with table and key as associated data, so that no value
//! can be moved to another place.
//!
//! Nonce: 16 random bytes drawn when the database is opened and a counter. Two opens share the
//! random part with probability 2^-128 per pair, and the counter never repeats within one.

use std::sync::atomic::{AtomicU64, Ordering};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::{DataKey, StoreError};

const NONCE_LEN: usize = 24;

pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    nonce_prefix: [u8; 16],
    counter: AtomicU64,
}

impl Sealer {
    pub(super) fn new(key: &DataKey) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.as_bytes().into()),
            nonce_prefix: rand::random(),
            counter: AtomicU64::new(0),
        }
    }

    /// `nonce | ciphertext | tag`
    pub(super) fn seal(&self, table: &'static str, key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        let (prefix, counter) = nonce.split_at_mut(self.nonce_prefix.len());
        prefix.copy_from_slice(&self.nonce_prefix);
        counter.copy_from_slice(&self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let aad = associated(table, key);
        let payload = Payload {
            msg: value,
            aad: &aad,
        };
        // Fails only for values above 256 GiB.
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap_or_default();
        let mut out = Vec::with_capacity(NONCE_LEN + sealed.len());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out
    }

    pub(super) fn open(
        &self,
        table: &'static str,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(StoreError::Sealed { table })?;
        let aad = associated(table, key);
        let payload = Payload {
            msg: sealed,
            aad: &aad,
        };
        self.cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| StoreError::Sealed { table })
    }
}

/// `u8 length | table | key`
fn associated(table: &'static str, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + table.len() + key.len());
    bytes.push(u8::try_from(table.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(table.as_bytes());
    bytes.extend_from_slice(key);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_in_its_place_only() {
        let sealer = Sealer::new(&DataKey::generate());
        let sealed = sealer.seal("contacts", b"k", b"value");
        assert_eq!(sealer.open("contacts", b"k", &sealed).unwrap(), b"value");
        assert!(sealer.open("contacts", b"l", &sealed).is_err());
        assert!(sealer.open("invites", b"k", &sealed).is_err());
        assert!(
            Sealer::new(&DataKey::generate())
                .open("contacts", b"k", &sealed)
                .is_err()
        );
        assert!(sealer.open("contacts", b"k", &sealed[..20]).is_err());
        assert_ne!(sealed, sealer.seal("contacts", b"k", b"value"));
    }
}
