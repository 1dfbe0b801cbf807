//! A peer without its machine: for worlds that simulate everything around it.
//!
//! A [`Node`] is one process of one profile: the real driver, with the real store over any redb
//! medium, called by hand. What it does to the world goes through [`Surroundings`], in the order in
//! which it happens; what the world does to it are [`Input`]s. Not for programs: those want
//! [`Peer`](crate::Peer).

use tincan_core::Instant;
use tincan_protocol::content::Content;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::phrase::Phrase;
use tincan_protocol::{IdentityId, MsgId};

pub use crate::driver::{
    AddRequest, Command, DriverError, Input, Link, LinkStart, LinkStarted, Outlet, RELOAD_FIRST,
    RELOAD_LONGEST, Reply, Settings, Surroundings, TurnServers,
};
pub use crate::net::{
    Client, ClientOutput, DEAD_AFTER, DepositTag, Dial, Frame, Lost, OwnQueue, PING_AFTER,
    RETRY_FIRST, RETRY_LONGEST, RelayClient, RelayCommand, RelayEvent, STABLE, SignalClient,
    SignalCommand, SignalEvent,
};
pub use crate::store::{ConversationNo, JournalEvent, MessageName};
pub use redb::StorageBackend;
pub use tincan_core::Buffer;

use crate::builder::{NewProfile, profile_row};
use crate::driver::Driver;
use crate::message::ContactStanding;
use crate::store::{DataKey, Store, StoreError, Who, contained};

/// What a profile is made of.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// What its owner calls themselves.
    pub name: String,
    /// Where it listens for signals.
    pub signal_servers: Vec<ServerUrl>,
    /// Where its mailboxes are.
    pub relay: ServerUrl,
    /// Seals the database.
    pub data_key: [u8; 32],
    /// Its wall clock, Unix milliseconds.
    pub now_ms: u64,
}

/// One process of one profile.
pub struct Node {
    store: Store,
    driver: Driver,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Node(..)")
    }
}

/// A conversation as it is in memory.
#[derive(Clone, Debug)]
pub struct ConversationView {
    /// Its number here.
    pub no: ConversationNo,
    /// With whom.
    pub with: IdentityId,
    /// How they stand to us; none: they ask to be a contact.
    pub standing: Option<ContactStanding>,
    /// Whether a direct link is open.
    pub is_linked: bool,
    /// Whether envelopes of ours are not delivered yet, as far as the session's window sees.
    pub is_waiting: bool,
}

/// A message in a conversation's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Whether we have sent it.
    pub is_ours: bool,
    /// What it is.
    pub content: Content,
}

impl Node {
    /// Makes a profile on an empty medium. `random` fills secrets.
    ///
    /// # Errors
    /// What the medium says.
    pub fn make<M: StorageBackend>(
        medium: impl Fn() -> M + Send + Sync + 'static,
        beginning: &Beginning,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<IdentityId, DriverError> {
        let mut entropy = [0; 32];
        random(&mut entropy);
        let phrase = Phrase::from_entropy(entropy);
        let new = NewProfile {
            name: beginning.name.clone(),
            signal_servers: beginning.signal_servers.clone(),
            relay: beginning.relay.clone(),
            restore: None,
        };
        let row = profile_row(&new, &phrase, beginning.now_ms, random);
        let store = Store::open_on(medium, &DataKey::from_bytes(beginning.data_key))?;
        contained(|| {
            let batch = store.begin()?;
            batch.put_profile(&row)?;
            batch.commit()
        })?;
        store.close();
        Ok(phrase.identity_key().identity())
    }

    /// Opens the profile on a medium, as a process does that begins.
    ///
    /// # Errors
    /// What the medium says, or what is on it.
    pub fn start<M: StorageBackend>(
        medium: impl Fn() -> M + Send + Sync + 'static,
        data_key: [u8; 32],
        settings: Settings,
        around: Box<dyn Surroundings>,
    ) -> Result<Self, DriverError> {
        let store = Store::open_on(medium, &DataKey::from_bytes(data_key))?;
        let driver = contained(|| {
            let mut driver = Driver::load(&store, settings, around)?;
            driver.begin();
            Ok::<_, DriverError>(driver)
        })?;
        Ok(Self { store, driver })
    }

    /// One turn of the driver. True when it has ended.
    ///
    /// # Errors
    /// The store has failed: the node is of no use any more, and [`Node::start`] makes another one.
    pub fn turn(&mut self, inputs: Vec<Input>) -> Result<bool, DriverError> {
        contained(|| self.driver.turn(inputs))
    }

    /// After the last turn of a process that ends in order.
    pub fn say_goodbye(&mut self) {
        self.driver.say_goodbye();
    }

    /// When it wants a turn without any input.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.driver.deadline()
    }

    /// Everybody it knows.
    #[must_use]
    pub fn conversations(&self) -> Vec<ConversationView> {
        self.driver.conversation_views()
    }

    /// How full the buffers are: those of each conversation, and the profile's own.
    pub fn buffers(&self) -> impl Iterator<Item = (Option<ConversationNo>, Buffer)> {
        self.driver.buffers()
    }

    /// Whether something is written that no commit has made durable yet.
    #[must_use]
    pub fn has_uncommitted(&self) -> bool {
        self.driver.has_uncommitted()
    }

    /// Whether a message of the other side is stored here, shown or not.
    #[must_use]
    pub fn has_received(&self, no: ConversationNo, seq: u64) -> bool {
        self.driver.has_received(no, seq)
    }

    /// A conversation as its user sees it, oldest first, as of the last commit.
    ///
    /// # Errors
    /// What the medium says.
    pub fn history(&self, no: ConversationNo) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut entries = Vec::new();
        self.store.timeline_back(no, None, |row| {
            entries.push(HistoryEntry {
                is_ours: row.who == Who::Me,
                content: row.content,
            });
            true
        })?;
        entries.reverse();
        Ok(entries)
    }

    /// The journal's events behind a cursor, as of the last commit, each with its own.
    ///
    /// # Errors
    /// What the medium says.
    pub fn journal(&self, after: u64) -> Result<Vec<(u64, JournalEvent)>, StoreError> {
        self.store.journal(after, usize::MAX - 1)
    }

    /// Seqs of what is not delivered yet, as of the last commit.
    ///
    /// # Errors
    /// What the medium says.
    pub fn undelivered(&self, no: ConversationNo) -> Result<Vec<u64>, StoreError> {
        let mut seqs = Vec::new();
        self.store
            .undelivered(no, |_, row| seqs.push(row.content.seq))?;
        Ok(seqs)
    }

    /// Ids of own messages with these seqs, as of the last commit.
    ///
    /// # Errors
    /// What the medium says.
    pub fn sent_ids(
        &self,
        no: ConversationNo,
        first: u64,
        last: u64,
    ) -> Result<Vec<(u64, MsgId)>, StoreError> {
        let ids = self.store.sent_ids(no, first, last)?;
        Ok(ids.into_iter().map(|(seq, id, _)| (seq, id)).collect())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.store.close();
    }
}
