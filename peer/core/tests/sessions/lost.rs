//! What a relay or the way to it has lost, and what is made of it.

use std::time::Duration;

use tincan_core::config::UNREADABLE_PER_HOUR;
use tincan_core::{DeliveryState, Event, Input, Via};

use crate::pair::{Frame, Pair, run_link, run_mailbox, texts};

/// Both sides say over the link what they have to say, for less time than a gap is waited for.
fn talk(pair: &mut Pair) {
    for _ in 0..10 {
        run_link(pair);
        pair.advance(Duration::from_millis(150));
    }
}

#[test]
fn regression_what_a_relay_has_lost_unnoticed_comes_before_what_is_sent_after_it() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    for number in 0..3 {
        pair.send(0, &texts(number, 1));
    }
    assert_eq!(pair.sides[0].states[&3], DeliveryState::SentToRelay);
    pair.lose_mailbox(1, false);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.link_up();
    pair.send(0, &texts(3, 1));
    talk(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 4));
    let gap = |event: &Event| matches!(event, Event::Gap { .. });
    assert!(!pair.sides[1].events.iter().any(gap), "in order at once");
}

#[test]
fn regression_the_last_messages_a_relay_has_lost_come_with_the_next_link() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 2));
    pair.lose_mailbox(1, false);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.link_up();
    talk(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
}

#[test]
fn a_relay_that_has_lost_everything_is_given_it_again_before_anybody_asks() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    for number in 0..3 {
        pair.send(0, &texts(number, 1));
    }
    pair.lose_mailbox(1, true);
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.sides[1].mailbox.len(), 3);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToRelay);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(pair.sides[1].texts(), texts(0, 3));
}

#[test]
fn regression_what_was_stored_in_the_moment_a_relay_forgot_is_not_sent_again() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.deliver(1, 0);
    pair.step(1);
    pair.input(0, Input::RelayForgot);
    pair.step(0);
    pair.deliver(0, 0);
    pair.step(0);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToPeer);
    assert_eq!(pair.wires[1].len(), 0, "it was put on the link again");
    // And if the relay answered as well, the state would go back.
    pair.relay(0, true);
    pair.link_down();
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[1].mailbox.deposits(), 0);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToPeer);
}

#[test]
fn what_the_mailbox_still_holds_is_not_asked_for() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    pair.relay(1, true);
    pair.link_up();
    pair.send(0, &texts(1, 1));
    talk(&mut pair);
    talk(&mut pair);
    assert_eq!(
        pair.sides[1].texts(),
        [""; 0],
        "the first is still to be read"
    );
    run_mailbox(&mut pair, 1);
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
    assert_eq!(pair.sides[0].durable.resealed, 0);
}

#[test]
fn what_never_comes_is_asked_for_ever_more_rarely() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.send(0, &texts(0, 1));
    pair.lose_mailbox(1, false);
    pair.send(0, &texts(1, 1));
    run_mailbox(&mut pair, 1);
    // Side 0 is away: questions wait in its mailbox.
    pair.relay(0, false);
    let hour = Duration::from_secs(3600);
    (0..48).for_each(|_| pair.advance(hour));
    let asked = pair.sides[0].mailbox.deposits();
    assert!((8..=20).contains(&asked), "{asked}");
}

#[test]
fn regression_what_is_lost_behind_a_refused_deposit_is_asked_for_too() {
    let mut pair = Pair::new();
    pair.sides[1].mailbox.full = true;
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    pair.sides[1].mailbox.full = false;
    pair.send(0, &texts(1, 1));
    pair.lose_mailbox(1, false);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.link_up();
    talk(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
}

#[test]
fn regression_a_receipt_that_a_relay_has_lost_is_made_again() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.relay(1, true);
    pair.send(0, &texts(0, 1));
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    // The receipt is in the mailbox of side 0, and nowhere else.
    pair.lose_mailbox(0, false);
    run_mailbox(&mut pair, 0);
    pair.link_up();
    talk(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
}

#[test]
fn regression_a_receipt_at_a_relay_that_begins_anew_is_made_again_without_a_link() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.relay(1, true);
    pair.send(0, &texts(0, 1));
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    // The receipt is in the mailbox of side 0, and nowhere else.
    assert_eq!(pair.sides[0].mailbox.len(), 1);
    pair.lose_mailbox(0, true);
    for at in [1, 0] {
        pair.advance(Duration::from_secs(1));
        run_mailbox(&mut pair, at);
    }
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
}

#[test]
fn that_something_was_read_is_told_again_where_a_relay_begins_anew() {
    let mut pair = Pair::new();
    (0..2).for_each(|at| pair.relay(at, true));
    let carry = |pair: &mut Pair| {
        for at in [1, 0] {
            run_mailbox(pair, at);
            pair.advance(Duration::from_secs(1));
        }
    };
    pair.send(0, &texts(0, 1));
    carry(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
    pair.input(1, Input::Read { up_to: 1 });
    pair.step(1);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[0].mailbox.len(), 1, "nowhere else");
    pair.lose_mailbox(0, true);
    pair.advance(Duration::from_secs(1));
    carry(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Read);
}

#[test]
fn regression_what_a_device_could_not_open_and_its_relay_has_lost_is_deposited_again() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.lose_key(1, 1);
    run_link(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToPeer);
    pair.link_down();
    pair.relay(0, true);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[1].mailbox.len(), 1, "sealed again");
    pair.lose_mailbox(1, true);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[1].mailbox.len(), 1);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(pair.sides[1].texts(), texts(0, 1));
}

#[test]
fn regression_a_question_that_was_at_a_relay_that_begins_anew_is_asked_again_without_a_link() {
    let mut pair = Pair::new();
    (0..2).for_each(|at| pair.relay(at, true));
    pair.send(0, &texts(0, 1));
    pair.lose_key(1, 1);
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.sides[0].mailbox.len(), 1, "the question");
    // What side 0 learns of it outlives its process.
    pair.lose_mailbox(0, true);
    pair.crash(0);
    for _ in 0..10 {
        (0..2).for_each(|at| run_mailbox(&mut pair, at));
        pair.advance(Duration::from_secs(1));
    }
    assert_eq!(pair.sides[1].texts(), texts(0, 1));
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
}

/// One message is stored by side 1, or on its way to it, and side 0 has just been told that the relay
/// has begun anew: everything is about to be read from the store again.
fn about_to_load() -> Pair {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.deliver(1, 0);
    pair.step(1);
    pair.input(0, Input::RelayForgot);
    pair.step(0);
    pair
}

#[test]
fn regression_what_is_stored_is_not_sent_again_because_the_store_is_read_too_early() {
    let mut pair = about_to_load();
    pair.deliver(0, 0);
    pair.step(0);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToPeer);
    pair.advance(Duration::ZERO);
    assert!(pair.wires[1].is_empty(), "{:?}", pair.wires[1]);
    assert_eq!(pair.sides[0].session.waiting(), None);
}

#[test]
fn regression_what_is_delivered_is_not_sent_again_because_the_store_is_read_too_early() {
    let mut pair = about_to_load();
    pair.wires[0].clear();
    pair.advance(Duration::from_secs(1));
    pair.wires[1].clear();
    pair.input(0, Input::RelayForgot);
    pair.step(0);
    pair.deliver(0, 0);
    pair.step(0);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
    pair.advance(Duration::ZERO);
    let is_put = |frame: &Frame| matches!(frame, Frame::Put(_));
    assert!(!pair.wires[1].iter().any(is_put), "{:?}", pair.wires[1]);
    assert_eq!(pair.sides[0].session.waiting(), None);
}

#[test]
fn regression_what_has_failed_is_not_sent_because_the_store_is_read_too_early() {
    let mut pair = Pair::new();
    pair.send(0, &texts(0, 1));
    pair.advance(Duration::from_secs(1));
    pair.now.unix_ms += 15 * 24 * 3600 * 1000;
    pair.now.instant = pair.now.instant.after(Duration::from_secs(2 * 3600));
    pair.input(0, Input::RelayForgot);
    pair.step(0);
    pair.advance(Duration::ZERO);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Failed);
    assert_eq!(pair.sides[0].session.waiting(), None);
}

#[test]
fn receipts_do_not_answer_each_other_for_ever() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.send(1, &texts(0, 1));
    let mut frames = 0;
    for _ in 0..60 {
        while pair.wires.iter().any(|wire| !wire.is_empty()) {
            frames += pair
                .wires
                .iter()
                .map(std::collections::VecDeque::len)
                .sum::<usize>();
            (0..2).for_each(|to| {
                pair.deliver(to, 0);
                pair.step(to);
            });
        }
        pair.advance(Duration::from_secs(1));
    }
    assert!(frames <= 24, "{frames}");
}

#[test]
fn regression_what_anybody_can_forge_makes_us_seal_ever_more_rarely_and_leaves_few_traces() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.relay(1, true);
    for generation in 1..20_000 {
        pair.lose_key(1, generation);
    }
    let mut forged = 0_u64;
    for _ in 0..120 {
        for _ in 0..100 {
            forged += 1;
            let mut envelope = forged.to_be_bytes().to_vec();
            envelope.extend_from_slice(pair.sides[0].device().as_bytes());
            let via = Via::Mailbox { index: forged };
            let envelope = envelope.into();
            pair.input(1, Input::Envelope { via, envelope });
            pair.step(1);
        }
        pair.advance(Duration::from_secs(1));
    }
    let sealed = pair.sides[0].mailbox.deposits();
    assert!(
        (2..=10).contains(&sealed),
        "{sealed} questions in two minutes"
    );
    assert!(pair.sides[1].durable.seen.len() <= UNREADABLE_PER_HOUR as usize);
}
