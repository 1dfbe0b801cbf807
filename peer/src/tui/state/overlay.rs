//! What lies above the conversation, one at a time. While something does, nothing below counts as shown.

use super::field::Field;
use super::switcher::Switcher;
use crate::MsgId;
use crate::rpc::objects::{InviteObject, MessageObject, VerificationObject};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Overlay {
    Switcher(Switcher),
    /// A command, where no conversation is written in.
    Command(Field),
    /// Who asks, and the address of the one who is meant; the first, if nobody was chosen.
    Requests {
        chosen: Option<String>,
    },
    /// A link, once it is made; alone as a QR code, if that is wanted.
    Invite {
        invite: Option<InviteObject>,
        as_code: bool,
    },
    /// A contact's safety number, once it is here.
    Verify {
        address: String,
        verification: Option<VerificationObject>,
    },
    /// A sign for this message.
    React {
        id: MsgId,
        field: Field,
    },
    /// Whether this message shall go, and where.
    Delete {
        id: MsgId,
        is_own: bool,
    },
    /// Whether this contact shall go, with everything that was said.
    Remove {
        address: String,
        name: String,
    },
    Details(Box<MessageObject>),
    /// Text of several lines, from this one on.
    Page {
        title: String,
        lines: Vec<String>,
        top: usize,
    },
}

impl Overlay {
    pub(crate) fn page(title: &str, text: &str) -> Self {
        Self::Page {
            title: title.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            top: 0,
        }
    }
}

/// Signs that a digit chooses.
pub(crate) const SIGNS: [&str; 6] = [
    "\u{1f44d}",
    "\u{2764}\u{fe0f}",
    "\u{1f602}",
    "\u{1f62e}",
    "\u{1f622}",
    "\u{1f64f}",
];
