//! Messages by their ids; what nobody has read; what was said about them afterwards; when they go.

use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _};
use serde::{Deserialize, Serialize};
use tincan_protocol::MsgId;
use tincan_protocol::content::{Body, Content, Text};
use tincan_protocol::hlc::Hlc;

use super::tables::{
    ANNOTATIONS, ConversationNo, MESSAGE_IDS, REMOVALS, TIMELINE, UNREAD, Who, removal_key,
    removal_of, seq_of, timeline_place,
};
use super::{Batch, Store, StoreError, contained, row_error};

/// A message in one conversation. Both sides give ids, so whose it is belongs to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageName {
    pub(crate) who: Who,
    pub(crate) id: MsgId,
}

/// Where a message stands in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessagePlace {
    pub(crate) place: Hlc,
    pub(crate) seq: u64,
}

/// A message that has just taken its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewMessage {
    pub(crate) name: MessageName,
    pub(crate) at: MessagePlace,
    /// It goes so many seconds after it was shown; 0: it stays.
    pub(crate) expires_s: u32,
}

/// A message of the other side that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadMessage {
    pub(crate) at: MessagePlace,
    pub(crate) expires_s: u32,
}

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

/// What nobody has read in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnreadCount {
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) first: Option<MessagePlace>,
}

/// Whether a content is shown as a message.
pub(crate) fn is_message(body: &Body) -> bool {
    match body {
        Body::Text(_) => true,
        Body::ContactRequest(request) => !request.text.is_empty(),
        _ => false,
    }
}

/// Whether a text was taken out of a content: none is sent that is empty.
pub(super) fn is_wiped(content: &[u8]) -> bool {
    let body = Content::decode(content).map(|content| content.body);
    matches!(body, Ok(Body::Text(text)) if text.text.is_empty())
}

/// After how many seconds it goes; 0: it stays.
pub(crate) const fn expires_s(body: &Body) -> u32 {
    match body {
        Body::Text(text) => text.expires_s,
        _ => 0,
    }
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
    /// Notes where messages stand. Of two with the same name the first one keeps it.
    pub(crate) fn put_messages(
        &self,
        no: ConversationNo,
        messages: &[NewMessage],
    ) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut ids = self.txn.open_table(MESSAGE_IDS)?;
        let mut unread = self.txn.open_table(UNREAD)?;
        for NewMessage {
            name,
            at,
            expires_s,
        } in messages
        {
            let key = no.message_key(*name);
            if ids.get(key.as_slice())?.is_none() {
                ids.insert(key.as_slice(), at.encode().as_slice())?;
            }
            if name.who == Who::Them {
                let value = [
                    &at.place.as_u64().to_be_bytes()[..],
                    &expires_s.to_be_bytes(),
                ]
                .concat();
                unread.insert(no.seq_key(at.seq).as_slice(), value.as_slice())?;
            }
        }
        Ok(())
    }

    /// Where a message stands.
    pub(crate) fn message_place(
        &self,
        no: ConversationNo,
        name: MessageName,
    ) -> Result<Option<MessagePlace>, StoreError> {
        let ids = self.txn.open_table(MESSAGE_IDS)?;
        let value = ids.get(no.message_key(name).as_slice())?;
        Ok(value.and_then(|value| MessagePlace::decode(value.value())))
    }

    /// Whether it still is where it stood.
    pub(crate) fn is_there(
        &self,
        no: ConversationNo,
        who: Who,
        at: MessagePlace,
    ) -> Result<bool, StoreError> {
        let key = no.timeline_key(at.place, who, at.seq);
        let timeline = self.txn.open_table(TIMELINE)?;
        Ok(timeline.get(key.as_slice())?.is_some())
    }

    /// Marks everything of the other side up to a seq as read; returns what was not before.
    pub(crate) fn take_read(
        &self,
        no: ConversationNo,
        up_to: u64,
    ) -> Result<Vec<ReadMessage>, StoreError> {
        let mut table = self.txn.open_table(UNREAD)?;
        let (start, end) = (no.seq_key(0), no.seq_key(up_to));
        let rows = table.extract_from_if(start.as_slice()..=end.as_slice(), |_, _| true)?;
        rows.map(|row| {
            let (key, value) = row?;
            Ok(read_message(key.value(), value.value()))
        })
        .collect()
    }

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

    /// There is nothing left to read.
    pub(crate) fn not_unread(&self, no: ConversationNo, seq: u64) -> Result<(), StoreError> {
        self.txn
            .open_table(UNREAD)?
            .remove(no.seq_key(seq).as_slice())?;
        Ok(())
    }

    /// Fills the tables of this module from the timeline, for a profile that had none of them.
    pub(super) fn index_messages(
        &self,
        read_up_to: impl Fn(ConversationNo) -> Result<u64, StoreError>,
    ) -> Result<(), StoreError> {
        let mut found: Vec<(ConversationNo, NewMessage)> = Vec::new();
        for row in self.txn.open_table(TIMELINE)?.iter()? {
            let (key, value) = row?;
            let key = key.value();
            let no = ConversationNo::of_key(key);
            let row = self.store.timeline_row(key, value.value())?;
            if is_message(&row.content.body) {
                let (name, at) = (row.name(), row.at());
                let expires_s = expires_s(&row.content.body);
                found.push((
                    no,
                    NewMessage {
                        name,
                        at,
                        expires_s,
                    },
                ));
            }
        }
        for (no, message) in found {
            self.put_messages(no, &[message])?;
            if message.name.who == Who::Them && message.at.seq <= read_up_to(no)? {
                self.not_unread(no, message.at.seq)?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Where a message stands, by its id alone.
    pub(crate) fn message_named(
        &self,
        no: ConversationNo,
        id: MsgId,
    ) -> Result<Option<(MessageName, MessagePlace)>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            // An id of ours was there before anybody could take it for one of theirs.
            for who in [Who::Me, Who::Them] {
                let name = MessageName { who, id };
                if let Some(at) = self.place_in(&txn, no, name)? {
                    return Ok(Some((name, at)));
                }
            }
            Ok(None)
        })
    }

    pub(super) fn place_in(
        &self,
        txn: &ReadTransaction,
        no: ConversationNo,
        name: MessageName,
    ) -> Result<Option<MessagePlace>, StoreError> {
        let table = txn.open_table(MESSAGE_IDS)?;
        let value = table.get(no.message_key(name).as_slice())?;
        Ok(value.and_then(|value| MessagePlace::decode(value.value())))
    }

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

    pub(crate) fn unread(&self, no: ConversationNo) -> Result<UnreadCount, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(UNREAD)?;
            let (start, end) = (no.seq_key(0), no.seq_key(u64::MAX));
            let mut unread = UnreadCount::default();
            for row in table.range(start.as_slice()..=end.as_slice())? {
                let (key, value) = row?;
                unread.count += 1;
                if unread.first.is_none() {
                    unread.first = Some(read_message(key.value(), value.value()).at);
                }
            }
            Ok(unread)
        })
    }
}

impl MessagePlace {
    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.place.as_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (place, seq) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            place: Hlc::from_u64(u64::from_be_bytes(*place)),
            seq: u64::from_be_bytes(*seq.first_chunk::<8>()?),
        })
    }
}

/// A row of [`UNREAD`].
fn read_message(key: &[u8], value: &[u8]) -> ReadMessage {
    let place = value
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let expires_s = value
        .last_chunk::<4>()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    ReadMessage {
        at: MessagePlace {
            place: Hlc::from_u64(place),
            seq: seq_of(key),
        },
        expires_s,
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
    use crate::store::DataKey;

    const NO: ConversationNo = ConversationNo(3);

    fn at(seq: u64) -> MessagePlace {
        MessagePlace {
            place: Hlc::from_u64(1000 + seq),
            seq,
        }
    }

    fn message(who: Who, id: u128, seq: u64) -> NewMessage {
        NewMessage {
            name: MessageName {
                who,
                id: MsgId::from_u128(id),
            },
            at: at(seq),
            expires_s: 0,
        }
    }

    fn in_a_store(test: impl FnOnce(&Store)) {
        let folder = tempfile::tempdir().unwrap();
        test(&Store::create(&folder.path().join("db"), &DataKey::generate()).unwrap());
    }

    #[test]
    fn what_is_not_read_is_counted_exactly() {
        in_a_store(|store| {
            let batch = store.begin().unwrap();
            let all: Vec<_> = (1..=5)
                .map(|seq| message(Who::Them, seq.into(), seq))
                .collect();
            batch.put_messages(NO, &all).unwrap();
            batch.put_messages(ConversationNo(4), &all[..1]).unwrap();
            batch.put_messages(NO, &[message(Who::Me, 9, 1)]).unwrap();
            let read = batch.take_read(NO, 2).unwrap();
            assert_eq!(
                read.iter().map(|one| one.at).collect::<Vec<_>>(),
                [at(1), at(2)]
            );
            assert!(batch.take_read(NO, 2).unwrap().is_empty());
            // One that came late stands before what was read.
            batch.put_messages(NO, &[message(Who::Them, 7, 1)]).unwrap();
            batch.commit().unwrap();
            let unread = store.unread(NO).unwrap();
            assert_eq!((unread.count, unread.first), (4, Some(at(1))));
            assert_eq!(store.unread(ConversationNo(4)).unwrap().count, 1);
            assert_eq!(
                store.unread(ConversationNo(2)).unwrap(),
                UnreadCount::default()
            );
        });
    }

    #[test]
    fn of_two_messages_with_one_id_the_first_is_meant() {
        in_a_store(|store| {
            let batch = store.begin().unwrap();
            let (first, second) = (message(Who::Them, 1, 1), message(Who::Them, 1, 2));
            batch.put_messages(NO, &[first, second]).unwrap();
            batch.put_messages(NO, &[message(Who::Me, 1, 8)]).unwrap();
            assert_eq!(batch.message_place(NO, first.name).unwrap(), Some(at(1)));
            batch.commit().unwrap();
            let (name, place) = store
                .message_named(NO, MsgId::from_u128(1))
                .unwrap()
                .unwrap();
            assert_eq!((name.who, place), (Who::Me, at(8)));
        });
    }

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
