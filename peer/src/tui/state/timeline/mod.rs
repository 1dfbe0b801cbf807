//! A window of a conversation: what is loaded of it, and where it is scrolled to.
//!
//! Invariants: entries stand in their order and each once; what comes moves nothing that is read, but where the end
//! is looked at; never more than [`WINDOW_MAX`] entries are kept.

mod scrolling;
mod unread;

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::clock::{self, Clock};
use crate::MsgId;
use crate::message::MessageState;
use crate::rpc::objects::{HistoryObject, MessageObject};
use crate::tui::layout::Row;
use crate::tui::layout::item::{Around, rows};

/// Entries that are loaded at once. Chosen: a few screens.
pub(crate) const PAGE: usize = 100;

/// Entries that are kept; beyond it they go at the end that is looked away from. Chosen: many screens, and little
/// memory even with the longest texts.
const WINDOW_MAX: usize = 600;

/// See the module.
#[derive(Debug)]
pub(crate) struct Timeline {
    entries: Vec<Entry>,
    /// Whether there is more before or after what is loaded.
    pub(crate) has_older: bool,
    pub(crate) has_newer: bool,
    anchor: Anchor,
    /// Rows that somebody wanted to see above what is loaded, and that are on their way.
    owed: usize,
    /// Where what nobody had read began when the conversation was opened.
    unread_from: Option<Key>,
    width: usize,
    height: usize,
    zone: TimeZone,
    today: Date,
}

#[derive(Debug)]
struct Entry {
    item: HistoryObject,
    at: DateTime,
    rows: Vec<Row>,
}

/// What stays where it is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    /// The end, at the bottom.
    End,
    /// A row of this entry, at the top: so many rows before its end, because what stands at an entry's beginning depends
    /// on what stands before it.
    At { key: Key, to_end: usize },
}

/// Both sides give ids, so whose it is belongs to it.
type Key = (bool, MsgId);

/// A row that is to be drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visible<'a> {
    pub(crate) id: MsgId,
    pub(crate) row: &'a Row,
}

impl Timeline {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            entries: Vec::new(),
            has_older: false,
            has_newer: false,
            anchor: Anchor::End,
            owed: 0,
            unread_from: None,
            width: 0,
            height: 0,
            zone: clock.zone.clone(),
            today: clock.today(),
        }
    }

    pub(crate) fn resize(&mut self, width: usize, height: usize) {
        let is_wider = self.width != width;
        (self.width, self.height) = (width, height);
        if is_wider {
            self.lay_out(0, self.entries.len());
        }
    }

    /// The names of days depend on it.
    pub(crate) fn set_today(&mut self, today: Date) {
        if self.today != today {
            self.today = today;
            self.lay_out(0, self.entries.len());
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether its end is on the screen.
    pub(crate) fn is_at_end(&self) -> bool {
        !self.has_newer && self.top() == self.last_top()
    }

    /// The first or last message, from which more is asked for.
    pub(crate) fn edge(&self, is_older: bool) -> Option<MsgId> {
        let mut messages = self.messages();
        let edge = if is_older {
            messages.next()
        } else {
            messages.next_back()
        };
        edge.map(|message| message.id)
    }

    pub(crate) fn message(&self, id: MsgId) -> Option<&MessageObject> {
        self.messages().find(|message| message.id == id)
    }

    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &MessageObject> {
        self.entries.iter().filter_map(|entry| match &entry.item {
            HistoryObject::Message(message) => Some(&**message),
            HistoryObject::Timer(_) => None,
        })
    }

    // What is loaded.

    /// Begins anew with this part, at its end.
    pub(crate) fn begin(&mut self, items: Vec<HistoryObject>, has_older: bool, has_newer: bool) {
        self.entries = self.entries_of(items);
        (self.has_older, self.has_newer) = (has_older, has_newer);
        self.anchor = Anchor::End;
        self.mark_unread();
        self.lay_out(0, self.entries.len());
        self.owed = 0;
        self.leave_end();
    }

    /// The same part as it is now; it stays scrolled to where it was.
    pub(crate) fn renew(&mut self, items: Vec<HistoryObject>, has_older: bool, has_newer: bool) {
        self.entries = self.entries_of(items);
        (self.has_older, self.has_newer) = (has_older, has_newer);
        self.owed = 0;
        self.lay_out(0, self.entries.len());
        self.leave_end();
    }

    /// Whether it was said after everything that is loaded.
    pub(crate) fn comes_last(&self, item: &HistoryObject) -> bool {
        let last = self.entries.last();
        last.is_none_or(|last| said_at(&last.item) <= said_at(item))
    }

    /// What stands before what there is.
    pub(crate) fn prepend(&mut self, items: Vec<HistoryObject>, has_older: bool) {
        let new = self.entries_of(self.unknown(items));
        // A part that brings nothing is the last one, whatever it says.
        self.has_older = has_older && !new.is_empty();
        self.stay();
        let count = new.len();
        self.entries.splice(0..0, new);
        self.lay_out(0, count + 1);
        let owed = std::mem::take(&mut self.owed);
        if owed > 0 {
            self.scroll_to(self.top().saturating_sub(owed));
        }
        let seen = self.last_visible() + 1;
        if self.entries.len() > WINDOW_MAX.max(seen) {
            self.entries.truncate(WINDOW_MAX.max(seen));
            self.has_newer = true;
            self.leave_end();
        }
    }

    /// What stands after what there is.
    pub(crate) fn append(&mut self, items: Vec<HistoryObject>, has_newer: bool) {
        // Who looks at what is not the end stays there.
        self.leave_end();
        let new = self.entries_of(self.unknown(items));
        self.has_newer = has_newer && !new.is_empty();
        let from = self.entries.len();
        self.entries.extend(new);
        self.lay_out(from, self.entries.len());
        let too_many = self.entries.len().saturating_sub(WINDOW_MAX);
        let gone = match self.anchor {
            Anchor::End => too_many,
            Anchor::At { key, .. } => too_many.min(self.position(key).unwrap_or_default()),
        };
        if gone > 0 {
            self.entries.drain(..gone);
            self.has_older = true;
            self.lay_out(0, 1);
        }
        let seen = self.last_visible() + 1;
        if self.entries.len() > WINDOW_MAX.max(seen) {
            self.entries.truncate(WINDOW_MAX.max(seen));
            self.has_newer = true;
        }
    }

    /// A message as it is now; one that is not loaded is left out.
    pub(crate) fn replace(&mut self, message: MessageObject) {
        if let Some(at) = self.position((message.outgoing, message.id))
            && let Some(entry) = self.entries.get_mut(at)
        {
            entry.item = HistoryObject::Message(Box::new(message));
            self.lay_out(at, at + 1);
        }
    }

    pub(crate) fn remove(&mut self, id: MsgId) {
        let Some(at) = self.position_of(id) else {
            return;
        };
        self.stay_unless_at_end();
        let gone = key_of(&self.entries.remove(at).item);
        if let Anchor::At { key, .. } = self.anchor
            && key == gone
        {
            let next = self.entries.get(at).or(self.entries.last());
            self.anchor = next.map_or(Anchor::End, |entry| Anchor::At {
                key: key_of(&entry.item),
                to_end: entry.rows.len(),
            });
        }
        if self.unread_from == Some(gone) {
            self.unread_from = None;
        }
        self.lay_out(at, at + 1);
    }

    /// How far own messages have come. Returns whether all of them are loaded.
    pub(crate) fn set_state(&mut self, ids: &[MsgId], state: MessageState) -> bool {
        let ids: BTreeSet<MsgId> = ids.iter().copied().collect();
        let mut found = 0;
        for at in 0..self.entries.len() {
            let Some(HistoryObject::Message(message)) =
                self.entries.get_mut(at).map(|one| &mut one.item)
            else {
                continue;
            };
            if message.outgoing && ids.contains(&message.id) {
                found += 1;
                // Of what came late, an earlier word says nothing new.
                if message.state < state {
                    message.state = state;
                    self.lay_out(at, at + 1);
                }
            }
        }
        found == ids.len()
    }

    // Rows.

    fn entries_of(&self, items: Vec<HistoryObject>) -> Vec<Entry> {
        let entries = items.into_iter().map(|item| {
            let at = clock::local(said_at(&item), &self.zone);
            let rows = Vec::new();
            Entry { item, at, rows }
        });
        entries.collect()
    }

    fn unknown(&self, items: Vec<HistoryObject>) -> Vec<HistoryObject> {
        let mut known: BTreeSet<Key> = self
            .entries
            .iter()
            .map(|entry| key_of(&entry.item))
            .collect();
        let items = items.into_iter();
        items.filter(|item| known.insert(key_of(item))).collect()
    }

    /// Makes the rows of these entries anew, and those of the next one, which look at what stands before.
    fn lay_out(&mut self, from: usize, to: usize) {
        for at in from..(to + 1).min(self.entries.len()) {
            let before = at.checked_sub(1).and_then(|at| self.entries.get(at));
            let Some(entry) = self.entries.get(at) else {
                return;
            };
            let around = Around {
                width: self.width,
                before: before.map(|entry| (&entry.item, entry.at)),
                is_first_unread: self.unread_from == Some(key_of(&entry.item)),
                today: self.today,
            };
            let new = rows(&entry.item, entry.at, around);
            if let Some(entry) = self.entries.get_mut(at) {
                entry.rows = new;
            }
        }
    }
}

pub(crate) const fn id_of(item: &HistoryObject) -> MsgId {
    match item {
        HistoryObject::Message(message) => message.id,
        HistoryObject::Timer(timer) => timer.id,
    }
}

const fn key_of(item: &HistoryObject) -> Key {
    match item {
        HistoryObject::Message(message) => (message.outgoing, message.id),
        HistoryObject::Timer(timer) => (timer.outgoing, timer.id),
    }
}

pub(crate) fn said_at(item: &HistoryObject) -> &str {
    match item {
        HistoryObject::Message(message) => &message.sent_at,
        HistoryObject::Timer(timer) => &timer.sent_at,
    }
}
