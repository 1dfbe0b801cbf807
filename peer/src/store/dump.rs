//! Every row that outlives a device, in clear: out, as it was at one moment, and into an empty database.

use redb::ReadableTable as _;
use tincan_core::LeftAt;
use tincan_protocol::content::Content;
use tincan_protocol::hlc::Hlc;

use super::tables::{
    ANNOTATIONS, CONTACTS, ENDED_QUEUES, HELD, INVITES, LEFT, MESSAGE_IDS, OUTBOX,
    OUTBOX_ENVELOPES, PROFILE, REMOVALS, SENT, SESSIONS, TIMELINE, Table, UNREAD,
};
use super::{Batch, Store, StoreError, contained, is_message};

/// Names of the tables whose rows need a second look.
pub(crate) const PROFILE_TABLE: &str = "profile";
pub(crate) const CONTACTS_TABLE: &str = "contacts";
pub(crate) const LEFT_TABLE: &str = "left";
pub(crate) const SESSIONS_TABLE: &str = "sessions";
pub(crate) const OUTBOX_TABLE: &str = "outbox";
pub(crate) const TIMELINE_TABLE: &str = "timeline";
pub(crate) const OUTBOX_ENVELOPES_TABLE: &str = "outbox_envelopes";

/// Not here: the journal with its readers' places, marks of envelopes and links that nobody can send again, and all
/// state of MLS.
const DUMPED: [Dumped; 14] = [
    Dumped::sealed(PROFILE_TABLE, PROFILE),
    Dumped::sealed(CONTACTS_TABLE, CONTACTS),
    Dumped::sealed(LEFT_TABLE, LEFT),
    Dumped::sealed("invites", INVITES),
    Dumped::sealed("ended_queues", ENDED_QUEUES),
    Dumped::sealed(SESSIONS_TABLE, SESSIONS),
    Dumped::sealed(OUTBOX_TABLE, OUTBOX),
    Dumped::sealed("sent", SENT),
    Dumped::sealed(TIMELINE_TABLE, TIMELINE),
    Dumped::sealed("annotations", ANNOTATIONS),
    Dumped::sealed("held", HELD),
    Dumped::clear("message_ids", MESSAGE_IDS),
    Dumped::clear("unread", UNREAD),
    Dumped::clear("removals", REMOVALS),
];

/// What is made anew in the place of what was left out.
const MADE: [Dumped; 1] = [Dumped::sealed(OUTBOX_ENVELOPES_TABLE, OUTBOX_ENVELOPES)];

struct Dumped {
    name: &'static str,
    table: Table,
    is_sealed: bool,
}

impl Dumped {
    const fn sealed(name: &'static str, table: Table) -> Self {
        Self {
            name,
            table,
            is_sealed: true,
        }
    }

    const fn clear(name: &'static str, table: Table) -> Self {
        Self {
            name,
            table,
            is_sealed: false,
        }
    }
}

impl Store {
    /// Shows every row to `take`, with its table's name and its key, all as of one moment.
    pub(crate) fn dump<E: From<StoreError>>(
        &self,
        mut take: impl FnMut(&'static str, &[u8], Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        contained(|| {
            let txn = self.read()?;
            for dumped in DUMPED {
                let table = txn.open_table(dumped.table).map_err(StoreError::from)?;
                for row in table.iter().map_err(StoreError::from)? {
                    let (key, value) = row.map_err(StoreError::from)?;
                    let value = if dumped.is_sealed {
                        self.sealer.open(dumped.name, key.value(), value.value())?
                    } else {
                        value.value().to_vec()
                    };
                    take(dumped.name, key.value(), value)?;
                }
            }
            Ok(())
        })
    }
}

/// A row of the conversations that were left: `u64 next seq | u64 stamp`, big-endian.
pub(crate) fn left_bytes(left: LeftAt) -> [u8; 16] {
    let mut bytes = [0; 16];
    let (next_seq, stamp) = bytes.split_at_mut(8);
    next_seq.copy_from_slice(&left.next_seq.to_be_bytes());
    stamp.copy_from_slice(&left.stamp.as_u64().to_be_bytes());
    bytes
}

/// Reads such a row.
pub(crate) fn read_left(bytes: &[u8]) -> Option<LeftAt> {
    let (next_seq, stamp) = bytes.split_first_chunk::<8>()?;
    let stamp = stamp.first_chunk::<8>()?;
    Some(LeftAt {
        next_seq: u64::from_be_bytes(*next_seq),
        stamp: Hlc::from_u64(u64::from_be_bytes(*stamp)),
    })
}

/// Whether a row of the timeline is a message.
pub(crate) fn is_message_row(value: &[u8]) -> bool {
    let content = value.split_first_chunk::<8>().map(|(_, content)| content);
    let content = content.and_then(|bytes| Content::decode_kept(bytes).ok());
    content.is_some_and(|content| is_message(&content.body))
}

type BytesTable<'t> = redb::Table<'t, &'static [u8], &'static [u8]>;

/// Where dumped rows go; each table is opened once for many of them.
pub(crate) struct Loading<'t> {
    store: &'t Store,
    tables: Vec<(Dumped, BytesTable<'t>)>,
}

impl Batch {
    pub(crate) fn loading(&self) -> Result<Loading<'_>, StoreError> {
        let mut tables = Vec::new();
        for dumped in DUMPED.into_iter().chain(MADE) {
            let table = self.txn.open_table(dumped.table)?;
            tables.push((dumped, table));
        }
        Ok(Loading {
            store: &self.store,
            tables,
        })
    }
}

impl Loading<'_> {
    /// A row of a table of which this version knows nothing is of no use to it.
    pub(crate) fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let mut tables = self.tables.iter_mut();
        let Some((dumped, table)) = tables.find(|(known, _)| known.name == table) else {
            return Ok(());
        };
        if dumped.is_sealed {
            let sealed = self.store.sealer.seal(dumped.name, key, value);
            table.insert(key, sealed.as_slice())?;
        } else {
            table.insert(key, value)?;
        }
        Ok(())
    }
}
