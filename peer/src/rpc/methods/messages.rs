//! What is said in a conversation.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::MsgId;
use crate::peer::Peer;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::{Done, MessageObject, SentObject, StateObject};

/// Messages of one `history`, unless another number is wanted.
const HISTORY_LIMIT: usize = 50;

/// Sends texts to a contact, each a message. Answers when they are durable here: from then on they will
/// arrive.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    /// Name or address of a contact.
    to: String,
    /// At most 16 KiB each.
    texts: Vec<String>,
    /// One UUIDv7 for each text, of the caller's making: with `state` it can ask whether they were sent, if
    /// it does not hear of the result.
    ids: Option<Vec<MsgId>>,
}

impl Method for Send {
    const NAME: &'static str = "send";
    type Answer = SentObject;

    async fn call(self, peer: &Peer) -> Result<SentObject, RpcError> {
        let to = peer.find(&self.to)?;
        let ids = match self.ids {
            None => peer.send_all(&to, self.texts).await?,
            Some(ids) => {
                let fit =
                    ids.len() == self.texts.len() && ids.iter().all(|id| id.get_version_num() == 7);
                if !fit {
                    return Err(RpcError::usage(
                        "wrong parameters: ids",
                        "give one UUIDv7 for each text, or no ids at all",
                    ));
                }
                let messages = ids.into_iter().zip(self.texts).collect();
                peer.send_with_ids(&to, messages).await?
            }
        };
        Ok(SentObject { ids })
    }
}

/// How far a message has come.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Name or address of the contact.
    to: String,
    /// The message.
    id: MsgId,
}

impl Method for State {
    const NAME: &'static str = "state";
    type Answer = StateObject;

    async fn call(self, peer: &Peer) -> Result<StateObject, RpcError> {
        let to = peer.find(&self.to)?;
        let state = peer.state(&to, self.id).await?;
        Ok(StateObject {
            kind: Default::default(),
            id: self.id,
            state,
        })
    }
}

/// The newest messages of a conversation, oldest first.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// Name or address of the contact.
    to: String,
    /// At most so many; 50, if this is not given.
    limit: Option<usize>,
    /// Only messages before this one.
    before: Option<MsgId>,
}

impl Method for History {
    const NAME: &'static str = "history";
    type Answer = Vec<MessageObject>;

    async fn call(self, peer: &Peer) -> Result<Self::Answer, RpcError> {
        let to = peer.find(&self.to)?;
        let limit = self.limit.unwrap_or(HISTORY_LIMIT);
        let messages = peer.history(&to, limit, self.before).await?;
        Ok(messages.iter().map(MessageObject::of).collect())
    }
}

/// Notes that a contact's messages have been shown to the person; the contact is told.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    /// Name or address of the contact.
    from: String,
    /// The last message that was shown, by its place in the contact's sequence.
    seq: u64,
}

impl Method for Read {
    const NAME: &'static str = "read";
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        let from = peer.find(&self.from)?;
        peer.mark_read(&from, self.seq).await?;
        Ok(Done {})
    }
}
