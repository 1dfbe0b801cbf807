//! What people say to each other, and what they do with what was said.
//!
//! A message is named by its author's device and its id. Whoever gets an [`Edit`] or a [`Deletion`] makes sure
//! that it comes from that author.

use super::{ContentError, limited};
use crate::ids::{DeviceId, MsgId, WrongLength};
use crate::limits::{EXPIRES_MAX_S, REACTION_MAX, TEXT_MAX};
use crate::wire;

/// A text message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// What it says, at most [`TEXT_MAX`] bytes.
    pub text: String,
    /// The message that it answers.
    pub reply_to: Option<MessageRef>,
    /// Whether it was written elsewhere and passed on.
    pub forwarded: bool,
    /// Both sides delete it so many seconds after it was shown, at most [`EXPIRES_MAX_S`]; 0: it stays.
    pub expires_s: u32,
}

/// A message of the same conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef {
    /// The device that sent it.
    pub author: DeviceId,
    /// Its id.
    pub msg_id: MsgId,
}

/// Another text for a message of the same author; of several the one with the highest seq counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The message.
    pub of: MessageRef,
    /// What it says from now on, at most [`TEXT_MAX`] bytes.
    pub text: String,
}

/// Takes a message of the same author back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The message.
    pub of: MessageRef,
}

/// What a device has to say of a message in one sign; of several the one with the highest seq counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The message.
    pub to: MessageRef,
    /// An emoji, at most [`REACTION_MAX`] bytes; empty takes the last one back.
    pub emoji: String,
}

/// From now on messages of this conversation are to disappear, or to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// How many seconds after they were shown, at most [`EXPIRES_MAX_S`]; 0: they stay.
    pub expires_s: u32,
}

impl Text {
    pub(super) fn to_wire(&self) -> wire::Text {
        wire::Text {
            text: self.text.clone(),
            reply_to: self.reply_to.map(MessageRef::to_wire),
            forwarded: self.forwarded,
            expires_s: self.expires_s,
        }
    }

    pub(super) fn from_wire(text: wire::Text) -> Result<Self, ContentError> {
        Ok(Self {
            text: limited("text", text.text, TEXT_MAX)?,
            reply_to: text.reply_to.map(MessageRef::from_wire).transpose()?,
            forwarded: text.forwarded,
            expires_s: text.expires_s.min(EXPIRES_MAX_S),
        })
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

impl MessageRef {
    fn to_wire(self) -> wire::MessageRef {
        wire::MessageRef {
            author: self.author.to_vec(),
            msg_id: self.msg_id.as_bytes().to_vec(),
        }
    }

    fn from_wire(of: wire::MessageRef) -> Result<Self, ContentError> {
        let msg_id = MsgId::from_slice(&of.msg_id).map_err(|_| WrongLength {
            what: "message id",
            len: of.msg_id.len(),
            expected: 16,
        })?;
        Ok(Self {
            author: DeviceId::try_from(of.author.as_slice())?,
            msg_id,
        })
    }
}

impl Edit {
    pub(super) fn to_wire(&self) -> wire::Edit {
        wire::Edit {
            of: Some(self.of.to_wire()),
            text: self.text.clone(),
        }
    }

    pub(super) fn from_wire(edit: wire::Edit) -> Result<Self, ContentError> {
        Ok(Self {
            of: message_field(edit.of)?,
            text: limited("text", edit.text, TEXT_MAX)?,
        })
    }
}

impl Deletion {
    pub(super) fn to_wire(self) -> wire::Deletion {
        wire::Deletion {
            of: Some(self.of.to_wire()),
        }
    }

    pub(super) fn from_wire(deletion: wire::Deletion) -> Result<Self, ContentError> {
        Ok(Self {
            of: message_field(deletion.of)?,
        })
    }
}

impl Reaction {
    pub(super) fn to_wire(&self) -> wire::Reaction {
        wire::Reaction {
            to: Some(self.to.to_wire()),
            emoji: self.emoji.clone(),
        }
    }

    pub(super) fn from_wire(reaction: wire::Reaction) -> Result<Self, ContentError> {
        Ok(Self {
            to: message_field(reaction.to)?,
            emoji: limited("reaction", reaction.emoji, REACTION_MAX)?,
        })
    }
}

impl Timer {
    pub(super) const fn to_wire(self) -> wire::Timer {
        wire::Timer {
            expires_s: self.expires_s,
        }
    }

    pub(super) fn from_wire(timer: wire::Timer) -> Self {
        Self {
            expires_s: timer.expires_s.min(EXPIRES_MAX_S),
        }
    }
}

fn message_field(of: Option<wire::MessageRef>) -> Result<MessageRef, ContentError> {
    MessageRef::from_wire(of.ok_or(ContentError::Missing { field: "message" })?)
}
