//! Every state within bounds, and every rule left out once.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker as _, HasDiscoveries, Model as _};

use super::properties::{
    ACK_DURABLE, COMMITTED, DURABLE, ENDS, FORWARD, ONCE, ONE_CONTENT, ORDER, RESTS,
};
use super::rule::Rule;
use super::state::Budget;
use super::{Bounds, Delivery};

/// Nothing is sent and nothing goes wrong.
pub(crate) const NOTHING: Budget = Budget {
    messages: [0, 0],
    reads: [0, 0],
    crashes: 0,
    duplicates: 0,
    drops: 0,
    reorders: 0,
    link_ups: 0,
    link_losses: 0,
    relay_losses: 0,
    refusals: 0,
    forgets: 0,
    silent_forgets: 0,
    keys: 0,
    expiries: 0,
    impatience: 0,
};

pub(crate) const ONE_WAY: Budget = Budget {
    messages: [2, 0],
    ..NOTHING
};

const ONE: Budget = Budget {
    messages: [1, 0],
    ..NOTHING
};

const EACH: Budget = Budget {
    messages: [1, 1],
    ..NOTHING
};

const BOTH_WAYS: Budget = Budget {
    messages: [2, 1],
    ..NOTHING
};

pub(crate) const fn link(budget: Budget) -> Bounds {
    Bounds {
        budget,
        link: true,
        relay: false,
    }
}

pub(crate) const fn relay(budget: Budget) -> Bounds {
    Bounds {
        budget,
        link: false,
        relay: true,
    }
}

pub(crate) const fn both(budget: Budget) -> Bounds {
    Bounds {
        budget,
        link: true,
        relay: true,
    }
}

/// Looks at every state; says how many there are.
fn search(bounds: Bounds) -> usize {
    let began = Instant::now();
    let model = Delivery::new(bounds, None).checker();
    let checker = model.spawn_bfs().join();
    if let Some((name, path)) = checker.discoveries().into_iter().next() {
        let state = format!("{:#?}", path.last_state());
        panic!("{name}\nfails after {:#?}\nin {state}", path.into_actions());
    }
    let states = checker.unique_state_count();
    println!(
        "{states} states, {} steps deep, {:.1?}: {bounds:?}",
        checker.max_depth(),
        began.elapsed()
    );
    states
}

/// Within these bounds every search together ends in well under a minute.
fn search_all(narrow: &[Bounds], wide: &[Bounds]) {
    let wide = if std::env::var_os(crate::WIDE).is_some() {
        wide
    } else {
        &[]
    };
    let states: usize = narrow
        .iter()
        .chain(wide)
        .map(|&bounds| search(bounds))
        .sum();
    println!("{states} states in all");
}

#[test]
fn the_link_alone_keeps_every_promise() {
    let narrow = [
        link(Budget {
            crashes: 1,
            ..BOTH_WAYS
        }),
        link(Budget {
            crashes: 2,
            duplicates: 1,
            ..ONE_WAY
        }),
        link(Budget {
            reorders: 1,
            drops: 1,
            duplicates: 1,
            ..EACH
        }),
        link(Budget {
            keys: 1,
            crashes: 1,
            ..ONE_WAY
        }),
        link(Budget {
            keys: 1,
            reorders: 1,
            impatience: 1,
            ..ONE_WAY
        }),
        link(Budget {
            reads: [0, 1],
            link_losses: 1,
            expiries: 1,
            ..ONE_WAY
        }),
    ];
    let wide = [
        link(Budget {
            crashes: 2,
            duplicates: 2,
            ..BOTH_WAYS
        }),
        link(Budget {
            keys: 1,
            crashes: 1,
            reorders: 1,
            ..BOTH_WAYS
        }),
    ];
    search_all(&narrow, &wide);
}

#[test]
fn the_relay_alone_keeps_every_promise() {
    let narrow = [
        relay(BOTH_WAYS),
        relay(Budget { crashes: 1, ..EACH }),
        relay(Budget {
            crashes: 2,
            refusals: 1,
            ..ONE
        }),
        relay(Budget {
            forgets: 1,
            crashes: 1,
            ..ONE
        }),
        relay(Budget {
            forgets: 2,
            ..ONE_WAY
        }),
        relay(Budget {
            relay_losses: 1,
            refusals: 1,
            keys: 1,
            ..ONE
        }),
        relay(Budget {
            expiries: 1,
            forgets: 1,
            ..ONE_WAY
        }),
    ];
    let wide = [
        relay(Budget {
            crashes: 1,
            forgets: 1,
            ..BOTH_WAYS
        }),
        relay(Budget {
            crashes: 2,
            relay_losses: 1,
            keys: 1,
            ..ONE_WAY
        }),
    ];
    search_all(&narrow, &wide);
}

#[test]
fn link_and_relay_together_keep_every_promise() {
    let narrow = [
        both(EACH),
        both(Budget {
            impatience: 1,
            ..ONE
        }),
        both(Budget { crashes: 1, ..ONE }),
        both(Budget {
            silent_forgets: 1,
            ..ONE
        }),
    ];
    let wide = [
        both(Budget {
            link_losses: 1,
            crashes: 1,
            ..ONE
        }),
        both(Budget {
            crashes: 1,
            impatience: 1,
            ..EACH
        }),
        both(Budget {
            silent_forgets: 1,
            crashes: 1,
            ..ONE_WAY
        }),
    ];
    search_all(&narrow, &wide);
}

/// Not kept, and known: a question for an envelope that cannot be opened is not asked again where it
/// was only at a relay that has begun anew. A link, or a later message, heals it; without either the
/// sender says after 14 days that the message has failed. Whoever changes this changes the test.
#[test]
fn a_question_that_a_relay_has_lost_waits_for_a_link() {
    let lost = Budget {
        forgets: 1,
        keys: 1,
        ..ONE
    };
    let checker = Delivery::new(relay(lost), None).checker();
    let checker = checker
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let found: BTreeSet<_> = checker.discoveries().into_keys().collect();
    assert!(
        found.is_subset(&BTreeSet::from([ENDS, RESTS])) && !found.is_empty(),
        "{found:?}"
    );
}

/// A model without one rule, where to look, and what must notice.
type Mutant = (Rule, Bounds, &'static str);

const MUTANTS: &[Mutant] = &[
    (Rule::TransmitAfterCommit, link(ONE), DURABLE),
    (Rule::AckAfterCommit, link(ONE), ACK_DURABLE),
    (
        Rule::SeenWithItsRow,
        relay(Budget { crashes: 1, ..ONE }),
        ACK_DURABLE,
    ),
    (
        Rule::OneRowPerSeq,
        link(Budget {
            keys: 1,
            link_losses: 1,
            ..ONE
        }),
        ONCE,
    ),
    (
        Rule::SeqWithItsMessage,
        link(Budget {
            crashes: 1,
            ..ONE_WAY
        }),
        ONE_CONTENT,
    ),
    (
        Rule::ResealedFromStore,
        link(Budget { keys: 1, ..ONE_WAY }),
        ONE_CONTENT,
    ),
    (
        Rule::GapFilledInPlace,
        link(Budget { keys: 1, ..ONE_WAY }),
        ORDER,
    ),
    (
        Rule::HoleGivenUp,
        link(Budget {
            keys: 1,
            expiries: 1,
            ..ONE_WAY
        }),
        ENDS,
    ),
    (Rule::RelayIsNotDelivery, relay(ONE), COMMITTED),
    (
        Rule::StoredIsNotDelivery,
        link(Budget { keys: 1, ..ONE }),
        COMMITTED,
    ),
    (
        Rule::ToldOnce,
        both(Budget {
            keys: 1,
            link_losses: 1,
            ..ONE
        }),
        FORWARD,
    ),
    (
        Rule::LinkLossFreesInFlight,
        link(Budget {
            link_losses: 1,
            ..ONE
        }),
        ENDS,
    ),
    (
        Rule::RelayLossFreesInFlight,
        relay(Budget {
            relay_losses: 1,
            refusals: 1,
            ..ONE
        }),
        ENDS,
    ),
    (
        Rule::RelayForgotReloads,
        relay(Budget { forgets: 1, ..ONE }),
        ENDS,
    ),
    (
        Rule::ForgottenReceiptOwed,
        relay(Budget { forgets: 1, ..ONE }),
        ENDS,
    ),
    (
        Rule::RestartReloads,
        link(Budget { crashes: 1, ..ONE }),
        ENDS,
    ),
    (
        Rule::OwedReceiptDurable,
        relay(Budget { crashes: 1, ..ONE }),
        ENDS,
    ),
    (
        Rule::UnreadableAskedFor,
        link(Budget { keys: 1, ..ONE }),
        ENDS,
    ),
    (Rule::WantedResealed, link(Budget { keys: 1, ..ONE }), ENDS),
    (
        Rule::HolesAskedFor,
        both(Budget {
            silent_forgets: 1,
            ..ONE
        }),
        ENDS,
    ),
    (
        Rule::StoredAnnounced,
        both(Budget {
            silent_forgets: 1,
            ..ONE
        }),
        ENDS,
    ),
    (
        Rule::RefusedGoesToRelay,
        both(Budget {
            refusals: 1,
            ..ONE_WAY
        }),
        ENDS,
    ),
];

/// What a search in a model without the rule finds, until it finds this.
fn caught_by(rule: Rule, bounds: Bounds, property: &'static str) -> BTreeSet<&'static str> {
    let checker = Delivery::new(bounds, Some(rule)).checker();
    let until = HasDiscoveries::AllOf(BTreeSet::from([property]));
    let checker = checker.finish_when(until).spawn_bfs().join();
    checker.discoveries().into_keys().collect()
}

#[test]
fn every_rule_that_is_left_out_is_missed() {
    let mut wrong = Vec::new();
    for &(rule, bounds, property) in MUTANTS {
        let found = caught_by(rule, bounds, property);
        println!("without {rule:?}: {found:?}");
        if !found.contains(property) {
            wrong.push(format!("{rule:?}: {found:?} instead of {property}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
