//! What two people do with messages and contacts, one call each.

use tincan_core::Input as SessionInput;
use tincan_protocol::{EnvelopeId, MsgId};

use super::bench::Bench;
use crate::error::{ChangeError, ContactError, SendError};
use crate::message::{Change, ContactChange, Draft, HistoryItem, Message, Shown};
use crate::store::{ChangeName, JournalEvent};

impl Bench {
    pub(super) fn says(&mut self, text: &str) -> MsgId {
        self.sends(Draft::new(text)).unwrap()
    }

    pub(super) fn sends(&mut self, draft: Draft) -> Result<MsgId, SendError> {
        let no = self.no();
        let ids = self.driver.send(no, vec![draft]).unwrap();
        self.commit();
        ids.map(|ids| ids[0])
    }

    pub(super) fn changes(&mut self, id: MsgId, change: Change) -> Result<(), ChangeError> {
        let no = self.no();
        let result = self.driver.change(no, id, change).unwrap();
        self.commit();
        result
    }

    pub(super) fn decides(&mut self, change: ContactChange) -> Result<(), ContactError> {
        let no = self.no();
        let result = self.driver.change_contact(no, change).unwrap();
        self.commit();
        result
    }

    /// Everything that waits for the contact arrives there.
    pub(super) fn reaches(&mut self, other: &mut Self) {
        let no = self.no();
        for envelope in self.outbox() {
            let id = EnvelopeId::of(&envelope);
            other.take(envelope);
            let stored = SessionInput::Stored { id };
            self.driver.session_input(no, stored).unwrap();
        }
        self.commit();
    }

    /// What is due is done.
    pub(super) fn tidies(&mut self) {
        self.driver.remove_due().unwrap();
        self.commit();
    }

    pub(super) fn shown(&mut self) -> Vec<HistoryItem> {
        let no = self.no();
        self.driver.read(no, &Shown::UpTo(u64::MAX)).unwrap();
        self.commit();
        self.history()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.messages()
            .into_iter()
            .map(|message| message.text)
            .collect()
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let items = self.history().into_iter().filter_map(|item| match item {
            HistoryItem::Message(message) => Some(message),
            HistoryItem::Timer(_) => None,
        });
        items.collect()
    }

    pub(super) fn message(&self, id: MsgId) -> Message {
        let mut messages = self.messages().into_iter();
        messages.find(|message| message.id == id).unwrap()
    }

    pub(super) fn changed(&self) -> Vec<ChangeName> {
        let changes = self.journal().into_iter().filter_map(|event| match event {
            JournalEvent::Changed { change, .. } => Some(change),
            _ => None,
        });
        changes.collect()
    }
}
