//! Sequence numbers and clock stamps, and the contents that wait to be sealed together.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use tincan_protocol::MsgId;
use tincan_protocol::content::{Body, Content};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::limits::{PAYLOAD_CONTENTS_MAX, PAYLOAD_MAX};

use crate::config::UNSEALED_BYTES;
use crate::output::SentContent;
use crate::session::SendError;

/// Bytes that protobuf adds around one content in a payload.
const CONTENT_FRAMING: usize = 4;

#[derive(Debug)]
pub(crate) struct Numbering {
    pub(crate) next_seq: u64,
    pub(crate) hlc: Hlc,
    unsealed: VecDeque<SentContent>,
    unsealed_bytes: usize,
}

impl Numbering {
    pub(crate) const fn new(next_seq: u64, hlc: Hlc) -> Self {
        Self {
            next_seq,
            hlc,
            unsealed: VecDeque::new(),
            unsealed_bytes: 0,
        }
    }

    /// Numbers a content. Nothing is used up if it cannot be sent.
    pub(crate) fn assign(
        &mut self,
        msg_id: MsgId,
        body: Body,
        unix_ms: u64,
    ) -> Result<u64, SendError> {
        if !body.is_sequenced() {
            return Err(SendError::NotSequenced);
        }
        let lasts = body.outlasts_expiry();
        let (seq, place) = (self.next_seq, self.hlc.next(unix_ms));
        let content = Content {
            msg_id,
            seq,
            hlc: place,
            body,
        }
        .encode();
        let len = content.len() + CONTENT_FRAMING;
        if len > PAYLOAD_MAX {
            return Err(SendError::TooLarge {
                len,
                max: PAYLOAD_MAX,
            });
        }
        if self.unsealed_bytes + len > UNSEALED_BYTES {
            return Err(SendError::Busy);
        }
        self.next_seq += 1;
        self.hlc = place;
        self.unsealed_bytes += len;
        self.unsealed.push_back(SentContent {
            seq,
            msg_id,
            place,
            content,
            lasts,
        });
        Ok(seq)
    }

    /// Bytes that wait to be sealed.
    pub(crate) const fn bytes(&self) -> usize {
        self.unsealed_bytes
    }

    /// The next contents that fit into one envelope; empty if none wait.
    pub(crate) fn next_payload(&mut self) -> Vec<SentContent> {
        let mut contents = Vec::new();
        let mut bytes = 0;
        while let Some(content) = self.unsealed.front() {
            let len = content.content.len() + CONTENT_FRAMING;
            if contents.len() == PAYLOAD_CONTENTS_MAX || bytes + len > PAYLOAD_MAX {
                break;
            }
            bytes += len;
            contents.extend(self.unsealed.pop_front());
        }
        self.unsealed_bytes -= bytes;
        contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text whose content takes so many bytes in a payload.
    fn text(bytes: usize) -> Body {
        let of = |len: usize| Content {
            msg_id: MsgId::from_u128(1),
            seq: 1,
            hlc: Hlc::at_ms(1),
            body: Body::text("t".repeat(len)),
        };
        let len = (0..bytes)
            .rev()
            .find(|len| of(*len).encode().len() + CONTENT_FRAMING <= bytes);
        let body = of(len.unwrap());
        assert_eq!(body.encode().len() + CONTENT_FRAMING, bytes);
        body.body
    }

    fn numbering() -> Numbering {
        Numbering::new(1, Hlc::default())
    }

    fn assign(numbering: &mut Numbering, body: Body) -> Result<u64, SendError> {
        numbering.assign(MsgId::from_u128(1), body, 1)
    }

    #[test]
    fn a_content_fills_a_payload_and_no_more() {
        let mut numbering = numbering();
        assert_eq!(assign(&mut numbering, text(PAYLOAD_MAX)), Ok(1));
        assert_eq!(numbering.bytes(), PAYLOAD_MAX);
        let (len, max) = (PAYLOAD_MAX + 1, PAYLOAD_MAX);
        let refused = assign(&mut numbering, text(len));
        assert_eq!(refused, Err(SendError::TooLarge { len, max }));
        assert_eq!((numbering.next_seq, numbering.bytes()), (2, PAYLOAD_MAX));
        assert_eq!(numbering.next_payload().len(), 1);
        assert_eq!(numbering.bytes(), 0);
        assert!(numbering.next_payload().is_empty());
    }

    #[test]
    fn what_waits_to_be_sealed_has_a_bound() {
        let mut numbering = numbering();
        let mut waiting = 0;
        while waiting < UNSEALED_BYTES {
            let len = (UNSEALED_BYTES - waiting).min(PAYLOAD_MAX);
            assign(&mut numbering, text(len)).unwrap();
            waiting += len;
        }
        assert_eq!(numbering.bytes(), UNSEALED_BYTES);
        let more = assign(&mut numbering, Body::text(""));
        assert_eq!(more, Err(SendError::Busy));
    }

    #[test]
    fn contents_are_sealed_together_as_far_as_they_fit() {
        let mut numbering = numbering();
        for len in [PAYLOAD_MAX - 100, 100, 100] {
            assign(&mut numbering, text(len)).unwrap();
        }
        assert_eq!(numbering.next_payload().len(), 2);
        assert_eq!(
            (numbering.bytes(), numbering.next_payload().len()),
            (100, 1)
        );
        for len in [PAYLOAD_MAX - 100, 101] {
            assign(&mut numbering, text(len)).unwrap();
        }
        assert_eq!(numbering.next_payload().len(), 1);
        assert_eq!(
            (numbering.bytes(), numbering.next_payload().len()),
            (101, 1)
        );
        for _ in 0..PAYLOAD_CONTENTS_MAX + 1 {
            assign(&mut numbering, text(60)).unwrap();
        }
        assert_eq!(numbering.next_payload().len(), PAYLOAD_CONTENTS_MAX);
        assert_eq!(numbering.next_payload().len(), 1);
    }
}
