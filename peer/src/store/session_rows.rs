//! What a session wants persisted, into the tables of its conversation.

use redb::{ReadableTable as _, Table};
use tincan_core::{Persist, SentVia, Snapshot};
use tincan_protocol::EnvelopeId;
use tincan_protocol::ack::SeqSet;

use super::tables::{
    ConversationNo, HELD, OUTBOX, OUTBOX_ENVELOPES, SEEN, SENT, SESSIONS, TIMELINE, Who,
    overlapping, seen_key, seq_of,
};
use super::{OutboxMeta, SentIndex, Store, StoreError};

type BytesTable<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// The tables that one conversation's rows go to, each opened once for many rows.
pub(super) struct SessionTables<'t> {
    store: &'t Store,
    no: ConversationNo,
    now_ms: u64,
    sessions: BytesTable<'t>,
    outbox: BytesTable<'t>,
    envelopes: BytesTable<'t>,
    sent: BytesTable<'t>,
    timeline: BytesTable<'t>,
    held: BytesTable<'t>,
    seen: BytesTable<'t>,
}

impl<'t> SessionTables<'t> {
    pub(super) fn open(
        store: &'t Store,
        txn: &'t redb::WriteTransaction,
        no: ConversationNo,
        now_ms: u64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            store,
            no,
            now_ms,
            sessions: txn.open_table(SESSIONS)?,
            outbox: txn.open_table(OUTBOX)?,
            envelopes: txn.open_table(OUTBOX_ENVELOPES)?,
            sent: txn.open_table(SENT)?,
            timeline: txn.open_table(TIMELINE)?,
            held: txn.open_table(HELD)?,
            seen: txn.open_table(SEEN)?,
        })
    }

    pub(super) fn apply(&mut self, row: Persist) -> Result<(), StoreError> {
        match row {
            Persist::Snapshot(snapshot) => self.snapshot(&snapshot),
            Persist::Outgoing {
                first,
                last,
                id,
                envelope,
                created_ms,
                lasts,
                contents,
            } => {
                let index = contents
                    .iter()
                    .map(|content| (content.msg_id, content.place))
                    .collect();
                self.outgoing(
                    first,
                    OutboxMeta {
                        last,
                        id,
                        created_ms,
                        lasts,
                        pending: true,
                        stored: None,
                        at_relay: false,
                    },
                    &envelope,
                )?;
                self.put_sent(first, &SentIndex(index))?;
                contents.iter().try_for_each(|content| {
                    let key = self.no.timeline_key(content.place, Who::Me, content.seq);
                    self.put_timeline(&key, &content.content)
                })
            }
            Persist::Resealed {
                first,
                id,
                envelope,
            } => {
                let Some(meta) = self.meta(first)? else {
                    return Ok(());
                };
                self.outgoing(
                    first,
                    OutboxMeta {
                        id,
                        pending: true,
                        at_relay: false,
                        ..meta
                    },
                    &envelope,
                )
            }
            Persist::OutboxStored { first, via } => self.stored(first, via),
            Persist::RelayForgot => self.relay_forgot(),
            Persist::Unsealed => self.unseal(),
            Persist::Delivered { delivered, new } => self.delivered(&delivered, &new),
            Persist::Expired { first } => self.remove_outgoing(first),
            Persist::Incoming {
                seq,
                place,
                content,
            } => {
                let key = self.no.timeline_key(place, Who::Them, seq);
                self.put_timeline(&key, &content)
            }
            Persist::Hold { seq, content } => {
                let key = self.no.seq_key(seq);
                let sealed = self.store.sealer.seal("held", &key, &content);
                self.held.insert(key.as_slice(), sealed.as_slice())?;
                Ok(())
            }
            Persist::Unhold { seq } => {
                self.held.remove(self.no.seq_key(seq).as_slice())?;
                Ok(())
            }
            Persist::Seen { id } => {
                self.seen.insert(
                    seen_key(&id).as_slice(),
                    self.now_ms.to_be_bytes().as_slice(),
                )?;
                Ok(())
            }
        }
    }

    fn snapshot(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        use prost::Message as _;
        let key = self.no.key();
        let sealed = self
            .store
            .sealer
            .seal("sessions", &key, &snapshot.encode_to_vec());
        self.sessions.insert(key.as_slice(), sealed.as_slice())?;
        Ok(())
    }

    fn outgoing(
        &mut self,
        first: u64,
        meta: OutboxMeta,
        envelope: &[u8],
    ) -> Result<(), StoreError> {
        let key = self.no.seq_key(first);
        self.put_meta(&key, &meta)?;
        let sealed = self.store.sealer.seal("outbox_envelopes", &key, envelope);
        self.envelopes.insert(key.as_slice(), sealed.as_slice())?;
        Ok(())
    }

    fn stored(&mut self, first: u64, via: SentVia) -> Result<(), StoreError> {
        let Some(mut meta) = self.meta(first)? else {
            return Ok(());
        };
        meta.pending = false;
        meta.at_relay = via == SentVia::Relay;
        if meta.stored != Some(SentVia::Peer) {
            meta.stored = Some(via);
        }
        self.put_meta(&self.no.seq_key(first), &meta)
    }

    fn relay_forgot(&mut self) -> Result<(), StoreError> {
        for (first, mut meta) in self.outgoing_between(0, u64::MAX)? {
            // What an earlier version stored there says it only in `stored`.
            let at_relay = meta.at_relay || meta.stored == Some(SentVia::Relay);
            if !meta.pending && at_relay {
                meta.pending = true;
                self.put_meta(&self.no.seq_key(first), &meta)?;
            }
        }
        Ok(())
    }

    /// They get bytes, and an id, when they are sealed again.
    fn unseal(&mut self) -> Result<(), StoreError> {
        for (first, meta) in self.outgoing_between(0, u64::MAX)? {
            let unsealed = OutboxMeta {
                id: EnvelopeId::of(&[]),
                pending: true,
                at_relay: false,
                ..meta
            };
            self.outgoing(first, unsealed, &[])?;
        }
        Ok(())
    }

    /// Looks at no more than what is new: a receipt costs what it tells.
    fn delivered(&mut self, delivered: &SeqSet, new: &[(u64, u64)]) -> Result<(), StoreError> {
        for &(first, last) in new {
            let from = overlapping(&self.outbox, self.no, first)?;
            for (first, meta) in self.outgoing_between(from, last)? {
                if delivered.contains_all(first, meta.last) {
                    self.remove_outgoing(first)?;
                }
            }
        }
        Ok(())
    }

    fn outgoing_between(&self, from: u64, to: u64) -> Result<Vec<(u64, OutboxMeta)>, StoreError> {
        let (start, end) = (self.no.seq_key(from), self.no.seq_key(to));
        let rows = self.outbox.range(start.as_slice()..=end.as_slice())?;
        rows.map(|entry| {
            let (key, value) = entry?;
            let meta = self.store.open_json("outbox", key.value(), value.value())?;
            Ok((seq_of(key.value()), meta))
        })
        .collect()
    }

    fn remove_outgoing(&mut self, first: u64) -> Result<(), StoreError> {
        let key = self.no.seq_key(first);
        self.outbox.remove(key.as_slice())?;
        self.envelopes.remove(key.as_slice())?;
        Ok(())
    }

    fn put_sent(&mut self, first: u64, index: &SentIndex) -> Result<(), StoreError> {
        let key = self.no.seq_key(first);
        let sealed = self.store.sealer.seal("sent", &key, &index.encode());
        self.sent.insert(key.as_slice(), sealed.as_slice())?;
        Ok(())
    }

    /// `u64 Unix ms of storing | content`
    fn put_timeline(&mut self, key: &[u8; 21], content: &[u8]) -> Result<(), StoreError> {
        let mut value = Vec::with_capacity(8 + content.len());
        value.extend_from_slice(&self.now_ms.to_be_bytes());
        value.extend_from_slice(content);
        let sealed = self.store.sealer.seal("timeline", key, &value);
        self.timeline.insert(key.as_slice(), sealed.as_slice())?;
        Ok(())
    }

    fn meta(&self, first: u64) -> Result<Option<OutboxMeta>, StoreError> {
        let key = self.no.seq_key(first);
        let value = self.outbox.get(key.as_slice())?;
        value
            .map(|value| self.store.open_json("outbox", &key, value.value()))
            .transpose()
    }

    fn put_meta(&mut self, key: &[u8; 12], meta: &OutboxMeta) -> Result<(), StoreError> {
        let sealed = self.store.seal_json("outbox", key, meta)?;
        self.outbox.insert(key.as_slice(), sealed.as_slice())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DataKey;
    use bytes::Bytes;
    use tincan_protocol::EnvelopeId;

    #[test]
    fn regression_what_was_sealed_again_and_lost_by_a_relay_is_pending_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("db"), &DataKey::generate()).unwrap();
        let (no, first, envelope) = (ConversationNo(1), 1, Bytes::from_static(b"sealed"));
        let id = EnvelopeId::of(&envelope);
        let batch = store.begin().unwrap();
        let rows = vec![
            Persist::Outgoing {
                first,
                last: 1,
                id,
                envelope: envelope.clone(),
                created_ms: 0,
                lasts: false,
                contents: Vec::new(),
            },
            Persist::OutboxStored {
                first,
                via: SentVia::Peer,
            },
            Persist::Resealed {
                first,
                id,
                envelope,
            },
            Persist::OutboxStored {
                first,
                via: SentVia::Relay,
            },
        ];
        batch.apply(no, rows, 0).unwrap();
        assert!(batch.pending(no, 1, 9, 999).unwrap().is_empty());
        batch.apply(no, vec![Persist::RelayForgot], 0).unwrap();
        let pending = batch.pending(no, 1, 9, 999).unwrap();
        assert_eq!(pending.len(), 1);
        assert!(pending[0].told, "it had come further");
    }
}
