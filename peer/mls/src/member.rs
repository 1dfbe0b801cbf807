//! Who a leaf of a group's tree belongs to.
//!
//! openmls does not look into credentials. Ours are basic credentials whose content is a
//! [`DeviceCert`]. They are checked here, at each of the places where a leaf enters our view: a key
//! package before it is used, every leaf of a Welcome before the group is joined, every leaf of a
//! group that is loaded.

use openmls::prelude::{BasicCredential, Credential};
use tincan_protocol::cert::{CertError, DeviceCert};
use tincan_protocol::{DeviceId, IdentityId};

/// A device in a group and the person it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The person.
    pub identity: IdentityId,
    /// The person's device, whose key signs what this member sends.
    pub device: DeviceId,
}

/// Why a leaf is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// Its credential is of another kind than a device certificate.
    #[error("the leaf's credential is no device certificate")]
    NotACertificate,
    /// Its certificate does not hold or has expired.
    #[error(transparent)]
    Certificate(#[from] CertError),
    /// Its certificate is for another device than the one whose key signs for the leaf.
    #[error("the leaf is signed by device {signer}, its certificate is for device {certified}")]
    AnotherDevice {
        /// The device whose key the leaf has.
        signer: DeviceId,
        /// The device the certificate names.
        certified: DeviceId,
    },
    /// Its signature key does not have the length of an ed25519 key.
    #[error("the leaf's signature key has {len} bytes")]
    KeyLength {
        /// Length found, in bytes.
        len: usize,
    },
}

impl From<&DeviceCert> for Member {
    fn from(cert: &DeviceCert) -> Self {
        Self {
            identity: cert.identity(),
            device: cert.device(),
        }
    }
}

/// The certificate in a credential.
pub(crate) fn certificate(credential: &Credential) -> Result<DeviceCert, LeafError> {
    let credential =
        BasicCredential::try_from(credential.clone()).map_err(|_| LeafError::NotACertificate)?;
    Ok(DeviceCert::decode(credential.identity())?)
}

/// The certificate of a leaf with this signature key. Its time is not checked.
pub(crate) fn leaf(credential: &Credential, signature_key: &[u8]) -> Result<DeviceCert, LeafError> {
    let cert = certificate(credential)?;
    let signer = DeviceId::try_from(signature_key).map_err(|_| LeafError::KeyLength {
        len: signature_key.len(),
    })?;
    if cert.device() != signer {
        return Err(LeafError::AnotherDevice {
            signer,
            certified: cert.device(),
        });
    }
    Ok(cert)
}

/// As [`leaf`], for one that is new to us: its certificate must not have expired.
pub(crate) fn new_leaf(
    credential: &Credential,
    signature_key: &[u8],
    now_ms: u64,
) -> Result<DeviceCert, LeafError> {
    let cert = leaf(credential, signature_key)?;
    cert.check_time(now_ms)?;
    Ok(cert)
}
