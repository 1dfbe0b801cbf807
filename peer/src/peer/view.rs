//! A conversation as its reader sees it: messages with everything that was said about them.

use tincan_core::{SentVia, Snapshot};
use tincan_protocol::MsgId;
use tincan_protocol::content::{Body, MessageRef};

use crate::message::{HistoryItem, Message, MessageState, Quote, SignFrom, TimerChange};
use crate::store::{
    Annotations, ContactRow, MessageName, Store, StoreError, TimelineRow, Who, is_message,
};

/// Characters of the message that an answer shows. Chosen: enough to know which one it was.
const QUOTE_CHARS: usize = 200;

/// Reads one contact's conversation.
pub(crate) struct View<'a> {
    pub(crate) store: &'a Store,
    pub(crate) own_name: &'a str,
    pub(crate) contact: &'a ContactRow,
}

/// Whether a content has a place of its own in what is shown.
pub(crate) fn is_shown(row: &TimelineRow) -> bool {
    is_message(&row.content.body) || matches!(row.content.body, Body::Timer(_))
}

impl View<'_> {
    /// What is shown of these contents, in their order.
    pub(crate) fn items(&self, rows: Vec<TimelineRow>) -> Result<Vec<HistoryItem>, StoreError> {
        let names = rows.iter().map(TimelineRow::name);
        let annotations = self.store.annotations_of(self.contact.no, names)?;
        let theirs = rows.iter().filter(|row| row.who == Who::Them);
        let seqs = theirs.map(|row| row.content.seq);
        let unread = self.store.unread_among(self.contact.no, seqs)?;
        // Read once, and only where it tells something.
        let mut snapshot = None;
        let mut items = Vec::with_capacity(rows.len());
        for (row, annotations) in rows.into_iter().zip(annotations) {
            if let Body::Timer(timer) = row.content.body {
                items.push(HistoryItem::Timer(self.timer(&row, timer.expires_s)));
                continue;
            }
            let state = match row.who {
                Who::Them => MessageState::Received,
                Who::Me => {
                    let known = match snapshot.take() {
                        Some(known) => known,
                        None => self.store.read_snapshot(self.contact.no)?,
                    };
                    let state = self.own_state(&known, row.content.seq)?;
                    snapshot = Some(known);
                    state
                }
            };
            let is_unread = row.who == Who::Them && unread.contains(&row.content.seq);
            let message = self.message(row, annotations, state)?;
            items.extend(message.map(|message| {
                HistoryItem::Message(Message {
                    unread: is_unread,
                    ..message
                })
            }));
        }
        Ok(items)
    }

    /// The same, of messages alone.
    pub(super) fn messages(&self, rows: Vec<TimelineRow>) -> Result<Vec<Message>, StoreError> {
        let items = self.items(rows)?.into_iter();
        let messages = items.filter_map(|item| match item {
            HistoryItem::Message(message) => Some(message),
            HistoryItem::Timer(_) => None,
        });
        Ok(messages.collect())
    }

    pub(super) fn one(&self, name: MessageName) -> Result<Option<Message>, StoreError> {
        let row = self.store.timeline_at(self.contact.no, name)?;
        let mut messages = self.messages(row.into_iter().collect())?;
        Ok(messages.pop())
    }

    /// How far an own message has come.
    pub(super) fn own_state(
        &self,
        snapshot: &Snapshot,
        seq: u64,
    ) -> Result<MessageState, StoreError> {
        if snapshot.delivered_set().contains(seq) {
            return Ok(if snapshot.is_read(seq) {
                MessageState::Read
            } else {
                MessageState::Delivered
            });
        }
        if snapshot.failed_set().contains(seq) {
            return Ok(MessageState::Failed);
        }
        let meta = self.store.outbox_of(self.contact.no, seq)?;
        Ok(match meta.and_then(|meta| meta.stored) {
            Some(SentVia::Peer | SentVia::Relay) => MessageState::Sent,
            None => MessageState::Pending,
        })
    }

    fn message(
        &self,
        row: TimelineRow,
        annotations: Annotations,
        state: MessageState,
    ) -> Result<Option<Message>, StoreError> {
        let Annotations {
            edit,
            is_deleted,
            reactions,
        } = annotations;
        let TimelineRow {
            who,
            content,
            stored_ms,
            ..
        } = row;
        let (text, said) = match content.body {
            Body::Text(text) => (text.text.clone(), text),
            _ => return Ok(None),
        };
        let reply_to = match said.reply_to.filter(|_| !is_deleted) {
            Some(reply_to) => Some(self.quote(&reply_to)?),
            None => None,
        };
        let signs = reactions.into_iter().filter(|one| !one.emoji.is_empty());
        let signs = signs.map(|one| SignFrom {
            from: self.name_of(one.who),
            outgoing: one.who == Who::Me,
            emoji: one.emoji,
        });
        Ok(Some(Message {
            id: content.msg_id,
            conversation: self.contact.conversation,
            identity: self.contact.identity,
            contact: self.contact.name.clone(),
            from: self.name_of(who),
            outgoing: who == Who::Me,
            seq: content.seq,
            edited: edit.is_some(),
            text: match edit {
                _ if is_deleted => String::new(),
                Some(edit) => edit.text,
                None => text,
            },
            deleted: is_deleted,
            forwarded: said.forwarded,
            reply_to,
            reactions: signs.collect(),
            expires_s: said.expires_s,
            unread: false,
            sent_at_ms: content.hlc.unix_ms(),
            received_at_ms: stored_ms,
            state,
        }))
    }

    fn timer(&self, row: &TimelineRow, expires_s: u32) -> TimerChange {
        TimerChange {
            id: row.content.msg_id,
            identity: self.contact.identity,
            contact: self.contact.name.clone(),
            from: self.name_of(row.who),
            outgoing: row.who == Who::Me,
            expires_s,
            sent_at_ms: row.content.hlc.unix_ms(),
        }
    }

    /// The message that an answer is about, if it is here.
    fn quote(&self, of: &MessageRef) -> Result<Quote, StoreError> {
        let missing = |id: MsgId| Quote {
            id,
            from: None,
            outgoing: false,
            text: None,
        };
        // Of two people whoever is not the one is the other, with whichever device.
        let who = if self.contact.is_theirs(&of.author) {
            Who::Them
        } else {
            Who::Me
        };
        let (no, id) = (self.contact.no, of.msg_id);
        let name = MessageName { who, id };
        let Some(row) = self.store.timeline_at(no, name)? else {
            return Ok(missing(id));
        };
        let annotations = self.store.annotations_of(no, std::iter::once(name))?;
        let annotations = annotations.into_iter().next().unwrap_or_default();
        let text = match (row.content.body, annotations.edit) {
            _ if annotations.is_deleted => None,
            (_, Some(edit)) => Some(edit.text),
            (Body::Text(text), None) => Some(text.text),
            _ => None,
        };
        Ok(Quote {
            id,
            from: Some(self.name_of(who)),
            outgoing: who == Who::Me,
            text: text.map(|text| text.chars().take(QUOTE_CHARS).collect()),
        })
    }

    fn name_of(&self, who: Who) -> String {
        match who {
            Who::Me => self.own_name.to_owned(),
            Who::Them => self.contact.name.clone(),
        }
    }
}
