//! Where the window is scrolled to: a row of an entry, so that what comes moves nothing that is read.

use super::{Anchor, Entry, Key, Timeline, Visible, id_of, key_of};
use crate::MsgId;

/// More is loaded when so many screens are left.
const SCREENS_AHEAD: usize = 2;

/// Most screens that are scrolled when they come. Chosen: a key that is held down, and not more than is loaded at once.
const OWED_SCREENS: usize = 3;

impl Timeline {
    /// What is on the screen, from the top; fewer rows than there is room for if there are no more.
    pub(crate) fn visible(&self) -> Vec<Visible<'_>> {
        let rows = self.entries.iter().flat_map(|entry| {
            let id = id_of(&entry.item);
            entry.rows.iter().map(move |row| Visible { id, row })
        });
        rows.skip(self.top()).take(self.height).collect()
    }

    /// Rows up (negative) or down.
    pub(crate) fn scroll(&mut self, rows: isize) {
        let top = self.top();
        if self.has_older && rows < 0 {
            let missing = rows.unsigned_abs().saturating_sub(top);
            self.owed = (self.owed + missing).min(OWED_SCREENS * self.height);
        } else {
            self.owed = 0;
        }
        self.scroll_to(top.saturating_add_signed(rows));
    }

    /// Only where it is loaded.
    pub(crate) fn scroll_to_end(&mut self) {
        self.owed = 0;
        if !self.has_newer {
            self.anchor = Anchor::End;
        }
    }

    pub(crate) fn scroll_to_begin(&mut self) {
        self.scroll_to(0);
    }

    pub(crate) const fn height(&self) -> usize {
        self.height
    }

    /// Whether more is to be loaded: before (true) or after what there is.
    pub(crate) fn wants(&self) -> Option<bool> {
        let ahead = self.height * SCREENS_AHEAD;
        if self.has_older && self.top() < ahead {
            return Some(true);
        }
        let below = self.last_top() - self.top();
        (self.has_newer && below < ahead).then_some(false)
    }

    /// The message before or after this one; without one, the last that is on the screen.
    pub(crate) fn next_to(&self, id: Option<MsgId>, is_before: bool) -> Option<MsgId> {
        let Some(id) = id else {
            let visible = self.visible();
            let mut ids = visible.iter().rev().map(|one| one.id);
            return ids.find(|id| self.message(*id).is_some());
        };
        let ids: Vec<MsgId> = self.messages().map(|message| message.id).collect();
        let at = ids.iter().position(|one| *one == id)?;
        let next = if is_before {
            at.checked_sub(1)
        } else {
            Some(at + 1)
        };
        next.and_then(|at| ids.get(at)).copied()
    }

    /// What it can be asked around of what is on the screen.
    pub(crate) fn first_visible_message(&self) -> Option<MsgId> {
        let visible = self.visible();
        let mut ids = visible.iter().map(|one| one.id);
        ids.find(|id| self.message(*id).is_some())
    }

    /// Scrolls as little as is needed to show this message.
    pub(crate) fn show(&mut self, id: MsgId) {
        let Some(at) = self.position_of(id) else {
            return;
        };
        let start = self.start_of(at);
        let end = start + self.entries.get(at).map_or(0, |entry| entry.rows.len());
        let top = self.top();
        if start < top {
            self.scroll_to(start);
        } else if end > top + self.height {
            self.scroll_to(end.saturating_sub(self.height).min(start));
        }
    }

    pub(super) fn scroll_to(&mut self, top: usize) {
        if top >= self.last_top() && !self.has_newer {
            self.anchor = Anchor::End;
            return;
        }
        self.anchor_at(top);
    }

    pub(super) fn anchor_at(&mut self, top: usize) {
        let mut left = top.min(self.last_top());
        for entry in &self.entries {
            if left < entry.rows.len() {
                let key = key_of(&entry.item);
                let to_end = entry.rows.len() - left;
                self.anchor = Anchor::At { key, to_end };
                return;
            }
            left -= entry.rows.len();
        }
    }

    /// What is on the screen stays there, also at the end.
    pub(crate) fn hold(&mut self) {
        let top = self.top();
        self.anchor_at(top);
    }

    /// What is not the end is not looked at as if it were.
    pub(super) fn leave_end(&mut self) {
        if self.has_newer && self.anchor == Anchor::End {
            self.scroll_to(self.last_top());
        }
    }

    /// The row at the top of the screen.
    pub(super) fn top(&self) -> usize {
        let last = self.last_top();
        let Anchor::At { key, to_end } = self.anchor else {
            return last;
        };
        let Some(at) = self.position(key) else {
            return last;
        };
        let rows = self.entries.get(at).map_or(0, |entry| entry.rows.len());
        (self.start_of(at) + rows.saturating_sub(to_end)).min(last)
    }

    /// The last entry of which something is on the screen.
    pub(super) fn last_visible(&self) -> usize {
        let bottom = self.top() + self.height;
        let mut end = 0;
        let is_below = |entry: &Entry| {
            end += entry.rows.len();
            end >= bottom
        };
        let at = self.entries.iter().position(is_below);
        at.unwrap_or_else(|| self.entries.len().saturating_sub(1))
    }

    pub(super) fn last_top(&self) -> usize {
        self.total().saturating_sub(self.height)
    }

    pub(super) fn total(&self) -> usize {
        self.entries.iter().map(|entry| entry.rows.len()).sum()
    }

    pub(super) fn start_of(&self, at: usize) -> usize {
        let before = self.entries.iter().take(at);
        before.map(|entry| entry.rows.len()).sum()
    }

    /// Of whichever side's message has this id.
    pub(super) fn position_of(&self, id: MsgId) -> Option<usize> {
        let mut items = self.entries.iter().map(|entry| &entry.item);
        items.position(|item| id_of(item) == id)
    }

    pub(super) fn position(&self, key: Key) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| key_of(&entry.item) == key)
    }

    /// What is at the top stays there, whatever comes.
    pub(super) fn stay(&mut self) {
        let top = self.top();
        if top < self.last_top() {
            self.scroll_to(top);
        }
    }

    pub(super) fn stay_unless_at_end(&mut self) {
        if self.anchor != Anchor::End {
            self.stay();
        }
    }
}
