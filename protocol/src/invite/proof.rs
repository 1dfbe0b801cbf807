//! How a request shows that its sender has had the link.
//!
//! An invite's relay sees the write token, and it decides which queue it says a request came in. So
//! neither of them tells who was invited: a link also carries a secret that no server sees, and a
//! request proves that its sender knows it.

use std::fmt;

use hkdf::Hkdf;
use hkdf::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::ids::{DeviceId, IdentityId, QueueId, WrongLength};
use crate::labels::Label;

/// What only the inviter and those who have the link know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InviteSecret([u8; 16]);

/// Shows that its sender knows an [`InviteSecret`]. Of no use to anybody else: it names the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestProof([u8; 32]);

/// What a proof is about.
#[derive(Clone, Copy, Debug)]
pub struct ProofOf<'a> {
    /// Whose invite it is.
    pub host: &'a IdentityId,
    /// Who uses it.
    pub guest: &'a IdentityId,
    /// With which device.
    pub device: &'a DeviceId,
    /// The invite's queue.
    pub queue: &'a QueueId,
}

impl InviteSecret {
    /// Takes the bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Follows from the seed of the invite's queue, so that nothing else has to be stored:
    /// HKDF-SHA256 (RFC 5869, no salt, info "tincan/1 invite-secret").
    #[must_use]
    pub fn of_queue(seed: &[u8; 32]) -> Self {
        let mut secret = [0; 16];
        let info = Label::InviteSecret.text().as_bytes();
        // Fails only for outputs above 8,160 bytes.
        let expanded = Hkdf::<Sha256>::new(None, seed).expand(info, &mut secret);
        debug_assert!(expanded.is_ok());
        Self(secret)
    }

    /// The bytes as an owned vector, as protobuf messages want them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// What the guest puts into the request.
    #[must_use]
    pub fn prove(&self, of: ProofOf<'_>) -> RequestProof {
        RequestProof(self.mac(of).finalize().into_bytes().into())
    }

    /// Whether a proof is right; takes the same time for all that are not.
    #[must_use]
    pub fn verify(&self, of: ProofOf<'_>, proof: &RequestProof) -> bool {
        self.mac(of).verify_slice(&proof.0).is_ok()
    }

    fn mac(&self, of: ProofOf<'_>) -> Hmac<Sha256> {
        // Shorter than a block of the hash, so HMAC pads it with zeros and this is the same key.
        let mut key = hkdf::hmac::digest::Key::<Hmac<Sha256>>::default();
        key[..self.0.len()].copy_from_slice(&self.0);
        let ProofOf {
            host,
            guest,
            device,
            queue,
        } = of;
        let parts: [&[u8]; 4] = [
            host.as_bytes(),
            guest.as_bytes(),
            device.as_bytes(),
            queue.as_bytes(),
        ];
        Hmac::new(&key).chain_update(Label::InviteProof.bytes(&parts))
    }
}

impl TryFrom<&[u8]> for InviteSecret {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        exactly("invite secret", bytes).map(Self)
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(..)")
    }
}

impl RequestProof {
    /// Takes the bytes as they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes as an owned vector, as protobuf messages want them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl TryFrom<&[u8]> for RequestProof {
    type Error = WrongLength;

    fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
        exactly("request proof", bytes).map(Self)
    }
}

fn exactly<const LEN: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; LEN], WrongLength> {
    bytes.try_into().map_err(|_| WrongLength {
        what,
        len: bytes.len(),
        expected: LEN,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOST: IdentityId = IdentityId::from_bytes([1; 32]);
    const GUEST: IdentityId = IdentityId::from_bytes([2; 32]);
    const DEVICE: DeviceId = DeviceId::from_bytes([3; 32]);
    const QUEUE: QueueId = QueueId::from_bytes([4; 32]);

    const OF: ProofOf<'static> = ProofOf {
        host: &HOST,
        guest: &GUEST,
        device: &DEVICE,
        queue: &QUEUE,
    };

    #[test]
    fn a_secret_and_a_proof_are_pinned() {
        let secret = InviteSecret::of_queue(&[5; 32]);
        assert_eq!(
            hex::encode(secret.to_vec()),
            "73c40b68ecd8d5ba1fb0c38d40233fcf"
        );
        assert_eq!(
            hex::encode(secret.prove(OF).to_vec()),
            "72724353f38df2d59e5ddc2f1d7ee8ada5653a8cb262c57766d7c0850e19d907"
        );
    }

    #[test]
    fn a_proof_holds_for_what_it_is_about_and_nothing_else() {
        let secret = InviteSecret::from_bytes([6; 16]);
        let proof = secret.prove(OF);
        assert!(secret.verify(OF, &proof));
        let (other, device, queue) = (
            IdentityId::from_bytes([9; 32]),
            DeviceId::from_bytes([9; 32]),
            QueueId::from_bytes([9; 32]),
        );
        for wrong in [
            ProofOf { host: &other, ..OF },
            ProofOf {
                guest: &other,
                ..OF
            },
            ProofOf {
                device: &device,
                ..OF
            },
            ProofOf {
                queue: &queue,
                ..OF
            },
        ] {
            assert!(!secret.verify(wrong, &proof), "{wrong:?}");
        }
        assert!(!InviteSecret::from_bytes([7; 16]).verify(OF, &proof));
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", InviteSecret::from_bytes([0x5a; 16]));
        assert_eq!(text, "InviteSecret(..)");
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_noticed(secret: [u8; 16], at in 0usize..32, bit in 0..8u8) {
            let secret = InviteSecret::from_bytes(secret);
            let mut proof = secret.prove(OF);
            proof.0[at] ^= 1 << bit;
            prop_assert!(!secret.verify(OF, &proof));
        }

        #[test]
        fn only_the_right_length_is_taken(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let secret = InviteSecret::try_from(bytes.as_slice());
            prop_assert_eq!(secret.is_ok(), bytes.len() == 16);
            let proof = RequestProof::try_from(bytes.as_slice());
            prop_assert_eq!(proof.is_ok(), bytes.len() == 32);
        }
    }
}
