//! What a simulated peer has around it: a clock that the world sets, seeded chance, and a list of what
//! it does to the world, in order.
//!
//! Nothing happens inside: the world looks at the list after the turn. What a process does after its
//! fuse has burnt is not on it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use tincan_core::{Instant, Now};
use tincan_mls::{GroupCrypto, LoadError, Mls};
use tincan_peer::simulation::{
    ConversationNo, Dial, JournalEvent, Link, LinkStart, Outlet, RelayCommand, SignalCommand,
    Surroundings,
};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::link::LinkSignal;

use crate::disk::Disk;
use crate::fuse::Fuse;
use crate::stand_in::StandIn;
use crate::witness::Witness;

/// A connection that a peer wants, until it hangs up.
pub(crate) type DialId = u64;

/// Something that a peer does to the world.
#[derive(Debug)]
pub(crate) enum Effect {
    DialRelay(DialId, Dial, u64),
    DialSignaling(DialId, Dial, u64),
    HangUp(DialId),
    Relay(DialId, Box<RelayCommand>),
    Signal(DialId, SignalCommand),
    StartLink(ConversationNo, u64, Box<LinkStart>),
    LinkSignal(u64, LinkSignal),
    LinkFrame(u64, Bytes),
    LinkClose(u64, String),
    Journal(u64, Vec<JournalEvent>),
}

/// An effect, and the disk as it was then.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) effect: Effect,
    /// How often it had been synced.
    pub(crate) syncs: u64,
    /// Whether it had everything that was written.
    pub(crate) is_synced: bool,
}

/// Which encryption a schedule has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crypto {
    Mls,
    StandIn,
}

#[derive(Debug)]
struct Shared {
    now: Now,
    rng: SmallRng,
    next_dial: DialId,
    effects: Vec<Done>,
    /// So many sends find a queue that is full.
    choked: u8,
    /// And so many have found one.
    refused: u64,
}

/// One peer's surroundings; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    peer: usize,
    crypto: Crypto,
    witness: Witness,
    fuse: Fuse,
    disk: Disk,
    shared: Arc<Mutex<Shared>>,
}

impl Around {
    pub(crate) fn new(
        peer: usize,
        crypto: Crypto,
        witness: Witness,
        disk: Disk,
        seed: u64,
    ) -> Self {
        let now = Now {
            instant: Instant::from_micros(1),
            unix_ms: 0,
        };
        Self {
            peer,
            crypto,
            witness,
            fuse: Fuse::new(),
            disk,
            shared: Arc::new(Mutex::new(Shared {
                now,
                rng: SmallRng::seed_from_u64(seed),
                next_dial: 1,
                effects: Vec::new(),
                choked: 0,
                refused: 0,
            })),
        }
    }

    /// The same surroundings for the next process.
    pub(crate) fn reborn(&self) -> Self {
        self.shared().effects.clear();
        Self {
            fuse: Fuse::new(),
            ..self.clone()
        }
    }

    pub(crate) fn crypto(&self) -> Crypto {
        self.crypto
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(crate) fn fuse(&self) -> &Fuse {
        &self.fuse
    }

    pub(crate) fn set_time(&self, now: Now) {
        self.shared().now = now;
    }

    pub(crate) fn time(&self) -> Now {
        self.shared().now
    }

    /// The next sends find no room in their queues.
    pub(crate) fn choke(&self, sends: u8) {
        self.shared().choked = sends;
    }

    /// Whether a queue has room for what is to be sent.
    fn has_room(&self) -> bool {
        let mut shared = self.shared();
        let has_room = shared.choked == 0;
        shared.choked = shared.choked.saturating_sub(1);
        shared.refused += u64::from(!has_room);
        has_room
    }

    /// Sends that found none, since this was asked last.
    pub(crate) fn take_refused(&self) -> u64 {
        std::mem::take(&mut self.shared().refused)
    }

    pub(crate) fn take_effects(&self) -> Vec<Done> {
        std::mem::take(&mut self.shared().effects)
    }

    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        self.shared().rng.fill_bytes(bytes);
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// Counts as something that others can see.
    fn does(&self, effect: Effect) {
        if self.fuse.spend() {
            self.push(effect);
        }
    }

    fn push(&self, effect: Effect) {
        let done = Done {
            effect,
            syncs: self.disk.syncs(),
            is_synced: self.disk.is_synced(),
        };
        self.shared().effects.push(done);
    }

    fn dials(&self) -> DialId {
        let mut shared = self.shared();
        shared.next_dial += 1;
        shared.next_dial
    }

    /// The connection to the world that a link's end has.
    pub(crate) fn link_end(&self, attempt: u64) -> Box<dyn Link> {
        Box::new(LinkEnd {
            around: self.clone(),
            attempt,
        })
    }
}

impl Surroundings for Around {
    fn now(&self) -> Now {
        self.time()
    }

    fn fill_random(&mut self, bytes: &mut [u8]) {
        self.fill(bytes);
    }

    fn load_groups(
        &mut self,
        key: DeviceKey,
        cert: DeviceCert,
        rows: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Box<dyn GroupCrypto>, LoadError> {
        let inner: Box<dyn GroupCrypto> = match self.crypto {
            Crypto::Mls => Box::new(Mls::load(key, cert, rows)?),
            Crypto::StandIn => {
                let seed = self.shared().rng.random();
                Box::new(StandIn::load(&cert, rows, seed))
            }
        };
        Ok(self.witness.watch(self.peer, self.disk.clone(), inner))
    }

    fn dial_relay(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<RelayCommand>> {
        let id = self.dials();
        self.does(Effect::DialRelay(id, dial, number));
        Box::new(ServerEnd {
            around: self.clone(),
            dial: id,
            room: ROOM.into(),
            effect: |dial, command| Effect::Relay(dial, Box::new(command)),
        })
    }

    fn dial_signaling(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<SignalCommand>> {
        let id = self.dials();
        self.does(Effect::DialSignaling(id, dial, number));
        Box::new(ServerEnd {
            around: self.clone(),
            dial: id,
            room: ROOM.into(),
            effect: Effect::Signal,
        })
    }

    fn start_link(&mut self, no: ConversationNo, attempt: u64, start: LinkStart) {
        self.does(Effect::StartLink(no, attempt, Box::new(start)));
    }

    fn journal_grew(&mut self, end: u64, new: &[JournalEvent]) {
        // What is durable is so whether or not anybody hears of it: this is no operation of its own.
        self.push(Effect::Journal(end, new.to_vec()));
    }
}

/// Commands that the queue of a new connection always has room for.
const ROOM: u8 = 4;

struct ServerEnd<C> {
    around: Around,
    dial: DialId,
    /// How much of that is left.
    room: AtomicU8,
    effect: fn(DialId, C) -> Effect,
}

impl<C: Send> Outlet<C> for ServerEnd<C> {
    fn send(&self, command: C) -> bool {
        let left = self.room.load(Ordering::Relaxed);
        self.room.store(left.saturating_sub(1), Ordering::Relaxed);
        let has_room = left > 0 || self.around.has_room();
        if has_room {
            self.around.does((self.effect)(self.dial, command));
        }
        has_room
    }
}

impl<C> Drop for ServerEnd<C> {
    fn drop(&mut self) {
        self.around.does(Effect::HangUp(self.dial));
    }
}

#[derive(Debug)]
struct LinkEnd {
    around: Around,
    attempt: u64,
}

impl Link for LinkEnd {
    fn handle_signal(&self, signal: LinkSignal) {
        self.around.does(Effect::LinkSignal(self.attempt, signal));
    }

    fn send(&self, frame: Bytes) -> bool {
        let has_room = self.around.has_room();
        if has_room {
            self.around.does(Effect::LinkFrame(self.attempt, frame));
        }
        has_room
    }

    fn round_trip(&self) -> Option<Duration> {
        None
    }

    fn close(&self, reason: &str) {
        let reason = reason.to_owned();
        self.around.does(Effect::LinkClose(self.attempt, reason));
    }
}
