//! What is said in a conversation.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::MsgId;
use crate::peer::Peer;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::{Done, HistoryObject, SentObject, StateObject};
use crate::{Change, Draft, HistoryPart, Shown};

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
    /// One UUIDv7 for each text, of the caller's making: whoever does not hear of the result calls again with
    /// the same ones, and what was sent is not sent twice.
    ids: Option<Vec<MsgId>>,
    /// The message of this conversation that they answer.
    reply_to: Option<MsgId>,
}

impl Method for Send {
    const NAME: &'static str = "send";
    type Answer = SentObject;

    async fn call(self, peer: &Peer) -> Result<SentObject, RpcError> {
        let to = peer.find(&self.to)?;
        let ids = self
            .ids
            .unwrap_or_else(|| self.texts.iter().map(|_| MsgId::now_v7()).collect());
        if ids.len() != self.texts.len() || ids.iter().any(|id| id.get_version_num() != 7) {
            return Err(RpcError::usage(
                "wrong parameters: ids",
                "give one UUIDv7 for each text, or no ids at all",
            ));
        }
        let drafts = ids.into_iter().zip(self.texts).map(|(id, text)| Draft {
            id,
            reply_to: self.reply_to,
            ..Draft::new(text)
        });
        let ids = peer.send_drafts(&to, drafts.collect()).await?;
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

/// A part of a conversation, oldest first: messages, and notices that have a place among them. Its newest part,
/// unless something else is said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct History {
    /// Name or address of the contact.
    to: String,
    /// At most so many; 50, if this is not given.
    limit: Option<usize>,
    /// Only what stands before this message.
    before: Option<MsgId>,
    /// Only what stands after this message, the oldest of it.
    after: Option<MsgId>,
    /// This message, and as much before as after it.
    around: Option<MsgId>,
    /// Its oldest part.
    #[serde(default)]
    oldest: bool,
}

impl Method for History {
    const NAME: &'static str = "history";
    type Answer = Vec<HistoryObject>;

    async fn call(self, peer: &Peer) -> Result<Self::Answer, RpcError> {
        let to = peer.find(&self.to)?;
        let limit = self.limit.unwrap_or(HISTORY_LIMIT);
        let items = peer.history(&to, limit, self.part()?).await?;
        Ok(items.iter().map(HistoryObject::of).collect())
    }
}

impl History {
    fn part(&self) -> Result<HistoryPart, RpcError> {
        Ok(match (self.before, self.after, self.around, self.oldest) {
            (None, None, None, false) => HistoryPart::Newest,
            (None, None, None, true) => HistoryPart::Oldest,
            (Some(id), None, None, false) => HistoryPart::Before(id),
            (None, Some(id), None, false) => HistoryPart::After(id),
            (None, None, Some(id), false) => HistoryPart::Around(id),
            _ => {
                return Err(RpcError::usage(
                    "wrong parameters: before, after, around and oldest exclude each other",
                    "give one of them, or none for the newest part",
                ));
            }
        })
    }
}

/// Gives a message of one's own another text.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// Name or address of the contact.
    to: String,
    /// The message.
    id: MsgId,
    /// What it says from now on, at most 16 KiB.
    text: String,
}

impl Method for Edit {
    const NAME: &'static str = "edit";
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        change(peer, &self.to, self.id, Change::Edit(self.text)).await
    }
}

/// Takes a message back on both sides; only one's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    /// Name or address of the contact.
    to: String,
    /// The message.
    id: MsgId,
    /// Takes it out here alone, whoever has written it.
    #[serde(default)]
    here: bool,
}

impl Method for Delete {
    const NAME: &'static str = "delete";
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        let what = if self.here {
            Change::Forget
        } else {
            Change::Delete
        };
        change(peer, &self.to, self.id, what).await
    }
}

/// Says something about a message in one sign, which replaces an earlier one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct React {
    /// Name or address of the contact.
    to: String,
    /// The message.
    id: MsgId,
    /// An emoji; empty takes the last one back.
    emoji: String,
}

impl Method for React {
    const NAME: &'static str = "react";
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        change(peer, &self.to, self.id, Change::React(self.emoji)).await
    }
}

/// Passes a message on to another contact.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forward {
    /// Name or address of the contact in whose conversation it is.
    from: String,
    /// The message.
    id: MsgId,
    /// Name or address of the contact who is to get it.
    to: String,
    /// A UUIDv7 of the caller's making for what is sent: whoever does not hear of the result calls again with the
    /// same one, and nothing is sent twice.
    copy: Option<MsgId>,
}

impl Method for Forward {
    const NAME: &'static str = "forward";
    type Answer = SentObject;

    async fn call(self, peer: &Peer) -> Result<SentObject, RpcError> {
        let (from, to) = (peer.find(&self.from)?, peer.find(&self.to)?);
        let copy = self.copy.unwrap_or_else(MsgId::now_v7);
        if copy.get_version_num() != 7 {
            return Err(RpcError::usage("wrong parameters: copy", "give a UUIDv7"));
        }
        peer.forward(&from, self.id, &to, copy).await?;
        Ok(SentObject { ids: vec![copy] })
    }
}

async fn change(peer: &Peer, to: &str, id: MsgId, change: Change) -> Result<Done, RpcError> {
    let to = peer.find(to)?;
    peer.change(&to, id, change).await?;
    Ok(Done::default())
}

/// Notes that a contact's messages have been shown to the person; the contact is told up to where all were.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Read {
    /// Name or address of the contact.
    from: String,
    /// All up to this one were shown, by its place in the contact's sequence.
    seq: Option<u64>,
    /// Instead: those that were shown, and no other ones.
    ids: Option<Vec<MsgId>>,
}

impl Method for Read {
    const NAME: &'static str = "read";
    type Answer = Done;

    async fn call(self, peer: &Peer) -> Result<Done, RpcError> {
        let from = peer.find(&self.from)?;
        let shown = match (self.seq, self.ids) {
            (Some(seq), None) => Shown::UpTo(seq),
            (None, Some(ids)) => Shown::These(ids),
            _ => {
                return Err(RpcError::usage(
                    "wrong parameters: seq and ids",
                    "give one of them",
                ));
            }
        };
        peer.mark_read(&from, shown).await?;
        Ok(Done::default())
    }
}
