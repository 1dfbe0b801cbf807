//! Table names and the keys under which rows stand. Keys are big-endian, so that their order is the
//! order people expect.

use redb::{ReadableTable, TableDefinition};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::{DeviceId, EnvelopeId, LinkSessionId};

use super::messages::MessageName;
use super::removals::DueRemoval;

pub(super) type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Schema version and counters, in clear.
pub(super) const META: Table = TableDefinition::new("meta");
/// The one profile row.
pub(super) const PROFILE: Table = TableDefinition::new("profile");
/// Its key.
pub(super) const PROFILE_KEY: &[u8] = b"profile";
/// Contact rows by conversation number.
pub(super) const CONTACTS: Table = TableDefinition::new("contacts");
/// Where this device left conversations that it has forgotten, by a hash of whom they were with.
pub(super) const LEFT: Table = TableDefinition::new("left");
/// Invite rows by queue.
pub(super) const INVITES: Table = TableDefinition::new("invites");
/// Own mailboxes that are still to be deleted at their relay, by queue.
pub(super) const ENDED_QUEUES: Table = TableDefinition::new("ended_queues");
/// Link sessions that were offered to us, by (device, session), and when (Unix ms, in clear).
pub(super) const LINK_SESSIONS: Table = TableDefinition::new("link_sessions");
/// Session snapshots by conversation number.
pub(super) const SESSIONS: Table = TableDefinition::new("sessions");
/// Outbox metadata by (conversation, first seq).
pub(super) const OUTBOX: Table = TableDefinition::new("outbox");
/// Outbox envelopes by (conversation, first seq): apart, so that a change of state does not rewrite
/// them.
pub(super) const OUTBOX_ENVELOPES: Table = TableDefinition::new("outbox_envelopes");
/// Ids and places of own messages by (conversation, first seq of their envelope).
pub(super) const SENT: Table = TableDefinition::new("sent");
/// Contents by (conversation, place, who, seq).
pub(super) const TIMELINE: Table = TableDefinition::new("timeline");
/// Where messages stand, by (conversation, who, id): place and seq, in clear.
pub(super) const MESSAGE_IDS: Table = TableDefinition::new("message_ids");
/// Messages of the other side that were not shown yet, by (conversation, seq): place, and after how many
/// seconds they go, in clear.
pub(super) const UNREAD: Table = TableDefinition::new("unread");
/// What was said about messages afterwards, by (conversation, who, id).
pub(super) const ANNOTATIONS: Table = TableDefinition::new("annotations");
/// What is to be taken out of conversations, by when and (conversation, place, who, seq), in clear.
pub(super) const REMOVALS: Table = TableDefinition::new("removals");
/// Received contents that wait for earlier ones, by (conversation, seq).
pub(super) const HELD: Table = TableDefinition::new("held");
/// Envelope ids that have been dealt with, and when (Unix ms, in clear).
pub(super) const SEEN: Table = TableDefinition::new("seen");
/// MLS state.
pub(super) const MLS: Table = TableDefinition::new("mls");
/// Events by the cursor of the first one in the row.
pub(super) const JOURNAL: Table = TableDefinition::new("journal");
/// Readers' places in the journal, by name.
pub(super) const CURSORS: Table = TableDefinition::new("cursors");

pub(super) const ALL: [Table; 21] = [
    META,
    PROFILE,
    CONTACTS,
    LEFT,
    INVITES,
    ENDED_QUEUES,
    LINK_SESSIONS,
    SESSIONS,
    OUTBOX,
    OUTBOX_ENVELOPES,
    SENT,
    TIMELINE,
    MESSAGE_IDS,
    UNREAD,
    ANNOTATIONS,
    REMOVALS,
    HELD,
    SEEN,
    MLS,
    JOURNAL,
    CURSORS,
];

/// Those whose keys begin with a conversation's number, none longer than a [timeline
/// key](ConversationNo::timeline_key).
pub(super) const PER_CONVERSATION: [Table; 10] = [
    CONTACTS,
    SESSIONS,
    OUTBOX,
    OUTBOX_ENVELOPES,
    SENT,
    TIMELINE,
    MESSAGE_IDS,
    UNREAD,
    ANNOTATIONS,
    HELD,
];

/// A conversation's number in this database.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct ConversationNo(pub(crate) u32);

impl From<u32> for ConversationNo {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

/// Whose message: ours or the other side's.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub(crate) enum Who {
    Me,
    Them,
}

impl ConversationNo {
    pub(super) const fn key(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    pub(super) fn seq_key(self, seq: u64) -> [u8; 12] {
        let mut key = [0; 12];
        key[..4].copy_from_slice(&self.key());
        key[4..].copy_from_slice(&seq.to_be_bytes());
        key
    }

    /// The number at the beginning of a key.
    pub(super) fn of_key(key: &[u8]) -> Self {
        Self(
            key.first_chunk::<4>()
                .map_or(0, |bytes| u32::from_be_bytes(*bytes)),
        )
    }

    pub(super) fn message_key(self, name: MessageName) -> [u8; 21] {
        let mut key = [0; 21];
        key[..4].copy_from_slice(&self.key());
        key[4] = u8::from(name.who == Who::Them);
        key[5..].copy_from_slice(name.id.as_bytes());
        key
    }

    pub(super) fn timeline_key(self, place: Hlc, who: Who, seq: u64) -> [u8; 21] {
        let mut key = [0; 21];
        key[..4].copy_from_slice(&self.key());
        key[4..12].copy_from_slice(&place.as_u64().to_be_bytes());
        key[12] = u8::from(who == Who::Them);
        key[13..].copy_from_slice(&seq.to_be_bytes());
        key
    }
}

pub(super) fn removal_key(removal: &DueRemoval) -> [u8; 29] {
    let &DueRemoval {
        due_ms,
        no,
        who,
        at,
        ..
    } = removal;
    let mut key = [0; 29];
    key[..8].copy_from_slice(&due_ms.to_be_bytes());
    key[8..].copy_from_slice(&no.timeline_key(at.place, who, at.seq));
    key
}

/// When, and the timeline's key.
pub(super) fn removal_of(key: &[u8]) -> Option<(u64, &[u8])> {
    let (due_ms, rest) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*due_ms), rest))
}

/// The first seq of the row whose envelope may reach to `seq`: the last one that begins no later.
pub(super) fn overlapping(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    no: ConversationNo,
    seq: u64,
) -> Result<u64, redb::StorageError> {
    let (start, end) = (no.seq_key(0), no.seq_key(seq));
    let mut before = table.range(start.as_slice()..=end.as_slice())?;
    let row = before.next_back().transpose()?;
    Ok(row.map_or(seq, |(key, _)| seq_of(key.value())))
}

/// The seq at the end of a [`ConversationNo::seq_key`].
pub(super) fn seq_of(key: &[u8]) -> u64 {
    key.last_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Place, author and seq in a timeline key.
pub(super) fn timeline_place(key: &[u8]) -> (Hlc, Who, u64) {
    let place = key.get(4..12).and_then(|bytes| bytes.first_chunk::<8>());
    let place = place.map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let who = if key.get(12) == Some(&1) {
        Who::Them
    } else {
        Who::Me
    };
    (Hlc::from_u64(place), who, seq_of(key))
}

pub(super) fn link_session_key(device: DeviceId, session: LinkSessionId) -> [u8; 48] {
    let mut key = [0; 48];
    key[..32].copy_from_slice(device.as_bytes());
    key[32..].copy_from_slice(session.as_bytes());
    key
}

/// Device and session in a [`link_session_key`].
pub(super) fn link_session_of(key: &[u8]) -> Option<(DeviceId, LinkSessionId)> {
    let (device, session) = key.split_first_chunk::<32>()?;
    let session = session.first_chunk::<16>()?;
    Some((
        DeviceId::from_bytes(*device),
        LinkSessionId::from_bytes(*session),
    ))
}

pub(super) const fn seen_key(id: &EnvelopeId) -> &[u8; 32] {
    id.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeline_keys_sort_by_place_then_author_then_seq() {
        let no = ConversationNo(7);
        let key = |place, who, seq| no.timeline_key(Hlc::from_u64(place), who, seq);
        let sorted = [
            key(1, Who::Them, 9),
            key(2, Who::Me, 2),
            key(2, Who::Me, 10),
            key(2, Who::Them, 1),
        ];
        assert!(sorted.is_sorted());
        assert_eq!(timeline_place(&sorted[2]), (Hlc::from_u64(2), Who::Me, 10));
    }
}
