//! A store and a stand-in for MLS with the same semantics: one opening per ciphertext.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tincan_core::{OpenError, Opened, OutboxRow, Persist, SentVia, Snapshot, Vault, VaultError};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::{DeviceId, EnvelopeId};

#[derive(Clone, Debug)]
pub(crate) struct OutboxEntry {
    pub(crate) last: u64,
    pub(crate) id: EnvelopeId,
    pub(crate) envelope: Bytes,
    pub(crate) created_ms: u64,
    pub(crate) lasts: bool,
    pub(crate) pending: bool,
    /// The furthest it has come; stays when it is sealed again.
    pub(crate) stored: Option<SentVia>,
    /// What is sealed now is at the relay.
    pub(crate) at_relay: bool,
}

/// Everything that a crash does not take, once it is committed.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    device: DeviceId,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) outbox: BTreeMap<u64, OutboxEntry>,
    pub(crate) sent: BTreeMap<u64, Bytes>,
    pub(crate) seen: BTreeSet<EnvelopeId>,
    pub(crate) held: BTreeMap<u64, Bytes>,
    /// (place, seq) -> content, of the other side's messages.
    pub(crate) timeline: BTreeMap<(Hlc, u64), Bytes>,
    pub(crate) received: BTreeSet<u64>,
    /// Received before it was forgotten.
    pub(crate) before: BTreeSet<u64>,
    /// Just taken out of `held`; its `Incoming` follows.
    unheld: Option<u64>,
    pub(crate) generation: u64,
    pub(crate) opened: BTreeSet<u64>,
    /// How often an envelope was sealed again.
    pub(crate) resealed: usize,
    /// Generations whose keys are lost, as when a ratchet has moved too far.
    pub(crate) lost_keys: BTreeSet<u64>,
}

impl Disk {
    pub(crate) fn new(device: DeviceId) -> Self {
        Self {
            device,
            snapshot: None,
            outbox: BTreeMap::new(),
            sent: BTreeMap::new(),
            seen: BTreeSet::new(),
            held: BTreeMap::new(),
            timeline: BTreeMap::new(),
            received: BTreeSet::new(),
            before: BTreeSet::new(),
            unheld: None,
            generation: 0,
            opened: BTreeSet::new(),
            resealed: 0,
            lost_keys: BTreeSet::new(),
        }
    }

    /// An empty one, whose keys have nothing to do with those of this one.
    pub(crate) fn forgotten(&self) -> Self {
        let mut before = self.before.clone();
        before.extend(&self.received);
        Self {
            generation: self.generation + 1_000_000,
            before,
            ..Self::new(self.device)
        }
    }

    pub(crate) fn apply(&mut self, row: Persist) {
        match row {
            Persist::Snapshot(snapshot) => self.snapshot = Some(snapshot),
            Persist::Outgoing {
                first,
                last,
                id,
                envelope,
                created_ms,
                lasts,
                contents,
            } => {
                for content in contents {
                    let old = self.sent.insert(content.seq, content.content);
                    assert!(old.is_none(), "seq {} carries two contents", content.seq);
                }
                let entry = OutboxEntry {
                    last,
                    id,
                    envelope,
                    created_ms,
                    lasts,
                    pending: true,
                    stored: None,
                    at_relay: false,
                };
                assert!(self.outbox.insert(first, entry).is_none());
            }
            Persist::Resealed {
                first,
                id,
                envelope,
            } => {
                let entry = self.outbox.get_mut(&first).unwrap();
                self.resealed += usize::from(!entry.envelope.is_empty());
                entry.id = id;
                entry.envelope = envelope;
                entry.pending = true;
                entry.at_relay = false;
            }
            Persist::OutboxStored { first, via } => {
                if let Some(entry) = self.outbox.get_mut(&first) {
                    entry.pending = false;
                    entry.at_relay = via == SentVia::Relay;
                    if entry.stored != Some(SentVia::Peer) {
                        entry.stored = Some(via);
                    }
                }
            }
            Persist::RelayForgot => {
                for entry in self.outbox.values_mut() {
                    entry.pending |= entry.at_relay;
                }
            }
            Persist::Unsealed => {
                for entry in self.outbox.values_mut() {
                    entry.id = EnvelopeId::of(&[]);
                    entry.envelope = Bytes::new();
                    entry.pending = true;
                    entry.at_relay = false;
                }
            }
            Persist::Delivered { delivered, new } => {
                self.outbox.retain(|&first, entry| {
                    let is_new = new
                        .iter()
                        .any(|range| range.0 <= entry.last && range.1 >= first);
                    let covered = delivered.contains_all(first, entry.last);
                    assert!(is_new || !covered, "what is new leaves an envelope out");
                    !covered
                });
            }
            Persist::Expired { first } => {
                self.outbox.remove(&first);
            }
            Persist::Incoming {
                seq,
                place,
                content,
            } => {
                let held = self.unheld.take() == Some(seq);
                assert!(
                    held || self.received.insert(seq),
                    "seq {seq} was received twice"
                );
                let old = self.timeline.insert((place, seq), content);
                assert!(old.is_none(), "seq {seq} is in the timeline twice");
            }
            Persist::Hold { seq, content } => {
                assert!(self.received.insert(seq), "seq {seq} was received twice");
                self.held.insert(seq, content);
            }
            Persist::Unhold { seq } => {
                self.held.remove(&seq).unwrap();
                self.unheld = Some(seq);
            }
            Persist::Seen { id } => {
                self.seen.insert(id);
            }
        }
    }
}

/// `generation u64 | device | payload`
impl Vault for Disk {
    fn seal(&mut self, payload: Vec<u8>) -> Result<Bytes, VaultError> {
        self.generation += 1;
        let mut bytes = self.generation.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.device.as_bytes());
        bytes.extend_from_slice(&payload);
        Ok(bytes.into())
    }

    fn open(&mut self, envelope: &Bytes) -> Result<Opened, OpenError> {
        let Some((head, payload)) = envelope.split_at_checked(40) else {
            return Err(OpenError::Invalid);
        };
        let generation = u64::from_be_bytes(head[..8].try_into().unwrap());
        if self.lost_keys.contains(&generation) || !self.opened.insert(generation) {
            return Err(OpenError::KeyGone);
        }
        let sender = DeviceId::try_from(&head[8..]).unwrap();
        Ok(Opened {
            sender,
            payload: Bytes::copy_from_slice(payload),
        })
    }

    fn is_seen(&self, id: &EnvelopeId) -> Result<bool, VaultError> {
        Ok(self.seen.contains(id))
    }

    fn pending(
        &self,
        from_seq: u64,
        max_count: usize,
        max_bytes: usize,
    ) -> Result<Vec<OutboxRow>, VaultError> {
        let mut bytes = 0;
        let rows = self
            .outbox
            .range(from_seq..)
            .filter(|(_, entry)| entry.pending);
        let rows = rows.map(|(&first, entry)| OutboxRow {
            first,
            last: entry.last,
            envelope: entry.envelope.clone(),
            told: entry.stored.is_some(),
        });
        Ok(rows
            .take(max_count)
            .take_while(|row| {
                let fits = bytes < max_bytes;
                bytes += row.envelope.len();
                fits
            })
            .collect())
    }

    fn find_envelopes(&self, ids: &[EnvelopeId]) -> Result<Vec<(u64, u64)>, VaultError> {
        let found = self
            .outbox
            .iter()
            .filter(|(_, entry)| ids.contains(&entry.id));
        Ok(found.map(|(&first, entry)| (first, entry.last)).collect())
    }

    fn find_range(&self, first: u64, last: u64, max: usize) -> Result<Vec<(u64, u64)>, VaultError> {
        let rows = self
            .outbox
            .iter()
            .filter(|(_, entry)| !entry.pending)
            .map(|(&first, entry)| (first, entry.last));
        Ok(rows
            .filter(|row| row.0 <= last && row.1 >= first)
            .take(max)
            .collect())
    }

    fn sent_contents(&self, first: u64, last: u64) -> Result<Vec<(u64, Bytes)>, VaultError> {
        Ok(self
            .sent
            .range(first..=last)
            .map(|(&seq, content)| (seq, content.clone()))
            .collect())
    }

    fn created_before(&self, unix_ms: u64, max: usize) -> Result<Vec<(u64, u64)>, VaultError> {
        let rows = self
            .outbox
            .iter()
            .filter(|(_, entry)| !entry.lasts && entry.created_ms < unix_ms);
        Ok(rows
            .map(|(&first, entry)| (first, entry.last))
            .take(max)
            .collect())
    }

    fn held(&self, seq: u64) -> Result<Option<Bytes>, VaultError> {
        Ok(self.held.get(&seq).cloned())
    }

    fn held_seqs(&self) -> Result<Vec<u64>, VaultError> {
        Ok(self.held.keys().copied().collect())
    }
}
