//! What was said about messages afterwards. It is kept beside them, so that it may come before them.

use redb::{ReadableTable as _, ReadableTableMetadata as _};
use serde::{Deserialize, Serialize};

use super::messages::MessageName;
use super::tables::{ANNOTATIONS, ConversationNo, Who};
use super::{Batch, Store, StoreError, contained};

/// What was said about a message afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Annotations {
    #[serde(default)]
    pub(crate) edit: Option<EditRow>,
    /// Its author has taken it back.
    #[serde(default)]
    pub(crate) is_deleted: bool,
    /// One of each side at most.
    #[serde(default)]
    pub(crate) reactions: Vec<ReactionRow>,
}

/// The newest text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EditRow {
    pub(crate) seq: u64,
    pub(crate) text: String,
}

/// The newest sign of one side. An empty one keeps older ones out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReactionRow {
    pub(crate) who: Who,
    pub(crate) seq: u64,
    pub(crate) emoji: String,
}

impl Annotations {
    /// False if there is a newer one, or the message is gone.
    pub(crate) fn edit(&mut self, seq: u64, text: &str) -> bool {
        let is_newer = self.edit.as_ref().is_none_or(|edit| edit.seq < seq);
        if !is_newer || self.is_deleted {
            return false;
        }
        self.edit = Some(EditRow {
            seq,
            text: text.to_owned(),
        });
        true
    }

    /// False if it was before.
    pub(crate) fn delete(&mut self) -> bool {
        let was_deleted = self.is_deleted;
        *self = Self {
            is_deleted: true,
            ..Self::default()
        };
        !was_deleted
    }

    /// False if there is a newer one, or the message is gone.
    pub(crate) fn react(&mut self, who: Who, seq: u64, emoji: &str) -> bool {
        let known = self.reactions.iter().find(|one| one.who == who);
        if self.is_deleted || known.is_some_and(|known| known.seq >= seq) {
            return false;
        }
        self.reactions.retain(|one| one.who != who);
        self.reactions.push(ReactionRow {
            who,
            seq,
            emoji: emoji.to_owned(),
        });
        true
    }
}

impl Batch {
    pub(crate) fn annotations(
        &self,
        no: ConversationNo,
        name: MessageName,
    ) -> Result<Annotations, StoreError> {
        let key = no.message_key(name);
        let table = self.txn.open_table(ANNOTATIONS)?;
        let row = table.get(key.as_slice())?;
        let row = row.map(|row| self.store.open_json("annotations", &key, row.value()));
        row.unwrap_or_else(|| Ok(Annotations::default()))
    }

    pub(crate) fn put_annotations(
        &self,
        no: ConversationNo,
        name: MessageName,
        annotations: &Annotations,
    ) -> Result<(), StoreError> {
        let key = no.message_key(name);
        let sealed = self.store.seal_json("annotations", &key, annotations)?;
        self.txn
            .open_table(ANNOTATIONS)?
            .insert(key.as_slice(), sealed.as_slice())?;
        Ok(())
    }
}

impl Store {
    /// What was said about messages afterwards; nothing for those of which nothing was said.
    pub(crate) fn annotations_of(
        &self,
        no: ConversationNo,
        names: impl Iterator<Item = MessageName>,
    ) -> Result<Vec<Annotations>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(ANNOTATIONS)?;
            let is_empty = table.is_empty()?;
            names
                .map(|name| {
                    if is_empty {
                        return Ok(Annotations::default());
                    }
                    let key = no.message_key(name);
                    let row = table.get(key.as_slice())?;
                    let row = row.map(|row| self.open_json("annotations", &key, row.value()));
                    row.unwrap_or_else(|| Ok(Annotations::default()))
                })
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_word_about_a_message_counts_in_whatever_order_they_come() {
        let mut said = Annotations::default();
        assert!(said.edit(5, "five"));
        assert!(!said.edit(4, "four") && !said.edit(5, "again"));
        assert!(said.react(Who::Them, 7, "\u{1f44d}") && said.react(Who::Me, 2, "\u{2764}"));
        assert!(!said.react(Who::Them, 6, "\u{1f44e}"));
        assert_eq!(said.reactions.len(), 2);
        assert!(said.react(Who::Them, 8, "") && !said.react(Who::Them, 7, "\u{1f44d}"));
        assert!(said.delete() && !said.delete());
        assert_eq!((&said.edit, said.reactions.len()), (&None, 0));
        assert!(!said.edit(9, "nine") && !said.react(Who::Me, 9, "\u{2764}"));
    }
}
