//! Device certificates: an identity's word that a device is its own.
//!
//! The certificate is the whole content of a device's MLS basic credential, so whoever sees a leaf
//! of a group's tree sees which person it belongs to, and can check it without asking anyone.

use crate::ids::{DeviceId, IdentityId};
use crate::keys::{BadSignature, IdentityKey, SIGNATURE_LEN};
use crate::labels::Label;

/// Encoded length: version, identity, device, created, expires, signature.
pub const CERT_LEN: usize = 1 + 32 + 32 + 8 + 8 + SIGNATURE_LEN;

/// Certificates made by this version live this long. Chosen: long enough that a device left in a
/// drawer over a long illness still works, short enough that a forgotten one dies.
pub const CERT_LIFETIME_MS: u64 = 2 * 366 * 24 * 3600 * 1000;

const VERSION: u8 = 1;

/// Why a certificate does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    /// Not [`CERT_LEN`] bytes.
    #[error("device certificate has {len} bytes instead of {CERT_LEN}")]
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// A version this program does not know.
    #[error("device certificate has version {version}, this program knows {VERSION}")]
    Version {
        /// Version found.
        version: u8,
    },
    /// The identity did not sign it.
    #[error("device certificate: {0}")]
    Signature(BadSignature),
    /// Its time is over.
    #[error("device certificate expired at {expires_ms} ms")]
    Expired {
        /// End of its life, Unix milliseconds.
        expires_ms: u64,
    },
}

/// A certificate whose signature has been checked. Only [`DeviceCert::issue`] and
/// [`DeviceCert::decode`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCert {
    identity: IdentityId,
    device: DeviceId,
    created_ms: u64,
    expires_ms: u64,
    signature: [u8; SIGNATURE_LEN],
}

impl DeviceCert {
    /// Certifies `device` from `now_ms` for [`CERT_LIFETIME_MS`].
    #[must_use]
    pub fn issue(key: &IdentityKey, device: DeviceId, now_ms: u64) -> Self {
        let identity = key.identity();
        let expires_ms = now_ms.saturating_add(CERT_LIFETIME_MS);
        let body = body(&identity, &device, now_ms, expires_ms);
        let signature = key.sign(Label::DeviceCert, &[&body]);
        Self {
            identity,
            device,
            created_ms: now_ms,
            expires_ms,
            signature,
        }
    }

    /// Reads a certificate and checks its signature. Its time is checked by
    /// [`DeviceCert::check_time`], because old messages may be read with an old certificate.
    ///
    /// # Errors
    /// [`CertError`] for a wrong length, an unknown version or a wrong signature.
    pub fn decode(bytes: &[u8]) -> Result<Self, CertError> {
        let bytes: &[u8; CERT_LEN] = bytes
            .try_into()
            .map_err(|_| CertError::Length { len: bytes.len() })?;
        let (body, signature) = bytes.split_at(CERT_LEN - SIGNATURE_LEN);
        let version = body[0];
        if version != VERSION {
            return Err(CertError::Version { version });
        }
        let cert = Self {
            identity: IdentityId::from_bytes(array(&body[1..33])),
            device: DeviceId::from_bytes(array(&body[33..65])),
            created_ms: u64::from_be_bytes(array(&body[65..73])),
            expires_ms: u64::from_be_bytes(array(&body[73..81])),
            signature: array(signature),
        };
        cert.identity
            .verify(Label::DeviceCert, &[body], &cert.signature)
            .map_err(CertError::Signature)?;
        Ok(cert)
    }

    /// The bytes that [`DeviceCert::decode`] reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = body(
            &self.identity,
            &self.device,
            self.created_ms,
            self.expires_ms,
        );
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// Whether the certificate may be used for something new at `now_ms`. Only its end is
    /// checked: a device whose clock is ahead must still be reachable.
    ///
    /// # Errors
    /// [`CertError::Expired`].
    pub fn check_time(&self, now_ms: u64) -> Result<(), CertError> {
        if now_ms >= self.expires_ms {
            return Err(CertError::Expired {
                expires_ms: self.expires_ms,
            });
        }
        Ok(())
    }

    /// Whose device it is.
    #[must_use]
    pub const fn identity(&self) -> IdentityId {
        self.identity
    }

    /// Which device it is.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// End of its life, Unix milliseconds.
    #[must_use]
    pub const fn expires_ms(&self) -> u64 {
        self.expires_ms
    }
}

fn body(identity: &IdentityId, device: &DeviceId, created_ms: u64, expires_ms: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(CERT_LEN);
    bytes.push(VERSION);
    bytes.extend_from_slice(identity.as_bytes());
    bytes.extend_from_slice(device.as_bytes());
    bytes.extend_from_slice(&created_ms.to_be_bytes());
    bytes.extend_from_slice(&expires_ms.to_be_bytes());
    bytes
}

/// Copies a slice whose length the caller has fixed by its own arithmetic.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::DeviceKey;
    use proptest::prelude::*;

    fn sample() -> DeviceCert {
        let device = DeviceKey::from_seed(&[2; 32]).device();
        DeviceCert::issue(&IdentityKey::from_seed(&[1; 32]), device, 1_700_000_000_000)
    }

    #[test]
    fn a_certificate_is_pinned() {
        assert_eq!(
            hex::encode(sample().encode()),
            "018a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b3940000018bcfe568000000019a89947800e7d7e22003959ca78138792d786c1c353c1141073045c9f054be3eca11bb7606e8815bb317f34535777930ca9617a218e808871b7cdae441dcf5247cf6e32003"
        );
    }

    #[test]
    fn a_certificate_round_trips_and_ends() {
        let cert = sample();
        assert_eq!(DeviceCert::decode(&cert.encode()), Ok(cert.clone()));
        assert_eq!(cert.check_time(cert.expires_ms() - 1), Ok(()));
        assert!(cert.check_time(cert.expires_ms()).is_err());
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_noticed(at in 0..CERT_LEN, bit in 0..8u8) {
            let mut bytes = sample().encode();
            bytes[at] ^= 1 << bit;
            prop_assert!(DeviceCert::decode(&bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = DeviceCert::decode(&bytes);
        }
    }
}
