//! One error per operation.

use tincan_protocol::invite;
use tincan_protocol::limits::{NAME_MAX, REACTION_MAX, REQUEST_TEXT_MAX, TEXT_MAX};
use tincan_protocol::origin::ServerUrl;

use crate::message::DRAFT_MAX;
use crate::store::StoreError;

/// Why a message was not sent. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody of that name or address.
    #[error("no such contact")]
    UnknownContact,
    /// They have asked and were not answered yet.
    #[error("they have asked to be a contact; accept them first")]
    NotAccepted,
    /// They are blocked.
    #[error("this contact is blocked")]
    Blocked,
    /// They were verified, and are another device since.
    #[error("this contact uses another device than the one that was verified")]
    Changed,
    /// There is no message that could be answered.
    #[error("the message to be answered is not in this conversation")]
    UnknownMessage,
    /// Nothing to send.
    #[error("the message is empty")]
    Empty,
    /// Above the limit.
    #[error("the message has {len} bytes, at most {TEXT_MAX} are allowed")]
    TooLong {
        /// Length found, in bytes of UTF-8.
        len: usize,
    },
    /// The session's reason.
    #[error(transparent)]
    Session(#[from] tincan_core::SendError),
    /// The store failed; the message was not saved.
    #[error("the message could not be saved")]
    NotSaved,
}

/// Why nothing was done with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is none with this id.
    #[error("there is no such message in this conversation")]
    UnknownMessage,
    /// Somebody else has written it.
    #[error("only its author can do that with a message")]
    NotYours,
    /// It was taken back.
    #[error("the message was deleted")]
    Deleted,
    /// Not a sign, or one that is too long.
    #[error("a reaction has at most {REACTION_MAX} bytes")]
    Reaction,
    /// It would have to be told to the other side, and cannot be.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Why nothing was done about a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContactError {
    /// Nobody of that name or address.
    #[error("no such contact")]
    UnknownContact,
    /// They have asked and were not answered yet.
    #[error("they have only asked to be a contact")]
    OnlyAsks,
    /// They were asked and have not answered yet, or are blocked.
    #[error("this needs a contact who has accepted")]
    NotAnswered,
    /// Another contact is called that.
    #[error("another contact has this name")]
    NameTaken,
    /// Not fit to be shown and typed.
    #[error("a name has 1 to {NAME_MAX} bytes of visible text, and does not begin like an address")]
    Name,
    /// More than is kept.
    #[error("a draft of {len} bytes is not kept; at most {DRAFT_MAX} are")]
    DraftTooLong {
        /// Its length, bytes.
        len: usize,
    },
    /// The store failed; nothing has changed.
    #[error("the change could not be saved")]
    NotSaved,
}

/// Why no invite was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// A limit of the link.
    #[error(transparent)]
    Sign(invite::InviteError),
    /// Zero uses.
    #[error("an invite needs at least one use")]
    NoUses,
    /// The store failed.
    #[error("the invite could not be saved")]
    NotSaved,
}

/// Why nobody was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The link does not hold.
    #[error(transparent)]
    Invite(#[from] invite::InviteError),
    /// One's own link.
    #[error("this is your own invite")]
    Myself,
    /// Already a contact, or already asked.
    #[error("they are a contact already, or have been asked")]
    KnownAlready,
    /// They were verified, and the link is of another device.
    #[error("they were verified, and this link is of another device of theirs")]
    Changed,
    /// They were faster.
    #[error("they have asked you already; accept their request instead")]
    TheyAsked,
    /// The invite's relay is not there.
    #[error("the relay of this invite ({server}) did not answer in time")]
    NoAnswer {
        /// The relay.
        server: ServerUrl,
    },
    /// The invite's relay is where only own servers may be.
    #[error(
        "the relay of this invite ({server}) is not dialed: its address {ip} is {range}, which others could use to reach into your network"
    )]
    LocalServer {
        /// The relay.
        server: ServerUrl,
        /// Where it is.
        ip: std::net::IpAddr,
        /// The kind of address.
        range: &'static str,
    },
    /// The invite's relay has no key package for this link.
    #[error("the relay of this invite refused: {text}")]
    Refused {
        /// Its reason.
        text: String,
    },
    /// The invite's mailbox is gone.
    #[error("this invite is used up or withdrawn")]
    UsedUp,
    /// What the relay handed out is not theirs.
    #[error("the relay handed out a wrong key package: {text}")]
    KeyPackage {
        /// What is wrong with it.
        text: String,
    },
    /// The name is above its limit or empty.
    #[error("a name has 1 to {NAME_MAX} bytes")]
    Name,
    /// The text is above its limit.
    #[error("the text of a request has at most {REQUEST_TEXT_MAX} bytes")]
    TextTooLong,
    /// The store failed.
    #[error("the contact could not be saved")]
    NotSaved,
}

/// Why a request was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Nobody of that name or address has asked.
    #[error("nobody of that name or address has asked")]
    NoRequest,
    /// The store failed.
    #[error("the answer could not be saved")]
    NotSaved,
}

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nobody of that name or address.
    #[error("no such contact")]
    UnknownContact,
    /// No message with that id in this conversation.
    #[error("no message with that id in this conversation")]
    UnknownMessage,
    /// The store's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The peer has been shut down.
    #[error("the peer has been shut down")]
    ShutDown,
}

/// The driver ended before it could end in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer did not end in order; what was confirmed is safe")]
pub struct ShutdownError;
