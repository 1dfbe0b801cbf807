//! When envelopes are sealed: the other side's ratchet opens them only about in that order.

use std::time::Duration;

use tincan_core::config::WINDOW_ENVELOPES;

use crate::pair::{Frame, Pair};

/// Which envelope of its side this is, in the order of sealing.
fn generation(frame: Option<&Frame>) -> Option<u64> {
    match frame {
        Some(Frame::Put(envelope)) => envelope
            .first_chunk()
            .map(|bytes| u64::from_be_bytes(*bytes)),
        _ => None,
    }
}

#[test]
fn regression_what_waits_is_not_sealed_before_a_receipt_that_leaves_first() {
    const MESSAGES: usize = 1_000;
    let mut pair = Pair::new();
    pair.send(1, &["a receipt is owed for this".to_owned()]);
    for number in 0..MESSAGES {
        pair.send(0, &[format!("text {number}")]);
    }
    pair.link_up();
    let (mut newest, mut furthest_back) = (0, 0);
    while pair.sides[1].texts().len() < MESSAGES {
        for _ in 0..10 {
            if let Some(generation) = generation(pair.wires[1].front()) {
                newest = newest.max(generation);
                furthest_back = furthest_back.max(newest - generation);
            }
            for to in (0..2)
                .filter(|&to| !pair.wires[to].is_empty())
                .collect::<Vec<_>>()
            {
                pair.deliver(to, 0);
                pair.step(to);
            }
        }
        // Receipts are due while messages are on their way.
        pair.advance(Duration::from_millis(50));
    }
    assert!(
        furthest_back <= WINDOW_ENVELOPES as u64,
        "sealed {furthest_back} before what left earlier"
    );
}
