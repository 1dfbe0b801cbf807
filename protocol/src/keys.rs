//! The four kinds of ed25519 keys and what each may sign.
//!
//! | key | signs | kept |
//! |---|---|---|
//! | [`IdentityKey`] | device certificates, nothing else | derived from the 24 words |
//! | [`DeviceKey`] | invites, offers, answers, candidates; it is the MLS signature key | on one device, never exported |
//! | [`AddressKey`] | logins at signaling servers; its Montgomery form opens sealed signals | per contact |
//! | [`QueueKey`] | reads of one relay queue | per queue |
//!
//! Verification is always strict (`verify_strict`: no small-order keys, no malleable signatures).

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::fmt;

use crate::ids::{DeviceId, IdentityId, QueueId, SignalAddress};
use crate::labels::Label;

/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// A signature does not fit the key, or the key is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident, $public:ident, $accessor:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(SigningKey);

        impl $name {
            /// Makes the key from 32 uniformly random bytes.
            #[must_use]
            pub fn from_seed(seed: &[u8; 32]) -> Self {
                Self(SigningKey::from_bytes(seed))
            }

            /// The seed, for the encrypted store.
            #[must_use]
            pub fn seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
                zeroize::Zeroizing::new(self.0.to_bytes())
            }

            /// The public half.
            #[must_use]
            pub fn $accessor(&self) -> $public {
                $public::from_bytes(self.0.verifying_key().to_bytes())
            }

            /// Signs `label | parts`, see [`Label::bytes`].
            #[must_use]
            pub fn sign(&self, label: Label, parts: &[&[u8]]) -> [u8; SIGNATURE_LEN] {
                self.0.sign(&label.bytes(parts)).to_bytes()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.$accessor())
            }
        }

        impl $public {
            /// Checks a signature that this key's owner made over `label | parts`.
            ///
            /// # Errors
            /// [`BadSignature`] if the signature is not 64 bytes, the key is not a valid point, or
            /// the two do not fit.
            pub fn verify(
                &self,
                label: Label,
                parts: &[&[u8]],
                signature: &[u8],
            ) -> Result<(), BadSignature> {
                verify(self.as_bytes(), &label.bytes(parts), signature)
            }
        }
    };
}

secret_key!(
    /// A person's key. It certifies devices.
    IdentityKey, IdentityId, identity
);
secret_key!(
    /// A device's key.
    DeviceKey, DeviceId, device
);
secret_key!(
    /// The key behind a signal address.
    AddressKey, SignalAddress, address
);
secret_key!(
    /// The key that reads one relay queue, or owns key packages there.
    QueueKey, QueueId, queue
);

impl DeviceKey {
    /// Signs bytes as MLS wants them signed. MLS brings its own domain separation
    /// (RFC 9420, 5.1.2: every signed content starts with "MLS 1.0 ").
    #[must_use]
    pub fn sign_mls(&self, payload: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(payload).to_bytes()
    }
}

impl AddressKey {
    /// The X25519 secret that opens what was sealed to this address.
    pub(crate) fn x25519(&self) -> crypto_box::SecretKey {
        crypto_box::SecretKey::from_bytes(self.0.to_scalar_bytes())
    }
}

impl SignalAddress {
    /// The X25519 key of this address, or `None` if the address is not a valid point.
    pub(crate) fn x25519(&self) -> Option<crypto_box::PublicKey> {
        let key = VerifyingKey::from_bytes(self.as_bytes()).ok()?;
        if key.is_weak() {
            return None;
        }
        Some(crypto_box::PublicKey::from(key.to_montgomery().to_bytes()))
    }
}

fn verify(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadSignature)?;
    let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
    key.verify_strict(message, &signature)
        .map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_label_and_parts_only() {
        let key = DeviceKey::from_seed(&[3; 32]);
        let signature = key.sign(Label::Offer, &[b"ab"]);
        assert_eq!(
            key.device().verify(Label::Offer, &[b"ab"], &signature),
            Ok(())
        );
        assert_eq!(
            key.device().verify(Label::Answer, &[b"ab"], &signature),
            Err(BadSignature)
        );
        assert_eq!(
            key.device().verify(Label::Offer, &[b"ac"], &signature),
            Err(BadSignature)
        );
        assert_eq!(
            key.device()
                .verify(Label::Offer, &[b"ab"], &signature[..63]),
            Err(BadSignature)
        );
    }

    #[test]
    fn mls_signs_its_bytes_as_they_are() {
        let key = DeviceKey::from_seed(&[3; 32]);
        let signature = key.sign_mls(b"MLS 1.0 x");
        let device = key.device();
        assert_eq!(verify(device.as_bytes(), b"MLS 1.0 x", &signature), Ok(()));
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        // The neutral element: with plain verification it accepts a signature for any message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let device = DeviceId::from_bytes(neutral);
        assert_eq!(
            device.verify(Label::Offer, &[b"x"], &signature),
            Err(BadSignature)
        );
        assert!(SignalAddress::from_bytes(neutral).x25519().is_none());
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", IdentityKey::from_seed(&[9; 32]));
        assert!(!text.contains("0909"), "{text}");
    }
}
