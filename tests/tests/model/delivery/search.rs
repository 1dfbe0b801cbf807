//! Every state within bounds, and every rule left out once.

use std::time::Instant;

use stateright::{Checker as _, Model as _};

use super::Delivery;
use super::budget::{Bounds, EACH, ONE, THREE, TWO, both, link, relay};
use super::rule::MUTANTS;
use crate::rules::each_is_missed;

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
        "{states} states, {} steps deep, {:.1?}: {bounds}",
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
        link(THREE.crashes(1)),
        link(TWO.crashes(2).duplicates(1)),
        link(EACH.reorders(1).drops(1).duplicates(1)),
        link(TWO.keys(1).crashes(1)),
        link(TWO.keys(1).reorders(1).impatience(1)),
        link(TWO.reads([0, 1]).link_losses(1).expiries(1)),
    ];
    let wide = [
        link(THREE.crashes(2).duplicates(2)),
        link(THREE.keys(1).crashes(1).reorders(1)),
    ];
    search_all(&narrow, &wide);
}

#[test]
fn the_relay_alone_keeps_every_promise() {
    let narrow = [
        relay(THREE),
        relay(EACH.crashes(1).duplicates(1)),
        relay(ONE.crashes(2).refusals(1)),
        relay(ONE.relay_losses(1).refusals(1).keys(1)),
        // There was a link once, and it does not come again.
        relay(ONE.link_ups(1).link_losses(1).keys(1)),
    ];
    let wide = [relay(TWO.crashes(2).relay_losses(1).keys(1))];
    search_all(&narrow, &wide);
}

#[test]
fn a_relay_that_begins_anew_keeps_every_promise() {
    let narrow = [
        relay(ONE.forgets(1).crashes(1)),
        relay(TWO.forgets(2)),
        relay(ONE.forgets(1).keys(1)),
        relay(TWO.forgets(1).expiries(1)),
        relay(ONE.forgets(1).link_ups(1).link_losses(1)),
    ];
    let wide = [relay(THREE.forgets(1).crashes(1))];
    search_all(&narrow, &wide);
}

#[test]
fn a_relay_that_crashes_keeps_every_promise() {
    let narrow = [
        relay(EACH.relay_crashes(1).duplicates(1)),
        relay(ONE.relay_crashes(1).crashes(1).duplicates(1)),
        relay(ONE.relay_crashes(1).refusals(1)),
        relay(ONE.relay_crashes(1).forgets(1)),
        relay(ONE.relay_crashes(1).keys(1)),
        both(ONE.relay_crashes(1).duplicates(1)),
    ];
    let wide = [
        relay(THREE.relay_crashes(1).duplicates(1)),
        relay(EACH.relay_crashes(2)),
        relay(EACH.relay_crashes(1).crashes(1).duplicates(1)),
        relay(TWO.relay_crashes(1).forgets(1)),
        both(EACH.relay_crashes(1)),
        both(ONE.relay_crashes(1).crashes(1)),
    ];
    search_all(&narrow, &wide);
}

#[test]
fn link_and_relay_together_keep_every_promise() {
    let narrow = [
        both(EACH),
        both(TWO.duplicates(1)),
        both(ONE.impatience(1)),
        both(ONE.silent_forgets(1)),
    ];
    let wide = [
        both(EACH.duplicates(1)),
        both(ONE.refusals(1).drops(1)),
        both(TWO.silent_forgets(1)),
    ];
    search_all(&narrow, &wide);
}

#[test]
fn link_and_relay_between_devices_that_crash_keep_every_promise() {
    let narrow = [both(ONE.crashes(1).duplicates(1))];
    let wide = [
        both(ONE.crashes(1).duplicates(2)),
        both(TWO.crashes(1)),
        both(ONE.link_losses(1).crashes(1)),
    ];
    search_all(&narrow, &wide);
}

#[test]
fn every_rule_that_is_left_out_is_missed() {
    each_is_missed(MUTANTS, Delivery::new);
}
