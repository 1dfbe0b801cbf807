//! Envelopes: the sealed unit that travels, and the payload inside.

use bytes::Bytes;
use prost::Message as _;

use crate::invite::RequestProof;
use crate::limits::{ENVELOPE_MAX, HANDSHAKE_MAX, PAYLOAD_CONTENTS_MAX};
use crate::wire;

/// What an envelope carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// An MLS PrivateMessage of an existing group.
    Message(Bytes),
    /// A first contact.
    Request(Request),
}

/// A first contact: what makes the recipient a member, and the first message there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// MLSMessage(Welcome).
    pub welcome: Bytes,
    /// MLSMessage(PrivateMessage) of the welcomed group.
    pub message: Bytes,
    /// Shows that the sender has had the invite's link; none if the link has no secret.
    pub proof: Option<RequestProof>,
}

/// Why bytes are not an envelope or payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Longer than its kind allows.
    #[error("envelope has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// Not protobuf.
    #[error("envelope is malformed")]
    Malformed,
    /// A kind that this version does not know.
    #[error("envelope is of an unknown kind")]
    UnknownKind,
    /// More contents than a payload may have.
    #[error("payload has {count} contents, at most {PAYLOAD_CONTENTS_MAX} are allowed")]
    TooManyContents {
        /// Number found.
        count: usize,
    },
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// [`EnvelopeError`] for what is too large, malformed or unknown.
    pub fn decode(bytes: Bytes) -> Result<Self, EnvelopeError> {
        let len = bytes.len();
        check_len(len, HANDSHAKE_MAX)?;
        let envelope = wire::Envelope::decode(bytes).map_err(|_| EnvelopeError::Malformed)?;
        match envelope.kind.ok_or(EnvelopeError::UnknownKind)? {
            wire::envelope::Kind::Message(message) => {
                check_len(len, ENVELOPE_MAX)?;
                Ok(Self::Message(message))
            }
            wire::envelope::Kind::Request(request) => Ok(Self::Request(Request {
                welcome: request.welcome.into(),
                message: request.message.into(),
                proof: read_proof(&request.proof)?,
            })),
        }
    }

    /// The bytes that [`Envelope::decode`] reads, and over which the envelope id is made.
    #[must_use]
    pub fn encode(self) -> Bytes {
        let kind = match self {
            Self::Message(message) => wire::envelope::Kind::Message(message),
            Self::Request(request) => wire::envelope::Kind::Request(wire::Request {
                welcome: request.welcome.to_vec(),
                message: request.message.to_vec(),
                proof: request.proof.map_or_else(Vec::new, |proof| proof.to_vec()),
            }),
        };
        wire::Envelope { kind: Some(kind) }.encode_to_vec().into()
    }
}

/// Encodes the contents (each one an encoded [`crate::content::Content`]) that are sealed together.
#[must_use]
pub fn encode_payload(contents: Vec<Bytes>) -> Vec<u8> {
    wire::Payload { contents }.encode_to_vec()
}

/// Reads a payload's contents.
///
/// # Errors
/// [`EnvelopeError::Malformed`] or [`EnvelopeError::TooManyContents`].
pub fn decode_payload(bytes: Bytes) -> Result<Vec<Bytes>, EnvelopeError> {
    let payload = wire::Payload::decode(bytes).map_err(|_| EnvelopeError::Malformed)?;
    let count = payload.contents.len();
    if count > PAYLOAD_CONTENTS_MAX {
        return Err(EnvelopeError::TooManyContents { count });
    }
    Ok(payload.contents)
}

fn read_proof(bytes: &[u8]) -> Result<Option<RequestProof>, EnvelopeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let proof = RequestProof::try_from(bytes);
    proof.map(Some).map_err(|_| EnvelopeError::Malformed)
}

fn check_len(len: usize, max: usize) -> Result<(), EnvelopeError> {
    if len > max {
        return Err(EnvelopeError::TooLarge { len, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_envelope_is_pinned() {
        let bytes = Envelope::Message(Bytes::from_static(b"\x01\x02")).encode();
        assert_eq!(hex::encode(&bytes), "0a020102");
        let request = request(None).encode();
        assert_eq!(hex::encode(&request), "12060a017712016d");
    }

    fn request(proof: Option<RequestProof>) -> Envelope {
        Envelope::Request(Request {
            welcome: Bytes::from_static(b"w"),
            message: Bytes::from_static(b"m"),
            proof,
        })
    }

    #[test]
    fn a_proof_may_be_missing_and_has_its_length_otherwise() {
        for proof in [None, Some(RequestProof::from_bytes([4; 32]))] {
            let request = request(proof);
            assert_eq!(Envelope::decode(request.clone().encode()), Ok(request));
        }
        for len in [31, 33] {
            let request = wire::Request {
                welcome: vec![1],
                message: vec![1],
                proof: vec![4; len],
            };
            let kind = Some(wire::envelope::Kind::Request(request));
            let bytes = wire::Envelope { kind }.encode_to_vec();
            let read = Envelope::decode(bytes.into());
            assert_eq!(read, Err(EnvelopeError::Malformed), "{len}");
        }
    }

    #[test]
    fn a_message_above_the_limit_is_refused() {
        // A field's number and the length of its value take four bytes here.
        let longest = Envelope::Message(vec![0; ENVELOPE_MAX - 4].into());
        let bytes = longest.clone().encode();
        assert_eq!(bytes.len(), ENVELOPE_MAX);
        assert_eq!(Envelope::decode(bytes), Ok(longest));
        let bytes = Envelope::Message(vec![0; ENVELOPE_MAX].into()).encode();
        let len = bytes.len();
        assert_eq!(
            Envelope::decode(bytes),
            Err(EnvelopeError::TooLarge {
                len,
                max: ENVELOPE_MAX
            })
        );
    }

    #[test]
    fn a_payload_of_too_many_contents_is_refused() {
        let most = vec![Bytes::from_static(b"c"); PAYLOAD_CONTENTS_MAX];
        let bytes = encode_payload(most.clone());
        assert_eq!(decode_payload(bytes.into()), Ok(most.clone()));
        let bytes = encode_payload([most, vec![Bytes::new()]].concat());
        let count = PAYLOAD_CONTENTS_MAX + 1;
        assert_eq!(
            decode_payload(bytes.into()),
            Err(EnvelopeError::TooManyContents { count })
        );
    }

    proptest! {
        #[test]
        fn payloads_round_trip(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..10)) {
            let contents: Vec<Bytes> = contents.into_iter().map(Bytes::from).collect();
            let bytes = encode_payload(contents.clone());
            prop_assert_eq!(decode_payload(bytes.into()), Ok(contents));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Envelope::decode(bytes.clone().into());
            let _ = decode_payload(bytes.into());
        }
    }
}
