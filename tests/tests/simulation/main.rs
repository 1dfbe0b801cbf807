//! The simulated world: three peers with their real driver, core and store, the real insides of two
//! relays and a signaling server, and everything around them simulated: disks that lose what was not
//! synced, links and connections that delay, break and go silent, clocks that drift and are set,
//! processes that die between any two things they do.
//!
//! | module | owns |
//! |---|---|
//! | [`world`] | the machines, the network, time; what a step does |
//! | [`step`] | what can happen, and how schedules are made of it |
//! | [`runner`] | running schedules, and shortening those that fail; [`sweep`] a crash at every operation of one |
//! | [`model`] | what must be true, and the invariants (`ARCHITECTURE.md`) after each step |
//! | [`leaving`] | what had to be durable before something left a peer |
//! | [`machine`] | a peer's machine; [`around`] what its process does to the world |
//! | [`relay`], [`signaling`] | the servers; [`mailbox_book`] what relays have promised |
//! | [`links`] | direct links |
//! | [`disk`], [`fuse`] | a disk that forgets, a process that dies in the middle |
//! | [`defect`] | what must be found when it is put in |
//! | [`stand_in`], [`witness`] | cheap encryption with MLS's semantics; what is in an envelope |
//! | [`acquaint`] | how they become contacts; [`tally`] what was met on the way |
//!
//! Tests beside the checks show each of them failing: in [`model`], [`leaving`], [`mailbox_book`], [`links`], and
//! wherever else something is checked.
//!
//! `TINCAN_SCHEDULES` is how many schedules are run (default 350), `TINCAN_STEPS` how long they are
//! (default 10,000), `TINCAN_SEED` where the seeds begin (default 0): the seed that a failure names,
//! with one schedule, is that failure again. `TINCAN_SHRINK` is how many runs shortening may take (default 400;
//! 0: the failure as it is).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "the harness of a test: what fails here is a failed test"
)]

mod acquaint;
mod around;
mod defect;
mod disk;
mod fuse;
mod leaving;
mod links;
mod machine;
mod mailbox_book;
mod model;
mod relay;
mod runner;
mod signaling;
mod stand_in;
mod step;
mod sweep;
mod tally;
mod witness;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use acquaint::acquainted;
use around::Crypto;
use defect::Defect;
use step::FLAVOURS;
use tally::Tally;
use world::World;

/// How many are run where nobody asks for more: they take about a minute on two cores.
const SCHEDULES: u64 = 350;

/// In one of so many schedules nobody knows anybody at the beginning.
const STRANGERS: u64 = 5;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// Runs schedules on both cores, each in one thread.
fn run(crypto: Crypto, seeds: u64, steps: u64) -> Tally {
    let first = number("TINCAN_SEED", 0);
    let next = AtomicU64::new(first);
    let total = Mutex::new(Tally::default());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let work = || {
            let (strangers, friends) = (World::new(crypto, 1), acquainted(crypto, 1));
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + seeds {
                    return;
                }
                let begin = if seed.is_multiple_of(STRANGERS) {
                    &strangers
                } else {
                    &friends
                };
                let tally = runner::check(begin, seed, usize::try_from(steps).unwrap());
                *total.lock().unwrap() += tally;
            }
        };
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    let (total, took) = (total.into_inner().unwrap(), begin.elapsed());
    eprintln!("{crypto:?}: {seeds} schedules of {steps} steps in {took:.1?}: {total:#?}");
    total
}

/// Buffers that nothing fills here: all are of one version, envelopes can be opened or have been, there is one
/// signaling server, and what is to be sealed is sealed when a turn ends.
const EMPTY_HERE: [&str; 6] = [
    "bytes of these",
    "contents of a later version",
    "bytes to be sealed",
    "envelopes to ask for",
    "envelopes to seal again",
    "signaling servers of others",
];

#[test]
fn whatever_happens_the_invariants_hold() {
    let schedules = number("TINCAN_SCHEDULES", SCHEDULES);
    let steps = number("TINCAN_STEPS", 10_000);
    let met = run(Crypto::StandIn, schedules, steps);
    // Of one schedule for each flavour not everything can be expected.
    if schedules >= 100 && steps >= 1_000 {
        let all = [
            met.texts,
            met.peers_killed_in_a_turn,
            met.relays_killed_at_work,
            met.lost_relays,
            met.killed_at_start,
            met.signaling_crashes,
            met.ended,
            met.full_queues,
            met.accepted,
            met.partitions,
            met.lost_frames,
            met.repeated_frames,
            met.swapped_frames,
            met.changed_frames,
            met.set_clocks,
            met.friends,
            met.full_disks,
            met.broken_links,
            met.full_buffers,
            met.gaps,
            met.late,
            met.failed,
            met.read,
        ];
        assert!(all.iter().all(|count| *count > 0), "never met: {met:#?}");
        let empty = met.buffers.iter().filter(|(_, most)| **most == 0);
        let empty: Vec<&str> = empty.map(|(what, _)| *what).collect();
        assert!(
            empty.iter().all(|what| EMPTY_HERE.contains(what)),
            "never filled: {empty:?}"
        );
    }
}

#[test]
fn whatever_happens_the_invariants_hold_with_real_mls() {
    let schedules = number("TINCAN_SCHEDULES", SCHEDULES).div_ceil(50);
    let met = run(Crypto::Mls, schedules, number("TINCAN_STEPS", 10_000) / 5);
    // What each of 35 runs of seven schedules has met at least twice, and each of 11 runs of twenty-one.
    let mut all = Vec::new();
    if schedules >= 7 {
        all.extend([
            met.texts,
            met.read,
            met.peers_killed_in_a_turn,
            met.relays_killed_at_work,
            met.signaling_crashes,
            met.broken_links,
            met.partitions,
        ]);
    }
    if schedules >= 20 {
        let of_frames = [met.lost_frames, met.repeated_frames, met.changed_frames];
        all.extend(of_frames);
        all.push(met.full_disks);
    }
    assert!(all.iter().all(|count| *count > 0), "never met: {met:#?}");
}

/// Schedules in which a defect must be found.
const DEFECT_SCHEDULES: u64 = 70;

#[test]
fn what_is_put_in_is_found() {
    let world = acquainted(Crypto::StandIn, 1);
    for defect in Defect::ALL {
        let found = (0..DEFECT_SCHEDULES).find_map(|seed| {
            let (_, steps) = runner::schedule(seed, 10_000);
            let plant = |world: &mut World| defect.plant(world);
            runner::run(&world, seed, &steps, plant).err()
        });
        let found = found.unwrap_or_else(|| panic!("{defect:?} is not found"));
        let breaks = defect.breaks();
        assert!(
            breaks.iter().any(|name| found.starts_with(name)),
            "{defect:?} is found by something else: {found}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_story() {
    let world = acquainted(Crypto::StandIn, 1);
    // One of each flavour.
    for seed in 0..FLAVOURS.len() as u64 {
        let (_, steps) = runner::schedule(seed, 2_000);
        let story = || {
            let mut world = world.copy(seed);
            steps.iter().for_each(|step| world.step(*step));
            world.fingerprint()
        };
        assert_eq!(story(), story(), "schedule {seed}");
    }
}
