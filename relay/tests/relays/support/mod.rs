//! What the relay's tests share: a disk that loses what was not synced, and a client.

pub(crate) mod client;
pub(crate) mod disk;

use bytes::Bytes;
use tincan_protocol::ids::{EnvelopeId, QueueId, WriteToken};
use tincan_relay::store::{Page, QueueKind, Read, Store, Write, Written};

pub(crate) const TOKEN: WriteToken = WriteToken::from_bytes([7; 16]);
pub(crate) const WRONG_TOKEN: WriteToken = WriteToken::from_bytes([8; 16]);
pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Some moment of the tests, Unix milliseconds.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) fn queue(number: u8) -> QueueId {
    QueueId::from_bytes([number; 32])
}

pub(crate) fn create(number: u8, kind: QueueKind) -> Write {
    Write::Create {
        queue: queue(number),
        kind,
        token: TOKEN.hash(),
    }
}

pub(crate) fn deposit(number: u8, envelope: impl Into<Bytes>) -> Write {
    let envelope = envelope.into();
    let env_id = EnvelopeId::of(&envelope);
    Write::Deposit {
        queue: queue(number),
        token: TOKEN.hash(),
        env_id,
        envelope,
    }
}

pub(crate) fn append(number: u8, after_index: u64, entry: impl Into<Bytes>) -> Write {
    let entry = entry.into();
    let env_id = EnvelopeId::of(&entry);
    Write::Append {
        queue: queue(number),
        token: TOKEN.hash(),
        after_index,
        env_id,
        entry,
    }
}

pub(crate) fn ack(number: u8, index: u64) -> Write {
    Write::Ack {
        queue: queue(number),
        index,
    }
}

/// One write in a transaction of its own.
pub(crate) fn commit_at(store: &mut impl Store, write: Write, now_ms: u64) -> Written {
    store.commit(&[write], now_ms).unwrap().remove(0)
}

pub(crate) fn commit(store: &mut impl Store, write: Write) -> Written {
    commit_at(store, write, NOW_MS)
}

pub(crate) fn page(store: &mut impl Store, number: u8, after_index: u64) -> Page {
    let read = Read {
        queue: queue(number),
        after_index,
        max_entries: usize::MAX,
        max_bytes: usize::MAX,
    };
    store.read(&read).unwrap().unwrap()
}

pub(crate) fn indices(page: &Page) -> Vec<u64> {
    page.entries.iter().map(|(index, _)| *index).collect()
}
