//! Errors as they go over the wire: a code for programs, a text for people.

use tincan_protocol::wire::{RelayError, RelayErrorCode, RelayReply, relay_reply};

use crate::store::Refused;

/// When to try again after the store failed, milliseconds. Chosen: a full disk is not emptied
/// faster, and the clients' own backoff goes on from there.
const UNAVAILABLE_RETRY_MS: u64 = 5_000;

/// When to try again at a full queue, milliseconds: its reader has to come back first.
const FULL_RETRY_MS: u64 = 60_000;

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    code: RelayErrorCode,
    text: &'static str,
    retry_after_ms: u64,
}

impl Refusal {
    pub(super) fn new(code: RelayErrorCode, text: &'static str) -> Self {
        Self {
            code,
            text,
            retry_after_ms: 0,
        }
    }

    pub(super) fn bad_request(text: &'static str) -> Self {
        Self::new(RelayErrorCode::BadRequest, text)
    }

    pub(super) fn too_large(text: &'static str) -> Self {
        Self::new(RelayErrorCode::TooLarge, text)
    }

    pub(super) fn unavailable() -> Self {
        let text = "the relay cannot store or read anything now; try again later";
        Self {
            retry_after_ms: UNAVAILABLE_RETRY_MS,
            ..Self::new(RelayErrorCode::Unavailable, text)
        }
    }

    /// Somebody else reads the queue now.
    pub(super) fn displaced() -> Self {
        Self::bad_request("another connection has subscribed to this queue")
    }

    pub(super) fn kind(self) -> relay_reply::Kind {
        relay_reply::Kind::Error(RelayError {
            code: self.code.into(),
            text: self.text.to_owned(),
            retry_after_ms: self.retry_after_ms,
        })
    }

    pub(super) fn reply(self, id: u64) -> RelayReply {
        RelayReply {
            id,
            kind: Some(self.kind()),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            // One text for "no such queue" and "wrong token": nobody can probe for queues.
            Refused::Unauthorized => Self::new(RelayErrorCode::Unauthorized, "wrong token"),
            Refused::NoSuchQueue => Self::new(RelayErrorCode::NoSuchQueue, "no such queue"),
            Refused::WrongKind => Self::bad_request("the queue is of the other kind"),
            Refused::QueueFull => {
                let text = "the queue is full; its reader has to fetch something first";
                Self {
                    retry_after_ms: FULL_RETRY_MS,
                    ..Self::new(RelayErrorCode::QueueFull, text)
                }
            }
            Refused::NoKeyPackage => Self::new(
                RelayErrorCode::NoKeyPackage,
                "the owner has no key package left here",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_and_a_full_disk_say_when_to_try_again() {
        for refusal in [Refusal::unavailable(), Refused::QueueFull.into()] {
            let relay_reply::Kind::Error(error) = refusal.kind() else {
                panic!("no error")
            };
            assert!(error.retry_after_ms > 0);
        }
    }
}
