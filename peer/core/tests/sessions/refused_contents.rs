//! Contents that come when there is no room for them.

use std::time::Duration;

use tincan_core::Input;
use tincan_core::config::RECEIVED_RANGES;
use tincan_protocol::EnvelopeId;

use crate::pair::{Frame, Pair};

#[test]
fn regression_contents_that_found_no_room_are_asked_for_again() {
    let mut pair = Pair::new();
    pair.link_up();
    let count = 2 * (RECEIVED_RANGES + 1);
    let mut envelopes = Vec::new();
    for number in 1..=count {
        pair.send(0, &[format!("text {number}")]);
        while let Some(frame) = pair.wires[1].pop_front() {
            let Frame::Put(envelope) = frame else {
                continue;
            };
            // Somebody says that it is stored, so that more than a window of them goes out.
            let id = EnvelopeId::of(&envelope);
            pair.input(0, Input::Stored { id });
            pair.step(0);
            envelopes.push(envelope);
        }
    }
    assert_eq!(envelopes.len(), count);
    // Every second one: one range more than are kept. Nothing comes after the last one that would
    // show that it is missing.
    for envelope in envelopes.into_iter().skip(1).step_by(2) {
        pair.wires[1].push_back(Frame::Put(envelope));
        pair.deliver(1, 0);
        pair.step(1);
    }
    let last = count as u64;
    let has_last = |pair: &Pair| pair.sides[1].durable.received.contains(&last);
    assert!(!has_last(&pair), "there was room for it");
    for _ in 0..60 {
        pair.advance(Duration::from_secs(1));
        while pair.wires.iter().any(|wire| !wire.is_empty()) {
            for to in 0..2 {
                pair.deliver(to, 0);
                pair.step(to);
            }
        }
    }
    assert!(has_last(&pair));
}
