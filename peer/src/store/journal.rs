//! The journal: every event in the order in which it became true, each with a cursor that survives
//! restarts. Message bodies are not in it: an entry says where they stand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tincan_protocol::IdentityId;
use tincan_protocol::hlc::Hlc;

use super::messages::MessageName;
use super::tables::{CURSORS, ConversationNo, JOURNAL, seq_of};
use super::{Store, StoreError, contained};

/// Something that happened, in its compact form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalEvent {
    /// Messages took their places.
    Received {
        /// The conversation.
        no: ConversationNo,
        /// Place and seq of each.
        messages: Vec<(u64, u64)>,
    },
    /// Own messages have come further.
    State {
        /// The conversation.
        no: ConversationNo,
        /// First seq.
        first: u64,
        /// Last seq.
        last: u64,
        /// The name of the state.
        state: String,
        /// Why they wait, if they do.
        reason: Option<String>,
    },
    /// Messages of the other side are missing.
    Gap {
        /// The conversation.
        no: ConversationNo,
        /// First seq.
        first: u64,
        /// Last seq.
        last: u64,
    },
    /// Somebody asks to be a contact.
    Request {
        /// The conversation it would be.
        no: ConversationNo,
    },
    /// Somebody became a contact.
    Accepted {
        /// The conversation.
        no: ConversationNo,
    },
    /// A direct link opened or closed.
    Link {
        /// The conversation.
        no: ConversationNo,
        /// Whether it opened.
        up: bool,
        /// Whether it goes through TURN.
        relayed: bool,
        /// Why it closed.
        reason: Option<String>,
    },
    /// Something was done with a message.
    Changed {
        /// The conversation.
        no: ConversationNo,
        /// The message.
        message: MessageName,
        /// What.
        change: ChangeName,
    },
    /// Messages of the other side were shown.
    Read {
        /// The conversation.
        no: ConversationNo,
        /// The last one, by its place in their sequence.
        up_to: u64,
    },
    /// What is kept of a contact has changed.
    Contact {
        /// The conversation.
        no: ConversationNo,
    },
    /// Somebody is no contact any more.
    Removed {
        /// Who.
        identity: IdentityId,
        /// What we called them.
        name: String,
    },
    /// A contact came or went.
    Presence {
        /// Who.
        identity: IdentityId,
        /// Whether they are there.
        online: bool,
    },
}

/// What was done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeName {
    /// It says something else.
    Edited,
    /// Its author took it back.
    Deleted,
    /// A sign came or went.
    Reaction,
    /// It is not here any more.
    Removed,
}

impl JournalEvent {
    /// How many cursors it takes: one per message received, else one.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Received { messages, .. } => messages.len() as u64,
            _ => 1,
        }
    }

    /// Joins a received message to the entry before it, where that belongs to the same conversation.
    pub(crate) fn push_received(events: &mut Vec<Self>, no: ConversationNo, place: Hlc, seq: u64) {
        if let Some(Self::Received { no: last, messages }) = events.last_mut()
            && *last == no
        {
            messages.push((place.as_u64(), seq));
            return;
        }
        events.push(Self::Received {
            no,
            messages: vec![(place.as_u64(), seq)],
        });
    }
}

impl Store {
    /// Entries that contain the cursor `after + 1` or later ones, with the cursor of each entry's
    /// first event; at most `max_rows` rows.
    pub(crate) fn journal(
        &self,
        after: u64,
        max_rows: usize,
    ) -> Result<Vec<(u64, JournalEvent)>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(JOURNAL)?;
            let next = after.saturating_add(1).to_be_bytes();
            // The row that contains the next cursor may begin before it.
            let start = table.range(..=next.as_slice())?.next_back().transpose()?;
            let start = start.map_or(next.to_vec(), |(key, _)| key.value().to_vec());
            let mut entries = Vec::new();
            for row in table.range(start.as_slice()..)?.take(max_rows + 1) {
                let (key, value) = row?;
                let mut cursor = seq_of(key.value());
                let events: Vec<JournalEvent> =
                    self.open_json("journal", key.value(), value.value())?;
                for event in events {
                    let len = event.len();
                    if cursor + len > after.saturating_add(1) {
                        entries.push((cursor, event));
                    }
                    cursor += len;
                }
            }
            Ok(entries)
        })
    }

    pub(crate) fn cursor(&self, name: &str) -> Result<Option<u64>, StoreError> {
        contained(|| {
            let txn = self.read()?;
            let table = txn.open_table(CURSORS)?;
            Ok(table
                .get(name.as_bytes())?
                .map(|value| seq_of(value.value())))
        })
    }
}
