//! Reading conversations.

use tincan_core::{SentVia, Snapshot};
use tincan_protocol::content::Body;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::{IdentityId, MsgId};

use super::Peer;
use crate::error::ReadError;
use crate::message::{Message, MessageState};
use crate::store::{ContactRow, StoreError, TimelineRow, Who};

impl Peer {
    /// The newest messages of a conversation, oldest first: at most `limit`, and only those before
    /// the message `before`, if given.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn history(
        &self,
        contact: &IdentityId,
        limit: usize,
        before: Option<MsgId>,
    ) -> Result<Vec<Message>, ReadError> {
        let (peer, row) = (self.clone(), self.row(contact)?);
        tokio::task::spawn_blocking(move || peer.read_history(&row, limit, before))
            .await
            .map_err(|_| ReadError::ShutDown)?
    }

    /// How far an own message has come.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn state(&self, contact: &IdentityId, id: MsgId) -> Result<MessageState, ReadError> {
        let (peer, row) = (self.clone(), self.row(contact)?);
        tokio::task::spawn_blocking(move || {
            let (_, who, seq) = peer.place_of(&row, id)?.ok_or(ReadError::UnknownMessage)?;
            let snapshot = peer.inner.store.read_snapshot(row.no)?;
            Ok(peer.state_at(&row, &snapshot, who, seq)?)
        })
        .await
        .map_err(|_| ReadError::ShutDown)?
    }

    fn read_history(
        &self,
        row: &ContactRow,
        limit: usize,
        before: Option<MsgId>,
    ) -> Result<Vec<Message>, ReadError> {
        let before = match before {
            Some(id) => Some(self.place_of(row, id)?.ok_or(ReadError::UnknownMessage)?),
            None => None,
        };
        let mut contents = Vec::new();
        if limit > 0 {
            self.inner.store.timeline_back(row.no, before, |content| {
                if is_message(&content) {
                    contents.push(content);
                }
                contents.len() < limit
            })?;
        }
        let snapshot = self.inner.store.read_snapshot(row.no)?;
        let mut messages = Vec::with_capacity(contents.len());
        for content in contents.into_iter().rev() {
            let state = self.state_at(row, &snapshot, content.who, content.content.seq)?;
            messages.extend(message(row, &self.inner.identity.name, content, state));
        }
        Ok(messages)
    }

    /// Where a message stands. Ids begin with the millisecond in which they were made, which is
    /// where its place is, unless the sender's clock was wrong: then the whole conversation is
    /// looked through.
    fn place_of(&self, row: &ContactRow, id: MsgId) -> Result<Option<(Hlc, Who, u64)>, StoreError> {
        let mut found = None;
        let made_ms = id.get_timestamp().map(|stamp| {
            let (seconds, nanos) = stamp.to_unix();
            seconds
                .saturating_mul(1000)
                .saturating_add(u64::from(nanos / 1_000_000))
        });
        let near = made_ms.map(|ms| (ms.saturating_sub(NEAR_MS), ms.saturating_add(NEAR_MS)));
        if let Some((from, to)) = near {
            let start = Some((Hlc::at_ms(to), Who::Me, 0));
            self.inner.store.timeline_back(row.no, start, |content| {
                if content.content.msg_id == id {
                    found = Some((content.place, content.who, content.content.seq));
                }
                found.is_none() && content.place >= Hlc::at_ms(from)
            })?;
        }
        if found.is_none() {
            self.inner.store.timeline_back(row.no, None, |content| {
                if content.content.msg_id == id {
                    found = Some((content.place, content.who, content.content.seq));
                }
                found.is_none()
            })?;
        }
        Ok(found)
    }

    fn state_at(
        &self,
        row: &ContactRow,
        snapshot: &Snapshot,
        who: Who,
        seq: u64,
    ) -> Result<MessageState, StoreError> {
        if who == Who::Them {
            return Ok(MessageState::Received);
        }
        if snapshot.delivered_set().contains(seq) {
            let read = seq <= snapshot.read_by_peer;
            return Ok(if read {
                MessageState::Read
            } else {
                MessageState::Delivered
            });
        }
        if snapshot.failed_set().contains(seq) {
            return Ok(MessageState::Failed);
        }
        let meta = self.inner.store.outbox_of(row.no, seq)?;
        Ok(match meta.and_then(|meta| meta.stored) {
            Some(SentVia::Peer | SentVia::Relay) => MessageState::Sent,
            None => MessageState::Pending,
        })
    }
}

/// How far around an id's own millisecond its message is looked for first.
const NEAR_MS: u64 = 1_000;

pub(super) fn is_message(row: &TimelineRow) -> bool {
    text(row).is_some()
}

/// The text that a content shows; `None` for what is not shown.
fn text(row: &TimelineRow) -> Option<&str> {
    match &row.content.body {
        Body::Text(text) => Some(&text.text),
        Body::ContactRequest(request) if !request.text.is_empty() => Some(&request.text),
        _ => None,
    }
}

/// A timeline row as a message, if it is one.
pub(super) fn message(
    contact: &ContactRow,
    own_name: &str,
    row: TimelineRow,
    state: MessageState,
) -> Option<Message> {
    let text = text(&row)?.to_owned();
    let outgoing = row.who == Who::Me;
    Some(Message {
        id: row.content.msg_id,
        conversation: contact.conversation,
        identity: contact.identity,
        contact: contact.name.clone(),
        from: if outgoing {
            own_name.to_owned()
        } else {
            contact.name.clone()
        },
        outgoing,
        seq: row.content.seq,
        text,
        sent_at_ms: row.content.hlc.unix_ms(),
        received_at_ms: row.stored_ms,
        state,
    })
}
