//! What a run has done, so that it can be seen that it hurt.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::plan::{ALL_DIE_IN_ONE_OF, VICTIMS};
use crate::town::PEOPLE;

/// At least once in so many rounds, over a whole run, each of them is killed. Measured: once in each round.
const KILLED: usize = 2;

/// Somebody is killed while messages are under way. Measured: in nine of ten rounds.
const UNDER_WAY: usize = 2;

/// Somebody is killed while the thread with a database is at work. Measured: in three of four rounds.
const AT_WORK: usize = 4;

/// A call of `send` is interrupted. Measured: five in each round.
const INTERRUPTED: usize = 1;

/// What one kill met.
#[derive(Clone, Debug)]
pub(crate) struct Kill {
    pub(crate) who: &'static str,
    /// A call of `send` had begun and was not answered.
    pub(crate) in_call: bool,
    /// The thread with the database was computing or waited for the disk.
    pub(crate) at_work: bool,
    /// Messages that were confirmed and not yet known to be delivered: the own ones of a peer, for a
    /// server those of everybody.
    pub(crate) under_way: usize,
    /// It was told to end, and not killed.
    pub(crate) in_order: bool,
    /// It was killed a second time while it started.
    pub(crate) while_starting: bool,
    /// How long the start after it took, until it answered.
    pub(crate) start: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// The kills of each round.
    pub(crate) rounds: Vec<Vec<Kill>>,
    /// Calls of `send` by how they ended.
    pub(crate) answered: usize,
    pub(crate) interrupted_stored: usize,
    pub(crate) interrupted_absent: usize,
    pub(crate) interrupted_unknown: usize,
    /// Messages that arrived.
    pub(crate) messages: usize,
    /// Lines that `listen` has printed again.
    pub(crate) printed_again: usize,
    /// Lives of listeners that printed something.
    pub(crate) listeners: usize,
    /// From the last start until everything was where it belongs.
    pub(crate) settled: Duration,
}

impl Figures {
    /// Fails if the kills were too few, or came where nothing was going on: then nothing was shown.
    pub(crate) fn check_that_it_hurt(&self) -> Result<()> {
        let all = self.rounds.iter().filter(|kills| kills_all(kills));
        self.enough("all were killed", all.count(), ALL_DIE_IN_ONE_OF)?;
        for who in VICTIMS {
            let kills = self.rounds.iter().flatten();
            let kills = kills.filter(|kill| kill.who == who && !kill.in_order);
            self.enough(&format!("{who} was killed"), kills.count(), KILLED)?;
        }
        let under_way = self.rounds_where(|kill| kill.under_way > 0);
        self.enough("messages were under way", under_way, UNDER_WAY)?;
        let at_work = self.rounds_where(|kill| kill.at_work);
        self.enough("a database was at work", at_work, AT_WORK)?;
        let interrupted =
            self.interrupted_stored + self.interrupted_absent + self.interrupted_unknown;
        self.enough("a call was interrupted", interrupted, INTERRUPTED)
    }

    /// At least once in so many rounds.
    fn enough(&self, what: &str, count: usize, rounds: usize) -> Result<()> {
        ensure!(
            count >= self.rounds.len() / rounds,
            "{what} {count} times only, in {} rounds",
            self.rounds.len()
        );
        Ok(())
    }

    #[allow(clippy::print_stdout, reason = "that is what they are for")]
    pub(crate) fn print(&self, rounds: usize, seed: u64) {
        println!("{rounds} rounds, E2E_SEED={seed}");
        for who in VICTIMS {
            println!("{}", self.line(who));
        }
        println!(
            "rounds in which all were killed: {}; with messages under way: {}; with a call interrupted: {}; \
             with a database's thread at work: {}",
            self.rounds.iter().filter(|kills| kills_all(kills)).count(),
            self.rounds_where(|kill| kill.under_way > 0),
            self.rounds_where(|kill| kill.in_call),
            self.rounds_where(|kill| kill.at_work),
        );
        println!(
            "calls of send: {} answered; interrupted and found stored {}, found not stored {}, not asked {}",
            self.answered,
            self.interrupted_stored,
            self.interrupted_absent,
            self.interrupted_unknown
        );
        println!(
            "{} messages arrived; {} listeners printed them, {} lines a second time; settled {:.1} s after \
             the last start",
            self.messages,
            self.listeners,
            self.printed_again,
            self.settled.as_secs_f64()
        );
    }

    fn line(&self, who: &str) -> String {
        let kills = || self.rounds.iter().flatten().filter(|kill| kill.who == who);
        let count = |holds: fn(&Kill) -> bool| kills().filter(|kill| holds(kill)).count();
        let mut under_way: Vec<usize> = kills().map(|kill| kill.under_way).collect();
        under_way.sort_unstable();
        let calls = if PEOPLE.contains(&who) {
            format!("{} in a call, ", count(|kill| kill.in_call))
        } else {
            String::new()
        };
        let slowest = kills().map(|kill| kill.start).max().unwrap_or_default();
        format!(
            "{who}: {} killed ({} while starting), {} ended in order; {calls}{} at work; messages under \
             way: median {}, most {}; slowest start {} ms",
            count(|kill| !kill.in_order),
            count(|kill| kill.while_starting),
            count(|kill| kill.in_order),
            count(|kill| kill.at_work),
            under_way.get(under_way.len() / 2).unwrap_or(&0),
            under_way.last().unwrap_or(&0),
            slowest.as_millis(),
        )
    }

    fn rounds_where(&self, holds: impl Fn(&Kill) -> bool) -> usize {
        let rounds = self.rounds.iter();
        rounds.filter(|kills| kills.iter().any(&holds)).count()
    }
}

/// Whether each one was killed in this round, whatever else happened to it.
fn kills_all(kills: &[Kill]) -> bool {
    let is_killed = |who: &str| kills.iter().any(|kill| kill.who == who && !kill.in_order);
    VICTIMS.into_iter().all(is_killed)
}
