//! What the writes do to one queue, inside the store's transaction.

use bytes::Bytes;
use redb::ReadableTable;
use tincan_protocol::ids::{EnvelopeId, QueueId, TokenHash};

use super::tables::{QueueRow, Tables};
use super::{EXPIRE_MAX, QueueKind, Refused, StoreError, Written};
use crate::limits::RelayLimits;

/// What a write is judged by.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) limits: &'a RelayLimits,
    /// Unix milliseconds.
    pub(super) now_ms: u64,
}

impl Rules<'_> {
    /// Whether something that came at `at_ms` is past its life in a queue of this kind.
    pub(super) fn is_expired(&self, kind: QueueKind, at_ms: u64) -> bool {
        let ttl = match kind {
            QueueKind::Mailbox => self.limits.mailbox_ttl,
            QueueKind::Log => self.limits.log_ttl,
        };
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        at_ms.saturating_add(ttl_ms) <= self.now_ms
    }

    /// Whether the memory of a deleted queue may go: after the longest life of anything.
    pub(super) fn is_forgettable(&self, row: &QueueRow) -> bool {
        !row.is_alive() && self.is_expired(QueueKind::Log, row.deleted_ms)
    }

    fn has_room(&self, row: &QueueRow, len: usize) -> bool {
        let (entries, bytes) = match row.kind {
            QueueKind::Mailbox => (self.limits.mailbox_envelopes, self.limits.mailbox_bytes),
            QueueKind::Log => (self.limits.log_entries, self.limits.log_bytes),
        };
        row.entries < entries && row.bytes.saturating_add(len as u64) <= bytes
    }
}

pub(super) fn create(
    tables: &mut Tables<'_>,
    queue: &QueueId,
    kind: QueueKind,
    token: &TokenHash,
) -> Result<Written, StoreError> {
    let row = match tables.row(queue)? {
        Some(row) if !row.is_alive() => QueueRow::new(kind, token, row.last_index),
        Some(row) if row.kind != kind => return Ok(Written::Refused(Refused::WrongKind)),
        Some(row) => QueueRow {
            token: *token.as_bytes(),
            ..row
        },
        None => QueueRow::new(kind, token, 0),
    };
    tables.save(queue, &row)?;
    Ok(Written::Done)
}

pub(super) fn delete(
    tables: &mut Tables<'_>,
    rules: Rules<'_>,
    queue: &QueueId,
) -> Result<Written, StoreError> {
    let Some(row) = tables.row(queue)?.filter(QueueRow::is_alive) else {
        return Ok(Written::Done);
    };
    let id = queue.as_bytes();
    tables
        .entries
        .retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
    tables
        .ids
        .retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
    tables
        .seen
        .retain_in((id, &[0; 32])..=(id, &[0xff; 32]), |_, _| false)?;
    let deleted_ms = rules.now_ms.max(1);
    let row = QueueRow {
        entries: 0,
        bytes: 0,
        ids: 0,
        deleted_ms,
        ..row
    };
    tables.save(queue, &row)?;
    Ok(Written::Done)
}

pub(super) fn deposit(
    tables: &mut Tables<'_>,
    rules: Rules<'_>,
    queue: &QueueId,
    token: &TokenHash,
    env_id: &EnvelopeId,
    envelope: &Bytes,
) -> Result<Written, StoreError> {
    let Some(mut row) = tables.row_to_write(queue, token)? else {
        return Ok(Written::Refused(Refused::Unauthorized));
    };
    if row.kind != QueueKind::Mailbox {
        return Ok(Written::Refused(Refused::WrongKind));
    }
    if let Some(index) = index_of(tables, queue, env_id)? {
        return Ok(Written::Deposited { index });
    }
    match put(tables, rules, queue, &mut row, env_id, envelope)? {
        Some(index) => Ok(Written::Deposited { index }),
        None => Ok(Written::Refused(Refused::QueueFull)),
    }
}

/// Compare-and-append. Repeating an append that has happened is answered as the first time, so that
/// a writer whose answer was lost learns that it won.
pub(super) fn append(
    tables: &mut Tables<'_>,
    rules: Rules<'_>,
    queue: &QueueId,
    token: &TokenHash,
    after_index: u64,
    entry: (&EnvelopeId, &Bytes),
) -> Result<Written, StoreError> {
    let (env_id, bytes) = entry;
    let Some(mut row) = tables.row_to_write(queue, token)? else {
        return Ok(Written::Refused(Refused::Unauthorized));
    };
    if row.kind != QueueKind::Log {
        return Ok(Written::Refused(Refused::WrongKind));
    }
    if let Some(index) = index_of(tables, queue, env_id)? {
        return Ok(match after_index.checked_add(1) {
            Some(wanted) if wanted == index => Written::Appended { index },
            _ => Written::Conflict {
                last_index: row.last_index,
            },
        });
    }
    if after_index != row.last_index {
        return Ok(Written::Conflict {
            last_index: row.last_index,
        });
    }
    match put(tables, rules, queue, &mut row, env_id, bytes)? {
        Some(index) => Ok(Written::Appended { index }),
        None => Ok(Written::Refused(Refused::QueueFull)),
    }
}

/// Deletes acknowledged envelopes; their ids stay, so that a late duplicate is recognised.
pub(super) fn ack(
    tables: &mut Tables<'_>,
    queue: &QueueId,
    index: u64,
) -> Result<Written, StoreError> {
    let Some(mut row) = tables.row(queue)?.filter(QueueRow::is_alive) else {
        return Ok(Written::Refused(Refused::NoSuchQueue));
    };
    if row.kind == QueueKind::Log {
        return Ok(Written::Done);
    }
    let id = queue.as_bytes();
    for removed in tables
        .entries
        .extract_from_if((id, 0)..=(id, index), |_, _| true)?
    {
        let (_, envelope) = removed?;
        row.entries = row.entries.saturating_sub(1);
        row.bytes = row.bytes.saturating_sub(envelope.value().len() as u64);
    }
    tables.save(queue, &row)?;
    Ok(Written::Done)
}

pub(super) fn expire(
    tables: &mut Tables<'_>,
    rules: Rules<'_>,
    queue: &QueueId,
) -> Result<Written, StoreError> {
    let Some(mut row) = tables.row(queue)? else {
        return Ok(Written::Done);
    };
    if rules.is_forgettable(&row) {
        tables.queues.remove(queue.as_bytes())?;
    } else if row.is_alive() {
        expire_oldest(tables, rules, queue, &mut row)?;
        tables.save(queue, &row)?;
    }
    Ok(Written::Done)
}

/// The index this envelope was given, if it is remembered.
fn index_of(
    tables: &Tables<'_>,
    queue: &QueueId,
    env_id: &EnvelopeId,
) -> Result<Option<u64>, StoreError> {
    let found = tables.seen.get((queue.as_bytes(), env_id.as_bytes()))?;
    Ok(found.map(|guard| guard.value()))
}

/// Gives the envelope the next index, or `None` if the queue is full even without what is too old.
fn put(
    tables: &mut Tables<'_>,
    rules: Rules<'_>,
    queue: &QueueId,
    row: &mut QueueRow,
    env_id: &EnvelopeId,
    bytes: &Bytes,
) -> Result<Option<u64>, StoreError> {
    if !rules.has_room(row, bytes.len()) {
        expire_oldest(tables, rules, queue, row)?;
    }
    let index = row
        .last_index
        .checked_add(1)
        .filter(|_| rules.has_room(row, bytes.len()));
    if let Some(index) = index {
        let id = queue.as_bytes();
        tables.entries.insert((id, index), bytes.as_ref())?;
        tables
            .ids
            .insert((id, index), (env_id.as_bytes(), rules.now_ms))?;
        tables.seen.insert((id, env_id.as_bytes()), index)?;
        row.last_index = index;
        row.entries += 1;
        row.bytes += bytes.len() as u64;
        row.ids += 1;
        forget_oldest_deleted(tables, rules, queue, row)?;
    }
    tables.save(queue, row)?;
    Ok(index)
}

/// Removes what is past its life, oldest first, at most [`EXPIRE_MAX`].
fn expire_oldest(
    tables: &mut Tables<'_>,
    rules: Rules<'_>,
    queue: &QueueId,
    row: &mut QueueRow,
) -> Result<(), StoreError> {
    for _ in 0..EXPIRE_MAX {
        match oldest(tables, queue)? {
            Some(oldest) if rules.is_expired(row.kind, oldest.at_ms) => {
                remove(tables, queue, row, &oldest)?;
            }
            _ => break,
        }
    }
    Ok(())
}

/// Keeps the memory of deleted envelopes within its bound. What still waits is never forgotten.
fn forget_oldest_deleted(
    tables: &mut Tables<'_>,
    rules: Rules<'_>,
    queue: &QueueId,
    row: &mut QueueRow,
) -> Result<(), StoreError> {
    while row.ids > rules.limits.ids_per_queue {
        let Some(oldest) = oldest(tables, queue)? else {
            break;
        };
        if tables
            .entries
            .get((queue.as_bytes(), oldest.index))?
            .is_some()
        {
            break;
        }
        remove(tables, queue, row, &oldest)?;
    }
    Ok(())
}

struct Oldest {
    index: u64,
    env_id: [u8; 32],
    at_ms: u64,
}

fn oldest(tables: &Tables<'_>, queue: &QueueId) -> Result<Option<Oldest>, StoreError> {
    let id = queue.as_bytes();
    let Some(first) = tables.ids.range((id, 0)..=(id, u64::MAX))?.next() else {
        return Ok(None);
    };
    let (key, value) = first?;
    let (env_id, at_ms) = value.value();
    Ok(Some(Oldest {
        index: key.value().1,
        env_id: *env_id,
        at_ms,
    }))
}

/// Removes an envelope if it still waits, and the memory of its id.
fn remove(
    tables: &mut Tables<'_>,
    queue: &QueueId,
    row: &mut QueueRow,
    oldest: &Oldest,
) -> Result<(), StoreError> {
    let id = queue.as_bytes();
    if let Some(envelope) = tables.entries.remove((id, oldest.index))? {
        row.entries = row.entries.saturating_sub(1);
        row.bytes = row.bytes.saturating_sub(envelope.value().len() as u64);
    }
    tables.ids.remove((id, oldest.index))?;
    tables.seen.remove((id, &oldest.env_id))?;
    row.ids = row.ids.saturating_sub(1);
    Ok(())
}
