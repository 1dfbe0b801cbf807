//! Envelopes: the sealed unit that travels, and the payload inside.

use bytes::Bytes;
use prost::Message as _;

use crate::invite::RequestProof;
use crate::limits::{
    ENVELOPE_MAX, HANDSHAKE_MAX, PAYLOAD_CONTENTS_MAX, SKIPPED_RANGES_MAX, SKIPPED_SEQ_MAX,
};
use crate::wire;

/// What an envelope carries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope {
    /// An MLS PrivateMessage of an existing group.
    Message(Bytes),
    /// Somebody asks to talk.
    Request(Request),
}

/// What makes the recipient a member of a new group, and the first message there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// MLSMessage(Welcome).
    pub welcome: Bytes,
    /// MLSMessage(PrivateMessage) of the welcomed group.
    pub message: Bytes,
    /// Shows that the sender has had the invite's link; none if the link has no secret.
    pub proof: Option<RequestProof>,
}

/// What is sealed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// Each one an encoded [`crate::content::Content`].
    pub contents: Vec<Bytes>,
    /// First and last of the sender's numbers that the reader is not to wait for: under them comes nothing any
    /// more before these contents.
    pub skipped: Vec<(u64, u64)>,
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

impl Payload {
    /// Contents, and nothing skipped before them.
    #[must_use]
    pub const fn of(contents: Vec<Bytes>) -> Self {
        Self {
            contents,
            skipped: Vec::new(),
        }
    }

    /// The bytes that [`Payload::decode`] reads. Of what is skipped the first [`SKIPPED_RANGES_MAX`].
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let skipped = self.skipped.into_iter().take(SKIPPED_RANGES_MAX);
        let payload = wire::Payload {
            contents: self.contents,
            skipped: skipped
                .map(|(first, last)| wire::SeqRange { first, last })
                .collect(),
        };
        payload.encode_to_vec()
    }

    /// Reads a payload. Ranges of skipped numbers that make no sense are left out.
    ///
    /// # Errors
    /// [`EnvelopeError::Malformed`] or [`EnvelopeError::TooManyContents`].
    pub fn decode(bytes: Bytes) -> Result<Self, EnvelopeError> {
        let payload = wire::Payload::decode(bytes).map_err(|_| EnvelopeError::Malformed)?;
        let count = payload.contents.len();
        if count > PAYLOAD_CONTENTS_MAX {
            return Err(EnvelopeError::TooManyContents { count });
        }
        let skipped = payload.skipped.into_iter().take(SKIPPED_RANGES_MAX);
        let makes_sense =
            |&(first, last): &(u64, u64)| 0 < first && first <= last && last <= SKIPPED_SEQ_MAX;
        Ok(Self {
            contents: payload.contents,
            skipped: skipped
                .map(|range| (range.first, range.last))
                .filter(makes_sense)
                .collect(),
        })
    }
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
        let payload = Payload::of(most.clone());
        let bytes = payload.clone().encode();
        assert_eq!(Payload::decode(bytes.into()), Ok(payload));
        let bytes = Payload::of([most, vec![Bytes::new()]].concat()).encode();
        let count = PAYLOAD_CONTENTS_MAX + 1;
        assert_eq!(
            Payload::decode(bytes.into()),
            Err(EnvelopeError::TooManyContents { count })
        );
    }

    #[test]
    fn of_what_is_skipped_only_what_makes_sense_is_read() {
        let sense = [(1, 1), (7, SKIPPED_SEQ_MAX)];
        let nonsense = [(0, 3), (5, 4), (2, SKIPPED_SEQ_MAX + 1), (0, 0)];
        let payload = Payload {
            contents: Vec::new(),
            skipped: [&sense[..], &nonsense, &[(3, 4)]].concat(),
        };
        let read = Payload::decode(payload.encode().into()).unwrap();
        assert_eq!(read.skipped, [(1, 1), (7, SKIPPED_SEQ_MAX), (3, 4)]);
        let skipped = vec![(1, 2); SKIPPED_RANGES_MAX + 1];
        let contents = Vec::new();
        let many = Payload { contents, skipped }.encode();
        let read = Payload::decode(many.into()).unwrap();
        assert_eq!(read.skipped.len(), SKIPPED_RANGES_MAX);
    }

    proptest! {
        #[test]
        fn payloads_round_trip(
            contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..10),
            skipped in proptest::collection::vec((1..=9u64, 9..=SKIPPED_SEQ_MAX), 0..=SKIPPED_RANGES_MAX),
        ) {
            let contents = contents.into_iter().map(Bytes::from).collect();
            let payload = Payload { contents, skipped };
            let bytes = payload.clone().encode();
            prop_assert_eq!(Payload::decode(bytes.into()), Ok(payload));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Envelope::decode(bytes.clone().into());
            let _ = Payload::decode(bytes.into());
        }
    }
}
