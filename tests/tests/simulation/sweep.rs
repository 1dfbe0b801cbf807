//! A crash at every operation of a short story: what the schedules meet by chance, without a gap.
//!
//! The story is the same each time, but for the process that dies after so many operations that others can see (a
//! write, a sync, a word), and for what its disk has kept of what was not synced.

use crate::acquaint::acquainted;
use crate::around::Crypto;
use crate::runner;
use crate::step::Step;
use crate::tally::Tally;
use crate::world::{PEERS, RELAYS, World};

/// Far more operations than the story has.
const OPERATIONS_MAX: u16 = 10_000;

/// Steps between two things that users do: enough for what they say to get there.
const PAUSE: u16 = 40;

/// Who dies.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Peer(u8),
    Relay(u8),
    /// A peer that has died already, and begins again.
    BeginningPeer(u8),
    BeginningRelay(u8),
}

impl Victim {
    fn all() -> Vec<Self> {
        let peers = 0..PEERS as u8;
        let relays = 0..RELAYS as u8;
        let peers = peers.flat_map(|who| [Self::Peer(who), Self::BeginningPeer(who)]);
        let relays = relays.flat_map(|which| [Self::Relay(which), Self::BeginningRelay(which)]);
        peers.chain(relays).collect()
    }

    fn dies_after(self, operations: u16) -> Vec<Step> {
        let peer = |who, operations| Step::Crash { who, operations };
        let relay = |which, operations| Step::CrashRelay { which, operations };
        match self {
            Self::Peer(who) => vec![peer(who, operations)],
            Self::Relay(which) => vec![relay(which, operations)],
            Self::BeginningPeer(who) => vec![peer(who, 0), peer(who, operations), Step::Start],
            Self::BeginningRelay(which) => {
                vec![relay(which, 0), relay(which, operations), Step::Start]
            }
        }
    }
}

/// Two become contacts, if they are not; everybody writes to everybody, and reads.
fn story() -> Vec<Step> {
    let pause = |first: u16| {
        (first..first + PAUSE).map(|which| Step::Go {
            which,
            some: 8,
            ms: 1,
        })
    };
    let mut steps = vec![Step::Introduce { host: 0, guest: 1 }];
    steps.extend(pause(0));
    for round in 0..2u8 {
        for from in 0..PEERS as u8 {
            let texts = 1 + round;
            steps.extend((0..2).map(|to| Step::Send { from, to, texts }));
            steps.extend((0..2).map(|of| Step::Read { who: from, of }));
        }
        steps.extend(pause(u16::from(round) * 7));
        steps.push(Step::Start);
    }
    steps
}

/// Dies at each operation in turn, until the story is over before; how many there were.
fn sweep(begin: &World, victim: Victim) -> u16 {
    for operations in 0..OPERATIONS_MAX {
        let steps = [victim.dies_after(operations), story()].concat();
        let tally = runner::run(begin, operations.into(), &steps, |_| {});
        let tally = tally.unwrap_or_else(|why| panic!("{victim:?} at {operations}: {why}"));
        if operations > 0 && !has_died(&tally) {
            return operations;
        }
    }
    panic!("{victim:?}: the story does not end");
}

fn has_died(tally: &Tally) -> bool {
    tally.peers_killed_in_a_turn + tally.relays_killed_at_work + tally.killed_at_start > 0
}

fn sweep_all(begin: &World) {
    for victim in Victim::all() {
        let operations = sweep(begin, victim);
        eprintln!("{victim:?}: {operations} operations");
    }
}

#[test]
fn a_crash_at_any_operation_of_contacts_is_survived() {
    sweep_all(&acquainted(Crypto::StandIn, 1));
}

#[test]
fn a_crash_at_any_operation_of_strangers_is_survived() {
    sweep_all(&World::new(Crypto::StandIn, 1));
}
