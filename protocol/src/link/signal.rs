//! The JSON inside a sealed signal.

use serde::{Deserialize, Serialize};

use super::statement::{Role, Statement};
use crate::cert::DeviceCert;
use crate::ids::{DeviceId, LinkSessionId};
use crate::keys::{BadSignature, DeviceKey};
use crate::labels::Label;
use crate::limits::{CANDIDATE_MAX, CANDIDATES_MAX, SIGNAL_MESSAGE_MAX};
use crate::signal::Opaque;

/// One signal about a direct link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinkSignal {
    /// Begins a session.
    Offer(SignedDescription),
    /// Answers an offer.
    Answer(SignedDescription),
    /// One more way to reach the signer.
    Candidate(SignedCandidate),
    /// The session is over, or will never be.
    Bye(SignedBye),
}

/// A statement with its signature, the signer's certificate and the SDP it speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDescription {
    /// [`Statement`] bytes.
    pub statement: Opaque,
    /// The device's signature over exactly these bytes.
    pub signature: Opaque,
    /// [`DeviceCert`] bytes.
    pub cert: Opaque,
    /// The SDP text.
    pub sdp: String,
}

/// An ICE candidate, signed so that a server cannot point a peer at somebody else's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCandidate {
    /// Which link session it belongs to.
    pub session: LinkSessionId,
    /// From 0, one more with each candidate of this side.
    pub counter: u32,
    /// The candidate line (RFC 8839, 5.1).
    pub candidate: String,
    /// The device's signature.
    pub signature: Opaque,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBye {
    /// Which link session.
    pub session: LinkSessionId,
    /// The device's signature.
    pub signature: Opaque,
}

/// Why a signal is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkSignalError {
    /// Longer than a signaling message can carry.
    #[error("link signal has {len} bytes, at most {SIGNAL_MESSAGE_MAX} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
    },
    /// Not JSON, or not a signal.
    #[error("link signal is malformed")]
    Malformed,
    /// Not signed by the device it should come from.
    #[error("link signal: {0}")]
    Signature(#[from] BadSignature),
    /// Longer than a candidate may be.
    #[error("candidate has {len} bytes, at most {CANDIDATE_MAX} are allowed")]
    CandidateTooLong {
        /// Length found, in bytes.
        len: usize,
    },
    /// One too many.
    #[error("candidate number {counter}, at most {CANDIDATES_MAX} are allowed")]
    TooManyCandidates {
        /// The counter found.
        counter: u32,
    },
}

impl LinkSignal {
    /// The plaintext to seal.
    ///
    /// # Errors
    /// [`LinkSignalError::Malformed`] if it cannot be written as JSON, which no value here causes.
    pub fn encode(&self) -> Result<Vec<u8>, LinkSignalError> {
        serde_json::to_vec(self).map_err(|_| LinkSignalError::Malformed)
    }

    /// Reads an opened signal.
    ///
    /// # Errors
    /// [`LinkSignalError::TooLarge`] or [`LinkSignalError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkSignalError> {
        if bytes.len() > SIGNAL_MESSAGE_MAX {
            return Err(LinkSignalError::TooLarge { len: bytes.len() });
        }
        serde_json::from_slice(bytes).map_err(|_| LinkSignalError::Malformed)
    }
}

impl SignedDescription {
    /// Signs a statement about `sdp`.
    #[must_use]
    pub fn sign(statement: &Statement, sdp: String, cert: &DeviceCert, key: &DeviceKey) -> Self {
        let bytes = statement.encode();
        // `encode` begins with the label, and `sign` puts the label in front of its parts: sign
        // what follows the label, so that the signed bytes are exactly `encode`'s.
        let after_label = bytes
            .get(statement.role.label().bytes(&[]).len()..)
            .unwrap_or_default();
        let signature = key.sign(statement.role.label(), &[after_label]);
        Self {
            signature: Opaque(signature.to_vec()),
            cert: Opaque(cert.encode()),
            statement: Opaque(bytes),
            sdp,
        }
    }

    /// Checks the signature by `device` over the statement's bytes under the label of `role`.
    pub(super) fn check_signature(
        &self,
        role: Role,
        device: &DeviceId,
    ) -> Result<(), BadSignature> {
        let label = role.label().bytes(&[]);
        let after_label = self
            .statement
            .0
            .strip_prefix(label.as_slice())
            .ok_or(BadSignature)?;
        device.verify(role.label(), &[after_label], &self.signature.0)
    }
}

impl SignedCandidate {
    /// Signs a candidate.
    #[must_use]
    pub fn sign(session: LinkSessionId, counter: u32, candidate: String, key: &DeviceKey) -> Self {
        let signed = candidate_bytes(&session, &key.device(), counter, &candidate);
        let signature = Opaque(key.sign(Label::Candidate, &[&signed]).to_vec());
        Self {
            session,
            counter,
            candidate,
            signature,
        }
    }

    /// Checks limits and signature.
    ///
    /// # Errors
    /// [`LinkSignalError`].
    pub fn verify(&self, device: &DeviceId) -> Result<(), LinkSignalError> {
        if self.candidate.len() > CANDIDATE_MAX {
            return Err(LinkSignalError::CandidateTooLong {
                len: self.candidate.len(),
            });
        }
        if self.counter >= CANDIDATES_MAX {
            return Err(LinkSignalError::TooManyCandidates {
                counter: self.counter,
            });
        }
        let signed = candidate_bytes(&self.session, device, self.counter, &self.candidate);
        Ok(device.verify(Label::Candidate, &[&signed], &self.signature.0)?)
    }
}

impl SignedBye {
    /// Signs the end of a session.
    #[must_use]
    pub fn sign(session: LinkSessionId, key: &DeviceKey) -> Self {
        let signed = [session.to_vec(), key.device().to_vec()].concat();
        let signature = Opaque(key.sign(Label::SignalBye, &[&signed]).to_vec());
        Self { session, signature }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`LinkSignalError::Signature`].
    pub fn verify(&self, device: &DeviceId) -> Result<(), LinkSignalError> {
        let parts: [&[u8]; 2] = [self.session.as_bytes(), device.as_bytes()];
        Ok(device.verify(Label::SignalBye, &parts, &self.signature.0)?)
    }
}

fn candidate_bytes(
    session: &LinkSessionId,
    device: &DeviceId,
    counter: u32,
    candidate: &str,
) -> Vec<u8> {
    let mut bytes = session.to_vec();
    bytes.extend_from_slice(device.as_bytes());
    bytes.extend_from_slice(&counter.to_be_bytes());
    bytes.extend_from_slice(candidate.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_candidate_belongs_to_its_session_counter_and_device() {
        let key = DeviceKey::from_seed(&[1; 32]);
        let session = LinkSessionId::from_bytes([1; 16]);
        let candidate = SignedCandidate::sign(session, 3, "candidate:1 1 udp".into(), &key);
        assert_eq!(candidate.verify(&key.device()), Ok(()));
        assert!(
            candidate
                .verify(&DeviceKey::from_seed(&[2; 32]).device())
                .is_err()
        );
        let other = SignedCandidate {
            counter: 4,
            ..candidate.clone()
        };
        assert!(other.verify(&key.device()).is_err());
        let other = SignedCandidate {
            session: LinkSessionId::from_bytes([2; 16]),
            ..candidate.clone()
        };
        assert!(other.verify(&key.device()).is_err());
        let other = SignedCandidate {
            candidate: "candidate:2 1 udp".into(),
            ..candidate
        };
        assert!(other.verify(&key.device()).is_err());
    }

    #[test]
    fn candidates_have_limits() {
        let key = DeviceKey::from_seed(&[1; 32]);
        let session = LinkSessionId::from_bytes([1; 16]);
        let many = SignedCandidate::sign(session, CANDIDATES_MAX, "c".into(), &key);
        assert!(matches!(
            many.verify(&key.device()),
            Err(LinkSignalError::TooManyCandidates { .. })
        ));
        let last =
            SignedCandidate::sign(session, CANDIDATES_MAX - 1, "c".repeat(CANDIDATE_MAX), &key);
        assert_eq!(last.verify(&key.device()), Ok(()));
        let long = SignedCandidate::sign(session, 0, "c".repeat(CANDIDATE_MAX + 1), &key);
        assert!(matches!(
            long.verify(&key.device()),
            Err(LinkSignalError::CandidateTooLong { .. })
        ));
    }

    #[test]
    fn a_signal_round_trips_and_the_longest_passes() {
        let session = LinkSessionId::from_bytes([1; 16]);
        let of = |candidate: usize| {
            let key = DeviceKey::from_seed(&[1; 32]);
            LinkSignal::Candidate(SignedCandidate::sign(
                session,
                0,
                "c".repeat(candidate),
                &key,
            ))
        };
        let frame = of(0).encode().unwrap().len();
        let longest = of(SIGNAL_MESSAGE_MAX - frame);
        let bytes = longest.encode().unwrap();
        assert_eq!(bytes.len(), SIGNAL_MESSAGE_MAX);
        assert_eq!(LinkSignal::decode(&bytes), Ok(longest));
        let long = of(SIGNAL_MESSAGE_MAX + 1 - frame).encode().unwrap();
        let len = SIGNAL_MESSAGE_MAX + 1;
        assert_eq!(
            LinkSignal::decode(&long),
            Err(LinkSignalError::TooLarge { len })
        );
    }

    #[test]
    fn a_bye_belongs_to_its_session() {
        let key = DeviceKey::from_seed(&[1; 32]);
        let bye = SignedBye::sign(LinkSessionId::from_bytes([1; 16]), &key);
        assert_eq!(bye.verify(&key.device()), Ok(()));
        let other = SignedBye {
            session: LinkSessionId::from_bytes([2; 16]),
            ..bye
        };
        assert!(other.verify(&key.device()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = LinkSignal::decode(&bytes);
        }
    }
}
