//! What the other side asks to be sealed again.

use std::time::Duration;

use tincan_core::config::RESEND_ENVELOPES;
use tincan_core::{DeliveryState, Input, Via};
use tincan_protocol::EnvelopeId;
use tincan_protocol::content::{Body, Resend};
use tincan_protocol::limits::RESEND_MAX;

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
    let env_ids = Vec::new();
    ask_for(pair, Resend { env_ids, ranges });
}

fn ask_for(pair: &mut Pair, resend: Resend) {
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
fn envelopes_and_ranges_together_keep_the_pace() {
    let mut pair = at_the_relay(2 * RESEND_ENVELOPES);
    let rows = pair.sides[0].durable.outbox.values();
    let env_ids: Vec<EnvelopeId> = rows.take(10).map(|entry| entry.id).collect();
    let ranges = vec![(11, 2 * RESEND_ENVELOPES as u64)];
    ask_for(&mut pair, Resend { env_ids, ranges });
    pair.advance(Duration::ZERO);
    assert_eq!(resealed(&pair), RESEND_ENVELOPES);
    pair.advance(Duration::from_secs(1));
    assert_eq!(resealed(&pair), 2 * RESEND_ENVELOPES);
}

#[test]
fn a_range_waits_where_envelopes_have_used_up_the_pace() {
    let mut pair = at_the_relay(RESEND_ENVELOPES + 1);
    let rows = pair.sides[0].durable.outbox.values();
    let ids: Vec<EnvelopeId> = rows.take(RESEND_ENVELOPES).map(|entry| entry.id).collect();
    for ids in ids.chunks(RESEND_MAX) {
        let (env_ids, ranges) = (ids.to_vec(), Vec::new());
        ask_for(&mut pair, Resend { env_ids, ranges });
    }
    let last = RESEND_ENVELOPES as u64 + 1;
    ask(&mut pair, vec![(last, last)]);
    pair.advance(Duration::ZERO);
    assert_eq!(resealed(&pair), RESEND_ENVELOPES);
    pair.advance(Duration::from_secs(1));
    assert_eq!(resealed(&pair), RESEND_ENVELOPES + 1);
}

#[test]
fn an_envelope_that_is_not_kept_was_a_receipt_and_is_answered_by_the_newest() {
    let mut pair = at_the_relay(1);
    let known = pair.sides[0].durable.outbox.values().next().unwrap().id;
    for (id, receipts) in [(known, 0), (EnvelopeId::of(b"a receipt"), 1)] {
        let before = pair.sides[1].mailbox.deposits() + resealed(&pair);
        let (env_ids, ranges) = (vec![id], Vec::new());
        ask_for(&mut pair, Resend { env_ids, ranges });
        pair.advance(Duration::from_secs(1));
        let again = usize::from(id == known);
        let deposits = pair.sides[1].mailbox.deposits() + resealed(&pair) - before;
        assert_eq!(deposits, 2 * again + receipts);
    }
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
fn what_is_given_up_in_the_same_moment_is_not_sealed_again() {
    let mut pair = at_the_relay(1);
    ask(&mut pair, vec![(1, 1)]);
    pair.now.unix_ms += 15 * 24 * 3600 * 1000;
    pair.now.instant = pair.now.instant.after(Duration::from_secs(2 * 3600));
    pair.advance(Duration::ZERO);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Failed);
    assert_eq!(resealed(&pair), 0);
}

#[test]
fn whose_relay_has_lost_everything_says_what_they_know() {
    let mut pair = at_the_relay(1);
    let deposits = |pair: &Pair, at: usize| pair.sides[at].mailbox.deposits();
    // Who has only sent.
    pair.lose_mailbox(0, true);
    pair.advance(Duration::from_secs(1));
    assert_eq!(deposits(&pair, 1), 2, "the text, and a receipt");
    // Who has only received.
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    let before = deposits(&pair, 0);
    assert!(before > 0);
    pair.lose_mailbox(1, true);
    pair.advance(Duration::from_secs(1));
    assert_eq!(deposits(&pair, 0), before + 1);

    // Who has done neither.
    let mut pair = Pair::new();
    (0..2).for_each(|at| pair.relay(at, true));
    pair.lose_mailbox(1, true);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides.each_ref().map(|side| side.mailbox.tries), [0, 0]);
}
