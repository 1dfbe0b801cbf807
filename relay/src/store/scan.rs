//! Reads: a part of one queue, and the search for what is too old.

use bytes::Bytes;
use redb::ReadTransaction;
use std::ops::Bound;
use tincan_protocol::ids::QueueId;

use super::queues::Rules;
use super::tables::{ENTRIES, IDS, QUEUES, QueueRow};
use super::{Page, Read, Refused, Scan, StoreError};

pub(super) fn read(
    transaction: &ReadTransaction,
    read: &Read,
) -> Result<Result<Page, Refused>, StoreError> {
    let id = read.queue.as_bytes();
    let queues = transaction.open_table(QUEUES)?;
    let row = queues
        .get(id)?
        .map(|guard| QueueRow::from_tuple(guard.value()))
        .transpose()?;
    let Some(row) = row.filter(QueueRow::is_alive) else {
        return Ok(Err(Refused::NoSuchQueue));
    };
    let mut page = Page {
        kind: row.kind,
        last_index: row.last_index,
        entries: Vec::new(),
        more: false,
    };
    let Some(first) = read.after_index.checked_add(1) else {
        return Ok(Ok(page));
    };
    let entries = transaction.open_table(ENTRIES)?;
    let mut bytes = 0;
    for entry in entries.range((id, first)..=(id, u64::MAX))? {
        let (key, value) = entry?;
        bytes += value.value().len();
        let fits = bytes <= read.max_bytes || page.entries.is_empty();
        if page.entries.len() >= read.max_entries || !fits {
            page.more = true;
            break;
        }
        page.entries
            .push((key.value().1, Bytes::copy_from_slice(value.value())));
    }
    Ok(Ok(page))
}

pub(super) fn scan(
    transaction: &ReadTransaction,
    rules: Rules<'_>,
    from: Option<QueueId>,
    queues: usize,
) -> Result<Scan, StoreError> {
    let table = transaction.open_table(QUEUES)?;
    let ids = transaction.open_table(IDS)?;
    let start = from.map_or(Bound::Unbounded, |queue| Bound::Included(*queue.as_bytes()));
    let start = start.as_ref().map(|id| id);
    let mut scan = Scan::default();
    for (looked_at, entry) in table
        .range::<&[u8; 32]>((start, Bound::Unbounded))?
        .enumerate()
    {
        let (key, value) = entry?;
        let id = *key.value();
        if looked_at == queues {
            scan.next = Some(QueueId::from_bytes(id));
            break;
        }
        let row = QueueRow::from_tuple(value.value())?;
        let oldest = ids.range((&id, 0)..=(&id, u64::MAX))?.next().transpose()?;
        let is_old = oldest.is_some_and(|(_, value)| rules.is_expired(row.kind, value.value().1));
        if is_old || rules.is_forgettable(&row) {
            scan.stale.push(QueueId::from_bytes(id));
        }
    }
    Ok(scan)
}
