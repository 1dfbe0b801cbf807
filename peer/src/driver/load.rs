//! The state from disk.

use std::collections::BTreeMap;

use tincan_core::{Config, DeviceAt, LeftAt, Session};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::link::{SESSION_KEPT_MS, SeenSessions};
use tincan_protocol::phrase::Phrase;

use super::conversation::Conversation;
use super::pace::Pace;
use super::sessions::ConversationVault;
use super::surroundings::{Surroundings, random};
use super::turn::Turn;
use super::{Driver, DriverError, Settings};
use crate::store::{Batch, ContactRow, Store, StoreError};

impl Driver {
    pub(crate) fn load(
        store: &Store,
        settings: Settings,
        mut around: Box<dyn Surroundings>,
    ) -> Result<Self, DriverError> {
        let batch = store.begin()?;
        let profile = batch.profile()?.ok_or(StoreError::Row {
            table: "profile",
            detail: "there is none: this profile was never initialised".to_owned(),
        })?;
        let device = DeviceKey::from_seed(&profile.device_seed);
        let cert = DeviceCert::decode(&profile.cert).map_err(|error| StoreError::Row {
            table: "profile",
            detail: error.to_string(),
        })?;
        let identity = Phrase::from_entropy(profile.entropy)
            .identity_key()
            .identity();
        let mls = around
            .load_groups(device.clone(), cert.clone(), batch.mls_rows()?)
            .map_err(|error| DriverError::Mls(error.to_string()))?;
        let invites = batch
            .invites()?
            .into_iter()
            .map(|row| (row.queue_key().queue(), row))
            .collect();
        let ended_queues = batch
            .ended_queues()?
            .into_iter()
            .map(|row| (row.queue_key().queue(), row))
            .collect();
        let now = around.now();
        let mut driver = Self {
            turn: Turn::new(store.clone(), batch.journal_end()?),
            conversations: BTreeMap::new(),
            by_group: BTreeMap::new(),
            by_queue: BTreeMap::new(),
            by_address: BTreeMap::new(),
            invites,
            ended_queues,
            pending_invites: Vec::new(),
            pending_adds: BTreeMap::new(),
            pending_asks: BTreeMap::new(),
            pending_lost: BTreeMap::new(),
            relays: BTreeMap::new(),
            packages: Pace::default(),
            signals: BTreeMap::new(),
            seen_sessions: seen_sessions(&batch, now.unix_ms)?,
            settings,
            // Events of an earlier driver's links must not be taken for those of a new one.
            next_attempt: u64::from(u32::from_be_bytes(random(around.as_mut()))),
            broken: None,
            prune_at: now.instant,
            removals_at: now.instant,
            ending: None,
            identity,
            device,
            cert,
            profile,
            mls,
            around,
        };
        for row in batch.contacts()? {
            let session = driver.restore(&row, &batch)?;
            driver.insert(Conversation::new(row, session));
        }
        Ok(driver)
    }

    /// Takes a conversation into all indexes.
    pub(super) fn insert(&mut self, conversation: Conversation) {
        let row = &conversation.row;
        let no = row.no;
        for group in row.groups.iter().chain(&row.retired) {
            self.by_group.insert(group.clone(), no);
        }
        self.by_queue.insert(row.queue_key().queue(), no);
        self.by_address.insert(row.address_key().address(), no);
        self.conversations.insert(no, conversation);
    }

    /// A session for a conversation that has none yet.
    pub(super) fn new_session(&mut self, row: &ContactRow, left: LeftAt) -> Session {
        let devices = DeviceAt {
            local: self.device.device(),
            remote: row.device,
        };
        let now = self.around.now();
        Session::new_from(Config::default(), devices, self.seed(), left, now)
    }

    /// For a session's own randomness.
    fn seed(&mut self) -> u64 {
        u64::from_be_bytes(random(self.around.as_mut()))
    }

    /// A conversation's session as it was left.
    fn restore(&mut self, row: &ContactRow, batch: &Batch) -> Result<Session, DriverError> {
        let Some(snapshot) = batch.snapshot(row.no)? else {
            let mut session = self.new_session(row, LeftAt::default());
            if row.send_group().is_none() {
                session.without_keys();
            }
            return Ok(session);
        };
        let devices = DeviceAt {
            local: self.device.device(),
            remote: row.device,
        };
        let now = self.around.now();
        let seed = self.seed();
        let vault = ConversationVault::new(batch, self.mls.as_mut(), row);
        let mut session =
            Session::restore(Config::default(), devices, seed, &snapshot, &vault, now)?;
        if row.send_group().is_none() {
            session.without_keys();
        }
        Ok(session)
    }
}

/// The sessions that were offered before a restart and whose offers could still be taken.
fn seen_sessions(batch: &Batch, now_ms: u64) -> Result<SeenSessions, StoreError> {
    let mut seen = SeenSessions::default();
    for (device, session, at) in batch.link_sessions()? {
        if now_ms.saturating_sub(at) <= SESSION_KEPT_MS {
            let _ = seen.note(device, session, at);
        }
    }
    Ok(seen)
}
