//! Messages by their ids, and where they stand.

use redb::{ReadTransaction, ReadableTable as _};
use serde::{Deserialize, Serialize};
use tincan_protocol::MsgId;
use tincan_protocol::content::{Body, Content};
use tincan_protocol::hlc::Hlc;

use super::tables::{ConversationNo, MESSAGE_IDS, TIMELINE, UNREAD, Who};
use super::{Batch, Store, StoreError, contained};

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

/// Whether a content is shown as a message.
pub(crate) fn is_message(body: &Body) -> bool {
    matches!(body, Body::Text(_))
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
            let is_first = ids.get(key.as_slice())?.is_none();
            if is_first {
                ids.insert(key.as_slice(), at.encode().as_slice())?;
            }
            // One that cannot be named cannot be marked as read either.
            if name.who == Who::Them && is_first {
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
}

impl MessagePlace {
    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.place.as_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (place, seq) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            place: Hlc::from_u64(u64::from_be_bytes(*place)),
            seq: u64::from_be_bytes(*seq.first_chunk::<8>()?),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::store::DataKey;

    pub(in crate::store) const NO: ConversationNo = ConversationNo(3);

    pub(in crate::store) fn at(seq: u64) -> MessagePlace {
        MessagePlace {
            place: Hlc::from_u64(1000 + seq),
            seq,
        }
    }

    pub(in crate::store) fn message(who: Who, id: u128, seq: u64) -> NewMessage {
        NewMessage {
            name: MessageName {
                who,
                id: MsgId::from_u128(id),
            },
            at: at(seq),
            expires_s: 0,
        }
    }

    pub(in crate::store) fn in_a_store(test: impl FnOnce(&Store)) {
        let folder = tempfile::tempdir().unwrap();
        test(&Store::create(&folder.path().join("db"), &DataKey::generate()).unwrap());
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
}
