//! What happens, and what is to be done about it.

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;
use ratatui::layout::Size;
use serde_json::Value;

use crate::MsgId;
use crate::rpc::RpcError;
use crate::rpc::objects::EventObject;

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    Key(KeyEvent),
    /// Text from the clipboard.
    Paste(String),
    Mouse(MouseEvent),
    Resize(Size),
    /// The terminal got the focus, or lost it.
    Focus(bool),
    /// What the state says now is on the screen.
    Drawn,
    /// Time has passed.
    Tick(Timestamp),
    /// A call was answered.
    Answer(Purpose, Result<Value, RpcError>),
    /// The journal went on.
    News(Vec<EventObject>),
    /// The journal cannot be followed, and why.
    Deaf(RpcError),
    /// It can be again.
    Heard,
    /// What came out of the person's own editor.
    Edited(String),
    /// Nothing did, and why.
    NotEdited(String),
    /// The desktop could not show what is new.
    NotNoticed,
    /// Somebody ends the program.
    Ended,
}

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// To be called, beside others.
    Call(Call),
    /// To be called after everything that was to be written before it.
    Write(Call),
    /// Something new is to be noticed.
    Notice(News),
    /// The same, where there is nothing but a terminal.
    Bell,
    /// The text is to be changed in the person's own editor.
    Edit(String),
    /// To the clipboard.
    Copy(String),
    Quit,
}

/// What somebody shall notice who does not look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// Of whom: the address. Newer ones take the place of older ones.
    pub(crate) about: String,
    pub(crate) title: String,
    pub(crate) body: String,
}

/// A call of a method.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    pub(crate) purpose: Purpose,
}

/// What a call is made for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Purpose {
    Me,
    Contacts,
    Requests,
    Status,
    /// A part of the conversation with this address, by the question of this number.
    Page {
        address: String,
        part: Part,
        number: u64,
    },
    /// A message, to be written again if it could not be saved.
    Sent {
        address: String,
        text: String,
        id: MsgId,
        reply_to: Option<MsgId>,
    },
    /// An edit, likewise.
    Edited {
        address: String,
        text: String,
        id: MsgId,
    },
    /// Messages that were shown.
    Read {
        address: String,
        ids: Vec<MsgId>,
    },
    /// What is written and not sent.
    Draft {
        address: String,
    },
    Invite,
    /// The safety number of this contact.
    Verification {
        address: String,
    },
    /// Whether it was compared.
    Verified {
        address: String,
    },
    /// Somebody was asked.
    Added(Say, Typed),
    /// Something was done: this is what there is to say of it.
    Done(Say, Typed),
}

/// The command that was typed for something, to be typed again if it could not be done: where, and what.
pub(crate) type Typed = Option<(Option<String>, String)>;

impl Purpose {
    /// Whether something is saved by it, so that the program does not end before it is answered.
    pub(super) const fn is_writing(&self) -> bool {
        matches!(
            self,
            Self::Sent { .. }
                | Self::Edited { .. }
                | Self::Read { .. }
                | Self::Draft { .. }
                | Self::Verified { .. }
                | Self::Done(..)
        )
    }
}

/// What there is to say of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Say(pub(crate) fn(&Value) -> String);

impl PartialEq for Say {
    /// Which words is nobody's business.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Say {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Say")
    }
}

/// A part of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Where it is opened: at its end, or around a message.
    Begin(Option<MsgId>),
    /// What is loaded, as it is now: its end, or around a message.
    Again(Option<MsgId>),
    /// Before what there is.
    Older,
    /// After what there is.
    Newer,
}
