//! Turns journal entries into events, at the reader's pace.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::{Peer, history};
use crate::error::ReadError;
use crate::event::{Event, LoggedEvent};
use crate::message::MessageState;
use crate::store::{ContactRow, ContactState, ConversationNo, JournalEvent, Store};

/// Journal rows read at once: one row is one commit of the driver.
const ROWS: usize = 16;

type Item = Result<LoggedEvent, ReadError>;

pub(super) async fn run(peer: Peer, mut after: u64, events: mpsc::Sender<Item>) {
    let mut journal = peer.inner.driver.journal.clone();
    let mut ended = peer.inner.driver.ended.clone();
    let store = peer.inner.store.clone();
    let own_name = peer.inner.identity.name.clone();
    // The reader must not keep the profile open.
    drop(peer);
    let mut contacts = Contacts { store: store.clone(), rows: BTreeMap::new(), own_name };
    loop {
        journal.borrow_and_update();
        // Reads are short (a few pages, mostly cached), and the transaction is its own.
        let entries = match store.journal(after, ROWS) {
            Ok(entries) => entries,
            Err(error) => {
                let _ = events.send(Err(error.into())).await;
                return;
            }
        };
        let caught_up = entries.is_empty();
        for (cursor, entry) in entries {
            let last = cursor + entry.len() - 1;
            let expanded = contacts.expand(cursor, after, entry);
            for item in expanded.unwrap_or_else(|error| vec![Err(error)]) {
                if events.send(item).await.is_err() {
                    return;
                }
            }
            after = after.max(last);
        }
        if caught_up {
            tokio::select! {
                changed = journal.changed() => if changed.is_err() { return },
                _ = ended.wait_for(|ended| *ended) => return,
                () = events.closed() => return,
            }
        }
    }
}

/// Contacts as they were when last needed.
struct Contacts {
    store: Store,
    rows: BTreeMap<ConversationNo, ContactRow>,
    own_name: String,
}

impl Contacts {
    fn row(&mut self, no: ConversationNo, fresh: bool) -> Result<Option<ContactRow>, ReadError> {
        if fresh || !self.rows.contains_key(&no) {
            let rows = self.store.read_contacts()?;
            self.rows = rows.into_iter().map(|row| (row.no, row)).collect();
        }
        Ok(self.rows.get(&no).cloned())
    }

    /// The events of an entry that come after `after`. What belongs to a contact who is gone is
    /// left out.
    fn expand(&mut self, cursor: u64, after: u64, entry: JournalEvent) -> Result<Vec<Item>, ReadError> {
        let one = |event| Ok(vec![Ok(LoggedEvent { cursor, event })]);
        match entry {
            JournalEvent::Received { no, messages } => self.received(cursor, after, no, &messages),
            JournalEvent::State { no, first, last, state, reason } => {
                let Some(row) = self.row(no, false)? else { return Ok(Vec::new()) };
                let ids = self.store.sent_ids(no, first, last)?;
                let ids = ids.into_iter().map(|(_, id, _)| id).collect();
                let state = state_from_name(&state);
                one(Event::State { conversation: row.conversation, ids, state, reason })
            }
            JournalEvent::Gap { no, first, last } => {
                let Some(row) = self.row(no, false)? else { return Ok(Vec::new()) };
                one(Event::Gap { conversation: row.conversation, first, last })
            }
            JournalEvent::Request { no } => match self.row(no, true)? {
                Some(ContactRow { identity, name, state: ContactState::Asked { text, .. }, .. }) => {
                    one(Event::Request { identity, name, text })
                }
                _ => Ok(Vec::new()),
            },
            JournalEvent::Accepted { no } => {
                let Some(row) = self.row(no, true)? else { return Ok(Vec::new()) };
                one(Event::Accepted { identity: row.identity, name: row.name })
            }
            JournalEvent::Link { no, up, relayed, reason } => {
                let Some(row) = self.row(no, false)? else { return Ok(Vec::new()) };
                one(Event::Link { identity: row.identity, up, relayed, reason })
            }
            JournalEvent::Presence { identity, online } => one(Event::Presence { identity, online }),
        }
    }

    fn received(
        &mut self,
        cursor: u64,
        after: u64,
        no: ConversationNo,
        messages: &[(u64, u64)],
    ) -> Result<Vec<Item>, ReadError> {
        let Some(row) = self.row(no, false)? else { return Ok(Vec::new()) };
        let skip = usize::try_from((after + 1).saturating_sub(cursor)).unwrap_or(usize::MAX);
        let wanted = messages.get(skip.min(messages.len())..).unwrap_or_default();
        let mut events = Vec::with_capacity(wanted.len());
        let first = cursor + skip as u64;
        for (cursor, content) in (first..).zip(self.store.received_at(no, wanted)?) {
            let message = history::message(&row, &self.own_name, content, MessageState::Received);
            events.extend(message.map(|message| {
                Ok(LoggedEvent { cursor, event: Event::Message(message) })
            }));
        }
        Ok(events)
    }
}

fn state_from_name(name: &str) -> MessageState {
    let states = [
        MessageState::Sent,
        MessageState::Failed,
        MessageState::Delivered,
        MessageState::Read,
    ];
    states.into_iter().find(|state| state.name() == name).unwrap_or(MessageState::Pending)
}
