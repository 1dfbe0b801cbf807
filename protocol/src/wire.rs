//! The protobuf messages as `prost` made them from `proto/*.proto`, and how frames are read with
//! their limits. `docs/wire.md` explains every field.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "generated; documented in the schema"
)]

use bytes::Bytes;
use prost::Message;

use crate::limits::{FRAME_MAX, RELAY_MESSAGE_MAX};

include!(concat!(env!("OUT_DIR"), "/tincan.v1.rs"));

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than the wire allows.
    #[error("frame has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// Not protobuf of the expected message.
    #[error("frame is malformed")]
    Malformed,
}

/// A protobuf message that travels alone, with its limit.
pub trait Frame: Message + Default + Sized {
    /// Limit in bytes.
    const MAX: usize;

    /// Reads a frame.
    ///
    /// # Errors
    /// [`FrameError`] for what is too large (before it is parsed) or malformed.
    fn read(bytes: Bytes) -> Result<Self, FrameError> {
        if bytes.len() > Self::MAX {
            return Err(FrameError::TooLarge {
                len: bytes.len(),
                max: Self::MAX,
            });
        }
        Self::decode(bytes).map_err(|_| FrameError::Malformed)
    }

    /// The frame's bytes.
    fn write(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}

impl Frame for PeerFrame {
    const MAX: usize = FRAME_MAX;
}

impl Frame for RelayRequest {
    const MAX: usize = RELAY_MESSAGE_MAX;
}

impl Frame for RelayReply {
    const MAX: usize = RELAY_MESSAGE_MAX;
}

impl From<peer_frame::Kind> for PeerFrame {
    fn from(kind: peer_frame::Kind) -> Self {
        Self { kind: Some(kind) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_pinned() {
        let put = PeerFrame::from(peer_frame::Kind::Put(Put {
            envelope: Bytes::from_static(b"\x07"),
        }));
        assert_eq!(hex::encode(put.write()), "12030a0107");
        let stored = PeerFrame::from(peer_frame::Kind::Stored(Stored {
            env_ids: vec![vec![1, 2]],
        }));
        assert_eq!(hex::encode(stored.write()), "1a040a020102");
        let deposit = RelayRequest {
            id: 5,
            kind: Some(relay_request::Kind::Deposit(Deposit {
                queue: Bytes::from_static(b"q"),
                write_token: Bytes::from_static(b"t"),
                envelope: Bytes::from_static(b"e"),
            })),
        };
        assert_eq!(hex::encode(deposit.write()), "08052a090a01711201741a0165");
        let deliver = RelayReply {
            id: 0,
            kind: Some(relay_reply::Kind::Deliver(Deliver {
                queue: Bytes::from_static(b"q"),
                index: 300,
                envelope: Bytes::from_static(b"e"),
            })),
        };
        assert_eq!(hex::encode(deliver.write()), "3a090a017110ac021a0165");
    }

    #[test]
    fn a_frame_above_its_limit_is_not_parsed() {
        let longest = Bytes::from(vec![0xff; FRAME_MAX]);
        assert_eq!(PeerFrame::read(longest), Err(FrameError::Malformed));
        let bytes = Bytes::from(vec![0xff; FRAME_MAX + 1]);
        assert_eq!(
            PeerFrame::read(bytes),
            Err(FrameError::TooLarge {
                len: FRAME_MAX + 1,
                max: FRAME_MAX
            })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let bytes = Bytes::from(bytes);
            let _ = PeerFrame::read(bytes.clone());
            let _ = RelayRequest::read(bytes.clone());
            let _ = RelayReply::read(bytes);
        }

        #[test]
        fn deposits_round_trip(id: u64, queue: [u8; 32], token: [u8; 16], envelope in proptest::collection::vec(any::<u8>(), 0..300)) {
            let request = RelayRequest {
                id,
                kind: Some(relay_request::Kind::Deposit(Deposit {
                    queue: queue.to_vec().into(),
                    write_token: token.to_vec().into(),
                    envelope: envelope.into(),
                })),
            };
            prop_assert_eq!(RelayRequest::read(request.write()), Ok(request));
        }
    }
}
