//! What callers of [`crate::Peer`] want.

use tincan_protocol::content::Body;
use tincan_protocol::invite::Invite;
use tincan_protocol::{IdentityId, MsgId};
use tokio::sync::oneshot;

use super::turn::After;
use super::{Driver, DriverError};
use crate::error::{AcceptError, AddError, ChangeError, ContactError, InviteError, SendError};
use crate::message::{Change, ContactChange, Draft, Shown};
use crate::status::StatusReport;
use crate::store::{ConversationNo, MessagePlace};

/// The way an answer takes.
#[derive(Debug)]
pub struct Reply<T>(Option<oneshot::Sender<T>>);

impl<T> Reply<T> {
    /// With its receiving end.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }

    /// For what nobody asked.
    #[must_use]
    pub const fn nobody() -> Self {
        Self(None)
    }

    pub(super) fn send(self, value: T) {
        if let Some(sender) = self.0 {
            // Nobody may be left to hear it.
            let _ = sender.send(value);
        }
    }
}

/// A wish to become somebody's contact.
#[derive(Debug)]
pub struct AddRequest {
    /// Theirs.
    pub invite: Invite,
    /// What they shall be called here.
    pub name: Option<String>,
    /// For them to read.
    pub text: String,
    /// Also if they are a contact: they have removed us.
    pub is_again: bool,
}

/// One wish. Answers come after the commit.
#[derive(Debug)]
pub enum Command {
    /// Texts to a contact.
    Send {
        /// The conversation.
        to: ConversationNo,
        /// What they are to say.
        messages: Vec<Draft>,
        /// The ids, when all are durable.
        reply: Reply<Result<Vec<MsgId>, SendError>>,
    },
    /// An invite is wanted.
    Invite {
        /// Who may use it.
        max_uses: u32,
        /// How long, milliseconds.
        lifetime_ms: u64,
        /// The invite, when it works.
        reply: Reply<Result<Invite, InviteError>>,
    },
    /// Somebody is to be asked.
    Add {
        /// How.
        request: Box<AddRequest>,
        /// Who it is, when the request is on its way.
        reply: Reply<Result<IdentityId, AddError>>,
    },
    /// Yes to somebody who asks.
    Accept {
        /// Who.
        who: IdentityId,
        /// When it is durable.
        reply: Reply<Result<(), AcceptError>>,
    },
    /// No to somebody who asks.
    Reject {
        /// Who.
        who: IdentityId,
        /// When it is durable.
        reply: Reply<Result<(), AcceptError>>,
    },
    /// Something is to be done with a message.
    Change {
        /// The conversation.
        no: ConversationNo,
        /// The message.
        id: MsgId,
        /// What.
        change: Change,
        /// When it is durable.
        reply: Reply<Result<(), ChangeError>>,
    },
    /// Something is to be done about a contact.
    ChangeContact {
        /// The conversation with them.
        no: ConversationNo,
        /// What.
        change: ContactChange,
        /// When it is durable.
        reply: Reply<Result<(), ContactError>>,
    },
    /// Messages have been shown.
    Read {
        /// The conversation.
        no: ConversationNo,
        /// Which.
        shown: Shown,
        /// When it is durable.
        reply: Reply<()>,
    },
    /// A reader has got so far in the journal.
    SetCursor {
        /// The reader.
        name: String,
        /// The last event it has dealt with.
        cursor: u64,
        /// When it is durable.
        reply: Reply<()>,
    },
    /// How things are.
    Status {
        /// The report.
        reply: Reply<StatusReport>,
    },
    /// The end.
    Shutdown {
        /// When the database is closed.
        reply: Reply<()>,
    },
}

impl Driver {
    pub(super) fn handle_command(&mut self, command: Command) -> Result<(), DriverError> {
        match command {
            Command::Send {
                to,
                messages,
                reply,
            } => {
                let result = self.send(to, messages)?;
                self.answer(reply, result);
                Ok(())
            }
            Command::Invite {
                max_uses,
                lifetime_ms,
                reply,
            } => {
                match self.make_invite(max_uses, lifetime_ms)? {
                    Ok(invite) => self.answer_when_it_works(invite, reply),
                    Err(error) => self.answer(reply, Err(error)),
                }
                Ok(())
            }
            Command::Add { request, reply } => {
                self.begin_add(*request, reply);
                Ok(())
            }
            Command::Accept { who, reply } => {
                let result = self.decide(&who, true)?;
                self.answer(reply, result);
                Ok(())
            }
            Command::Reject { who, reply } => {
                let result = self.decide(&who, false)?;
                self.answer(reply, result);
                Ok(())
            }
            Command::Change {
                no,
                id,
                change,
                reply,
            } => {
                let result = self.change(no, id, change)?;
                self.answer(reply, result);
                Ok(())
            }
            Command::ChangeContact { no, change, reply } => {
                let result = self.change_contact(no, change)?;
                self.answer(reply, result);
                Ok(())
            }
            Command::Read { no, shown, reply } => {
                self.read(no, &shown)?;
                self.answer(reply, ());
                Ok(())
            }
            Command::SetCursor {
                name,
                cursor,
                reply,
            } => {
                self.turn.batch()?.put_cursor(&name, cursor)?;
                self.answer(reply, ());
                Ok(())
            }
            Command::Status { reply } => {
                reply.send(self.status());
                Ok(())
            }
            Command::Shutdown { reply } => {
                self.begin_end(reply);
                Ok(())
            }
        }
    }

    /// Gives a content its number and its place, and seals what waits where there is no more room for it.
    pub(super) fn number(
        &mut self,
        no: ConversationNo,
        id: MsgId,
        body: Body,
    ) -> Result<Option<MessagePlace>, DriverError> {
        let now = self.around.now();
        for attempt in 0..2 {
            let Some(conversation) = self.conversations.get_mut(&no) else {
                return Ok(None);
            };
            conversation.unsealed = true;
            match conversation.session.send(id, body.clone(), now) {
                Ok(seq) => {
                    let place = conversation.session.last_stamp();
                    let at = MessagePlace { place, seq };
                    self.note_own(no, id, &body, at)?;
                    return Ok(Some(at));
                }
                Err(tincan_core::SendError::Busy) if attempt == 0 => {
                    self.with_session(no, None, tincan_core::Session::flush)?;
                }
                // Limits are checked before, so this is a defect; the caller's texts before this
                // one are numbered, and dropping the turn is the only way to take them back.
                Err(error) => return Err(DriverError::Mls(format!("content not sent: {error}"))),
            }
        }
        Ok(None)
    }

    /// Answers after the commit.
    pub(super) fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, value: T) {
        self.after(After::Reply(Box::new(move || reply.send(value))));
    }
}
