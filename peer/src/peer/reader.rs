//! Turns journal entries into events, at the reader's pace.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};

use super::view::{View, is_shown};
use super::{Identity, Peer};
use crate::error::ReadError;
use crate::event::{Event, LoggedEvent};
use crate::message::{HistoryItem, MessageState};
use crate::store::{ContactRow, ContactState, ConversationNo, JournalEvent, Store};

/// Journal rows read at once: one row is one commit of the driver.
const ROWS: usize = 16;

type Item = Result<LoggedEvent, ReadError>;

/// Passes events on until nobody wants them any more.
pub(super) async fn run(peer: Peer, after: u64, events: mpsc::Sender<Item>) {
    let mut reader = Reader::new(&peer, after);
    // The reader must not keep the profile open.
    drop(peer);
    loop {
        let read = tokio::select! {
            read = reader.next(ROWS) => read,
            () = events.closed() => return,
        };
        let items = match read {
            Ok(Some(items)) => items,
            Ok(None) => return,
            Err(error) => vec![Err(error)],
        };
        let failed = items.iter().any(Result::is_err);
        for item in items {
            if events.send(item).await.is_err() {
                return;
            }
        }
        if failed {
            return;
        }
    }
}

/// A place in the journal that moves on.
pub(crate) struct Reader {
    store: Store,
    journal: watch::Receiver<u64>,
    ended: watch::Receiver<bool>,
    contacts: Contacts,
    after: u64,
}

impl Reader {
    pub(crate) fn new(peer: &Peer, after: u64) -> Self {
        let store = peer.inner.store.clone();
        Self {
            contacts: Contacts {
                store: store.clone(),
                rows: BTreeMap::new(),
                own: peer.inner.identity.clone(),
            },
            journal: peer.inner.driver.journal.clone(),
            ended: peer.inner.driver.ended.clone(),
            store,
            after,
        }
    }

    /// The cursor of the last event that was looked at.
    pub(crate) const fn cursor(&self) -> u64 {
        self.after
    }

    /// Waits for the next events, and takes those of up to `max_rows` commits. `None`: the peer has
    /// been shut down.
    pub(crate) async fn next(&mut self, max_rows: usize) -> Result<Option<Vec<Item>>, ReadError> {
        loop {
            self.journal.borrow_and_update();
            // A read is short (a few pages, mostly cached), and its transaction is its own.
            let entries = self.store.journal(self.after, max_rows)?;
            let mut items = Vec::new();
            for (cursor, entry) in entries {
                let last = cursor + entry.len() - 1;
                items.extend(missed(self.after, cursor).map(Ok));
                items.extend(self.contacts.expand(cursor, self.after, entry)?);
                self.after = self.after.max(last);
            }
            if !items.is_empty() {
                return Ok(Some(items));
            }
            tokio::select! {
                changed = self.journal.changed() => if changed.is_err() { return Ok(None) },
                _ = self.ended.wait_for(|ended| *ended) => return Ok(None),
            }
        }
    }
}

/// Contacts as they were when last needed.
struct Contacts {
    store: Store,
    rows: BTreeMap<ConversationNo, ContactRow>,
    own: Identity,
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
    fn expand(
        &mut self,
        cursor: u64,
        after: u64,
        entry: JournalEvent,
    ) -> Result<Vec<Item>, ReadError> {
        let one = |event| Ok(vec![Ok(LoggedEvent { cursor, event })]);
        match entry {
            JournalEvent::Received { no, messages } => self.received(cursor, after, no, &messages),
            JournalEvent::State {
                no,
                first,
                last,
                state,
                reason,
            } => {
                let Some(row) = self.row(no, false)? else {
                    return Ok(Vec::new());
                };
                let ids = self.store.sent_ids(no, first, last)?;
                let ids = ids.into_iter().map(|(_, id, _)| id).collect();
                let state = state_from_name(&state);
                one(Event::State {
                    conversation: row.conversation,
                    identity: row.identity,
                    name: row.name,
                    ids,
                    state,
                    reason,
                })
            }
            JournalEvent::Gap { no, first, last } => {
                let Some(row) = self.row(no, false)? else {
                    return Ok(Vec::new());
                };
                one(Event::Gap {
                    conversation: row.conversation,
                    identity: row.identity,
                    name: row.name,
                    first,
                    last,
                })
            }
            JournalEvent::Request { no } => match self.row(no, true)? {
                Some(ContactRow {
                    identity,
                    name,
                    state: ContactState::Asked { text, .. },
                    ..
                }) => one(Event::Request {
                    identity,
                    name,
                    text,
                }),
                _ => Ok(Vec::new()),
            },
            JournalEvent::Accepted { no } => {
                let Some(row) = self.row(no, true)? else {
                    return Ok(Vec::new());
                };
                one(Event::Accepted {
                    identity: row.identity,
                    name: row.name,
                })
            }
            JournalEvent::Link {
                no,
                up,
                relayed,
                reason,
            } => {
                let Some(row) = self.row(no, false)? else {
                    return Ok(Vec::new());
                };
                one(Event::Link {
                    identity: row.identity,
                    up,
                    relayed,
                    reason,
                })
            }
            JournalEvent::Changed {
                no,
                message,
                change,
            } => {
                let Some(row) = self.row(no, false)? else {
                    return Ok(Vec::new());
                };
                one(Event::Changed {
                    conversation: row.conversation,
                    identity: row.identity,
                    name: row.name.clone(),
                    id: message.id,
                    change,
                    message: self.view(&row).one(message)?.map(Box::new),
                })
            }
            JournalEvent::Read { no, up_to } => {
                let Some(row) = self.row(no, false)? else {
                    return Ok(Vec::new());
                };
                one(Event::Read {
                    identity: row.identity,
                    name: row.name,
                    up_to_seq: up_to,
                })
            }
            JournalEvent::Contact { no } => {
                let Some(row) = self.row(no, true)? else {
                    return Ok(Vec::new());
                };
                match super::contact(&self.store, &row)? {
                    Some(contact) => one(Event::Contact(contact)),
                    None => Ok(Vec::new()),
                }
            }
            JournalEvent::Removed { identity, name } => one(Event::Removed { identity, name }),
            JournalEvent::Presence { identity, online } => {
                one(Event::Presence { identity, online })
            }
        }
    }

    fn received(
        &mut self,
        cursor: u64,
        after: u64,
        no: ConversationNo,
        messages: &[(u64, u64)],
    ) -> Result<Vec<Item>, ReadError> {
        let Some(row) = self.row(no, false)? else {
            return Ok(Vec::new());
        };
        let skip =
            usize::try_from(after.saturating_add(1).saturating_sub(cursor)).unwrap_or(usize::MAX);
        let wanted = messages.get(skip.min(messages.len())..).unwrap_or_default();
        let mut events = Vec::with_capacity(wanted.len());
        let first = cursor + skip as u64;
        // What disappeared meanwhile is not here any more.
        let (cursors, rows): (Vec<u64>, Vec<_>) = (first..)
            .zip(self.store.received_at(no, wanted)?)
            .filter_map(|(cursor, row)| Some((cursor, row?)))
            .filter(|(_, row)| is_shown(row))
            .unzip();
        for (cursor, item) in cursors.into_iter().zip(self.view(&row).items(rows)?) {
            let event = match item {
                HistoryItem::Message(message) => Event::Message(message),
                HistoryItem::Timer(timer) => Event::Timer(timer),
            };
            events.push(Ok(LoggedEvent { cursor, event }));
        }
        Ok(events)
    }

    fn view<'a>(&'a self, contact: &'a ContactRow) -> View<'a> {
        View {
            store: &self.store,
            own_name: &self.own.name,
            contact,
        }
    }
}

/// What says that events are gone between the last one that was read and the next one that is there.
fn missed(after: u64, next: u64) -> Option<LoggedEvent> {
    let count = next.saturating_sub(after.saturating_add(1));
    let event = Event::Missed { count };
    let cursor = next.saturating_sub(1);
    (count > 0).then_some(LoggedEvent { cursor, event })
}

fn state_from_name(name: &str) -> MessageState {
    let states = [
        MessageState::Sent,
        MessageState::Failed,
        MessageState::Delivered,
        MessageState::Read,
    ];
    states
        .into_iter()
        .find(|state| state.name() == name)
        .unwrap_or(MessageState::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A contact who sent half a million lines made those of others vanish from what was printed, without a word.
    #[test]
    fn regression_events_that_are_gone_are_told() {
        for (after, next) in [(0, 1), (7, 8), (7, 3)] {
            assert!(missed(after, next).is_none());
        }
        let told = missed(7, 10).unwrap();
        assert_eq!(told.cursor, 9);
        assert!(matches!(told.event, Event::Missed { count: 2 }));
    }
}
