//! The bound of what is kept for a later version of this program, which cannot be shown.

use tincan_core::{Event, Persist};
use tincan_protocol::content::Body;

use crate::store::{ContactRow, UnknownKept};

/// Contents of one contact. Chosen: years of a feature that their program has and ours has not.
pub(super) const CONTENTS_MAX: u32 = 10_000;

/// Bytes of them: what a person would not notice on a disk.
pub(super) const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Whether a content came that this version cannot read.
pub(super) fn is_unknown(event: &Event) -> bool {
    matches!(event, Event::Received { content, .. } if content.body == Body::Unknown)
}

/// Counts the unknown content whose row is the last one, or drops that row if there is no room for it:
/// it counts as received all the same, so that nothing after it waits.
pub(super) fn keep_last(contact: &mut ContactRow, rows: &mut Vec<Persist>) -> bool {
    let Some(Persist::Incoming { content, .. }) = rows.last() else {
        return true;
    };
    let UnknownKept { contents, bytes } = contact.unknown;
    let bytes = bytes.saturating_add(content.len() as u64);
    if contents >= CONTENTS_MAX || bytes > BYTES_MAX {
        tracing::warn!(
            conversation = contact.no.0,
            "a contact sends too much that only a later version can read; dropped"
        );
        rows.pop();
        return false;
    }
    contact.unknown = UnknownKept {
        contents: contents + 1,
        bytes,
    };
    true
}
