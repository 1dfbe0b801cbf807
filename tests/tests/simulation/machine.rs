//! A peer's machine: its disk, its clock, the process on it, and the process's connections.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tincan_core::{Instant, Now};
use tincan_link::IcePolicy;
use tincan_peer::simulation::{
    Beginning, Client as _, ClientOutput, ConversationNo, DEAD_AFTER, Frame, Input, Lost, Node,
    PING_AFTER, RELOAD_FIRST, RELOAD_LONGEST, RETRY_FIRST, RETRY_LONGEST, RelayClient,
    RelayCommand, STABLE, Settings, SignalClient, SignalCommand,
};
use tincan_protocol::IdentityId;
use tincan_protocol::origin::ServerUrl;

use crate::around::{Around, Crypto, DialId};
use crate::disk::Disk;

/// When worlds with a stand-in begin, Unix milliseconds.
const BEGIN_MS: u64 = 1_900_000_000_000;

/// When a world begins. openmls gives key packages their time by the machine's own clock, so with real MLS
/// that is now.
fn begin_ms(crypto: Crypto) -> u64 {
    match crypto {
        Crypto::StandIn => BEGIN_MS,
        Crypto::Mls => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::try_from(now.as_millis()).unwrap()
        }
    }
}

const DATA_KEY: [u8; 32] = [7; 32];

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) identity: IdentityId,
    pub(crate) disk: Disk,
    pub(crate) around: Around,
    pub(crate) node: Option<Node>,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) clients: BTreeMap<DialId, Slot>,
    /// Its store has failed; it begins again then.
    pub(crate) reload_at: Option<Duration>,
    /// And how long it waits, if it fails once more.
    reload_wait: Duration,
    /// Those that it had when all was durable last.
    pub(crate) conversations: Vec<ConversationNo>,
    /// Its clock goes that much too fast, millionths.
    drift: i64,
    /// Its wall clock was set by that much, milliseconds.
    jump: i64,
    /// The lowest and the highest of these.
    jumps: (i64, i64),
    /// After how many operations the next process dies.
    doom: Option<u16>,
    /// What a right wall clock says when the world begins.
    begin_ms: u64,
}

/// A connection that the process wants.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) server: Server,
    pub(crate) client: AnyClient,
    pub(crate) connection: Option<u64>,
    /// Commands that wait for the server's first word.
    held: VecDeque<AnyCommand>,
    /// When it was made, heard of last, is looked at next, or is made again.
    began: Duration,
    pub(crate) heard: Duration,
    pub(crate) wake_at: Duration,
    failures: u32,
}

/// A server's kind and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Relay(usize),
    Signaling(usize),
}

impl Server {
    pub(crate) fn url(self) -> ServerUrl {
        let url = match self {
            Self::Relay(n) => format!("http://r{n}.example"),
            Self::Signaling(n) => format!("http://s{n}.example"),
        };
        url.parse().unwrap()
    }

    pub(crate) fn of(url: &ServerUrl) -> Self {
        let (host, _) = url.host_and_port();
        let number = host[1..2].parse().unwrap();
        match &host[..1] {
            "r" => Self::Relay(number),
            _ => Self::Signaling(number),
        }
    }
}

#[derive(Debug)]
pub(crate) enum AnyClient {
    Relay(Box<RelayClient>),
    Signal(Box<SignalClient>),
}

#[derive(Debug)]
pub(crate) enum AnyCommand {
    Relay(Box<RelayCommand>),
    Signal(SignalCommand),
}

/// Calls the client, whichever it is.
macro_rules! each {
    ($client:expr, $it:ident => $call:expr) => {
        match $client {
            AnyClient::Relay($it) => $call,
            AnyClient::Signal($it) => $call,
        }
    };
}

impl AnyClient {
    fn handle_command(&mut self, command: AnyCommand, now: Duration) -> Result<(), String> {
        let result = match (self, command) {
            (Self::Relay(client), AnyCommand::Relay(command)) => {
                client.handle_command(*command, now)
            }
            (Self::Signal(client), AnyCommand::Signal(command)) => {
                client.handle_command(command, now)
            }
            (client, command) => panic!("{client:?}: {command:?}"),
        };
        result.map_err(|lost| lost.to_string())
    }
}

impl Slot {
    pub(crate) fn new(url: &ServerUrl, number: u64, now: Duration) -> Self {
        let server = Server::of(url);
        let client = match server {
            Server::Relay(_) => AnyClient::Relay(Box::new(RelayClient::new(url.clone(), number))),
            Server::Signaling(_) => {
                AnyClient::Signal(Box::new(SignalClient::new(url.clone(), number)))
            }
        };
        Self {
            server,
            client,
            connection: None,
            held: VecDeque::new(),
            began: now,
            heard: now,
            wake_at: now,
            failures: 0,
        }
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn connected(&mut self, connection: u64, now: Duration) {
        (self.began, self.heard) = (now, now);
        self.wake_at = now + PING_AFTER;
        self.connection = Some(connection);
        each!(&mut self.client, client => client.handle_connected());
    }

    pub(crate) fn lost(&mut self, reason: &str, now: Duration) {
        if self.connection.take().is_some() && now - self.began >= STABLE {
            self.failures = 0;
        }
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(16));
        let wait = wait.min(RETRY_LONGEST);
        self.failures += 1;
        // A real one draws the upper half by chance.
        let drawn = f64::from(now.subsec_micros()) / 1e6;
        self.wake_at = now + wait / 2 + wait.mul_f64(drawn / 2.0);
        each!(&mut self.client, client => client.handle_lost(Lost::new(reason)));
        // Without a connection there is none that could be lost.
        let _ = self.take_held(now);
    }

    pub(crate) fn handle_command(
        &mut self,
        command: AnyCommand,
        now: Duration,
    ) -> Result<(), String> {
        self.held.push_back(command);
        self.take_held(now)
    }

    /// Commands wait for the server's first word, as they do in the queue of a real connection.
    fn take_held(&mut self, now: Duration) -> Result<(), String> {
        while each!(&self.client, client => client.takes_commands()) {
            let Some(command) = self.held.pop_front() else {
                break;
            };
            self.client.handle_command(command, now - self.began)?;
        }
        Ok(())
    }

    pub(crate) fn handle_frame(&mut self, frame: Frame, now: Duration) -> Result<(), String> {
        self.heard = now;
        let since = now - self.began;
        let result = each!(&mut self.client, client => client.handle_frame(frame, since));
        result.map_err(|lost| lost.to_string())?;
        self.take_held(now)
    }

    /// Now and then. `hears`: what the server sends would arrive.
    pub(crate) fn handle_tick(&mut self, hears: bool, now: Duration) -> Result<(), String> {
        self.wake_at = now + PING_AFTER;
        if hears {
            self.heard = now;
        } else if now - self.heard > DEAD_AFTER {
            return Err("the server is silent".to_owned());
        }
        let since = now - self.began;
        let result = each!(&mut self.client, client => client.handle_timeout(since));
        result.map_err(|lost| lost.to_string())
    }

    pub(crate) fn poll_output(&mut self) -> Option<ClientOutput> {
        each!(&mut self.client, client => client.poll_output())
    }
}

impl Machine {
    /// A machine with a new profile on it.
    pub(crate) fn new(peer: usize, relay: usize, around: Around) -> Self {
        let disk = around.disk().clone();
        let beginning = Beginning {
            name: format!("peer{peer}"),
            signal_servers: vec![Server::Signaling(0).url()],
            relay: Server::Relay(relay).url(),
            data_key: DATA_KEY,
            now_ms: begin_ms(around.crypto()),
        };
        let (medium, source) = (disk, around.clone());
        let fuse = around.fuse().clone();
        let identity = Node::make(move || medium.mount(&fuse), &beginning, &mut |bytes| {
            source.fill(bytes)
        })
        .unwrap();
        Self::with(identity, around)
    }

    pub(crate) fn with(identity: IdentityId, around: Around) -> Self {
        let begin_ms = begin_ms(around.crypto());
        Self {
            identity,
            disk: around.disk().clone(),
            around,
            node: None,
            inbox: VecDeque::new(),
            clients: BTreeMap::new(),
            reload_at: None,
            reload_wait: RELOAD_FIRST,
            conversations: Vec::new(),
            drift: 0,
            jump: 0,
            jumps: (0, 0),
            doom: None,
            begin_ms,
        }
    }

    pub(crate) fn set_drift(&mut self, millionths: i64) {
        self.drift = millionths;
    }

    pub(crate) fn jump(&mut self, ms: i64) {
        self.jump += ms;
        let (lowest, highest) = self.jumps;
        self.jumps = (lowest.min(self.jump), highest.max(self.jump));
    }

    /// The longest time that anything can have taken by its own clock, milliseconds.
    pub(crate) fn longest_ms(&self, now: Duration) -> u64 {
        let span = u64::try_from(self.jumps.1 - self.jumps.0).unwrap();
        span + u64::try_from(now.as_millis()).unwrap()
    }

    /// The process dies after so many more operations: this one, or else the next one while it begins.
    pub(crate) fn doom(&mut self, operations: u16) {
        if self.node.is_some() {
            self.around.fuse().light(operations);
        } else {
            self.doom = Some(operations);
        }
    }

    /// By how much its wall clock was set.
    pub(crate) fn jump_ms(&self) -> i64 {
        self.jump
    }

    /// What its clocks say.
    pub(crate) fn clock(&self, now: Duration) -> Now {
        let micros = i128::try_from(now.as_micros()).unwrap();
        let own = micros + micros * i128::from(self.drift) / 1_000_000;
        let unix_ms = i128::from(self.begin_ms) + own / 1_000 + i128::from(self.jump);
        Now {
            instant: Instant::from_micros(u64::try_from(own + 1).unwrap()),
            unix_ms: u64::try_from(unix_ms).unwrap(),
        }
    }

    /// What a right wall clock says.
    pub(crate) fn right_ms(&self, now: Duration) -> u64 {
        self.begin_ms + u64::try_from(now.as_millis()).unwrap()
    }

    /// When the process wants a turn.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let deadline = self.node.as_ref()?.deadline();
        let own = i128::from(deadline.as_micros()) - 1;
        let micros = own * 1_000_000 / (1_000_000 + i128::from(self.drift)) + 1;
        Some(Duration::from_micros(
            u64::try_from(micros.max(0)).unwrap_or(u64::MAX),
        ))
    }

    pub(crate) fn is_due(&self, now: Duration) -> bool {
        let instant = self.clock(now).instant;
        self.node
            .as_ref()
            .is_some_and(|node| node.deadline() <= instant)
    }

    /// A process begins on what the disk holds. Returns why not, if not.
    pub(crate) fn start(&mut self, now: Duration) -> Result<(), String> {
        self.around = self.around.reborn();
        if let Some(operations) = self.doom.take() {
            self.around.fuse().light(operations);
        }
        self.around.set_time(self.clock(now));
        (self.reload_at, self.node) = (None, None);
        let (disk, fuse) = (self.disk.clone(), self.around.fuse().clone());
        let settings = Settings {
            ice: IcePolicy::All,
            offline: false,
        };
        let around = Box::new(self.around.clone());
        match Node::start(move || disk.mount(&fuse), DATA_KEY, settings, around) {
            Ok(node) => {
                self.node = Some(node);
                self.reload_wait = RELOAD_FIRST;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The process ends, with what it had in memory.
    pub(crate) fn stop(&mut self) {
        self.around.fuse().burn();
        self.node = None;
        self.inbox.clear();
        self.clients.clear();
        self.reload_at = None;
    }

    /// The process ends in order: its database is closed.
    pub(crate) fn end(&mut self) {
        self.node = None;
        self.stop();
    }

    /// The store has failed: as in the driver's shell, the state is loaded again after a while.
    pub(crate) fn fail(&mut self, now: Duration) {
        self.stop();
        self.reload_at = Some(now + self.reload_wait);
        self.reload_wait = (self.reload_wait * 2).min(RELOAD_LONGEST);
    }
}
