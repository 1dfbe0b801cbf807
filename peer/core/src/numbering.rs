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
