//! What is to be taken out of conversations, and when.

use redb::ReadableTable as _;
use tincan_protocol::content::{Body, Content, Text};
use tincan_protocol::hlc::Hlc;

use super::messages::{MessageName, MessagePlace, is_message};
use super::tables::{
    ANNOTATIONS, ConversationNo, MESSAGE_IDS, REMOVALS, TIMELINE, Who, removal_key, removal_of,
    seq_of, timeline_place,
};
use super::{Batch, StoreError, row_error};

/// What is to be taken out of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The text; that there was a message stays.
    Text,
    /// Everything.
    Message,
}

/// Something that is to be taken out at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueRemoval {
    pub(crate) due_ms: u64,
    pub(crate) no: ConversationNo,
    pub(crate) who: Who,
    pub(crate) at: MessagePlace,
    pub(crate) what: Removal,
}

/// Due when the message has arrived or failed, and not at a time.
pub(crate) const WHEN_SETTLED: u64 = u64::MAX;

impl Removal {
    const fn byte(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Message => 2,
        }
    }

    const fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Text,
            _ => Self::Message,
        }
    }
}

impl Batch {
    /// Has something taken out at its time; a whole message stays one, whatever is said of its text then.
    pub(crate) fn put_removal(&self, removal: &DueRemoval) -> Result<(), StoreError> {
        let (key, value) = (removal_key(removal), [removal.what.byte()]);
        let mut table = self.txn.open_table(REMOVALS)?;
        let is_more = removal.what == Removal::Message || table.get(key.as_slice())?.is_none();
        if is_more {
            table.insert(key.as_slice(), value.as_slice())?;
        }
        Ok(())
    }

    /// What is due, the oldest first, at most `max`; they are not there any more.
    pub(crate) fn take_due_removals(
        &self,
        now_ms: u64,
        max: usize,
    ) -> Result<Vec<DueRemoval>, StoreError> {
        let mut table = self.txn.open_table(REMOVALS)?;
        let end = now_ms.saturating_add(1).to_be_bytes();
        let rows = table.extract_from_if(..end.as_slice(), |_, _| true)?;
        rows.take(max)
            .filter_map(|row| {
                let row = row.map(|(key, value)| removal(key.value(), value.value()));
                row.map_err(StoreError::from).transpose()
            })
            .collect()
    }

    /// What of a conversation waits until our messages `first..=last` have arrived or failed; it does not any more.
    pub(crate) fn take_settled_removals(
        &self,
        no: ConversationNo,
        first: u64,
        last: u64,
    ) -> Result<Vec<DueRemoval>, StoreError> {
        let mut table = self.txn.open_table(REMOVALS)?;
        let [start, end] = waiting_removals(no);
        let rows = table.extract_from_if(start.as_slice()..=end.as_slice(), |key, _| {
            (first..=last).contains(&seq_of(key))
        })?;
        rows.filter_map(|row| {
            let row = row.map(|(key, value)| removal(key.value(), value.value()));
            row.map_err(StoreError::from).transpose()
        })
        .collect()
    }

    /// When the next one is due, Unix milliseconds.
    pub(crate) fn next_removal(&self) -> Result<Option<u64>, StoreError> {
        let table = self.txn.open_table(REMOVALS)?;
        let first = table.first()?;
        Ok(first.and_then(|(key, value)| Some(removal(key.value(), value.value())?.due_ms)))
    }

    /// Takes a message, or only its text, out of a conversation. Returns its name, if there was a message.
    pub(crate) fn remove_message(
        &self,
        removal: &DueRemoval,
    ) -> Result<Option<MessageName>, StoreError> {
        let &DueRemoval {
            no, who, at, what, ..
        } = removal;
        let key = no.timeline_key(at.place, who, at.seq);
        let mut timeline = self.txn.open_table(TIMELINE)?;
        let old = timeline.get(key.as_slice())?;
        let old = old.map(|old| self.store.sealer.open("timeline", &key, old.value()));
        let Some(old) = old.transpose()? else {
            return Ok(None);
        };
        let (stored_ms, content) = old
            .split_first_chunk::<8>()
            .ok_or_else(|| row_error("timeline", &"value is too short"))?;
        let mut content =
            Content::decode_kept(content).map_err(|error| row_error("timeline", &error))?;
        let body = content.body.clone();
        let name = MessageName {
            who,
            id: content.msg_id,
        };
        match what {
            Removal::Text if is_message(&body) => {
                content.body = Body::Text(Text::default());
                let value = [&stored_ms[..], &content.encode()].concat();
                let sealed = self.store.sealer.seal("timeline", &key, &value);
                timeline.insert(key.as_slice(), sealed.as_slice())?;
            }
            Removal::Text | Removal::Message => {
                timeline.remove(key.as_slice())?;
                self.forget_message(no, name, at)?;
            }
        }
        Ok(is_message(&body).then_some(name))
    }

    /// Everything about a message but itself.
    fn forget_message(
        &self,
        no: ConversationNo,
        name: MessageName,
        at: MessagePlace,
    ) -> Result<(), StoreError> {
        let key = no.message_key(name);
        let mut ids = self.txn.open_table(MESSAGE_IDS)?;
        let is_meant = ids
            .get(key.as_slice())?
            .is_some_and(|known| MessagePlace::decode(known.value()) == Some(at));
        if is_meant {
            // An id of ours is never used again: whoever sends it once more has sent it.
            if name.who == Who::Them {
                ids.remove(key.as_slice())?;
            }
            self.txn.open_table(ANNOTATIONS)?.remove(key.as_slice())?;
        }
        if name.who == Who::Them {
            self.not_unread(no, at.seq)?;
        }
        Ok(())
    }
}

/// First and last key of what waits in a conversation until it is settled.
pub(super) fn waiting_removals(no: ConversationNo) -> [[u8; 29]; 2] {
    let key = |who, place, seq| {
        removal_key(&DueRemoval {
            due_ms: WHEN_SETTLED,
            no,
            who,
            at: MessagePlace { place, seq },
            what: Removal::Message,
        })
    };
    [
        key(Who::Me, Hlc::default(), 0),
        key(Who::Them, Hlc::from_u64(u64::MAX), u64::MAX),
    ]
}

/// A row of [`REMOVALS`].
fn removal(key: &[u8], value: &[u8]) -> Option<DueRemoval> {
    let (due_ms, rest) = removal_of(key)?;
    let (place, who, seq) = timeline_place(rest);
    Some(DueRemoval {
        due_ms,
        no: ConversationNo::of_key(rest),
        who,
        at: MessagePlace { place, seq },
        what: Removal::from_byte(*value.first()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::messages::tests::{NO, at, in_a_store};

    #[test]
    fn removals_come_at_their_time_and_once() {
        in_a_store(|store| {
            let removal = |due_ms, seq, what| DueRemoval {
                due_ms,
                no: NO,
                who: Who::Them,
                at: at(seq),
                what,
            };
            let batch = store.begin().unwrap();
            let (late, soon) = (
                removal(300, 1, Removal::Message),
                removal(200, 2, Removal::Text),
            );
            for one in [late, soon, removal(200, 3, Removal::Text)] {
                batch.put_removal(&one).unwrap();
            }
            assert_eq!(batch.next_removal().unwrap(), Some(200));
            assert!(batch.take_due_removals(199, 9).unwrap().is_empty());
            assert_eq!(batch.take_due_removals(200, 1).unwrap(), [soon]);
            assert_eq!(batch.take_due_removals(250, 9).unwrap().len(), 1);
            assert_eq!(batch.take_due_removals(u64::MAX, 9).unwrap(), [late]);
            assert_eq!(batch.next_removal().unwrap(), None);
            for seq in 1..=3 {
                let waiting = removal(WHEN_SETTLED, seq, Removal::Text);
                batch.put_removal(&waiting).unwrap();
                let no = ConversationNo(4);
                batch.put_removal(&DueRemoval { no, ..waiting }).unwrap();
            }
            let settled = batch.take_settled_removals(NO, 2, 3).unwrap();
            assert_eq!(
                settled.iter().map(|one| one.at.seq).collect::<Vec<_>>(),
                [2, 3]
            );
            batch.remove_contact(NO).unwrap();
            assert!(batch.take_settled_removals(NO, 0, 9).unwrap().is_empty());
            assert_eq!(
                batch
                    .take_settled_removals(ConversationNo(4), 0, 9)
                    .unwrap()
                    .len(),
                3
            );
        });
    }
}
