//! What is said in a conversation: the contents inside a sealed payload.

mod acquaintance;
mod delivery;
mod said;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use prost::Message as _;

use crate::hlc::Hlc;
use crate::ids::{MsgId, WrongLength};
use crate::origin::ServerUrlError;
use crate::wire;

pub use acquaintance::{ContactAccept, ContactRequest, KeyPackagesAt, Reach};
pub use delivery::{DeviceAck, Receipt, Resend};
pub use said::{Deletion, Edit, MessageRef, Reaction, Text, Timer};

/// The version this program writes.
pub const CONTENT_VERSION: u32 = 1;

/// One content: its place in the sender's sequence and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Chosen by the sender, kept when the content is sealed again.
    pub msg_id: MsgId,
    /// From 1 per (conversation, sender device); 0 for [`Body::Receipt`] and [`Body::Resend`].
    pub seq: u64,
    /// When the sender made it.
    pub hlc: Hlc,
    /// What it says.
    pub body: Body,
}

/// What a content says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// A text message.
    Text(Text),
    /// What has been received and shown.
    Receipt(Receipt),
    /// Asks for something to be sealed again.
    Resend(Resend),
    /// How the sender's device is reached.
    Reach(Reach),
    /// The first content of a group made with an invite; said once more for each further invite that is
    /// used before there is an answer.
    ContactRequest(ContactRequest),
    /// The answer to it.
    ContactAccept(ContactAccept),
    /// Another text for a message.
    Edit(Edit),
    /// Takes a message back.
    Deletion(Deletion),
    /// A sign for a message.
    Reaction(Reaction),
    /// How long messages stay.
    Timer(Timer),
    /// Something a later version says. It is kept and not shown.
    Unknown,
}

/// Why bytes are not a content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Not protobuf.
    #[error("content is malformed")]
    Malformed,
    /// A required field is missing.
    #[error("content lacks {field}")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// An identifier of the wrong length.
    #[error("content: {0}")]
    Length(#[from] WrongLength),
    /// A server's URL that cannot be one.
    #[error("content: {0}")]
    Url(#[from] ServerUrlError),
    /// A text above its limit.
    #[error("{what} has {len} bytes, at most {max} are allowed")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Length found, in bytes of UTF-8.
        len: usize,
        /// Length allowed, in bytes of UTF-8.
        max: usize,
    },
    /// A sequence number where none belongs, or none where one does.
    #[error("content of this kind cannot have seq {seq}")]
    Seq {
        /// The number found.
        seq: u64,
    },
}

impl Body {
    /// A text message and nothing else.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into())
    }

    /// Whether it is sent on however old it is: what the program of the other side must learn, and no
    /// person would send again; and that a message was taken back, which its author thinks is gone.
    #[must_use]
    pub const fn outlasts_expiry(&self) -> bool {
        matches!(
            self,
            Self::Reach(_) | Self::ContactAccept(_) | Self::Deletion(_)
        )
    }

    /// Whether contents of this kind are numbered, acknowledged and delivered in order. The others
    /// replace what they said before, so that the newest is enough.
    #[must_use]
    pub const fn is_sequenced(&self) -> bool {
        !matches!(
            self,
            Self::Receipt(_) | Self::Resend(_) | Self::ContactRequest(_)
        )
    }
}

impl Content {
    /// Encodes the content.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let content = wire::Content {
            v: CONTENT_VERSION,
            msg_id: self.msg_id.as_bytes().to_vec(),
            seq: self.seq,
            hlc: self.hlc.as_u64(),
            log_index: 0,
            log_hash: Vec::new(),
            body: self.body.to_wire(),
        };
        content.encode_to_vec().into()
    }

    /// Reads what an earlier version has kept: a kind that it did not know, and so did not check, is
    /// [`Body::Unknown`] if it is not as it should be. A request that was numbered is the text that it says.
    ///
    /// # Errors
    /// [`ContentError`] for everything else.
    pub fn decode_kept(bytes: &[u8]) -> Result<Self, ContentError> {
        Self::decode(bytes).or_else(|error| {
            let content = wire::Content::decode(bytes).map_err(|_| ContentError::Malformed)?;
            if content.seq == 0 {
                return Err(error);
            }
            let unread = wire::Content {
                body: earlier_text(content.body),
                ..content
            };
            Self::decode(&unread.encode_to_vec())
        })
    }

    /// Reads a content and checks every limit.
    ///
    /// # Errors
    /// [`ContentError`]. A kind or field of a later version is no error.
    pub fn decode(bytes: &[u8]) -> Result<Self, ContentError> {
        let content = wire::Content::decode(bytes).map_err(|_| ContentError::Malformed)?;
        let msg_id = MsgId::from_slice(&content.msg_id).map_err(|_| WrongLength {
            what: "message id",
            len: content.msg_id.len(),
            expected: 16,
        })?;
        let body = Body::from_wire(content.body)?;
        let numbered = content.seq != 0;
        if content.seq == u64::MAX || (body != Body::Unknown && body.is_sequenced() != numbered) {
            return Err(ContentError::Seq { seq: content.seq });
        }
        Ok(Self {
            msg_id,
            seq: content.seq,
            hlc: Hlc::from_u64(content.hlc),
            body,
        })
    }
}

impl Body {
    fn to_wire(&self) -> Option<wire::content::Body> {
        use wire::content::Body as Wire;
        match self {
            Self::Text(text) => Some(Wire::Text(text.to_wire())),
            Self::Receipt(receipt) => Some(Wire::Receipt(receipt.to_wire())),
            Self::Resend(resend) => Some(Wire::Resend(resend.to_wire())),
            Self::Reach(reach) => Some(Wire::Reach(reach.to_wire())),
            Self::ContactRequest(request) => Some(Wire::ContactRequest(request.to_wire())),
            Self::ContactAccept(accept) => Some(Wire::ContactAccept(accept.to_wire())),
            Self::Edit(edit) => Some(Wire::Edit(edit.to_wire())),
            Self::Deletion(deletion) => Some(Wire::Deletion(deletion.to_wire())),
            Self::Reaction(reaction) => Some(Wire::Reaction(reaction.to_wire())),
            Self::Timer(timer) => Some(Wire::Timer(timer.to_wire())),
            Self::Unknown => None,
        }
    }

    fn from_wire(body: Option<wire::content::Body>) -> Result<Self, ContentError> {
        use wire::content::Body as Wire;
        match body {
            None => Ok(Self::Unknown),
            Some(Wire::Text(text)) => Text::from_wire(text).map(Self::Text),
            Some(Wire::Receipt(receipt)) => Receipt::from_wire(&receipt).map(Self::Receipt),
            Some(Wire::Resend(resend)) => Resend::from_wire(&resend).map(Self::Resend),
            Some(Wire::Reach(reach)) => Reach::from_wire(reach).map(Self::Reach),
            Some(Wire::ContactRequest(request)) => {
                ContactRequest::from_wire(request).map(Self::ContactRequest)
            }
            Some(Wire::ContactAccept(accept)) => {
                ContactAccept::from_wire(accept).map(Self::ContactAccept)
            }
            Some(Wire::Edit(edit)) => Edit::from_wire(edit).map(Self::Edit),
            Some(Wire::Deletion(deletion)) => Deletion::from_wire(deletion).map(Self::Deletion),
            Some(Wire::Reaction(reaction)) => Reaction::from_wire(reaction).map(Self::Reaction),
            Some(Wire::Timer(timer)) => Ok(Self::Timer(Timer::from_wire(timer))),
        }
    }
}

/// Requests had a number in an earlier version, and were the message that they say.
fn earlier_text(body: Option<wire::content::Body>) -> Option<wire::content::Body> {
    use wire::content::Body as Wire;
    match body {
        Some(Wire::ContactRequest(request)) if !request.text.is_empty() => {
            Some(Wire::Text(Text::from(request.text).to_wire()))
        }
        _ => None,
    }
}

fn limited(what: &'static str, text: String, max: usize) -> Result<String, ContentError> {
    let len = text.len();
    if len > max {
        return Err(ContentError::TooLong { what, len, max });
    }
    Ok(text)
}
