//! Every state within bounds, and every rule left out once.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker as _, HasDiscoveries, Model as _};

use super::rule::Rule;
use super::{AGREE, Budget, CommitLog, DONE, ONE_INDEX, TWICE, WELCOME};

/// Everybody wants to commit once.
const RACE: Budget = Budget {
    intents: [1, 1, 1],
    crashes: 0,
    duplicates: 0,
    losses: 0,
};

/// Two do, and the third only reads.
const TWO: Budget = Budget {
    intents: [1, 1, 0],
    ..RACE
};

const ONE: Budget = Budget {
    intents: [1, 0, 0],
    ..RACE
};

fn search(budget: Budget) {
    let began = Instant::now();
    let checker = CommitLog::new(budget, None).checker().spawn_bfs().join();
    let mut discoveries = checker.discoveries();
    let is_race = budget.intents.iter().filter(|&&wanted| wanted > 0).count() == 3;
    assert_eq!(discoveries.remove(TWICE).is_some(), is_race);
    for (name, path) in discoveries {
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
    search(Budget { crashes: 1, ..RACE });
    search(Budget {
        crashes: 1,
        duplicates: 1,
        losses: 1,
        ..TWO
    });
    search(Budget {
        intents: [2, 1, 0],
        crashes: 1,
        ..RACE
    });
    if std::env::var_os(crate::WIDE).is_some() {
        search(Budget { crashes: 2, ..RACE });
        search(Budget {
            duplicates: 1,
            losses: 1,
            ..RACE
        });
        search(Budget {
            intents: [2, 1, 1],
            ..RACE
        });
        search(Budget {
            crashes: 2,
            duplicates: 2,
            losses: 2,
            ..TWO
        });
    }
}

/// A model without one rule, where to look, and what must notice.
type Mutant = (Rule, Budget, &'static str);

const MUTANTS: &[Mutant] = &[
    (Rule::MergeAfterWin, TWO, AGREE),
    (Rule::WelcomeAfterWin, TWO, WELCOME),
    (Rule::OwedWelcomeDurable, Budget { crashes: 1, ..ONE }, DONE),
    (Rule::Compare, TWO, AGREE),
    (Rule::Idempotent, Budget { losses: 1, ..ONE }, DONE),
    (Rule::IntentDurable, Budget { crashes: 1, ..ONE }, DONE),
    (Rule::BuiltDurable, Budget { crashes: 1, ..ONE }, DONE),
    (Rule::LoserClears, TWO, DONE),
    (Rule::LoserRebuilds, TWO, DONE),
    (
        Rule::AnswerMatched,
        Budget {
            duplicates: 1,
            ..TWO
        },
        AGREE,
    ),
    (Rule::AppliesInOrder, TWO, AGREE),
];

/// Two rules are each other's safety net: without a comparison at the relay, what was built for another
/// epoch still must not be applied. The log itself shows it when both are gone.
fn caught_by(rule: Rule, budget: Budget) -> BTreeSet<&'static str> {
    let checker = CommitLog::new(budget, Some(rule)).checker();
    let checker = checker
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found: BTreeSet<_> = checker.discoveries().into_keys().collect();
    found.remove(TWICE);
    found
}

#[test]
fn every_rule_of_the_log_that_is_left_out_is_missed() {
    let mut wrong = Vec::new();
    for &(rule, budget, property) in MUTANTS {
        let found = caught_by(rule, budget);
        println!("without {rule:?}: {found:?}");
        if !found.contains(property) {
            wrong.push(format!("{rule:?}: {found:?} instead of {property}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
