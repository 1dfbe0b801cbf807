//! Messages of the other side that were not shown yet: a row for each, so that their number is exact.

use std::collections::BTreeSet;

use redb::{ReadableTable as _, ReadableTableMetadata as _};
use tincan_protocol::MsgId;
use tincan_protocol::hlc::Hlc;

use super::messages::{MessageName, MessagePlace};
use super::tables::{ConversationNo, UNREAD, Who, seq_of};
use super::{Batch, Store, StoreError, contained};

/// A message of the other side that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadMessage {
    pub(crate) at: MessagePlace,
    pub(crate) expires_s: u32,
}

/// What nobody has read in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnreadCount {
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) first: Option<MessagePlace>,
}

impl Batch {
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

    /// Marks these messages of the other side as read; returns what was not before.
    pub(crate) fn take_these_read(
        &self,
        no: ConversationNo,
        ids: &[MsgId],
    ) -> Result<Vec<ReadMessage>, StoreError> {
        let mut read = Vec::new();
        for &id in ids {
            let name = MessageName { who: Who::Them, id };
            let Some(at) = self.message_place(no, name)? else {
                continue;
            };
            let mut table = self.txn.open_table(UNREAD)?;
            let key = no.seq_key(at.seq);
            let row = table.remove(key.as_slice())?;
            read.extend(row.map(|value| read_message(&key, value.value())));
        }
        Ok(read)
    }

    /// The first message of the other side that was not read, by its seq.
    pub(crate) fn first_unread(&self, no: ConversationNo) -> Result<Option<u64>, StoreError> {
        let table = self.txn.open_table(UNREAD)?;
        let (start, end) = (no.seq_key(0), no.seq_key(u64::MAX));
        let first = table.range(start.as_slice()..=end.as_slice())?.next();
        let first = first.transpose()?;
        Ok(first.map(|(key, _)| seq_of(key.value())))
    }

    /// There is nothing left to read.
    pub(crate) fn not_unread(&self, no: ConversationNo, seq: u64) -> Result<(), StoreError> {
        self.txn
            .open_table(UNREAD)?
            .remove(no.seq_key(seq).as_slice())?;
        Ok(())
    }
}

impl Store {
    /// Which of these messages of the other side, by their seqs, were not read.
    pub(crate) fn unread_among(
        &self,
        no: ConversationNo,
        seqs: impl Iterator<Item = u64>,
    ) -> Result<BTreeSet<u64>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(UNREAD)?;
            let mut unread = BTreeSet::new();
            if table.is_empty()? {
                return Ok(unread);
            }
            for seq in seqs {
                if table.get(no.seq_key(seq).as_slice())?.is_some() {
                    unread.insert(seq);
                }
            }
            Ok(unread)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Who;
    use crate::store::messages::tests::{NO, at, in_a_store, message};

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
}
