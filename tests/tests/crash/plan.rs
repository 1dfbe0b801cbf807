//! Who is killed in a round, and when.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::victim::Runs;

/// Who can be killed.
pub(crate) const VICTIMS: [&str; 5] = ["ann", "bob", "carol", "relay", "signal-server"];

/// In one of so many rounds all of them are killed, each at a moment of its own; in the others some are, or end
/// when they are told to. Chosen: half of the rounds for each.
pub(crate) const ALL_DIE_IN_ONE_OF: usize = 2;

/// All live this long before the first one is killed, at most. Chosen: long enough for links in most
/// rounds, short enough that many kills come while they are being made.
const LIFE: Duration = Duration::from_millis(1_500);

/// Between the first and the last kill of a round, at most.
const SPREAD: Duration = Duration::from_millis(400);

/// How long somebody stays dead, at most.
const DEATH: Duration = Duration::from_millis(500);

/// A second kill comes this long after the start, at most: a peer needs about 50 ms to open its
/// profile, longer after a crash.
const RECOVERY: Duration = Duration::from_millis(250);

/// A listener outlives the process that it is attached to by this much, at most: long enough to take
/// the profile over.
const TAKEOVER: Duration = Duration::from_millis(300);

/// From the moment that a call has begun to the kill, at most: about as long as a call takes.
const INTO_THE_CALL: Duration = Duration::from_millis(3);

/// One round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// How long all live before it begins.
    pub(crate) life: Duration,
    /// One for each of [`VICTIMS`]; `None`: it lives on.
    pub(crate) fates: [Option<Fate>; 5],
}

/// What becomes of somebody in a round.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    /// After the round's beginning.
    pub(crate) after: Duration,
    /// The kill waits for a call of `send`, and comes this long after it has begun.
    pub(crate) into_the_call: Option<Duration>,
    /// How long it stays dead.
    pub(crate) death: Duration,
    /// It is killed a second time, so long after its start.
    pub(crate) again: Option<Duration>,
    /// It is told to end instead (SIGTERM).
    pub(crate) in_order: bool,
    /// How a peer runs afterwards.
    pub(crate) runs: Runs,
    /// Of a listener and its daemon the other one lives on for so long.
    pub(crate) takeover: Option<Duration>,
}

impl Round {
    /// Draws everything at once, so that a seed gives the same rounds however the processes run.
    pub(crate) fn draw(random: &mut StdRng, number: usize) -> Self {
        Self {
            life: up_to(random, LIFE),
            fates: if number.is_multiple_of(ALL_DIE_IN_ONE_OF) {
                [(); 5].map(|()| Some(Fate::draw_kill(random)))
            } else {
                some_fates(random)
            },
        }
    }
}

fn some_fates(random: &mut StdRng) -> [Option<Fate>; 5] {
    let together = random.random_ratio(1, 3);
    let mut fates = [const { None }; 5];
    while fates.iter().all(Option::is_none) {
        for fate in &mut fates {
            if random.random_ratio(1, 2) {
                *fate = Some(Fate::draw(random, together));
            }
        }
    }
    fates
}

impl Fate {
    /// With a moment of its own, and without a warning.
    fn draw_kill(random: &mut StdRng) -> Self {
        Self {
            in_order: false,
            ..Self::draw(random, false)
        }
    }

    fn draw(random: &mut StdRng, together: bool) -> Self {
        let after = up_to(random, SPREAD);
        let again = up_to(random, RECOVERY);
        let into_the_call = up_to(random, INTO_THE_CALL);
        let takeover = up_to(random, TAKEOVER);
        Self {
            after: if together { Duration::ZERO } else { after },
            into_the_call: (!together && random.random_ratio(1, 2)).then_some(into_the_call),
            death: up_to(random, DEATH),
            again: random.random_ratio(1, 3).then_some(again),
            in_order: random.random_ratio(1, 10),
            runs: match random.random_range(0..4) {
                0 => Runs::Listen,
                1 => Runs::DaemonAndListen,
                _ => Runs::Daemon,
            },
            takeover: random.random_ratio(1, 2).then_some(takeover),
        }
    }
}

fn up_to(random: &mut StdRng, longest: Duration) -> Duration {
    longest.mul_f64(random.random())
}
