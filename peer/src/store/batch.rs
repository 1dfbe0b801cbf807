//! One transaction: everything that one turn of the driver changes, and the reads that must see it.
//!
//! The sync at its end is paid once, however much happened in the turn.

use bytes::Bytes;
use redb::{ReadableTable as _, WriteTransaction};
use tincan_core::{LeftAt, OutboxRow, Persist, Snapshot};
use tincan_mls::Row;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::{DeviceId, EnvelopeId, LinkSessionId, QueueId};

use super::dump::{left_bytes, read_left};
use super::journal::JournalEvent;
use super::messages::is_wiped;
use super::removals::waiting_removals;
use super::session_rows::SessionTables;
use super::tables::{
    CONTACTS, CURSORS, ConversationNo, ENDED_QUEUES, HELD, INVITES, JOURNAL, LEFT, LINK_SESSIONS,
    META, MLS, OUTBOX, OUTBOX_ENVELOPES, PER_CONVERSATION, PROFILE, PROFILE_KEY, SEEN, SENT,
    SESSIONS, TIMELINE, Who, link_session_key, link_session_of, seen_key, seq_of, timeline_place,
};
use super::{
    ContactRow, EndedQueueRow, InviteRow, OutboxMeta, ProfileRow, SentIndex, Store, StoreError,
    row_error, tables,
};

/// Journal entries kept. A reader that falls further behind than this many events misses some; at a
/// busy 10,000 messages a day that is more than a month.
const JOURNAL_KEPT: u64 = 500_000;

/// Marks of dealt-with envelopes are kept this long, milliseconds: longer than any relay keeps an
/// envelope (30 days) after a sender gave it up (14 days).
const SEEN_KEPT_MS: u64 = 50 * 24 * 3600 * 1000;

const SCHEMA_KEY: &[u8] = b"schema";

/// Key and value of a row of MLS state.
type MlsRow = (Vec<u8>, Vec<u8>);

pub(crate) struct Batch {
    pub(super) store: Store,
    pub(super) txn: WriteTransaction,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Batch(..)")
    }
}

impl Batch {
    pub(super) fn begin(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            store: store.clone(),
            txn: store.file.get()?.begin_write()?,
        })
    }

    /// Makes everything durable.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        let Self { store, txn } = self;
        store.file.noted(txn.commit().map_err(StoreError::from))?;
        store.file.has_room();
        Ok(())
    }

    /// Makes missing tables; returns the schema version that the file has, or this one if it is new.
    pub(super) fn make_tables(&self, version: u64) -> Result<u64, StoreError> {
        for table in tables::ALL {
            self.txn.open_table(table)?;
        }
        let meta = self.txn.open_table(META)?;
        let found = meta.get(SCHEMA_KEY)?.map(|value| seq_of(value.value()));
        Ok(found.unwrap_or(version))
    }

    pub(crate) fn put_schema(&self, version: u64) -> Result<(), StoreError> {
        self.txn
            .open_table(META)?
            .insert(SCHEMA_KEY, version.to_be_bytes().as_slice())?;
        Ok(())
    }

    // Profile, contacts, invites.

    pub(crate) fn profile(&self) -> Result<Option<ProfileRow>, StoreError> {
        let table = self.txn.open_table(PROFILE)?;
        let row = table.get(PROFILE_KEY)?;
        row.map(|row| self.store.open_json("profile", PROFILE_KEY, row.value()))
            .transpose()
    }

    pub(crate) fn put_profile(&self, row: &ProfileRow) -> Result<(), StoreError> {
        let sealed = self.store.seal_json("profile", PROFILE_KEY, row)?;
        self.txn
            .open_table(PROFILE)?
            .insert(PROFILE_KEY, sealed.as_slice())?;
        Ok(())
    }

    pub(crate) fn contacts(&self) -> Result<Vec<ContactRow>, StoreError> {
        let table = self.txn.open_table(CONTACTS)?;
        table
            .iter()?
            .map(|entry| {
                let (key, value) = entry?;
                self.store.open_json("contacts", key.value(), value.value())
            })
            .collect()
    }

    pub(crate) fn put_contact(&self, row: &ContactRow) -> Result<(), StoreError> {
        let key = row.no.key();
        let sealed = self.store.seal_json("contacts", &key, row)?;
        self.txn
            .open_table(CONTACTS)?
            .insert(key.as_slice(), sealed.as_slice())?;
        Ok(())
    }

    /// With everything that was said.
    pub(crate) fn remove_contact(&self, no: ConversationNo) -> Result<(), StoreError> {
        for table in PER_CONVERSATION {
            let (start, end) = (no.key(), [no.key().as_slice(), &[u8::MAX; 17]].concat());
            let mut table = self.txn.open_table(table)?;
            table.retain_in(start.as_slice()..=end.as_slice(), |_, _| false)?;
        }
        // What is due at a time finds nothing then; this would wait for ever.
        let [start, end] = waiting_removals(no);
        let mut removals = self.txn.open_table(tables::REMOVALS)?;
        removals.retain_in(start.as_slice()..=end.as_slice(), |_, _| false)?;
        Ok(())
    }

    /// Where this device left the conversation with somebody that it has forgotten.
    pub(crate) fn left_at(&self, with: &[u8; 32]) -> Result<Option<LeftAt>, StoreError> {
        let bytes = self.get(LEFT, "left", with)?;
        Ok(bytes.and_then(|bytes| read_left(&bytes)))
    }

    pub(crate) fn put_left_at(&self, with: &[u8; 32], left: LeftAt) -> Result<(), StoreError> {
        let sealed = self.store.sealer.seal("left", with, &left_bytes(left));
        self.txn
            .open_table(LEFT)?
            .insert(with.as_slice(), sealed.as_slice())?;
        Ok(())
    }

    /// The first contents that the other side has not received, as they were encoded.
    pub(crate) fn first_undelivered(
        &self,
        no: ConversationNo,
        max: usize,
        max_bytes: usize,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let mut ranges = Vec::new();
        self.outbox_while(no, 0, |first, meta| {
            ranges.push((first, meta.last));
            ranges.len() <= max
        })?;
        let (mut contents, mut bytes) = (Vec::new(), 0);
        for (first, last) in ranges {
            for (seq, content) in self.sent_contents(no, first, last)? {
                bytes += content.len();
                if contents.len() == max || bytes > max_bytes {
                    return Ok(contents);
                }
                contents.push((seq, content));
            }
        }
        Ok(contents)
    }

    pub(crate) fn invites(&self) -> Result<Vec<InviteRow>, StoreError> {
        let table = self.txn.open_table(INVITES)?;
        table
            .iter()?
            .map(|entry| {
                let (key, value) = entry?;
                self.store.open_json("invites", key.value(), value.value())
            })
            .collect()
    }

    pub(crate) fn put_invite(&self, row: &InviteRow) -> Result<(), StoreError> {
        let queue = row.queue_key().queue();
        let sealed = self.store.seal_json("invites", queue.as_bytes(), row)?;
        self.txn
            .open_table(INVITES)?
            .insert(queue.as_bytes().as_slice(), sealed.as_slice())?;
        Ok(())
    }

    pub(crate) fn remove_invite(&self, row: &InviteRow) -> Result<(), StoreError> {
        let queue = row.queue_key().queue();
        self.txn
            .open_table(INVITES)?
            .remove(queue.as_bytes().as_slice())?;
        Ok(())
    }

    pub(crate) fn ended_queues(&self) -> Result<Vec<EndedQueueRow>, StoreError> {
        let table = self.txn.open_table(ENDED_QUEUES)?;
        table
            .iter()?
            .map(|entry| {
                let (key, value) = entry?;
                self.store
                    .open_json("ended_queues", key.value(), value.value())
            })
            .collect()
    }

    pub(crate) fn put_ended_queue(&self, row: &EndedQueueRow) -> Result<(), StoreError> {
        let queue = row.queue_key().queue();
        let sealed = self
            .store
            .seal_json("ended_queues", queue.as_bytes(), row)?;
        self.txn
            .open_table(ENDED_QUEUES)?
            .insert(queue.as_bytes().as_slice(), sealed.as_slice())?;
        Ok(())
    }

    pub(crate) fn remove_ended_queue(&self, queue: &QueueId) -> Result<(), StoreError> {
        self.txn
            .open_table(ENDED_QUEUES)?
            .remove(queue.as_bytes().as_slice())?;
        Ok(())
    }

    // Link sessions.

    pub(crate) fn put_link_session(
        &self,
        device: DeviceId,
        session: LinkSessionId,
        seen_ms: u64,
    ) -> Result<(), StoreError> {
        let key = link_session_key(device, session);
        self.txn
            .open_table(LINK_SESSIONS)?
            .insert(key.as_slice(), seen_ms.to_be_bytes().as_slice())?;
        Ok(())
    }

    pub(crate) fn link_sessions(&self) -> Result<Vec<(DeviceId, LinkSessionId, u64)>, StoreError> {
        let table = self.txn.open_table(LINK_SESSIONS)?;
        let mut sessions = Vec::new();
        for entry in table.iter()? {
            let (key, value) = entry?;
            if let Some((device, session)) = link_session_of(key.value()) {
                sessions.push((device, session, seq_of(value.value())));
            }
        }
        Ok(sessions)
    }

    /// Forgets the sessions that were seen before.
    pub(crate) fn prune_link_sessions(&self, before_ms: u64) -> Result<(), StoreError> {
        self.txn
            .open_table(LINK_SESSIONS)?
            .retain(|_, value| seq_of(value) >= before_ms)?;
        Ok(())
    }

    // MLS.

    pub(crate) fn mls_rows(&self) -> Result<Vec<MlsRow>, StoreError> {
        let table = self.txn.open_table(MLS)?;
        table
            .iter()?
            .map(|entry| {
                let (key, value) = entry?;
                let value = self.store.sealer.open("mls", key.value(), value.value())?;
                Ok((key.value().to_vec(), value))
            })
            .collect()
    }

    pub(crate) fn put_mls_rows(&self, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut table = self.txn.open_table(MLS)?;
        for row in rows {
            match row.value {
                Some(value) => {
                    let sealed = self.store.sealer.seal("mls", &row.key, &value);
                    table.insert(row.key.as_slice(), sealed.as_slice())?;
                }
                None => {
                    table.remove(row.key.as_slice())?;
                }
            }
        }
        Ok(())
    }

    // Sessions.

    pub(crate) fn snapshot(&self, no: ConversationNo) -> Result<Option<Snapshot>, StoreError> {
        use prost::Message as _;
        let key = no.key();
        let Some(bytes) = self.get(SESSIONS, "sessions", &key)? else {
            return Ok(None);
        };
        Snapshot::decode(bytes.as_slice())
            .map(Some)
            .map_err(|error| row_error("sessions", &error))
    }

    /// Applies what a session wants persisted, in order. Each table is opened once.
    pub(crate) fn apply(
        &self,
        no: ConversationNo,
        rows: Vec<Persist>,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut tables = SessionTables::open(&self.store, &self.txn, no, now_ms)?;
        rows.into_iter().try_for_each(|row| tables.apply(row))
    }

    pub(crate) fn is_seen(&self, id: &EnvelopeId) -> Result<bool, StoreError> {
        Ok(self
            .txn
            .open_table(SEEN)?
            .get(seen_key(id).as_slice())?
            .is_some())
    }

    /// Forgets marks that no envelope can meet any more.
    pub(crate) fn prune_seen(&self, now_ms: u64) -> Result<(), StoreError> {
        let oldest = now_ms.saturating_sub(SEEN_KEPT_MS);
        self.txn
            .open_table(SEEN)?
            .retain(|_, value| seq_of(value) >= oldest)?;
        Ok(())
    }

    pub(crate) fn outbox(
        &self,
        no: ConversationNo,
        from_seq: u64,
    ) -> Result<Vec<(u64, OutboxMeta)>, StoreError> {
        self.outbox_while(no, from_seq, |_, _| true)
    }

    /// Metadata from `from_seq` on, as long as `take` says so.
    pub(crate) fn outbox_while(
        &self,
        no: ConversationNo,
        from_seq: u64,
        mut take: impl FnMut(u64, &OutboxMeta) -> bool,
    ) -> Result<Vec<(u64, OutboxMeta)>, StoreError> {
        let table = self.txn.open_table(OUTBOX)?;
        let mut rows = Vec::new();
        let (start, end) = (no.seq_key(from_seq), no.seq_key(u64::MAX));
        for entry in table.range(start.as_slice()..=end.as_slice())? {
            let (key, value) = entry?;
            let meta = self.store.open_json("outbox", key.value(), value.value())?;
            let first = seq_of(key.value());
            if !take(first, &meta) {
                break;
            }
            rows.push((first, meta));
        }
        Ok(rows)
    }

    /// First and last seq of undelivered envelopes that overlap `first..=last` and are not pending.
    pub(crate) fn stored_elsewhere(
        &self,
        no: ConversationNo,
        first: u64,
        last: u64,
        max: usize,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let from = tables::overlapping(&self.txn.open_table(OUTBOX)?, no, first)?;
        let is_one = |meta: &OutboxMeta| meta.last >= first && !meta.pending;
        let mut found = 0;
        let rows = self.outbox_while(no, from, |row_first, meta| {
            found += usize::from(is_one(meta));
            row_first <= last && found <= max
        })?;
        let rows = rows.into_iter().filter(|(_, meta)| is_one(meta));
        Ok(rows.map(|(first, meta)| (first, meta.last)).collect())
    }

    pub(crate) fn pending(
        &self,
        no: ConversationNo,
        from_seq: u64,
        max_count: usize,
        max_bytes: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let mut found = 0;
        let metas = self.outbox_while(no, from_seq, |_, meta| {
            found += usize::from(meta.pending);
            found <= max_count
        })?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for (first, meta) in metas.into_iter().filter(|(_, meta)| meta.pending) {
            if bytes >= max_bytes {
                break;
            }
            let key = no.seq_key(first);
            let envelope = self
                .get(OUTBOX_ENVELOPES, "outbox_envelopes", &key)?
                .ok_or_else(|| {
                    row_error(
                        "outbox_envelopes",
                        &format_args!("envelope {first} is missing"),
                    )
                })?;
            bytes += envelope.len();
            rows.push(OutboxRow {
                first,
                last: meta.last,
                envelope: envelope.into(),
                told: meta.stored.is_some(),
            });
        }
        Ok(rows)
    }

    /// The contents sent with these seqs, as they were encoded; without those that are gone, because the other
    /// side has them.
    pub(crate) fn sent_contents(
        &self,
        no: ConversationNo,
        first: u64,
        last: u64,
    ) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let index = self.get(SENT, "sent", &no.seq_key(first))?;
        let index = index
            .map(|bytes| SentIndex::decode(&bytes))
            .unwrap_or_default();
        let timeline = self.txn.open_table(TIMELINE)?;
        let mut contents = Vec::new();
        for ((_, place), seq) in index.0.iter().zip(first..=last) {
            let key = no.timeline_key(*place, Who::Me, seq);
            if let Some(value) = timeline.get(key.as_slice())? {
                let value = self.store.sealer.open("timeline", &key, value.value())?;
                let content = Bytes::from(value).slice(8..);
                if !is_wiped(&content) {
                    contents.push((seq, content));
                }
            }
        }
        Ok(contents)
    }

    pub(crate) fn held(&self, no: ConversationNo, seq: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get(HELD, "held", &no.seq_key(seq))?.map(Bytes::from))
    }

    pub(crate) fn held_seqs(&self, no: ConversationNo) -> Result<Vec<u64>, StoreError> {
        let table = self.txn.open_table(HELD)?;
        let (start, end) = (no.seq_key(0), no.seq_key(u64::MAX));
        let range = table.range(start.as_slice()..=end.as_slice())?;
        range.map(|entry| Ok(seq_of(entry?.0.value()))).collect()
    }

    /// Places and seqs of what the other side has said, up to the seq `last`.
    pub(crate) fn received(
        &self,
        no: ConversationNo,
        last: u64,
    ) -> Result<Vec<(Hlc, u64)>, StoreError> {
        let table = self.txn.open_table(TIMELINE)?;
        let start = no.timeline_key(Hlc::default(), Who::Me, 0);
        let end = no.timeline_key(Hlc::from_u64(u64::MAX), Who::Them, u64::MAX);
        let mut places = Vec::new();
        for row in table.range(start.as_slice()..=end.as_slice())? {
            let (place, who, seq) = timeline_place(row?.0.value());
            if who == Who::Them && seq <= last {
                places.push((place, seq));
            }
        }
        Ok(places)
    }

    // Journal.

    /// The cursor after the last event.
    pub(crate) fn journal_end(&self) -> Result<u64, StoreError> {
        let table = self.txn.open_table(JOURNAL)?;
        let Some((key, value)) = table.last()? else {
            return Ok(1);
        };
        let events: Vec<JournalEvent> =
            self.store
                .open_json("journal", key.value(), value.value())?;
        Ok(seq_of(key.value()) + events.iter().map(JournalEvent::len).sum::<u64>())
    }

    /// Appends events, the first at cursor `first`.
    pub(crate) fn append_journal(
        &self,
        first: u64,
        events: &[JournalEvent],
    ) -> Result<(), StoreError> {
        let key = first.to_be_bytes();
        let sealed = self.store.seal_json("journal", &key, &events)?;
        let mut table = self.txn.open_table(JOURNAL)?;
        table.insert(key.as_slice(), sealed.as_slice())?;
        // One row comes, at most two go: the journal shrinks to its bound without a long pass.
        let oldest = first.saturating_sub(JOURNAL_KEPT).to_be_bytes();
        for _ in 0..2 {
            let stale = table.first()?.map(|(key, _)| key.value().to_vec());
            match stale.filter(|key| key.as_slice() < oldest.as_slice()) {
                Some(key) => table.remove(key.as_slice())?,
                None => break,
            };
        }
        Ok(())
    }

    pub(crate) fn put_cursor(&self, name: &str, cursor: u64) -> Result<(), StoreError> {
        let mut table = self.txn.open_table(CURSORS)?;
        table.insert(name.as_bytes(), cursor.to_be_bytes().as_slice())?;
        Ok(())
    }

    fn get(
        &self,
        table: tables::Table,
        name: &'static str,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.txn.open_table(table)?;
        let value = table.get(key)?;
        value
            .map(|value| self.store.sealer.open(name, key, value.value()))
            .transpose()
    }
}
