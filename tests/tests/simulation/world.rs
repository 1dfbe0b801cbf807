//! The world: machines, servers, the network between them, and time.
//!
//! One thread, one seed. A step does one thing; what it makes possible is done by later steps, in
//! whichever order they choose.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tincan_peer::simulation::{
    ClientOutput, Command, ConversationNo, Frame, Input, Node, RelayCommand, Reply,
};
use tincan_protocol::wire::{Frame as _, PeerFrame, peer_frame};
use tincan_protocol::{EnvelopeId, MsgId, QueueId};

use crate::around::{Around, Crypto, DialId, Effect};
use crate::disk::memmem;
use crate::links::{EndId, Links};
use crate::machine::{AnyCommand, BEGIN_MS, Machine, Server, Slot};
use crate::model::{CANARY, Model};
use crate::relay::{self, Relay};
use crate::signaling::{self, Signaling};
use crate::step::Step;
use crate::tally::Tally;
use crate::witness::{Witness, message_id};

/// Everybody talks with everybody.
pub(crate) const PEERS: usize = 3;

/// The first peer has a relay of its own.
pub(crate) const RELAYS: usize = 2;

/// How long everything has, when it works, to come to rest: longer than any wait of the protocol
/// between two tries.
const REST: Duration = Duration::from_secs(48 * 3600);

/// And how many steps.
const REST_STEPS: usize = 400_000;

/// A connection between a peer's process and a server's.
#[derive(Debug)]
struct Connection {
    peer: usize,
    dial: DialId,
    server: Server,
    /// To the server.
    up: VecDeque<Frame>,
    /// To the peer.
    down: VecDeque<Frame>,
    /// An end is gone; the other one learns of it when it has read what was on its way.
    client_gone: bool,
    server_gone: bool,
}

/// Something that can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ready {
    Turn(usize),
    Reload(usize),
    Dial(usize, DialId),
    Tick(usize, DialId),
    Up(u64),
    Down(u64),
    RelayWork(usize),
    RelayTimer(usize),
    Link(EndId),
}

/// Who cannot be reached by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Peers(usize, usize),
    Server(usize, Server),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) machines: Vec<Machine>,
    pub(crate) relays: Vec<Relay>,
    pub(crate) signaling: Signaling,
    pub(crate) model: Model,
    pub(crate) links: Links,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    cuts: BTreeSet<Cut>,
    /// Which envelope stands where in whose mailbox, as far as it was delivered to them.
    mailboxes: BTreeMap<(usize, QueueId), BTreeMap<u64, EnvelopeId>>,
    rng: SmallRng,
    ready: Vec<Ready>,
    crypto: Crypto,
    next_text: u64,
    pub(crate) tally: Tally,
}

impl World {
    /// New profiles that do not know each other; all processes run.
    pub(crate) fn new(crypto: Crypto, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let witness = Witness::default();
        let machines = (0..PEERS).map(|peer| {
            let around = Around::new(peer, crypto, witness.clone(), rng.random());
            Machine::new(peer, usize::from(peer > 0), around)
        });
        let machines: Vec<Machine> = machines.collect();
        let relays = (0..RELAYS).map(|_| Relay::new(Default::default(), rng.random()));
        let relays = relays.collect();
        let mut world = Self::with(machines, relays, witness, crypto, rng);
        world.start_all();
        world
    }

    /// The same disks again, with other chances.
    pub(crate) fn copy(&self, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let witness = Witness::default();
        let machines = self.machines.iter().enumerate().map(|(peer, machine)| {
            let around = Around::new(peer, self.crypto, witness.clone(), rng.random());
            Machine::with(machine.identity, machine.disk.copy(), around)
        });
        let mut machines: Vec<Machine> = machines.collect();
        for machine in &mut machines {
            // Quartz is off by some ten millionths; computers that sleep are worse.
            machine.set_drift(rng.random_range(-200..200));
        }
        let relays = self.relays.iter();
        let relays = relays.map(|relay| Relay::new(relay.disk.copy(), rng.random()));
        let relays = relays.collect();
        let mut world = Self::with(machines, relays, witness, self.crypto, rng);
        world.now = self.now;
        world.start_all();
        world
    }

    fn with(
        machines: Vec<Machine>,
        relays: Vec<Relay>,
        witness: Witness,
        crypto: Crypto,
        mut rng: SmallRng,
    ) -> Self {
        let identities = machines.iter().map(|machine| machine.identity).collect();
        Self {
            now: Duration::ZERO,
            machines,
            relays,
            signaling: Signaling::new(rng.random()),
            model: Model::new(witness, identities),
            links: Links::default(),
            connections: BTreeMap::new(),
            next_connection: 1,
            cuts: BTreeSet::new(),
            mailboxes: BTreeMap::new(),
            rng,
            ready: Vec::new(),
            crypto,
            next_text: 1,
            tally: Tally::default(),
        }
    }

    pub(crate) fn step(&mut self, step: Step) {
        match step {
            Step::Go { which, some, ms } => {
                self.now += Duration::from_millis(ms.into());
                self.go(which.into(), some.into());
            }
            Step::Wait { ms } => self.now += Duration::from_millis(ms.into()),
            Step::Send { from, to, texts } => self.send(from.into(), to.into(), texts),
            Step::Read { who, of } => self.read(who.into(), of.into()),
            Step::Crash { who, operations } => {
                let peer = usize::from(who) % PEERS;
                self.machines[peer].around.fuse().light(operations.into());
                if operations == 0 {
                    self.crash(peer);
                }
            }
            Step::CrashRelay { which, operations } => {
                let relay = usize::from(which) % RELAYS;
                self.relays[relay].fuse().light(operations.into());
                if operations == 0 {
                    self.crash_relay(relay);
                }
            }
            Step::CrashSignaling => {
                self.signaling.crash();
                self.server_gone(Server::Signaling(0));
            }
            Step::Start => self.start_all(),
            Step::CutConnection { which } => self.cut_connection(which.into()),
            Step::CutLink { which, silently } => {
                let open = self.links.open();
                if let Some(&id) = open.get(usize::from(which) % open.len().max(1)) {
                    let rng = &mut self.rng;
                    self.tally.broken_links += 1;
                    if silently {
                        self.links.silence(id, self.now);
                    } else {
                        self.links.cut(id, |len| rng.random_range(0..=len));
                    }
                }
            }
            Step::Disturb { which, at, how } => {
                let busy: Vec<EndId> = self.links.ready().collect();
                if let Some(&id) = busy.get(usize::from(which) % busy.len().max(1)) {
                    self.links.disturb(id, at.into(), how);
                }
            }
            Step::Partition { who, from } => self.partition(who.into(), from.into()),
            Step::Heal => self.cuts.clear(),
            Step::SetClock { who, ms } => self.machines[usize::from(who) % PEERS].jump(ms),
            Step::Fill { who, is_full } => {
                let who = usize::from(who) % (PEERS + RELAYS);
                match self.machines.get(who) {
                    Some(machine) => machine.disk.set_full(is_full),
                    None => self.relays[who - PEERS].disk.set_full(is_full),
                }
            }
            Step::Forget { which } => {
                let relay = usize::from(which) % RELAYS;
                self.tally.lost_relays += 1;
                self.relays[relay].forget();
                self.server_gone(Server::Relay(relay));
            }
        }
        self.model.hear_answers();
    }

    // Users.

    fn send(&mut self, from: usize, to: usize, texts: u8) {
        let from = from % PEERS;
        let Some((no, to)) = self.conversation(from, to) else {
            return;
        };
        let count = u32::from(texts);
        for _ in 0..count {
            let (number, text) = (self.next_text, format!("{CANARY}{}", self.next_text));
            self.next_text += 1;
            let id = MsgId::from_u128(u128::from(number));
            let (reply, answer) = Reply::new();
            self.model.sends((from, to), (id, text.clone()), answer);
            self.machines[from]
                .inbox
                .push_back(Input::Command(Command::Send {
                    to: no,
                    messages: vec![(id, text)],
                    reply,
                }));
        }
    }

    fn read(&mut self, who: usize, of: usize) {
        let who = who % PEERS;
        if let Some((no, _)) = self.conversation(who, of) {
            let up_to = u64::MAX;
            let command = Command::Read { no, up_to };
            self.machines[who].inbox.push_back(Input::Command(command));
        }
    }

    /// One of a running peer's conversations, and with whom.
    fn conversation(&self, peer: usize, which: usize) -> Option<(ConversationNo, usize)> {
        let known = self.machines[peer].node.as_ref()?.conversations();
        let known: Vec<_> = known.iter().filter(|one| one.standing.is_some()).collect();
        let one = known.get(which % known.len().max(1))?;
        let with = self
            .machines
            .iter()
            .position(|machine| machine.identity == one.with);
        Some((one.no, with?))
    }

    // Processes.

    pub(crate) fn start_all(&mut self) {
        if !self.signaling.is_alive() {
            self.signaling.start();
        }
        for relay in &mut self.relays {
            if !relay.is_alive() {
                relay.start(self.now);
            }
        }
        for peer in 0..PEERS {
            let machine = &self.machines[peer];
            if machine.node.is_none() && machine.reload_at.is_none() {
                self.start(peer);
            }
        }
    }

    fn start(&mut self, peer: usize) {
        let machine = &mut self.machines[peer];
        match machine.start(self.now) {
            Ok(()) => {
                let node = machine.node.as_ref().unwrap();
                self.model.begins(peer, node);
                self.read_journal(peer);
                self.take_effects(peer);
            }
            Err(_) if machine.around.fuse().is_burnt() => self.crash(peer),
            Err(error) => {
                assert!(
                    machine.disk.is_full(),
                    "peer {peer} does not start: {error}"
                );
                machine.fail(self.now);
            }
        }
    }

    /// What became durable in the last moment of an earlier process.
    fn read_journal(&mut self, peer: usize) {
        let after = self.model.journal_end(peer);
        let node = self.machines[peer].node.as_ref().unwrap();
        for (_, event) in node.journal(after).unwrap() {
            self.journal(peer, after, &[event]);
        }
    }

    fn crash(&mut self, peer: usize) {
        self.machines[peer].stop();
        let disk = &self.machines[peer].disk;
        disk.crash(&mut self.rng);
        self.links.forget(peer, self.now);
        let rng = &mut self.rng;
        for connection in self.connections.values_mut() {
            if connection.peer == peer && !connection.client_gone {
                connection.client_gone = true;
                connection.down.clear();
                let kept = rng.random_range(0..=connection.up.len());
                connection.up.truncate(kept);
            }
        }
    }

    fn crash_relay(&mut self, relay: usize) {
        self.relays[relay].crash();
        self.server_gone(Server::Relay(relay));
    }

    fn server_gone(&mut self, server: Server) {
        let rng = &mut self.rng;
        for connection in self.connections.values_mut() {
            if connection.server == server && !connection.server_gone {
                connection.server_gone = true;
                connection.up.clear();
                let kept = rng.random_range(0..=connection.down.len());
                connection.down.truncate(kept);
            }
        }
    }

    // The network.

    fn is_cut(&self, cut: Cut) -> bool {
        self.cuts.contains(&cut)
    }

    fn partition(&mut self, who: usize, from: usize) {
        let who = who % PEERS;
        let all = PEERS + RELAYS + 1;
        self.cuts.insert(match from % all {
            peer if peer < PEERS && peer != who => Cut::Peers(who.min(peer), who.max(peer)),
            other if other < PEERS + RELAYS => Cut::Server(who, Server::Relay(other % RELAYS)),
            _ => Cut::Server(who, Server::Signaling(0)),
        });
    }

    fn cut_connection(&mut self, which: usize) {
        let open: Vec<u64> = self.connections.keys().copied().collect();
        let Some(id) = open.get(which % open.len().max(1)) else {
            return;
        };
        let rng = &mut self.rng;
        if let Some(connection) = self.connections.get_mut(id) {
            (connection.client_gone, connection.server_gone) = (true, true);
            let kept = rng.random_range(0..=connection.up.len());
            connection.up.truncate(kept);
            let kept = rng.random_range(0..=connection.down.len());
            connection.down.truncate(kept);
        }
    }

    /// Everything that can go on now.
    fn find_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        for (peer, machine) in self.machines.iter().enumerate() {
            if machine.node.is_some() && (!machine.inbox.is_empty() || machine.is_due(self.now)) {
                ready.push(Ready::Turn(peer));
            }
            if machine.reload_at.is_some_and(|at| at <= self.now) {
                ready.push(Ready::Reload(peer));
            }
            for (&dial, slot) in &machine.clients {
                if slot.wake_at <= self.now {
                    ready.push(match slot.connection {
                        Some(_) => Ready::Tick(peer, dial),
                        None => Ready::Dial(peer, dial),
                    });
                }
            }
        }
        for (&id, connection) in &self.connections {
            if self.is_cut(Cut::Server(connection.peer, connection.server)) {
                continue;
            }
            let reads = match connection.server {
                Server::Relay(relay) => self.relays[relay].reads(id),
                Server::Signaling(_) => true,
            };
            let up = (!connection.up.is_empty() && reads) || connection.client_gone;
            if up && !(connection.server_gone && connection.client_gone) {
                ready.push(Ready::Up(id));
            }
            if !connection.down.is_empty() || connection.server_gone {
                ready.push(Ready::Down(id));
            }
        }
        for (n, relay) in self.relays.iter().enumerate() {
            if relay.has_work() {
                ready.push(Ready::RelayWork(n));
            }
            if relay.poll_timeout().is_some_and(|at| at <= self.now) {
                ready.push(Ready::RelayTimer(n));
            }
        }
        for id in self.links.ready() {
            let open = self.links.mate(id).is_none_or(|mate| {
                !self
                    .cuts
                    .contains(&Cut::Peers(id.0.min(mate.0), id.0.max(mate.0)))
            });
            if open {
                ready.push(Ready::Link(id));
            }
        }
        self.ready = ready;
    }

    /// One of the things that are ready goes on; if there is none, time does.
    fn go(&mut self, which: usize, some: usize) {
        self.links.handle_timeout(self.now);
        self.find_ready();
        if self.ready.is_empty() {
            if let Some(at) = self.next_event() {
                self.now = self.now.max(at);
            }
            return;
        }
        self.tally.transitions += 1;
        match self.ready[which % self.ready.len()] {
            Ready::Turn(peer) => self.turn(peer, some),
            Ready::Reload(peer) => self.start(peer),
            Ready::Dial(peer, dial) => self.dial(peer, dial),
            Ready::Tick(peer, dial) => self.tick(peer, dial),
            Ready::Up(id) => self.up(id, some),
            Ready::Down(id) => self.down(id, some),
            Ready::RelayWork(relay) => {
                let now_ms = self.now_ms();
                let outputs = self.relays[relay].work(self.now, now_ms);
                self.from_relay(relay, outputs);
            }
            Ready::RelayTimer(relay) => {
                let outputs = self.relays[relay].handle_timeout(self.now);
                self.from_relay(relay, outputs);
            }
            Ready::Link(id) => {
                for _ in 0..some {
                    let input = self.links.deliver(id);
                    let machine = &mut self.machines[id.0];
                    if machine.node.is_some() {
                        machine.inbox.extend(input);
                    }
                }
            }
        }
    }

    fn next_event(&self) -> Option<Duration> {
        let machines = self.machines.iter();
        let deadlines = machines.clone().filter_map(Machine::deadline);
        let reloads = machines.clone().filter_map(|machine| machine.reload_at);
        let slots = machines.flat_map(|machine| machine.clients.values());
        let wakes = slots.map(|slot| slot.wake_at);
        let relays = self.relays.iter().filter_map(Relay::poll_timeout);
        let links = self.links.next_timeout();
        deadlines
            .chain(reloads)
            .chain(wakes)
            .chain(relays)
            .chain(links)
            .min()
    }

    fn now_ms(&self) -> u64 {
        BEGIN_MS + u64::try_from(self.now.as_millis()).unwrap()
    }

    // A peer's turn, and what it does.

    fn turn(&mut self, peer: usize, some: usize) {
        let machine = &mut self.machines[peer];
        machine.around.set_time(machine.clock(self.now));
        let some = machine.inbox.len().min(some);
        let inputs: Vec<Input> = machine.inbox.drain(..some).collect();
        let Some(node) = &mut machine.node else {
            return;
        };
        let result = node.turn(inputs);
        self.take_effects(peer);
        let machine = &mut self.machines[peer];
        if machine.around.fuse().is_burnt() {
            self.tally.peers_killed_in_a_turn += 1;
            return self.crash(peer);
        }
        match result {
            Ok(false) => {}
            Ok(true) => panic!("peer {peer} has ended"),
            Err(error) => {
                assert!(machine.disk.is_full(), "peer {peer}: {error}");
                self.tally.full_disks += 1;
                self.links.forget(peer, self.now);
                self.machines[peer].fail(self.now);
                self.hang_up_all(peer);
            }
        }
    }

    fn hang_up_all(&mut self, peer: usize) {
        for connection in self.connections.values_mut() {
            if connection.peer == peer {
                connection.client_gone = true;
                connection.down.clear();
            }
        }
    }

    fn take_effects(&mut self, peer: usize) {
        for effect in self.machines[peer].around.take_effects() {
            self.apply(peer, effect);
        }
    }

    fn apply(&mut self, peer: usize, effect: Effect) {
        match effect {
            Effect::DialRelay(id, dial) | Effect::DialSignaling(id, dial) => {
                let slot = Slot::new(&dial.server, self.now);
                self.machines[peer].clients.insert(id, slot);
            }
            Effect::HangUp(id) => {
                let slot = self.machines[peer].clients.remove(&id);
                let connection = slot.and_then(|slot| slot.connection);
                if let Some(connection) = connection.and_then(|id| self.connections.get_mut(&id)) {
                    connection.client_gone = true;
                    connection.down.clear();
                }
            }
            Effect::Relay(id, command) => {
                self.look_at(peer, &command);
                self.command(peer, id, AnyCommand::Relay(command));
            }
            Effect::Signal(id, command) => self.command(peer, id, AnyCommand::Signal(command)),
            Effect::StartLink(no, attempt, start) => {
                let around = self.machines[peer].around.clone();
                let inputs = self
                    .links
                    .start((peer, attempt), no, start, &around, self.now);
                self.machines[peer].inbox.extend(inputs);
            }
            Effect::LinkSignal(attempt, signal) => {
                let now_ms = self.machines[peer].clock(self.now).unix_ms;
                let relayed = self.rng.random_bool(0.2);
                let cuts = &self.cuts;
                self.links
                    .handle_signal((peer, attempt), &signal, now_ms, relayed, |a, b| {
                        !cuts.contains(&Cut::Peers(a.min(b), a.max(b)))
                    });
            }
            Effect::LinkFrame(attempt, frame) => self.link_frame(peer, attempt, frame),
            Effect::LinkClose(attempt, reason) => {
                assert!(reason != "group states differ", "10: a group is forked");
                self.links.close((peer, attempt), &reason);
            }
            Effect::Journal(end, events) => self.journal(peer, end, &events),
        }
    }

    fn journal(&mut self, peer: usize, end: u64, events: &[tincan_peer::simulation::JournalEvent]) {
        let machines = &self.machines;
        let views = machines[peer].node.as_ref().map(Node::conversations);
        let own = machines[peer].identity;
        let has = |no: ConversationNo, seq: u64| {
            let with = views.as_ref()?.iter().find(|view| view.no == no)?.with;
            let other = machines.iter().find(|machine| machine.identity == with)?;
            let node = other.node.as_ref()?;
            let back = node
                .conversations()
                .into_iter()
                .find(|view| view.with == own)?;
            Some(node.has_received(back.no, seq))
        };
        self.model.journal(peer, end, events, has);
    }

    /// What a peer says to a relay.
    fn look_at(&mut self, peer: usize, command: &RelayCommand) {
        match command {
            RelayCommand::Deposit { tag, envelope, .. } => {
                self.check_leaving(peer);
                self.model.leaves(peer, tag.no, envelope);
            }
            RelayCommand::Ack { queue, index } => {
                self.check_leaving(peer);
                let delivered = self.mailboxes.entry((peer, *queue)).or_default();
                let rest = delivered.split_off(&(index + 1));
                let acked = std::mem::replace(delivered, rest);
                self.stores(peer, acked.into_values().collect());
            }
            RelayCommand::Publish { .. } => self.check_leaving(peer),
            _ => {}
        }
    }

    /// Invariant 1, as the disk sees it.
    fn check_leaving(&self, peer: usize) {
        let machine = &self.machines[peer];
        // What it has done since in the same turn is behind it in the list.
        assert!(
            machine.disk.is_synced() || machine.around.fuse().is_burnt(),
            "1: something leaves peer {peer} before the disk has everything"
        );
    }

    /// A peer calls envelopes stored.
    fn stores(&mut self, peer: usize, ids: Vec<EnvelopeId>) {
        let Some(node) = &self.machines[peer].node else {
            return;
        };
        for id in ids {
            for view in node.conversations() {
                self.model.stores(peer, (view.no, view.with), id, node);
            }
        }
    }

    fn link_frame(&mut self, peer: usize, attempt: u64, frame: bytes::Bytes) {
        self.check_leaving(peer);
        let no = self.links.conversation((peer, attempt));
        let read = PeerFrame::read(frame.clone()).expect("own frame");
        match (no, read.kind) {
            (Some(no), Some(peer_frame::Kind::Put(put))) => {
                self.model.leaves(peer, no, &put.envelope);
            }
            (Some(_), Some(peer_frame::Kind::Stored(stored))) => {
                let ids = stored.env_ids.iter();
                let ids = ids.filter_map(|id| EnvelopeId::try_from(id.as_slice()).ok());
                self.stores(peer, ids.collect());
            }
            _ => {}
        }
        look_for_canary(&frame);
        self.links.send((peer, attempt), frame);
    }

    // Connections to servers.

    fn command(&mut self, peer: usize, dial: DialId, command: AnyCommand) {
        let now = self.now;
        if let Some(slot) = self.machines[peer].clients.get_mut(&dial) {
            let result = slot.handle_command(command, now);
            self.after_client(peer, dial, result.map_err(|lost| lost.to_string()));
        }
    }

    fn dial(&mut self, peer: usize, dial: DialId) {
        let now = self.now;
        let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
            return;
        };
        let server = slot.server;
        let alive = match server {
            Server::Relay(relay) => self.relays[relay].is_alive(),
            Server::Signaling(_) => self.signaling.is_alive(),
        };
        if !alive || self.cuts.contains(&Cut::Server(peer, server)) {
            slot.lost("cannot be reached", now);
            return self.after_client(peer, dial, Ok(()));
        }
        let id = self.next_connection;
        self.next_connection += 1;
        slot.connected(id, now);
        let connection = Connection {
            peer,
            dial,
            server,
            up: VecDeque::new(),
            down: VecDeque::new(),
            client_gone: false,
            server_gone: false,
        };
        self.connections.insert(id, connection);
        let origin = server.url().origin();
        match server {
            Server::Relay(relay) => {
                let outputs = self.relays[relay].open(id, origin, now);
                self.from_relay(relay, outputs);
            }
            Server::Signaling(_) => {
                let outputs = self.signaling.open(id, origin, now);
                self.from_signaling(outputs);
            }
        }
        self.after_client(peer, dial, Ok(()));
    }

    fn tick(&mut self, peer: usize, dial: DialId) {
        let now = self.now;
        let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
            return;
        };
        let hears = !self.cuts.contains(&Cut::Server(peer, slot.server));
        let result = slot.handle_tick(hears, now);
        self.after_client(peer, dial, result.map_err(|lost| lost.to_string()));
    }

    /// Passes on what a client wants, and ends its connection if that is of no use any more.
    fn after_client(&mut self, peer: usize, dial: DialId, result: Result<(), String>) {
        if let Err(reason) = result {
            self.lose(peer, dial, &reason);
        }
        let machine = &mut self.machines[peer];
        let Some(slot) = machine.clients.get_mut(&dial) else {
            return;
        };
        while let Some(output) = slot.poll_output() {
            match output {
                ClientOutput::Tell(input) => machine.inbox.push_back(input),
                ClientOutput::Send(frame) => {
                    look_for_canary_in(&frame);
                    let connection = slot.connection.and_then(|id| self.connections.get_mut(&id));
                    if let Some(connection) = connection.filter(|it| !it.server_gone) {
                        connection.up.push_back(frame);
                    }
                }
            }
        }
    }

    fn lose(&mut self, peer: usize, dial: DialId, reason: &str) {
        let now = self.now;
        let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
            return;
        };
        if let Some(connection) = slot.connection.and_then(|id| self.connections.get_mut(&id)) {
            connection.client_gone = true;
            connection.down.clear();
        }
        slot.lost(reason, now);
    }

    /// Frames arrive at a server.
    fn up(&mut self, id: u64, some: usize) {
        for _ in 0..some {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let (server, frame) = (connection.server, connection.up.pop_front());
            let Some(frame) = frame else {
                if connection.client_gone {
                    self.close_at(server, id);
                    self.connections.remove(&id);
                }
                return;
            };
            match (server, frame) {
                (Server::Relay(relay), Frame::Binary(bytes)) => {
                    let outputs = self.relays[relay].handle_frame(id, bytes);
                    self.from_relay(relay, outputs);
                }
                (Server::Signaling(_), Frame::Text(text)) => {
                    let unix_s = self.now_ms() / 1_000;
                    let outputs = self.signaling.handle_text(id, &text, self.now, unix_s);
                    self.from_signaling(outputs);
                }
                (server, frame) => panic!("{server:?}: {frame:?}"),
            }
        }
    }

    fn close_at(&mut self, server: Server, id: u64) {
        match server {
            Server::Relay(relay) => {
                let outputs = self.relays[relay].close(id);
                self.from_relay(relay, outputs);
            }
            Server::Signaling(_) => {
                let outputs = self.signaling.close(id);
                self.from_signaling(outputs);
            }
        }
    }

    /// Frames arrive at a peer.
    fn down(&mut self, id: u64, some: usize) {
        for _ in 0..some {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let (peer, dial, server) = (connection.peer, connection.dial, connection.server);
            let Some(frame) = connection.down.pop_front() else {
                if connection.server_gone {
                    // The server may know nothing of it, if the path broke.
                    self.close_at(server, id);
                    let here = self.machines[peer].clients.get(&dial);
                    if here.is_some_and(|slot| slot.connection == Some(id)) {
                        self.lose(peer, dial, "the server closed the connection");
                        self.after_client(peer, dial, Ok(()));
                    }
                    self.connections.remove(&id);
                }
                return;
            };
            if server == Server::Signaling(0) {
                self.signaling.handle_written(id, frame.len());
            }
            self.note_delivery(peer, &frame);
            let now = self.now;
            let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
                return;
            };
            if slot.connection != Some(id) {
                return;
            }
            let result = slot.handle_frame(frame, now);
            self.after_client(peer, dial, result.map_err(|lost| lost.to_string()));
        }
    }

    fn note_delivery(&mut self, peer: usize, frame: &Frame) {
        use tincan_protocol::wire::{RelayReply, relay_reply};
        let Frame::Binary(bytes) = frame else { return };
        if let Ok(Some(relay_reply::Kind::Deliver(deliver))) =
            RelayReply::read(bytes.clone()).map(|reply| reply.kind)
            && let Some(id) = message_id(deliver.envelope)
        {
            let queue = QueueId::try_from(deliver.queue.as_ref()).unwrap();
            let mailbox = self.mailboxes.entry((peer, queue)).or_default();
            mailbox.insert(deliver.index, id);
        }
    }

    fn from_relay(&mut self, relay: usize, outputs: Vec<relay::ToClient>) {
        for output in outputs {
            let (id, frame) = match output {
                relay::ToClient::Frame(id, bytes) => (id, Some(Frame::Binary(bytes))),
                relay::ToClient::Close(id) => (id, None),
            };
            self.to_client(id, frame);
        }
        if self.relays[relay].fuse().is_burnt() && self.relays[relay].is_alive() {
            self.tally.relays_killed_at_work += 1;
            self.crash_relay(relay);
        }
    }

    fn from_signaling(&mut self, outputs: Vec<signaling::ToClient>) {
        for output in outputs {
            match output {
                signaling::ToClient::Text(id, text) => self.to_client(id, Some(Frame::Text(text))),
                signaling::ToClient::Close(id) => self.to_client(id, None),
            }
        }
    }

    fn to_client(&mut self, id: u64, frame: Option<Frame>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match frame {
            Some(frame) if !connection.client_gone => connection.down.push_back(frame),
            Some(_) => {}
            None => {
                connection.server_gone = true;
                connection.up.clear();
            }
        }
    }

    // The end.

    /// Everything works from now on, until nothing is on its way any more.
    pub(crate) fn settle(&mut self) {
        self.cuts.clear();
        for machine in &self.machines {
            machine.disk.set_full(false);
        }
        for relay in &self.relays {
            relay.disk.set_full(false);
        }
        let end = self.now + REST;
        for n in 0..REST_STEPS {
            if n % 64 == 0 {
                self.start_all();
                if self.is_at_rest() {
                    return;
                }
            }
            self.pass(n);
            self.model.hear_answers();
            if self.now > end {
                break;
            }
        }
        panic!("4: it never comes to rest: {}", self.report());
    }

    /// Something goes on, whatever is next.
    pub(crate) fn pass(&mut self, n: usize) {
        self.now += Duration::from_micros(200);
        self.go(n, 8);
    }

    /// Where the story stands, in few words: equal stories have equal ones.
    pub(crate) fn fingerprint(&self) -> String {
        let journals = (0..PEERS).map(|peer| self.model.journal_end(peer));
        format!(
            "{:?} {:?} {} {:?}",
            self.now,
            journals.collect::<Vec<_>>(),
            self.next_connection,
            self.links.open()
        )
    }

    /// Nobody waits for anything: all is delivered, and said to be so.
    fn is_at_rest(&self) -> bool {
        self.machines.iter().all(|machine| {
            machine.inbox.is_empty()
                && machine.node.as_ref().is_some_and(|node| {
                    let all = node.conversations();
                    all.iter().all(|one| {
                        one.standing.is_some()
                            && !one.is_waiting
                            && node.undelivered(one.no).unwrap().is_empty()
                    })
                })
        })
    }

    fn report(&self) -> String {
        let machines = self.machines.iter().enumerate().map(|(peer, machine)| {
            let Some(node) = &machine.node else {
                return format!("peer {peer} is dead");
            };
            let all = node.conversations().into_iter().map(|one| {
                let undelivered = node.undelivered(one.no).unwrap();
                format!("{one:?} undelivered {undelivered:?}")
            });
            format!("peer {peer}: {}", all.collect::<Vec<_>>().join("; "))
        });
        machines.collect::<Vec<_>>().join("\n")
    }

    /// What must be true at the end.
    pub(crate) fn check_complete(&self) {
        let nodes = self
            .machines
            .iter()
            .map(|machine| machine.node.as_ref().unwrap());
        let nodes: Vec<&Node> = nodes.collect();
        self.model.complete(&nodes);
        let canary = CANARY.as_bytes();
        let disks = self.machines.iter().map(|machine| &machine.disk);
        for disk in disks.chain(self.relays.iter().map(|relay| &relay.disk)) {
            assert!(
                !disk.contains(canary),
                "12: a text stands on a disk in clear"
            );
        }
    }
}

fn look_for_canary_in(frame: &Frame) {
    match frame {
        Frame::Text(text) => look_for_canary(text.as_bytes()),
        Frame::Binary(bytes) => look_for_canary(bytes),
    }
}

fn look_for_canary(frame: &[u8]) {
    assert!(
        !memmem(frame, CANARY.as_bytes()),
        "12: a text leaves in clear"
    );
}
