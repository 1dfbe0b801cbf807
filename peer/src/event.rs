//! Events and the stream of them.

use std::pin::Pin;
use std::task::{Context, Poll};

use tincan_protocol::{ConversationId, IdentityId, MsgId};
use tokio::sync::mpsc;
use tokio_stream::Stream;

use crate::error::ReadError;
use crate::message::{Contact, Message, MessageState, TimerChange};
use crate::store::ChangeName;

/// Something that happened. Everything in an event is durable.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message took its place in its conversation.
    Message(Message),
    /// Own messages have come further, or wait.
    State {
        /// The conversation.
        conversation: ConversationId,
        /// With whom.
        identity: IdentityId,
        /// What we call them.
        name: String,
        /// Which messages.
        ids: Vec<MsgId>,
        /// How far.
        state: MessageState,
        /// Why they wait.
        reason: Option<String>,
    },
    /// Messages of a contact are missing; what comes after them is shown already. They are asked
    /// for and take their place when they come.
    Gap {
        /// The conversation.
        conversation: ConversationId,
        /// With whom.
        identity: IdentityId,
        /// What we call them.
        name: String,
        /// First missing place in the contact's sequence.
        first: u64,
        /// Last missing place.
        last: u64,
    },
    /// Somebody asks to become a contact.
    Request {
        /// Who.
        identity: IdentityId,
        /// What they call themselves.
        name: String,
        /// What they say.
        text: String,
    },
    /// Somebody became a contact.
    Accepted {
        /// Who.
        identity: IdentityId,
        /// What we call them.
        name: String,
    },
    /// A direct link opened or closed.
    Link {
        /// To whom.
        identity: IdentityId,
        /// Whether it is open.
        up: bool,
        /// Whether it goes through TURN.
        relayed: bool,
        /// Why it closed.
        reason: Option<String>,
    },
    /// Something was done with a message: it is as it is now.
    Changed {
        /// The conversation.
        conversation: ConversationId,
        /// With whom.
        identity: IdentityId,
        /// What we call them.
        name: String,
        /// The message.
        id: MsgId,
        /// What was done.
        change: ChangeName,
        /// The message; `None` if it is not here any more.
        message: Option<Box<Message>>,
    },
    /// Somebody has said how long messages stay.
    Timer(TimerChange),
    /// Messages of a contact were shown here.
    Read {
        /// The contact.
        identity: IdentityId,
        /// What we call them.
        name: String,
        /// Up to this one, by its place in their sequence.
        up_to_seq: u64,
    },
    /// What is kept of a contact has changed: it is as it is now.
    Contact(Contact),
    /// Somebody is no contact any more.
    Removed {
        /// Who.
        identity: IdentityId,
        /// What we called them.
        name: String,
    },
    /// So many events are gone, because nobody has read them for too long: only the newest 500,000 are kept. The
    /// messages among them are in the history.
    Missed {
        /// How many.
        count: u64,
    },
    /// A contact came or went.
    Presence {
        /// Who.
        identity: IdentityId,
        /// Whether they are there.
        online: bool,
    },
}

/// An event with its place in the journal.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// For [`crate::Peer::confirm`], once the event has been dealt with.
    pub cursor: u64,
    /// What happened.
    pub event: Event,
}

/// Events in the order in which they became true. A slow reader is not waited for and loses
/// nothing: what it has not read stays in the journal.
#[derive(Debug)]
pub struct Events {
    pub(crate) receiver: mpsc::Receiver<Result<LoggedEvent, ReadError>>,
}

impl Events {
    /// Ends with an error.
    pub(crate) fn failed(error: ReadError) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        // There is room for one.
        let _ = sender.try_send(Err(error));
        Self { receiver }
    }
}

impl Stream for Events {
    type Item = Result<LoggedEvent, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}
