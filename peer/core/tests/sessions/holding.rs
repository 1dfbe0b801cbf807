//! What waits for an earlier message, and for how long.

use tincan_core::Event;
use tincan_core::config::{HELD_BYTES, HELD_MESSAGES};

use crate::pair::{Pair, run_link, texts};

/// Messages of one call, which are sealed together.
const TOGETHER: usize = 256;

const COUNT: &str = "messages held back";
const BYTES: &str = "bytes of these in memory";

/// Side 1 lacks the first message; what comes after it has to wait.
fn with_a_hole() -> Pair {
    let mut pair = Pair::new();
    pair.link_up();
    run_link(&mut pair);
    pair.send(0, &texts(0, 1));
    pair.wires[1].clear();
    pair
}

/// What was lost is sent once more.
fn fill_the_hole(pair: &mut Pair) {
    pair.link_down();
    pair.link_up();
    run_link(pair);
}

/// How full one of side 1's buffers is.
fn filled(pair: &Pair, what: &str) -> usize {
    let mut buffers = pair.sides[1].session.buffers();
    let buffer = buffers.find(|buffer| buffer.what == what);
    buffer.expect("a buffer of that name").filled
}

#[test]
fn what_is_held_back_is_counted_until_it_is_shown() {
    let mut pair = with_a_hole();
    pair.send(0, &texts(1, 3));
    run_link(&mut pair);
    assert_eq!(filled(&pair, COUNT), 3);
    let held: usize = pair.sides[1]
        .durable
        .held
        .values()
        .map(|bytes| bytes.len())
        .sum();
    assert_eq!(filled(&pair, BYTES), held);
    fill_the_hole(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 4));
    assert_eq!((filled(&pair, COUNT), filled(&pair, BYTES)), (0, 0));
}

#[test]
fn beyond_half_of_the_bound_what_is_held_back_longest_from_its_turn_is_on_disk_alone() {
    const LEN: usize = 10_000;
    let mut pair = with_a_hole();
    let text = |number: usize| format!("{number:0LEN$}");
    let (mut most, mut after) = (0, None);
    for number in 1..=2 * HELD_BYTES / LEN {
        let before = filled(&pair, BYTES);
        pair.send(0, &[text(number)]);
        run_link(&mut pair);
        let now = filled(&pair, BYTES);
        most = most.max(now);
        if now < before {
            after.get_or_insert(now);
        }
        assert_eq!(filled(&pair, COUNT), number);
    }
    // They are let go with the next call.
    let over = most.abs_diff(HELD_BYTES);
    assert!(over < 2 * LEN, "{most} bytes");
    let after = after.expect("it never lets go of anything");
    let over = after.abs_diff(HELD_BYTES / 2);
    assert!(over < 2 * LEN, "{after} bytes are left");
    fill_the_hole(&mut pair);
    let all = (1..=2 * HELD_BYTES / LEN).map(text);
    assert_eq!(pair.sides[1].texts()[1..], all.collect::<Vec<_>>());
    assert_eq!((filled(&pair, COUNT), filled(&pair, BYTES)), (0, 0));
}

#[test]
fn when_nothing_more_can_be_held_back_the_hole_is_shown_at_once() {
    let mut pair = Pair::new();
    pair.link_up();
    run_link(&mut pair);
    pair.send(0, &texts(0, 1));
    pair.wires[1].clear();
    for from in (1..=HELD_MESSAGES).step_by(TOGETHER) {
        pair.send(0, &texts(from, TOGETHER));
        run_link(&mut pair);
    }
    assert_eq!(pair.sides[1].texts().len(), 0, "all of it waits");
    pair.send(0, &texts(HELD_MESSAGES + 1, 1));
    run_link(&mut pair);
    let gaps = pair.sides[1].events.iter().filter_map(|event| match event {
        Event::Gap { first, last, .. } => Some((*first, *last)),
        _ => None,
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(pair.sides[1].texts().len(), HELD_MESSAGES + 1);
}
