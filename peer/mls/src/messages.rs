//! Application messages: sealing and opening.
//!
//! What opening can say about bytes that do not open, and how sure it is. Group, epoch and content
//! type stand in a header that anybody can write; the sender's place and generation can be written
//! by members alone, and only a message that opens was really said by its sender.
//!
//! | answer | what is known |
//! |---|---|
//! | `UnknownGroup`, `FutureEpoch`, `NotApplication` | the header alone |
//! | `KeyGone` | the header, if the epoch is long gone; otherwise a member made it, and its key was used or left behind |
//! | `TooFarAhead`, `OwnMessage` | a member made it |
//! | `Invalid` | nobody can open it, ever |

use openmls::framing::errors::{MessageDecryptionError, SecretTreeError};
use openmls::group::{ProcessMessageError, ValidationError};
use openmls::prelude::{
    ContentType, MlsMessageBodyIn, PrivateMessageIn, ProcessedMessageContent, ProtocolMessage,
};
use std::fmt;
use tincan_protocol::limits::PAYLOAD_SEALED_MAX;

use crate::LibraryError;
use crate::group_id::GroupId;
use crate::groups::message;
use crate::member::{LeafError, Member};
use crate::mls::Mls;
use crate::storage::Provider;

/// A message that was opened.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The group it was sent in.
    pub group: GroupId,
    /// Who signed it.
    pub sender: Member,
    /// What was sealed.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("group", &self.group)
            .field("sender", &self.sender)
            .field("payload_len", &self.payload.len())
            .finish()
    }
}

/// Why a payload was not sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// This device is in no such group.
    #[error("not in {group:?}")]
    UnknownGroup {
        /// The group.
        group: GroupId,
    },
    /// The envelope would become longer than a link takes.
    #[error("payload has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length given, in bytes.
        len: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// The MLS library failed.
    #[error("sealing failed")]
    Library(#[source] LibraryError),
}

/// Why a message was not opened. None of these changes a row, or what else opens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// This device is in no such group, or not yet: its Welcome may still be on the way.
    #[error("message of a group that this device is not in")]
    UnknownGroup,
    /// Of an epoch that this device has not reached: the commit may still be on the way.
    #[error("message of epoch {epoch}, this device is at {current}")]
    FutureEpoch {
        /// The message's epoch.
        epoch: u64,
        /// The group's epoch here.
        current: u64,
    },
    /// The key is gone: the message was opened before, or came after too many later ones, or is of
    /// an epoch long past.
    #[error("the key of this message is gone")]
    KeyGone,
    /// More messages of this sender are missing before it than may be skipped. It opens as soon as
    /// one between has; if they are lost for good, the conversation needs a new group.
    #[error("too many messages are missing before this one")]
    TooFarAhead,
    /// Sent by this device.
    #[error("message was sent by this device")]
    OwnMessage,
    /// A commit or proposal.
    #[error("not an application message")]
    NotApplication,
    /// No message, or not one that this group's members made.
    #[error("not a valid message")]
    Invalid,
    /// Signed by a member whose certificate does not hold.
    #[error(transparent)]
    Sender(#[from] LeafError),
    /// The MLS library failed. The message is not to blame: load the state again.
    #[error("opening failed")]
    Library(#[source] LibraryError),
}

impl Mls {
    /// Seals a payload for the members of a group: an `MLSMessage`, padded to 256 bytes.
    ///
    /// # Errors
    /// [`SealError`] if this device is in no such group or the payload is longer than
    /// [`PAYLOAD_SEALED_MAX`].
    pub fn seal(&mut self, group: &GroupId, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        if payload.len() > PAYLOAD_SEALED_MAX {
            return Err(SealError::TooLarge {
                len: payload.len(),
                max: PAYLOAD_SEALED_MAX,
            });
        }
        let Some(state) = self.groups.get_mut(group) else {
            return Err(SealError::UnknownGroup {
                group: group.clone(),
            });
        };
        let provider = Provider::new(&self.crypto, &self.rows);
        let message = state
            .mls
            .create_message(&provider, &self.signer, payload)
            .map_err(|error| SealError::Library(error.into()))?;
        let bytes = message
            .to_bytes()
            .map_err(|error| SealError::Library(error.into()))?;
        let changes = provider.into_changes();
        self.rows.apply(changes);
        Ok(bytes)
    }

    /// The group of a message, from its clear header: anybody can write that.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] if it is no message, [`OpenError::UnknownGroup`] if its group's name
    /// does not have the length that ours have.
    pub fn group_of(message: &[u8]) -> Result<GroupId, OpenError> {
        group_id(&private_message(message)?)
    }

    /// Opens a message. Its key is gone afterwards.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed then.
    pub fn open(&mut self, message: &[u8]) -> Result<Opened, OpenError> {
        let message = private_message(message)?;
        let group = group_id(&message)?;
        if message.content_type() != ContentType::Application {
            return Err(OpenError::NotApplication);
        }
        let state = self.groups.get_mut(&group).ok_or(OpenError::UnknownGroup)?;
        let (epoch, current) = (message.epoch().as_u64(), state.mls.epoch().as_u64());
        if epoch > current {
            return Err(OpenError::FutureEpoch { epoch, current });
        }
        let provider = Provider::new(&self.crypto, &self.rows);
        let processed = state
            .mls
            .process_message(&provider, ProtocolMessage::PrivateMessage(message))
            .map_err(refusal)?;
        let sender = state.member(processed.credential())?;
        let payload = match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => message.into_bytes(),
            ProcessedMessageContent::OwnPrivateMessage => return Err(OpenError::OwnMessage),
            _ => return Err(OpenError::NotApplication),
        };
        let changes = provider.into_changes();
        self.rows.apply(changes);
        Ok(Opened {
            group,
            sender,
            payload,
        })
    }
}

fn private_message(bytes: &[u8]) -> Result<PrivateMessageIn, OpenError> {
    match message(bytes) {
        Some(MlsMessageBodyIn::PrivateMessage(message)) => Ok(message),
        Some(MlsMessageBodyIn::PublicMessage(_)) => Err(OpenError::NotApplication),
        _ => Err(OpenError::Invalid),
    }
}

fn group_id(message: &PrivateMessageIn) -> Result<GroupId, OpenError> {
    GroupId::from_bytes(message.group_id().as_slice()).map_err(|_| OpenError::UnknownGroup)
}

fn refusal<E>(error: ProcessMessageError<E>) -> OpenError
where
    ProcessMessageError<E>: Into<LibraryError>,
{
    use MessageDecryptionError::SecretTreeError as Secret;
    match error {
        ProcessMessageError::ValidationError(ValidationError::UnableToDecrypt(Secret(secret))) => {
            match secret {
                SecretTreeError::SecretReuseError | SecretTreeError::TooDistantInThePast => {
                    OpenError::KeyGone
                }
                SecretTreeError::TooDistantInTheFuture => OpenError::TooFarAhead,
                _ => OpenError::Invalid,
            }
        }
        ProcessMessageError::StorageError(_) => OpenError::Library(error.into()),
        // Removed from the group.
        ProcessMessageError::GroupStateError(_) => OpenError::UnknownGroup,
        _ => OpenError::Invalid,
    }
}
