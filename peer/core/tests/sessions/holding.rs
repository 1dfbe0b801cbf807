//! What waits for an earlier message, and for how long.

use tincan_core::Event;
use tincan_core::config::HELD_MESSAGES;

use crate::pair::{Pair, run_link, texts};

/// Messages of one call, which are sealed together.
const TOGETHER: usize = 256;

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
