//! The world: machines, servers, the network between them, and time.
//!
//! One thread, one seed. A step does one thing; what it makes possible is done by later steps, in
//! whichever order they choose.
//!
//! [`users`] send, read and meet; [`processes`] begin, run and die; [`effects`] are what a peer does in
//! its turn; [`network`] carries frames between peers and servers; [`rest`] is the end.

mod effects;
mod network;
mod processes;
mod rest;
#[cfg(test)]
mod tests;
mod users;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tincan_peer::simulation::Frame;
use tincan_protocol::{EnvelopeId, QueueId};

use crate::around::{Around, Crypto, DialId};
use crate::disk::Disk;
use crate::leaving::Leaving;
use crate::links::{EndId, Links};
use crate::machine::{Machine, Server};
use crate::model::Model;
use crate::relay::Relay;
use crate::signaling::Signaling;
use crate::step::Step;
use crate::tally::Tally;
use crate::witness::Witness;
use users::Introduction;

/// Everybody talks with everybody.
pub(crate) const PEERS: usize = 3;

/// The first peer has a relay of its own.
pub(crate) const RELAYS: usize = 2;

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
    leaving: Leaving,
    pub(crate) links: Links,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    /// Since when.
    cuts: BTreeMap<Cut, Duration>,
    /// Which envelope stands where in whose mailbox at which relay, as far as it was delivered to them.
    mailboxes: BTreeMap<(usize, Server, QueueId), BTreeMap<u64, EnvelopeId>>,
    /// How often buffers were looked at.
    looks: u64,
    rng: SmallRng,
    ready: Vec<Ready>,
    crypto: Crypto,
    next_text: u64,
    introductions: Vec<Introduction>,
    pub(crate) tally: Tally,
}

impl World {
    /// New profiles that do not know each other; all processes run.
    pub(crate) fn new(crypto: Crypto, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let witness = Witness::default();
        let machines = (0..PEERS).map(|peer| {
            let disk = Disk::default();
            let around = Around::new(peer, crypto, witness.clone(), disk, rng.random());
            Machine::new(peer, usize::from(peer > 0), around)
        });
        let machines: Vec<Machine> = machines.collect();
        let relays = (0..RELAYS).map(|_| Relay::new(None, rng.random()));
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
            let disk = machine.disk.copy();
            let around = Around::new(peer, self.crypto, witness.clone(), disk, rng.random());
            Machine::with(machine.identity, around)
        });
        let mut machines: Vec<Machine> = machines.collect();
        for machine in &mut machines {
            // Quartz is off by some ten millionths; computers that sleep are worse.
            machine.set_drift(rng.random_range(-200..200));
        }
        let relays = self.relays.iter();
        let relays = relays.map(|relay| Relay::new(Some(relay.disk.copy()), rng.random()));
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
            leaving: Leaving::default(),
            links: Links::default(),
            connections: BTreeMap::new(),
            next_connection: 1,
            cuts: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            looks: 0,
            rng,
            ready: Vec::new(),
            crypto,
            next_text: 1,
            introductions: Vec::new(),
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
            Step::Introduce { host, guest } => self.introduce(host.into(), guest.into()),
            Step::Accept { who } => self.accept(who.into()),
            Step::Read { who, of } => self.read(who.into(), of.into()),
            Step::Crash { who, operations } => {
                let peer = usize::from(who) % PEERS;
                self.machines[peer].doom(operations);
                if operations == 0 {
                    self.crash(peer);
                }
            }
            Step::CrashRelay { which, operations } => {
                let relay = usize::from(which) % RELAYS;
                self.relays[relay].doom(operations);
                if operations == 0 {
                    self.crash_relay(relay);
                }
            }
            Step::CrashSignaling => {
                self.tally.signaling_crashes += 1;
                self.signaling.crash();
                self.server_gone(Server::Signaling(0));
            }
            Step::End { who } => self.ask_to_end(who.into()),
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
            Step::Choke { who, sends } => {
                self.machines[usize::from(who) % PEERS].around.choke(sends);
            }
            Step::Disturb { which, at, how } => {
                let busy: Vec<EndId> = self.links.ready().collect();
                if let Some(&id) = busy.get(usize::from(which) % busy.len().max(1)) {
                    let is_done = self.links.disturb(id, at.into(), how);
                    *self.tally.disturbed(how) += u64::from(is_done);
                }
            }
            Step::Partition { who, from } => self.partition(who.into(), from.into()),
            Step::Heal => self.cuts.clear(),
            // openmls looks at the machine's own clock, which nobody sets here.
            Step::SetClock { .. } if self.crypto == Crypto::Mls => {}
            Step::SetClock { who, ms } => {
                self.tally.set_clocks += 1;
                let who = usize::from(who) % (PEERS + RELAYS);
                match self.machines.get_mut(who) {
                    Some(machine) => machine.jump(ms),
                    None => self.relays[who - PEERS].jump(ms),
                }
            }
            Step::Fill { who, room } => {
                let who = usize::from(who) % (PEERS + RELAYS);
                match self.machines.get(who) {
                    Some(machine) => machine.disk.set_room(room),
                    None => self.relays[who - PEERS].disk.set_room(room),
                }
            }
            Step::Forget { which } => {
                let relay = usize::from(which) % RELAYS;
                self.tally.lost_relays += 1;
                self.relays[relay].forget();
                self.server_gone(Server::Relay(relay));
            }
        }
        self.hear_answers();
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
                    .contains_key(&Cut::Peers(id.0.min(mate.0), id.0.max(mate.0)))
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
        self.starve_links();
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
                let right_ms = self.right_ms();
                let outputs = self.relays[relay].work(self.now, right_ms);
                self.take_from_relay(relay, outputs);
            }
            Ready::RelayTimer(relay) => {
                let outputs = self.relays[relay].handle_timeout(self.now);
                self.take_from_relay(relay, outputs);
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

    fn right_ms(&self) -> u64 {
        self.machines[0].right_ms(self.now)
    }
}
