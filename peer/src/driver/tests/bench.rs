//! A driver on a bench, and two that know each other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tincan_core::{Input as SessionInput, Now, Via};
use tincan_link::IcePolicy;
use tincan_mls::{GroupCrypto, LoadError};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::content::Reach;
use tincan_protocol::invite::Invite;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::phrase::Phrase;
use tincan_protocol::{QueueId, SignalAddress, WriteToken};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::builder::NewProfile;
use crate::driver::commands::{AddRequest, Reply};
use crate::driver::conversation::Conversation;
use crate::driver::servers::Connection;
use crate::driver::sessions::Mailbox;
use crate::driver::{Driver, LinkStart, Outlet, Settings, Surroundings};
use crate::home::{Home, HomeLock};
use crate::message::{Contact, HistoryItem};
use crate::net::{
    Client as _, Dial, Network, RelayClient, RelayCommand, RelayEvent, SignalCommand,
};
use crate::peer::{Peer, View, contact as seen, is_shown};
use crate::store::{
    ContactRow, ContactState, ConversationNo, JournalEvent, KeyFile, KeySource, Store, TimelineRow,
};

pub(super) struct Bench {
    pub(super) driver: Driver,
    store: Store,
    _lock: HomeLock,
    folder: TempDir,
}

impl Bench {
    /// A new profile with its servers at addresses of its own where nobody listens.
    pub(super) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// The same device with the same keys once more, as it was when it was made.
    pub(super) fn copy(&self) -> Self {
        let mut profile = self.driver.profile.clone();
        profile.next_conversation = 1;
        Self::with(&profile.name.clone(), |row| *row = profile)
    }

    /// The same person with another device, which knows nothing.
    pub(super) fn another_device(&self) -> Self {
        let (entropy, name) = (
            self.driver.profile.entropy,
            self.driver.profile.name.clone(),
        );
        let phrase = Phrase::from_entropy(entropy);
        Self::restored(&format!("{name}-again"), Some(phrase), |_| {})
    }

    /// One whose program takes this name, whatever it is.
    pub(super) fn calling_itself(name: &str) -> Self {
        Self::with("mallory", |row| name.clone_into(&mut row.name))
    }

    /// One whose mailboxes are at this relay.
    pub(super) fn at(relay: &ServerUrl) -> Self {
        Self::with("ann", |row| row.relay = relay.clone())
    }

    /// The profile that is made of a backup of this one.
    pub(super) fn backed_up(&mut self) -> Self {
        self.commit();
        let file = self
            .folder
            .path()
            .join(format!("backup-{}", self.driver.next_attempt));
        self.driver.next_attempt += 1;
        crate::backup::export(&self.store, &file, "correct horse").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let builder = Peer::builder().home(folder.path());
        builder.import(&file, "correct horse").unwrap();
        Self::open(folder)
    }

    /// Gives the profile's folder away.
    pub(super) fn close(self) -> TempDir {
        self.store.close();
        self.folder
    }

    fn with(name: &str, change: impl FnOnce(&mut crate::store::ProfileRow)) -> Self {
        Self::restored(name, None, change)
    }

    fn restored(
        name: &str,
        restore: Option<Phrase>,
        change: impl FnOnce(&mut crate::store::ProfileRow),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        // The discard port: nobody answers there.
        let server: ServerUrl = format!("http://127.0.0.1:9/{name}").parse().unwrap();
        let profile = NewProfile {
            name: name.to_owned(),
            signal_servers: vec![server.clone()],
            relay: server,
            restore,
        };
        Peer::builder().home(folder.path()).init(profile).unwrap();
        let key = KeyFile::new(home.key_file())
            .read(&KeySource::Plain)
            .unwrap();
        let store = Store::open(&home.database(), &key).unwrap();
        let batch = store.begin().unwrap();
        let mut row = batch.profile().unwrap().unwrap();
        change(&mut row);
        batch.put_profile(&row).unwrap();
        batch.commit().unwrap();
        store.close();
        Self::open(folder)
    }

    /// The profile in a folder.
    pub(super) fn open(folder: TempDir) -> Self {
        let home = Home::at(folder.path());
        let key = KeyFile::new(home.key_file())
            .read(&KeySource::Plain)
            .unwrap();
        let store = Store::open(&home.database(), &key).unwrap();
        Self {
            driver: load(&store),
            _lock: home.lock().unwrap(),
            store,
            folder,
        }
    }

    /// Ends the turn.
    pub(super) fn commit(&mut self) {
        self.driver.flush_sessions().unwrap();
        self.driver.commit().unwrap();
    }

    /// Only what is durable is known afterwards.
    pub(super) fn restart(&mut self) {
        self.commit();
        self.driver = load(&self.store);
    }

    /// Time goes on, and nothing is done about it.
    pub(super) fn pass(&mut self, time: Duration) {
        let inner = std::mem::replace(&mut self.driver.around, unheard());
        self.driver.around = Box::new(Later { inner, time });
    }

    /// Everything that has happened.
    pub(super) fn journal(&self) -> Vec<JournalEvent> {
        let rows = self.store.journal(0, usize::MAX - 1).unwrap();
        rows.into_iter().map(|(_, event)| event).collect()
    }

    pub(super) fn server(&self) -> ServerUrl {
        self.driver.profile.relay.clone()
    }

    /// The first contact.
    pub(super) fn contact(&self) -> &Conversation {
        self.driver.conversations.values().next().unwrap()
    }

    pub(super) fn row(&self) -> &ContactRow {
        &self.contact().row
    }

    pub(super) fn no(&self) -> ConversationNo {
        self.row().no
    }

    /// Where the first contact writes to.
    pub(super) fn mailbox(&self) -> QueueId {
        self.row().queue_key().queue()
    }

    /// A connection to a relay is wanted; nobody answers.
    pub(super) fn want_relay(&mut self, server: &ServerUrl) {
        let connection = self.driver.dial_relay(server);
        self.connect_relay(server, connection);
    }

    /// There is another connection to a relay.
    pub(super) fn connect_relay(
        &mut self,
        server: &ServerUrl,
        connection: Connection<RelayCommand>,
    ) {
        let relays = &mut self.driver.relays;
        relays.entry(server.clone()).or_default().connection = Some(connection);
    }

    pub(super) fn invite(&mut self, uses: u32) -> Invite {
        let invite = self.driver.make_invite(uses, 3_600_000).unwrap().unwrap();
        self.commit();
        invite
    }

    /// Uses an invite; what lands in its queue.
    pub(super) fn ask(&mut self, host: &mut Self, invite: &Invite) -> Bytes {
        let attempt = self.driver.next_attempt;
        let request = AddRequest {
            invite: invite.clone(),
            name: None,
            text: "let me in".to_owned(),
            is_again: true,
        };
        self.driver.begin_add(request, Reply::nobody());
        let package = host.driver.mls.create_key_package(false).unwrap();
        host.commit();
        self.driver
            .handle_key_package(attempt, Ok(package))
            .unwrap();
        self.commit();
        let ContactState::Requesting(stage) = &self.row().state else {
            panic!("nobody was asked");
        };
        stage.envelope.clone()
    }

    /// A request comes into an invite's queue.
    pub(super) fn take_request(&mut self, invite: &Invite, index: u64, request: Bytes) {
        let mailbox = Mailbox {
            server: invite.body().relay.clone(),
            queue: invite.body().queue,
        };
        self.driver.handle_request(mailbox, index, request).unwrap();
        self.commit();
    }

    /// A request comes into the mailbox of the first conversation.
    pub(super) fn take_in_mailbox(&mut self, request: Bytes) {
        let (server, queue) = (self.server(), self.mailbox());
        let delivered = RelayEvent::Delivered {
            queue,
            index: 1,
            envelope: request,
        };
        self.driver.handle_relay(&server, delivered).unwrap();
        self.commit();
    }

    pub(super) fn is_dialed(&self, relay: &ServerUrl) -> bool {
        self.driver.wanted_relays().connected.contains(relay)
    }

    /// The conversation with the first contact, as its reader sees it.
    pub(super) fn history(&self) -> Vec<HistoryItem> {
        let rows = self.timeline().into_iter().filter(is_shown).collect();
        let view = View {
            store: &self.store,
            own_name: &self.driver.profile.name,
            contact: self.row(),
        };
        view.items(rows).unwrap()
    }

    /// Everything that is kept of what was said in it.
    pub(super) fn timeline(&self) -> Vec<TimelineRow> {
        let mut rows = Vec::new();
        let take = |row| {
            rows.push(row);
            true
        };
        self.store.timeline_back(self.no(), None, take).unwrap();
        rows.reverse();
        rows
    }

    /// The first contact, as callers see them.
    pub(super) fn contact_seen(&self) -> Contact {
        seen(&self.store, self.row()).unwrap().unwrap()
    }

    pub(super) fn unread(&self) -> u64 {
        self.contact_seen().unread
    }

    /// Up to where the contact is told that all was read.
    pub(super) fn read_up_to(&self) -> u64 {
        self.store.read_snapshot(self.no()).unwrap().read_up_to
    }

    /// What time it is there, Unix milliseconds.
    pub(super) fn unix_ms(&self) -> u64 {
        self.driver.around.now().unix_ms
    }

    /// Whether nothing of any conversation is kept.
    pub(super) fn is_empty_but_for_what_ended(&self) -> bool {
        self.store.rows_of_conversations().unwrap() == 0
    }

    /// What waits for the first contact.
    pub(super) fn outbox(&mut self) -> Vec<Bytes> {
        let no = self.no();
        // What is begun anew is sealed when it is loaded.
        self.driver.session_timeout(no).unwrap();
        let batch = self.driver.turn.batch().unwrap();
        let rows = batch.pending(no, 0, 100, 1 << 20).unwrap();
        rows.into_iter().map(|row| row.envelope).collect()
    }

    pub(super) fn take(&mut self, envelope: Bytes) {
        let (no, via) = (self.no(), Via::Link);
        let input = SessionInput::Envelope { via, envelope };
        self.driver.session_input(no, input).unwrap();
        self.commit();
    }
}

/// A driver that is offline; what its connections would tell is heard by nobody.
fn load(store: &Store) -> Driver {
    let settings = Settings {
        ice: IcePolicy::All,
        offline: true,
    };
    Driver::load(store, settings, unheard()).unwrap()
}

fn unheard() -> Box<dyn Surroundings> {
    let (driver, _) = mpsc::channel(1);
    Box::new(Network::new(Handle::current(), driver, watch::channel(0).0))
}

/// The same surroundings at a later time.
struct Later {
    inner: Box<dyn Surroundings>,
    time: Duration,
}

impl Surroundings for Later {
    fn now(&self) -> Now {
        let now = self.inner.now();
        Now {
            instant: now.instant.after(self.time),
            unix_ms: now.unix_ms + self.time.as_millis() as u64,
        }
    }

    fn fill_random(&mut self, bytes: &mut [u8]) {
        self.inner.fill_random(bytes);
    }

    fn load_groups(
        &mut self,
        key: DeviceKey,
        cert: DeviceCert,
        rows: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Box<dyn GroupCrypto>, LoadError> {
        self.inner.load_groups(key, cert, rows)
    }

    fn dial_relay(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<RelayCommand>> {
        self.inner.dial_relay(dial, number)
    }

    fn dial_signaling(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<SignalCommand>> {
        self.inner.dial_signaling(dial, number)
    }

    fn start_link(&mut self, no: ConversationNo, attempt: u64, start: LinkStart) {
        self.inner.start_link(no, attempt, start);
    }

    fn journal_grew(&mut self, end: u64, new: &[JournalEvent]) {
        self.inner.journal_grew(end, new);
    }
}

/// A connection's commands, for whoever looks at them.
#[derive(Clone, Default)]
pub(super) struct Commands(Arc<Mutex<Vec<RelayCommand>>>);

impl Commands {
    pub(super) fn taken(&self) -> Vec<RelayCommand> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    pub(super) fn connection(&self, number: u64) -> Connection<RelayCommand> {
        Connection {
            number,
            outlet: Box::new(self.clone()),
        }
    }
}

impl Outlet<RelayCommand> for Commands {
    fn send(&self, command: RelayCommand) -> bool {
        let mut commands = self.0.lock().unwrap();
        let has_room = commands.len() < RelayClient::COMMANDS;
        if has_room {
            commands.push(command);
        }
        has_room
    }
}

/// Ann and bob are contacts.
pub(super) fn ann_and_bob() -> (Bench, Bench) {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(1);
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    for envelope in ann.outbox() {
        bob.take(envelope);
    }
    assert!(ann.contact().is_accepted() && bob.contact().is_accepted());
    (ann, bob)
}

/// A reach that nobody has.
pub(super) fn reach(n: u8) -> Reach {
    Reach {
        relay: format!("http://r{n}.example").parse().unwrap(),
        queue: QueueId::from_bytes([n; 32]),
        write_token: WriteToken::from_bytes([n; 16]),
        signal_servers: vec![format!("http://s{n}.example").parse().unwrap()],
        signal_address: SignalAddress::from_bytes([n; 32]),
        key_packages: None,
    }
}
