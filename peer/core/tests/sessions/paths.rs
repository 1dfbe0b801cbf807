//! Which way an envelope takes, and when it takes another one.

use std::time::Duration;

use tincan_core::config::EXPIRE_ENVELOPES;
use tincan_core::{DeliveryState, Event, Input, RefusedDeposit, Via, WaitReason};
use tincan_protocol::EnvelopeId;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{Body, DeviceAck, Receipt};
use tincan_protocol::wire::NackReason;

use crate::pair::{Frame, Pair, run_link, texts};

const STALLED: Duration = Duration::from_millis(2_100);

/// The id of the envelope that waits on a wire.
fn id_on(pair: &Pair, to: usize) -> EnvelopeId {
    match pair.wires[to].front() {
        Some(Frame::Put(envelope)) => EnvelopeId::of(envelope),
        other => panic!("{other:?}"),
    }
}

/// The first frame on its way to a side arrives, and the answer to it.
fn arrives(pair: &mut Pair, to: usize) {
    for to in [to, 1 - to] {
        pair.deliver(to, 0);
        pair.step(to);
    }
}

/// Side 1, which has a relay as well, has received a text over the link and says so.
fn with_a_receipt_on_its_way() -> Pair {
    let mut pair = Pair::new();
    pair.relay(1, true);
    pair.link_up();
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    pair.advance(Duration::from_millis(600));
    pair
}

#[test]
fn a_link_that_answers_one_of_two_is_still_waited_for() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.link_up();
    for number in 0..2 {
        pair.send(0, &texts(number, 1));
    }
    arrives(&mut pair, 1);
    pair.wires[1].clear();
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToPeer);
    pair.advance(STALLED);
    assert_eq!(pair.sides[1].mailbox.deposits(), 1);
    assert_eq!(pair.sides[0].states[&2], DeliveryState::SentToRelay);
}

#[test]
fn a_receipt_without_an_answer_goes_to_the_relay_as_well() {
    let mut pair = with_a_receipt_on_its_way();
    pair.send(1, &texts(0, 1));
    // The text arrives and is answered, the receipt before it is lost.
    pair.wires[0].pop_front();
    arrives(&mut pair, 0);
    assert_eq!(pair.sides[1].states[&1], DeliveryState::SentToPeer);
    pair.advance(STALLED);
    assert_eq!(pair.sides[0].mailbox.deposits(), 1);
}

#[test]
fn a_link_that_has_answered_everything_is_waited_for_no_longer() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.link_up();
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    pair.advance(STALLED);
    run_link(&mut pair);
    pair.send(0, &texts(1, 1));
    assert_eq!(
        pair.sides[1].mailbox.deposits(),
        0,
        "the link is as good as new"
    );
}

#[test]
fn what_a_link_refuses_goes_to_the_relay_at_once_and_what_it_puts_off_does_not() {
    for (reason, deposits) in [(NackReason::Busy, 0), (NackReason::Invalid, 1)] {
        let mut pair = Pair::new();
        pair.relay(0, true);
        pair.link_up();
        pair.send(0, &texts(0, 1));
        let id = id_on(&pair, 1);
        pair.input(0, Input::Nack { id, reason });
        pair.step(0);
        assert_eq!(pair.sides[1].mailbox.deposits(), deposits, "{reason:?}");
    }
}

#[test]
fn a_receipt_that_a_link_refuses_goes_to_the_relay_as_well() {
    for (reason, deposits) in [(NackReason::Busy, 0), (NackReason::Invalid, 1)] {
        let mut pair = with_a_receipt_on_its_way();
        // A refusal of something else changes nothing.
        let other = EnvelopeId::from_bytes([9; 32]);
        let id = id_on(&pair, 0);
        for id in [other, id] {
            assert_eq!(pair.sides[0].mailbox.deposits(), 0);
            pair.input(1, Input::Nack { id, reason });
            pair.step(1);
        }
        assert_eq!(pair.sides[0].mailbox.deposits(), deposits, "{reason:?}");
    }
}

#[test]
fn a_deposit_whose_answer_never_came_is_made_again_on_the_next_connection() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.sides[0].relay_up = false;
    pair.send(0, &texts(0, 1));
    pair.advance(Duration::from_secs(60));
    assert_eq!(pair.sides[1].mailbox.tries, 0, "it is on its way");
    pair.relay(0, false);
    pair.relay(0, true);
    assert_eq!(pair.sides[1].mailbox.deposits(), 1);
}

#[test]
fn a_deposit_that_was_put_off_waits_over_a_connection() {
    let mut pair = Pair::new();
    pair.sides[1].mailbox.full = true;
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    refuse(
        &mut pair,
        RefusedDeposit::QueueFull,
        Some(Duration::from_secs(60)),
    );
    let tries = pair.sides[1].mailbox.tries;
    pair.relay(0, false);
    pair.relay(0, true);
    assert_eq!(pair.sides[1].mailbox.tries, tries);
}

fn refuse(pair: &mut Pair, reason: RefusedDeposit, retry_after: Option<Duration>) {
    let first = pair.sides[0].durable.outbox.values().next();
    let id = first.map(|entry| entry.id).unwrap();
    let input = Input::DepositRefused {
        id,
        reason,
        retry_after,
    };
    pair.input(0, input);
    pair.step(0);
}

#[test]
fn a_relay_is_left_alone_as_long_as_it_says_within_bounds() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (said, waits) in [(1, 1), (60, 5)] {
        let mut pair = Pair::new();
        pair.sides[1].mailbox.full = true;
        pair.relay(0, true);
        pair.send(0, &texts(0, 1));
        refuse(&mut pair, RefusedDeposit::QueueFull, Some(minutes(said)));
        let tries = pair.sides[1].mailbox.tries;
        pair.advance(minutes(waits) - Duration::from_millis(1));
        assert_eq!(pair.sides[1].mailbox.tries, tries, "{said} minutes");
        pair.advance(Duration::from_millis(1));
        assert_eq!(pair.sides[1].mailbox.tries, tries + 1, "{said} minutes");
    }
}

#[test]
fn why_a_message_waits_is_told_once_and_anew_when_it_changes() {
    let mut pair = Pair::new();
    pair.sides[1].mailbox.full = true;
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    pair.advance(Duration::from_secs(60));
    for reason in [
        RefusedDeposit::Rejected,
        RefusedDeposit::Rejected,
        RefusedDeposit::Unavailable,
    ] {
        refuse(&mut pair, reason, None);
    }
    let events = pair.sides[0].events.iter();
    let told = events.filter_map(|event| match event {
        Event::Waiting { reason, .. } => Some(*reason),
        _ => None,
    });
    let told: Vec<WaitReason> = told.collect();
    assert_eq!(
        told,
        [
            WaitReason::QueueFull,
            WaitReason::Rejected,
            WaitReason::RelayUnavailable
        ]
    );
}

#[test]
fn regression_what_was_told_as_sent_is_not_told_to_wait_again() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToRelay);
    pair.sides[1].mailbox.full = true;
    pair.lose_mailbox(1, true);
    assert_eq!(pair.sides[1].mailbox.tries, 2, "refused");
    refuse(&mut pair, RefusedDeposit::Rejected, None);
    let waits = |event: &Event| matches!(event, Event::Waiting { .. });
    assert!(!pair.sides[0].events.iter().any(waits));
}

#[test]
fn regression_of_an_envelope_that_waits_only_what_is_not_delivered_is_told_to_wait() {
    let mut pair = Pair::new();
    pair.send(0, &texts(0, 2));
    pair.sides[1].durable.received = [1].into();
    let ack = DeviceAck {
        device: pair.sides[0].device(),
        received: SeqSet::up_to(1),
        read_up_to: 0,
    };
    let receipt = Receipt {
        acks: vec![ack],
        ..Receipt::default()
    };
    let envelope = pair.sides[1].sealed(Body::Receipt(receipt));
    let via = Via::Link;
    pair.input(0, Input::Envelope { via, envelope });
    refuse(&mut pair, RefusedDeposit::QueueFull, None);
    let events = pair.sides[0].events.iter();
    let waits = events.filter_map(|event| match event {
        Event::Waiting { first, last, .. } => Some((*first, *last)),
        _ => None,
    });
    assert_eq!(waits.collect::<Vec<_>>(), [(2, 2)]);
}

#[test]
fn many_messages_that_are_too_old_fail_together() {
    let mut pair = Pair::new();
    let many = EXPIRE_ENVELOPES + 10;
    for number in 0..many {
        pair.send(0, &texts(number, 1));
    }
    pair.advance(Duration::from_secs(14 * 24 * 3600));
    assert!(pair.sides[0].states.is_empty(), "not yet");
    // The next look, and what that one has left.
    pair.advance(Duration::from_secs(3601));
    let failed = pair.sides[0].states.values();
    let failed = failed.filter(|state| **state == DeliveryState::Failed);
    assert_eq!(failed.count(), many);
    assert!(pair.sides[0].durable.outbox.is_empty());
}
