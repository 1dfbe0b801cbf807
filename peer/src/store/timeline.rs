//! Reading a conversation: in its own transaction, so that a long history never holds up the driver.

use redb::ReadableTable as _;
use tincan_core::Snapshot;
use tincan_protocol::MsgId;
use tincan_protocol::content::Content;
use tincan_protocol::hlc::Hlc;

use super::tables::{
    CONTACTS, ConversationNo, OUTBOX, PROFILE, PROFILE_KEY, SENT, SESSIONS, TIMELINE, Who, seq_of,
    timeline_place,
};
use super::{
    ContactRow, MessageName, MessagePlace, OutboxMeta, ProfileRow, SentIndex, Store, StoreError,
    contained, row_error,
};

/// A content at its place.
#[derive(Clone, Debug)]
pub(crate) struct TimelineRow {
    pub(crate) place: Hlc,
    pub(crate) who: Who,
    pub(crate) content: Content,
    /// When it was written here, Unix milliseconds.
    pub(crate) stored_ms: u64,
}

impl TimelineRow {
    /// What it is called, if it is a message.
    pub(crate) const fn name(&self) -> MessageName {
        MessageName {
            who: self.who,
            id: self.content.msg_id,
        }
    }

    pub(crate) const fn at(&self) -> MessagePlace {
        MessagePlace {
            place: self.place,
            seq: self.content.seq,
        }
    }
}

impl Store {
    /// Contents before `before` (or the newest ones), newest first, until `take` says no.
    pub(crate) fn timeline_back(
        &self,
        no: ConversationNo,
        before: Option<(Hlc, Who, u64)>,
        mut take: impl FnMut(TimelineRow) -> bool,
    ) -> Result<(), StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(TIMELINE)?;
            let start = no.timeline_key(Hlc::default(), Who::Me, 0);
            let end = match before {
                Some((place, who, seq)) => no.timeline_key(place, who, seq),
                None => no.timeline_key(Hlc::from_u64(u64::MAX), Who::Them, u64::MAX),
            };
            for row in table.range(start.as_slice()..end.as_slice())?.rev() {
                let (key, value) = row?;
                if !take(self.timeline_row(key.value(), value.value())?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Contents after `after` (or the oldest ones), oldest first, until `take` says no.
    pub(crate) fn timeline_on(
        &self,
        no: ConversationNo,
        after: Option<(Hlc, Who, u64)>,
        mut take: impl FnMut(TimelineRow) -> bool,
    ) -> Result<(), StoreError> {
        use std::ops::Bound;
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(TIMELINE)?;
            let after = match after {
                Some((place, who, seq)) => no.timeline_key(place, who, seq),
                // Nothing has this place.
                None => no.timeline_key(Hlc::default(), Who::Me, 0),
            };
            let end = no.timeline_key(Hlc::from_u64(u64::MAX), Who::Them, u64::MAX);
            let on = (
                Bound::Excluded(after.as_slice()),
                Bound::Included(end.as_slice()),
            );
            for row in table.range::<&[u8]>(on)? {
                let (key, value) = row?;
                if !take(self.timeline_row(key.value(), value.value())?) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// A message, if it is there.
    pub(crate) fn timeline_at(
        &self,
        no: ConversationNo,
        name: MessageName,
    ) -> Result<Option<TimelineRow>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let Some(at) = self.place_in(&txn, no, name)? else {
                return Ok(None);
            };
            let key = no.timeline_key(at.place, name.who, at.seq);
            let table = txn.open_table(TIMELINE)?;
            let value = table.get(key.as_slice())?;
            value
                .map(|value| self.timeline_row(&key, value.value()))
                .transpose()
        })
    }

    /// The id of a message of the other side, by its place.
    pub(crate) fn id_of_received(
        &self,
        no: ConversationNo,
        at: MessagePlace,
    ) -> Result<Option<MsgId>, StoreError> {
        let rows = self.received_at(no, &[(at.place.as_u64(), at.seq)])?;
        Ok(rows
            .into_iter()
            .flatten()
            .next()
            .map(|row| row.content.msg_id))
    }

    /// Several contents of the other side, in one transaction; `None` for those that are gone.
    pub(crate) fn received_at(
        &self,
        no: ConversationNo,
        messages: &[(u64, u64)],
    ) -> Result<Vec<Option<TimelineRow>>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(TIMELINE)?;
            let rows = messages.iter().map(|&(place, seq)| {
                let key = no.timeline_key(Hlc::from_u64(place), Who::Them, seq);
                let value = table.get(key.as_slice())?;
                value
                    .map(|value| self.timeline_row(&key, value.value()))
                    .transpose()
            });
            rows.collect()
        })
    }

    /// Ids and places of own messages with the seqs `first..=last`.
    pub(crate) fn sent_ids(
        &self,
        no: ConversationNo,
        first: u64,
        last: u64,
    ) -> Result<Vec<(u64, MsgId, Hlc)>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(SENT)?;
            let mut ids = Vec::new();
            // The envelope that contains `first` may begin before it.
            let (lowest, from) = (no.seq_key(0), no.seq_key(first));
            let start = table
                .range(lowest.as_slice()..=from.as_slice())?
                .next_back()
                .transpose()?;
            let start = start.map_or(from.to_vec(), |(key, _)| key.value().to_vec());
            for row in table.range(start.as_slice()..=no.seq_key(last).as_slice())? {
                let (key, value) = row?;
                let index = self.sealer.open("sent", key.value(), value.value())?;
                let seqs = (seq_of(key.value())..).zip(SentIndex::decode(&index).0);
                let wanted = seqs.filter(|(seq, _)| (first..=last).contains(seq));
                ids.extend(wanted.map(|(seq, (id, place))| (seq, id, place)));
            }
            Ok(ids)
        })
    }

    pub(crate) fn read_snapshot(&self, no: ConversationNo) -> Result<Snapshot, StoreError> {
        contained(|| {
            use prost::Message as _;
            let txn = self.read()?;
            let table = txn.open_table(SESSIONS)?;
            let key = no.key();
            let Some(value) = table.get(key.as_slice())? else {
                return Ok(Snapshot::default());
            };
            let bytes = self.sealer.open("sessions", &key, value.value())?;
            Snapshot::decode(bytes.as_slice()).map_err(|error| row_error("sessions", &error))
        })
    }

    /// Outbox metadata of the envelope that contains an own message, if it is not delivered.
    pub(crate) fn outbox_of(
        &self,
        no: ConversationNo,
        seq: u64,
    ) -> Result<Option<OutboxMeta>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(OUTBOX)?;
            let (start, end) = (no.seq_key(0), no.seq_key(seq));
            let row = table
                .range(start.as_slice()..=end.as_slice())?
                .next_back()
                .transpose()?;
            let Some((key, value)) = row else {
                return Ok(None);
            };
            let meta: OutboxMeta = self.open_json("outbox", key.value(), value.value())?;
            Ok((seq <= meta.last).then_some(meta))
        })
    }

    /// Shows every own content that is not delivered, with its envelope's metadata, to `take`.
    pub(crate) fn undelivered(
        &self,
        no: ConversationNo,
        mut take: impl FnMut(&OutboxMeta, TimelineRow),
    ) -> Result<(), StoreError> {
        let delivered = self.read_snapshot(no)?.delivered_set();
        contained(|| {
            let txn = self.read()?;
            let (outbox, sent) = (txn.open_table(OUTBOX)?, txn.open_table(SENT)?);
            let timeline = txn.open_table(TIMELINE)?;
            let (start, end) = (no.seq_key(0), no.seq_key(u64::MAX));
            for row in outbox.range(start.as_slice()..=end.as_slice())? {
                let (key, value) = row?;
                let meta: OutboxMeta = self.open_json("outbox", key.value(), value.value())?;
                let Some(index) = sent.get(key.value())? else {
                    continue;
                };
                let index = self.sealer.open("sent", key.value(), index.value())?;
                let seqs = (seq_of(key.value())..=meta.last).zip(SentIndex::decode(&index).0);
                for (seq, (_, place)) in seqs.filter(|(seq, _)| !delivered.contains(*seq)) {
                    let key = no.timeline_key(place, Who::Me, seq);
                    if let Some(value) = timeline.get(key.as_slice())? {
                        take(&meta, self.timeline_row(&key, value.value())?);
                    }
                }
            }
            Ok(())
        })
    }

    /// The profile as it is committed.
    pub(crate) fn read_profile(&self) -> Result<ProfileRow, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(PROFILE)?;
            let row = table.get(PROFILE_KEY)?;
            let row = row.ok_or_else(|| row_error("profile", &"it is missing"))?;
            self.open_json("profile", PROFILE_KEY, row.value())
        })
    }

    /// How many rows are kept of conversations.
    #[cfg(test)]
    pub(crate) fn rows_of_conversations(&self) -> Result<u64, StoreError> {
        use redb::ReadableTableMetadata as _;
        let txn = self.read()?;
        let tables = super::tables::PER_CONVERSATION.into_iter();
        let counts = tables.map(|table| Ok(txn.open_table(table)?.len()?));
        counts.sum()
    }

    /// All contacts as they are committed.
    pub(crate) fn read_contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(CONTACTS)?;
            table
                .iter()?
                .map(|row| {
                    let (key, value) = row?;
                    self.open_json("contacts", key.value(), value.value())
                })
                .collect()
        })
    }

    pub(super) fn timeline_row(
        &self,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<TimelineRow, StoreError> {
        let value = self.sealer.open("timeline", key, sealed)?;
        let (stored_ms, content) = value
            .split_first_chunk::<8>()
            .ok_or_else(|| row_error("timeline", &"value is too short"))?;
        let content =
            Content::decode_kept(content).map_err(|error| row_error("timeline", &error))?;
        let (place, who, _) = timeline_place(key);
        Ok(TimelineRow {
            place,
            who,
            content,
            stored_ms: u64::from_be_bytes(*stored_ms),
        })
    }
}
