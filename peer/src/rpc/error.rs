//! Errors as programs and people get them: a code to branch on, a sentence, and what to do.

use std::fmt;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup::BackupError;
use crate::error::{
    AcceptError, AddError, ChangeError, ContactError, InviteError, ReadError, SendError,
};
use crate::store::StoreError;

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// Stable, for programs: `failed`, `usage`, `timeout`, `not_found`, `refused`, `ended`, `disk_full`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty if nothing is known.
    pub help: String,
}

impl RpcError {
    /// Something did not work.
    #[must_use]
    pub fn failed(message: impl ToString, help: &str) -> Self {
        Self::new("failed", message, help)
    }

    /// The caller asked for something that makes no sense.
    #[must_use]
    pub fn usage(message: impl ToString, help: &str) -> Self {
        Self::new("usage", message, help)
    }

    /// It did not happen in time.
    #[must_use]
    pub fn timeout(message: impl ToString, help: &str) -> Self {
        Self::new("timeout", message, help)
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(message: impl ToString, help: &str) -> Self {
        Self::new(NOT_FOUND, message, help)
    }

    /// Somebody else said no.
    #[must_use]
    pub fn refused(message: impl ToString, help: &str) -> Self {
        Self::new("refused", message, help)
    }

    /// The process that runs the profile ends. Whoever takes it over can be asked again.
    #[must_use]
    pub fn ended() -> Self {
        Self::new(
            ENDED,
            "the process that runs this profile has ended",
            "try again",
        )
    }

    /// Whether it is the one that [`RpcError::ended`] makes.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.code == ENDED
    }

    /// It failed because the disk of the profile's folder is full. Whoever runs the profile goes on by
    /// itself when there is room.
    #[must_use]
    pub fn disk_full(message: impl fmt::Display, folder: &Path) -> Self {
        let message = format!("{message}: the disk of {} is full", folder.display());
        Self::new(DISK_FULL, message, ROOM)
    }

    /// Whether it is one that [`RpcError::disk_full`] makes.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.code == DISK_FULL
    }

    /// The same error with something else to do about it.
    #[must_use]
    pub fn with_help(self, help: &str) -> Self {
        Self {
            help: help.to_owned(),
            ..self
        }
    }

    /// Whether it is about something that does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code == NOT_FOUND
    }

    fn new(code: &str, message: impl ToString, help: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_string(),
            help: help.to_owned(),
        }
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.code.as_str() {
            "usage" => 2,
            "timeout" => 3,
            NOT_FOUND => 4,
            "refused" => 5,
            _ => 1,
        }
    }
}

const NOT_FOUND: &str = "not_found";
const ENDED: &str = "ended";
const DISK_FULL: &str = "disk_full";

const ROOM: &str = "free disk space there; nothing that was confirmed is lost, and a process that runs this profile goes on by itself";

const WHO: &str = "`peer contacts` lists the names; an address starts with tin1";
const IDS: &str = "`peer history NAME --ids` shows the ids";
const SAVE: &str =
    "nothing was sent; look at the log (-v), free disk space if there is none, and try again";

impl From<SendError> for RpcError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::UnknownContact => Self::not_found(error, WHO),
            SendError::NotAccepted => Self::usage(error, "`peer accept NAME` makes them a contact"),
            SendError::Changed => Self::refused(
                error,
                "ask them whether that is so, compare the safety number (`peer verify NAME`), and confirm it there",
            ),
            SendError::UnknownMessage => Self::not_found(error, IDS),
            SendError::Blocked => {
                Self::refused(error, "`peer unblock NAME` makes them a contact again")
            }
            SendError::Empty => Self::usage(error, "give it some text"),
            SendError::TooLong { .. } | SendError::Session(_) => {
                Self::usage(error, "split the text into several messages")
            }
            SendError::NotSaved => Self::failed(error, SAVE),
        }
    }
}

impl From<BackupError> for RpcError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Exists { .. } => {
                Self::usage(error, "give another file: nothing is written over")
            }
            BackupError::NoPassphrase => Self::usage(error, "choose one that nobody guesses"),
            BackupError::NotABackup { .. } => {
                Self::usage(error, "give the file that `peer backup export` has written")
            }
            BackupError::WrongPassphrase { .. } => {
                Self::failed(error, "check the passphrase; nothing has changed")
            }
            BackupError::Damaged { .. } => {
                Self::failed(error, "take another copy of it; nothing of it was used")
            }
            BackupError::Newer { .. } => Self::failed(error, "install that version"),
            BackupError::Io { .. } => {
                Self::failed(error, "check the path, its permissions and the disk")
            }
            BackupError::Store(error) => error.into(),
            BackupError::ShutDown => Self::ended(),
        }
    }
}

impl From<ChangeError> for RpcError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::UnknownMessage => Self::not_found(error, IDS),
            ChangeError::NotYours => Self::usage(
                error,
                "`peer delete --here` takes it out of your own history",
            ),
            ChangeError::Deleted => Self::usage(error, "send another one"),
            ChangeError::Reaction => Self::usage(error, "give one emoji"),
            ChangeError::Send(error) => error.into(),
        }
    }
}

impl From<ContactError> for RpcError {
    fn from(error: ContactError) -> Self {
        match error {
            ContactError::UnknownContact => Self::not_found(error, WHO),
            ContactError::OnlyAsks => Self::usage(error, "`peer accept` makes them a contact"),
            ContactError::NotAnswered => Self::usage(
                error,
                "`peer contacts` shows how far it has come; if they have removed you, `--again` asks them once more",
            ),
            ContactError::DraftTooLong { .. } => {
                Self::usage(error, "send a part of it, or keep it elsewhere")
            }
            ContactError::NameTaken | ContactError::Name => {
                Self::usage(error, "choose another name")
            }
            ContactError::NotSaved => Self::failed(error, SAVE),
        }
    }
}

impl From<InviteError> for RpcError {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::NoUses | InviteError::Sign(_) => {
                Self::usage(error, "see `peer invite --help`")
            }
            InviteError::NotSaved => Self::failed(error, SAVE),
        }
    }
}

impl From<AddError> for RpcError {
    fn from(error: AddError) -> Self {
        use tincan_protocol::invite::InviteError as Link;
        match &error {
            AddError::Invite(Link::Expired) => {
                Self::failed(error, "ask them for a new invite link (`peer invite`)")
            }
            AddError::Invite(_) => Self::usage(
                error,
                "copy the whole link again, from \"tincan:\" to its end",
            ),
            AddError::Myself => Self::usage(error, "give the link to somebody else; they add it"),
            AddError::KnownAlready => Self::usage(
                error,
                "`peer contacts` shows how far it has come; if they have removed you, `--again` asks them once more",
            ),
            AddError::Changed => Self::refused(
                error,
                "ask them whether that is so, compare the safety number (`peer verify NAME`) and confirm it, then add them again",
            ),
            AddError::TheyAsked => {
                Self::usage(error, "`peer requests` shows it, `peer accept` accepts")
            }
            AddError::NoAnswer { .. } => Self::timeout(
                error,
                "check your network, and whether that server runs; then try again",
            ),
            AddError::LocalServer { .. } => Self::refused(
                error,
                "ask them for an invite with a server on the Internet; in your own network, use a profile whose servers are there too",
            ),
            AddError::UsedUp => {
                Self::refused(error, "ask them for a new invite link (`peer invite`)")
            }
            AddError::Refused { .. } | AddError::KeyPackage { .. } => Self::refused(
                error,
                "the link may be used up or withdrawn, or its owner was never online; ask for a new one",
            ),
            AddError::Name | AddError::TextTooLong => Self::usage(error, "shorten it"),
            AddError::NotSaved => Self::failed(error, SAVE),
        }
    }
}

impl From<AcceptError> for RpcError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::NoRequest => Self::not_found(error, "`peer requests` lists who has asked"),
            AcceptError::NotSaved => Self::failed(error, SAVE),
        }
    }
}

impl From<ReadError> for RpcError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::UnknownContact => Self::not_found(error, WHO),
            ReadError::UnknownMessage => Self::not_found(error, IDS),
            ReadError::Store(error) => error.into(),
            ReadError::ShutDown => Self::failed(error, "start it again"),
        }
    }
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        let help = match &error {
            StoreError::Locked => "stop the other process, or use its socket",
            StoreError::Damaged { .. } | StoreError::Row { .. } | StoreError::Sealed { .. } => {
                "look after the disk and keep the folder; `peer init --restore` in another one brings the identity back \
                 from its 24 words. An older copy of this folder must not be used any more"
            }
            StoreError::Newer { .. } => {
                "install the version of this program that wrote it, or a later one"
            }
            StoreError::Closed => "try again in a moment; if it stays so, look at the log (-v)",
            StoreError::DiskFull => "free some space; nothing that was confirmed is lost",
            StoreError::Io(_) => "check the folder's permissions and the disk",
        };
        Self::failed(error, help)
    }
}
