//! Every state within bounds, and every rule left out once.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker as _, HasDiscoveries, Model as _};

use super::rule::Rule;
use super::{AGREE, Budget, CommitLog, DONE, GROW, ONE_INDEX, TWICE, WELCOME};

/// Everybody wants to commit once.
const RACE: Budget = Budget::intents([1, 1, 1]);

/// Two do, and the third only reads.
const TWO: Budget = Budget::intents([1, 1, 0]);

/// Two do, one of them twice.
const TWICE_AND_ONCE: Budget = Budget::intents([2, 1, 0]);

/// One does, and nobody is in its way.
const ONE: Budget = Budget::intents([1, 0, 0]);

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
    search(RACE);
    search(TWO.losses(1));
    search(TWO.duplicates(1));
    search(TWO.crashes(1).duplicates(1).losses(1));
    search(TWICE_AND_ONCE);
    if std::env::var_os(crate::WIDE).is_some() {
        search(RACE.crashes(1));
        search(TWO.crashes(2).duplicates(1).losses(1));
        search(TWICE_AND_ONCE.crashes(1));
    }
}

/// A model without one rule, where to look, and what must notice.
type Mutant = (Rule, Budget, &'static str);

const MUTANTS: &[Mutant] = &[
    (Rule::MergeAfterWin, TWO, AGREE),
    (Rule::MergeDurable, ONE.crashes(1), GROW),
    (Rule::WelcomeAfterWin, TWO, WELCOME),
    (Rule::OwedWelcomeDurable, ONE.crashes(1), DONE),
    (Rule::Compare, TWO, AGREE),
    (Rule::Idempotent, ONE.losses(1), DONE),
    (Rule::OneIndexEach, ONE.losses(1), ONE_INDEX),
    (Rule::IntentDurable, ONE.crashes(1), DONE),
    (Rule::BuiltDurable, ONE.crashes(1), DONE),
    (Rule::LoserClears, TWO, DONE),
    (Rule::LoserRebuilds, TWO, DONE),
    (Rule::AnswerMatched, TWICE_AND_ONCE.duplicates(1), AGREE),
    (Rule::AppliesInOrder, TWO, DONE),
];

/// What a search in a model without the rule finds, until it finds this.
fn caught_by(rule: Rule, budget: Budget, property: &'static str) -> BTreeSet<&'static str> {
    let checker = CommitLog::new(budget, Some(rule)).checker();
    let until = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = checker.finish_when(until).spawn_bfs().join();
    checker.discoveries().into_keys().collect()
}

#[test]
fn every_rule_of_the_log_that_is_left_out_is_missed() {
    let mut wrong = Vec::new();
    for &(rule, budget, property) in MUTANTS {
        let found = caught_by(rule, budget, property);
        println!("without {rule:?}: {found:?}");
        if !found.contains(property) {
            wrong.push(format!("{rule:?}: {found:?} instead of {property}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
