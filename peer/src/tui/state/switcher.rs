//! Finding a conversation by some letters of its name.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::field::Field;
use crate::MsgId;
use crate::rpc::objects::ContactObject;

/// What becomes of the conversation that is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Open,
    /// It gets this message of that conversation.
    Forward {
        from: String,
        id: MsgId,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Switcher {
    pub(crate) wanted: Wanted,
    pub(crate) field: Field,
    /// Addresses and names of those that match, the best first.
    pub(crate) found: Vec<(String, String)>,
    pub(crate) at: usize,
}

impl Switcher {
    pub(crate) fn new(wanted: Wanted, contacts: &[ContactObject]) -> Self {
        let mut switcher = Self {
            wanted,
            field: Field::new(""),
            found: Vec::new(),
            at: 0,
        };
        switcher.look(contacts);
        switcher
    }

    /// After the letters have changed.
    pub(crate) fn look(&mut self, contacts: &[ContactObject]) {
        let letters = self.field.text();
        let pattern = Pattern::parse(letters, CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, &ContactObject)> = contacts
            .iter()
            .filter_map(|contact| {
                let name = Utf32Str::new(&contact.name, &mut buffer);
                Some((pattern.score(name, &mut matcher)?, contact))
            })
            .collect();
        // Who is called just that comes first; among equals, the order of the list.
        scored.sort_by_key(|(score, contact)| {
            let is_other = !crate::names::same(&contact.name, letters);
            (is_other, std::cmp::Reverse(*score))
        });
        let found = scored.into_iter();
        self.found = found
            .map(|(_, contact)| (contact.address.clone(), contact.name.clone()))
            .collect();
        self.at = 0;
    }

    pub(crate) fn move_by(&mut self, down: bool) {
        let last = self.found.len().saturating_sub(1);
        self.at = if down {
            (self.at + 1).min(last)
        } else {
            self.at.saturating_sub(1)
        };
    }

    pub(crate) fn chosen(&self) -> Option<&str> {
        self.found.get(self.at).map(|(address, _)| address.as_str())
    }
}
