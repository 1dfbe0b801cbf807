//! What the other side asks to be sealed again.

use std::time::Duration;

use tincan_core::config::RESEND_ENVELOPES;
use tincan_core::{DeliveryState, Input, Via};
use tincan_protocol::content::{Body, Resend};

use crate::pair::{Pair, run_mailbox, texts};

/// So many messages, each in an envelope, are at the relay of side 1.
fn at_the_relay(count: usize) -> Pair {
    let mut pair = Pair::new();
    pair.relay(0, true);
    for number in 0..count {
        pair.send(0, &texts(number, 1));
    }
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[1].mailbox.len(), count);
    pair
}

/// Side 1 asks for these seqs.
fn ask(pair: &mut Pair, ranges: Vec<(u64, u64)>) {
    let resend = Resend {
        env_ids: Vec::new(),
        ranges,
    };
    let envelope = pair.sides[1].sealed(Body::Resend(resend));
    let via = Via::Mailbox { index: 1 };
    pair.input(0, Input::Envelope { via, envelope });
    pair.step(0);
}

fn resealed(pair: &Pair) -> usize {
    pair.sides[0].durable.resealed
}

#[test]
fn a_range_is_sealed_again_once_at_a_bounded_pace() {
    let many = 2 * RESEND_ENVELOPES + 10;
    let mut pair = at_the_relay(many);
    ask(&mut pair, vec![(1, many as u64)]);
    pair.advance(Duration::ZERO);
    assert_eq!(resealed(&pair), RESEND_ENVELOPES);
    pair.advance(Duration::from_millis(249));
    assert_eq!(resealed(&pair), RESEND_ENVELOPES);
    pair.advance(Duration::from_millis(1));
    assert_eq!(resealed(&pair), 2 * RESEND_ENVELOPES);
    pair.advance(Duration::from_secs(1));
    assert_eq!(resealed(&pair), many);
    pair.advance(Duration::from_secs(3600));
    assert_eq!(resealed(&pair), many, "once");
    assert_eq!(pair.sides[1].mailbox.len(), 2 * many);
}

#[test]
fn several_ranges_are_sealed_again_as_they_were_asked_for() {
    let mut pair = at_the_relay(9);
    ask(&mut pair, vec![(2, 3), (6, 6), (8, 20)]);
    pair.advance(Duration::from_secs(1));
    assert_eq!(resealed(&pair), 5);
    ask(&mut pair, vec![(1, 2), (2, 4)]);
    pair.advance(Duration::from_secs(1));
    assert_eq!(resealed(&pair), 9, "what overlaps is one");
}

#[test]
fn what_is_delivered_or_given_up_is_not_sealed_again() {
    let mut pair = at_the_relay(3);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    run_mailbox(&mut pair, 0);
    assert_eq!(pair.sides[0].states[&3], DeliveryState::Delivered);
    ask(&mut pair, vec![(1, 3)]);
    pair.advance(Duration::from_secs(1));
    assert_eq!(resealed(&pair), 0);

    let mut pair = at_the_relay(3);
    pair.advance(Duration::from_secs(15 * 24 * 3600));
    assert_eq!(pair.sides[0].states[&3], DeliveryState::Failed);
    ask(&mut pair, vec![(1, 3)]);
    pair.advance(Duration::from_secs(1));
    assert_eq!(resealed(&pair), 0);
}

#[test]
fn a_relay_that_has_lost_what_was_said_so_far_is_told_again_what_has_come() {
    let mut pair = at_the_relay(1);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[0].mailbox.deposits(), 1, "a receipt");
    pair.lose_mailbox(0, true);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[0].mailbox.deposits(), 1, "again");

    // Who has received nothing has nothing to say.
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.lose_mailbox(1, true);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[1].mailbox.tries, 0);
}
