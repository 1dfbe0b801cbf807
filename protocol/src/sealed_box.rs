//! Sealing to a signal address, so that signaling servers see neither SDP nor IP addresses.
//!
//! Libsodium's sealed box (`crypto_box_seal`: ephemeral X25519, XSalsa20-Poly1305) on the
//! Montgomery form of the address key. The box itself says nothing about its sender: what is inside
//! is signed by the sender's device.

pub use crypto_box::aead::OsRng;
use crypto_box::aead::rand_core::CryptoRngCore;

use crate::ids::SignalAddress;
use crate::keys::AddressKey;

/// Bytes that sealing adds: an ephemeral key and a tag.
pub const OVERHEAD: usize = 48;

/// The recipient's address is not a usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signal address is not a valid key")]
pub struct SealError;

/// The bytes were not sealed to this address, or were changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signal was not sealed to this address")]
pub struct OpenError;

/// Seals `plaintext` to an address.
///
/// # Errors
/// [`SealError`] if the address is not a valid curve point or one of small order.
pub fn seal(
    to: &SignalAddress,
    plaintext: &[u8],
    rng: &mut impl CryptoRngCore,
) -> Result<Vec<u8>, SealError> {
    to.x25519()
        .ok_or(SealError)?
        .seal(rng, plaintext)
        .map_err(|_| SealError)
}

/// Opens what was sealed to the address of `key`.
///
/// # Errors
/// [`OpenError`].
pub fn open(key: &AddressKey, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    key.x25519().unseal(sealed).map_err(|_| OpenError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_opens_it() {
        let key = AddressKey::from_seed(&[4; 32]);
        let sealed = seal(&key.address(), b"offer", &mut OsRng).unwrap();
        assert_eq!(sealed.len(), b"offer".len() + OVERHEAD);
        assert_eq!(open(&key, &sealed).as_deref(), Ok(b"offer".as_slice()));
        assert_eq!(
            open(&AddressKey::from_seed(&[5; 32]), &sealed),
            Err(OpenError)
        );
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let key = AddressKey::from_seed(&[4; 32]);
        let mut sealed = seal(&key.address(), b"offer", &mut OsRng).unwrap();
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            assert_eq!(open(&key, &sealed), Err(OpenError), "byte {at}");
            sealed[at] ^= 1;
        }
        assert_eq!(open(&key, &[]), Err(OpenError));
    }
}
