//! Contacts and those who ask to become one, in the order of the list.

use crate::rpc::objects::{ContactObject, Presence, RequestObject, Standing};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct People {
    contacts: Vec<ContactObject>,
    requests: Vec<RequestObject>,
    /// Where the list's cursor is.
    cursor: usize,
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// So many ask.
    Requests(usize),
    Contact(&'a ContactObject),
}

impl People {
    /// The contacts as they are now: whose last message is newest, first; who is blocked, last.
    pub(crate) fn set_contacts(&mut self, mut contacts: Vec<ContactObject>) {
        for contact in &mut contacts {
            // Nobody is to be reminded of them.
            if contact.standing == Standing::Blocked {
                contact.unread = 0;
            }
        }
        contacts.sort_by(|a, b| {
            let is_blocked = |one: &ContactObject| one.standing == Standing::Blocked;
            let newest = is_blocked(a)
                .cmp(&is_blocked(b))
                .then_with(|| b.last_at.cmp(&a.last_at));
            newest.then_with(|| a.name.to_lowercase().cmp(&b.name.to_lowercase()))
        });
        let at_cursor = self.at_cursor();
        self.contacts = contacts;
        if let Some(address) = at_cursor {
            self.point_to(&address);
        }
        self.cursor = self.cursor.min(self.lines().len().saturating_sub(1));
    }

    /// Who asks now. What the cursor is at stays there.
    pub(crate) fn set_requests(&mut self, requests: Vec<RequestObject>) {
        let at_cursor = self.at_cursor();
        self.requests = requests;
        if let Some(address) = at_cursor {
            self.point_to(&address);
        }
        self.cursor = self.cursor.min(self.lines().len().saturating_sub(1));
    }

    pub(crate) fn requests(&self) -> &[RequestObject] {
        &self.requests
    }

    pub(crate) fn contacts(&self) -> &[ContactObject] {
        &self.contacts
    }

    pub(crate) fn contact(&self, address: &str) -> Option<&ContactObject> {
        self.contacts
            .iter()
            .find(|contact| contact.address == address)
    }

    pub(crate) fn contact_mut(&mut self, address: &str) -> Option<&mut ContactObject> {
        self.contacts
            .iter_mut()
            .find(|contact| contact.address == address)
    }

    pub(crate) fn set_presence(&mut self, address: &str, presence: Presence) {
        if let Some(contact) = self.contact_mut(address) {
            contact.presence = presence;
        }
    }

    pub(crate) fn lines(&self) -> Vec<Line<'_>> {
        let asking = (!self.requests.is_empty()).then_some(Line::Requests(self.requests.len()));
        let contacts = self.contacts.iter().map(Line::Contact);
        asking.into_iter().chain(contacts).collect()
    }

    pub(crate) const fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn move_cursor(&mut self, down: bool) {
        let last = self.lines().len().saturating_sub(1);
        self.cursor = if down {
            (self.cursor + 1).min(last)
        } else {
            self.cursor.saturating_sub(1)
        };
    }

    pub(crate) fn point_to(&mut self, address: &str) {
        let at = self
            .lines()
            .iter()
            .position(|line| matches!(line, Line::Contact(contact) if contact.address == address));
        if let Some(at) = at {
            self.cursor = at;
        }
    }

    fn at_cursor(&self) -> Option<String> {
        match self.lines().get(self.cursor) {
            Some(Line::Contact(contact)) => Some(contact.address.clone()),
            _ => None,
        }
    }

    /// The conversation before or after this one in the list.
    pub(crate) fn next_to(&self, address: Option<&str>, down: bool) -> Option<String> {
        let at = self
            .contacts
            .iter()
            .position(|contact| Some(contact.address.as_str()) == address);
        let next = match (at, down) {
            (None, _) => 0,
            (Some(at), true) => at + 1,
            (Some(at), false) => at.checked_sub(1)?,
        };
        self.contacts
            .get(next)
            .map(|contact| contact.address.clone())
    }

    /// The next conversation after this one, around the list, in which something is unread that calls for attention;
    /// then those that are muted.
    pub(crate) fn next_unread(&self, address: Option<&str>) -> Option<String> {
        let count = self.contacts.len();
        let at = self
            .contacts
            .iter()
            .position(|contact| Some(contact.address.as_str()) == address);
        let first = at.map_or(0, |at| at + 1);
        let around =
            || (0..count).filter_map(move |n| self.contacts.get((first + n) % count.max(1)));
        let find = |is_muted: bool| {
            around().find(|contact| contact.unread > 0 && contact.muted == is_muted)
        };
        let found = find(false).or_else(|| find(true));
        found.map(|contact| contact.address.clone())
    }

    /// Messages that nobody has read, of all contacts who are not muted.
    pub(crate) fn unread(&self) -> u64 {
        let loud = self.contacts.iter().filter(|contact| !contact.muted);
        loud.map(|contact| contact.unread).sum()
    }
}
