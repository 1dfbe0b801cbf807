//! What nobody has read: where it begins, and what of it has been shown.

use super::{Anchor, Key, Timeline, key_of};
use crate::MsgId;
use crate::rpc::objects::HistoryObject;

impl Timeline {
    /// Scrolls to where what nobody has read begins, if not all of it is on the screen.
    pub(crate) fn show_unread(&mut self) {
        let Some(at) = self.unread_from.and_then(|key| self.position(key)) else {
            return;
        };
        let line = self.start_of(at);
        if self.total() - line > self.height || self.has_newer {
            // With some of what was read before it.
            self.scroll_to(line.saturating_sub(self.height / 3));
        }
    }

    /// What has come is shown from where it begins, if the end of it alone would be seen.
    pub(crate) fn catch_up(&mut self) {
        if self.anchor != Anchor::End {
            return;
        }
        let first = self.entries.iter().position(|entry| is_unread(&entry.item));
        if let Some(at) = first
            && self.total() - self.start_of(at) > self.height
        {
            self.mark_unread();
            self.show_unread();
        }
    }

    /// What nobody has read begins with the first such message, until it is seen to its end.
    pub(crate) fn mark_unread(&mut self) {
        let first = self.entries.iter().find(|entry| is_unread(&entry.item));
        let first = first.map(|entry| key_of(&entry.item));
        self.set_unread_from(first);
    }

    /// The same, but where what is marked has not been seen yet.
    pub(crate) fn mark_unread_anew(&mut self) {
        let marked = self.unread_from.and_then(|key| self.position(key));
        let marked = marked.and_then(|at| self.entries.get(at));
        if !marked.is_some_and(|entry| is_unread(&entry.item)) {
            self.mark_unread();
        }
    }

    /// Everything was seen.
    pub(crate) fn forget_unread(&mut self) {
        self.set_unread_from(None);
    }

    pub(super) fn set_unread_from(&mut self, key: Option<Key>) {
        let before = std::mem::replace(&mut self.unread_from, key);
        for key in [before, key].into_iter().flatten() {
            if let Some(at) = self.position(key) {
                self.lay_out(at, at + 1);
            }
        }
    }

    /// Messages of the contact that nobody has read and that stand on the screen to their end, but for so many rows that are
    /// covered. From now on they count as read.
    pub(crate) fn take_shown(&mut self, covered: usize) -> Vec<MsgId> {
        // What is covered is so at the bottom.
        let empty = self.height.saturating_sub(self.total());
        let rows = (self.height - empty).saturating_sub(covered);
        let (top, bottom) = (self.top(), self.top() + rows);
        let mut shown = Vec::new();
        let mut end = 0;
        for entry in &mut self.entries {
            end += entry.rows.len();
            let HistoryObject::Message(message) = &mut entry.item else {
                continue;
            };
            if message.unread && (top + 1..=bottom).contains(&end) {
                message.unread = false;
                shown.push(message.id);
            }
        }
        shown
    }

    /// They could not be marked as read.
    pub(crate) fn not_read(&mut self, ids: &[MsgId]) {
        for entry in &mut self.entries {
            if let HistoryObject::Message(message) = &mut entry.item
                && !message.outgoing
                && ids.contains(&message.id)
            {
                message.unread = true;
            }
        }
    }
}

pub(super) fn is_unread(item: &HistoryObject) -> bool {
    matches!(item, HistoryObject::Message(message) if message.unread)
}
