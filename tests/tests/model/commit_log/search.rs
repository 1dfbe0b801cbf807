//! Every state within bounds, and every rule left out once.

use std::time::Instant;

use stateright::{Checker as _, Model as _};

use super::rule::MUTANTS;
use super::{Budget, CommitLog, RACE, TWICE, TWICE_AND_ONCE, TWO};
use crate::rules::each_is_missed;

fn search(budget: Budget) {
    let began = Instant::now();
    let checker = CommitLog::new(budget, None).checker().spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let race = budget.intents.iter().all(|&wanted| wanted > 0);
    let twice = discoveries.remove(TWICE).is_some();
    assert!(twice || !race, "the search does not get far");
    if let Some((name, path)) = discoveries.into_iter().next() {
        let group = format!("{:#?}", path.last_state());
        panic!("{name}\nfails after {:#?}\nin {group}", path.into_actions());
    }
    println!(
        "{} states, {} steps deep, {:.1?}: {budget:?}",
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed()
    );
}

#[test]
fn three_members_race_and_agree() {
    search(RACE.duplicates(1));
    search(RACE.losses(1));
    search(TWICE_AND_ONCE);
    if std::env::var_os(crate::WIDE).is_some() {
        search(RACE.duplicates(1).losses(1));
    }
}

#[test]
fn members_that_crash_agree() {
    search(RACE.crashes(1));
    search(TWO.crashes(1).duplicates(1).losses(1));
    if std::env::var_os(crate::WIDE).is_some() {
        search(RACE.crashes(1).duplicates(1));
        search(RACE.crashes(1).losses(1));
        search(TWO.crashes(2).duplicates(1).losses(1));
        search(TWICE_AND_ONCE.crashes(1));
    }
}

#[test]
fn every_rule_of_the_log_that_is_left_out_is_missed() {
    each_is_missed(MUTANTS, CommitLog::new);
}
