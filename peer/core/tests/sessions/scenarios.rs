//! What a session does in one situation each, on a pair of them.

use std::time::Duration;

use tincan_core::config::{WINDOW_BYTES, WINDOW_ENVELOPES};
use tincan_core::{DeliveryState, Event, Input, SendError, Via, WaitReason};
use tincan_protocol::content::{Body, Reach, Receipt};
use tincan_protocol::wire::NackReason;
use tincan_protocol::{MsgId, QueueId, SignalAddress, WriteToken};

use crate::pair::{Frame, Pair, run_link, run_mailbox, texts};

fn puts(pair: &Pair, to: usize) -> usize {
    pair.wires[to]
        .iter()
        .filter(|frame| matches!(frame, Frame::Put(_)))
        .count()
}

#[test]
fn a_message_goes_over_a_link_at_once_and_no_relay_is_asked() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.link_up();
    pair.send(0, &texts(0, 1));
    assert_eq!(puts(&pair, 1), 1);
    run_link(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToPeer);
    pair.advance(Duration::from_millis(500));
    run_link(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
    assert_eq!(pair.sides[1].mailbox.deposits(), 0);
}

#[test]
fn what_is_sent_in_one_turn_is_one_envelope() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 100));
    assert_eq!(puts(&pair, 1), 1);
    run_link(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 100));
}

#[test]
fn without_a_link_it_goes_to_the_relay() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToRelay);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(pair.sides[1].texts(), texts(0, 1));
    assert_eq!(pair.sides[1].mailbox.len(), 0, "acknowledged and deleted");
}

#[test]
fn a_link_that_does_not_answer_for_two_seconds_is_helped_by_the_relay() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.advance(Duration::from_millis(1_900));
    assert_eq!(pair.sides[1].mailbox.deposits(), 0);
    pair.advance(Duration::from_millis(200));
    assert_eq!(pair.sides[1].mailbox.deposits(), 1);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToRelay);
}

#[test]
fn an_ack_by_relay_settles_a_direct_send() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.advance(Duration::from_secs(3));
    assert_eq!(pair.sides[0].session.waiting(), None);
    // The late answer of the link changes nothing.
    run_link(&mut pair);
    assert_eq!(pair.sides[0].session.waiting(), None);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(
        pair.sides[1].texts(),
        texts(0, 1),
        "once, though it came twice"
    );
}

#[test]
fn everything_not_stored_is_sent_again_in_order_on_the_next_link() {
    let mut pair = Pair::new();
    pair.link_up();
    for number in 0..5 {
        pair.send(0, &texts(number, 1));
    }
    pair.deliver(1, 0);
    pair.step(1);
    pair.deliver(0, 0);
    pair.step(0);
    pair.link_down();
    pair.link_up();
    // And one that says how far the other side should have come.
    assert_eq!(puts(&pair, 1), 4 + 1);
    run_link(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 5));
}

#[test]
fn at_most_a_window_is_in_flight_and_the_rest_waits_on_disk() {
    let mut pair = Pair::new();
    pair.link_up();
    for number in 0..100 {
        pair.send(0, &texts(number, 1));
    }
    assert_eq!(puts(&pair, 1), WINDOW_ENVELOPES);
    let big = vec!["x".repeat(16_000); 100];
    pair.send(0, &big);
    let bytes: usize = pair.wires[1]
        .iter()
        .map(|frame| {
            if let Frame::Put(envelope) = frame {
                envelope.len()
            } else {
                0
            }
        })
        .sum();
    assert!(bytes <= WINDOW_BYTES + 60 * 1024, "{bytes}");
    for _ in 0..300 {
        run_link(&mut pair);
        pair.advance(Duration::from_millis(10));
    }
    assert_eq!(pair.sides[1].texts().len(), 200);
}

#[test]
fn a_restart_sends_what_was_pending_and_nothing_else() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    pair.link_down();
    pair.send(0, &texts(1, 1));
    pair.crash(0);
    pair.link_up();
    pair.advance(Duration::from_millis(1));
    // And one that says how far the other side should have come.
    assert_eq!(puts(&pair, 1), 1 + 1);
    run_link(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
}

#[test]
fn later_messages_wait_for_an_earlier_one_and_then_show_as_a_gap() {
    let mut pair = Pair::new();
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.send(0, &texts(1, 1));
    let first = pair.wires[1].pop_front().unwrap();
    pair.deliver(1, 0);
    pair.step(1);
    assert_eq!(pair.sides[1].texts(), [""; 0], "held back");
    pair.advance(Duration::from_millis(2_100));
    assert_eq!(pair.sides[1].texts(), ["text 1"]);
    assert!(matches!(
        pair.sides[1].events[0],
        Event::Gap {
            first: 1,
            last: 1,
            ..
        }
    ));
    pair.wires[1].push_back(first);
    run_link(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 2), "in its place");
    let late = pair.sides[1]
        .events
        .iter()
        .any(|event| matches!(event, Event::Received { late: true, .. }));
    assert!(late);
}

#[test]
fn a_hole_that_is_filled_in_time_is_never_seen() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.send(0, &texts(1, 1));
    pair.deliver(1, 1);
    pair.step(1);
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
    assert!(
        !pair.sides[1]
            .events
            .iter()
            .any(|event| matches!(event, Event::Gap { .. }))
    );
}

#[test]
fn a_message_whose_key_is_gone_is_sealed_again_with_its_old_seq() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.lose_key(1, 1);
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    pair.advance(Duration::from_millis(1));
    run_link(&mut pair);
    assert_eq!(pair.sides[1].texts(), texts(0, 1));
    assert_eq!(pair.sides[0].session.next_seq(), 2);
}

#[test]
fn regression_a_second_request_to_seal_again_within_a_second_is_not_forgotten() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.lose_key(1, 1);
    pair.lose_key(1, 2);
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    pair.advance(Duration::from_millis(1));
    pair.send(0, &texts(1, 1));
    run_link(&mut pair);
    // The one who was asked dies before it has sealed again what it was asked for.
    pair.crash(0);
    pair.link_up();
    for _ in 0..3 {
        pair.advance(Duration::from_secs(1));
        run_link(&mut pair);
    }
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
}

#[test]
fn a_full_mailbox_is_told_and_tried_again_with_growing_waits() {
    let mut pair = Pair::new();
    pair.sides[1].mailbox.full = true;
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    assert_eq!(
        pair.sides[0].session.waiting(),
        Some((1, 1, WaitReason::QueueFull))
    );
    let tries = |pair: &Pair| pair.sides[1].mailbox.tries;
    pair.advance(Duration::from_secs(60));
    let in_a_minute = tries(&pair);
    assert!((5..=8).contains(&in_a_minute), "{in_a_minute}");
    pair.sides[1].mailbox.full = false;
    pair.advance(Duration::from_secs(300));
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToRelay);
}

#[test]
fn busy_is_tried_again_and_invalid_is_not_until_the_next_link() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    let Some(Frame::Put(envelope)) = pair.wires[1].pop_front() else {
        panic!()
    };
    let id = tincan_protocol::EnvelopeId::of(&envelope);
    pair.input(
        0,
        Input::Nack {
            id,
            reason: NackReason::Busy,
        },
    );
    pair.step(0);
    pair.advance(Duration::from_millis(1_100));
    assert_eq!(puts(&pair, 1), 1);
    pair.wires[1].clear();
    pair.input(
        0,
        Input::Nack {
            id,
            reason: NackReason::Invalid,
        },
    );
    pair.step(0);
    pair.advance(Duration::from_secs(600));
    assert_eq!(puts(&pair, 1), 0);
    pair.link_down();
    pair.link_up();
    assert_eq!(puts(&pair, 1), 1);
}

#[test]
fn what_nobody_can_open_is_refused_and_leaves_no_trace() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.input(
        1,
        Input::Envelope {
            via: Via::Link,
            envelope: "garbage".into(),
        },
    );
    pair.step(1);
    assert!(matches!(
        pair.wires[0].front(),
        Some(Frame::Nack(_, NackReason::Invalid))
    ));
    assert!(pair.sides[1].durable.seen.is_empty());
}

#[test]
fn after_fourteen_days_a_message_has_failed_and_a_late_receipt_heals_it() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    pair.advance(Duration::from_secs(14 * 24 * 3600 + 3700));
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Failed);
    assert!(pair.sides[0].durable.outbox.is_empty());
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    run_mailbox(&mut pair, 0);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
}

/// Nobody would send it again, and the other side could never answer.
#[test]
fn regression_how_somebody_is_reached_is_sent_however_old_it_is() {
    let reach = Reach {
        relay: "https://relay.example".parse().unwrap(),
        queue: QueueId::from_bytes([1; 32]),
        write_token: WriteToken::from_bytes([2; 16]),
        signal_servers: Vec::new(),
        signal_address: SignalAddress::from_bytes([3; 32]),
        key_packages: None,
    };
    let mut pair = Pair::new();
    pair.send(0, &texts(0, 1));
    pair.send_bodies(0, vec![Body::Reach(reach)]);
    pair.send(0, &texts(1, 1));
    pair.advance(Duration::from_secs(14 * 24 * 3600 + 3700));
    let failed = |seq: u64| pair.sides[0].states.get(&seq) == Some(&DeliveryState::Failed);
    assert_eq!([1, 2, 3].map(failed), [true, false, true]);
    let left: Vec<u64> = pair.sides[0].durable.outbox.keys().copied().collect();
    assert_eq!(left, [2]);
    pair.relay(0, true);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    run_mailbox(&mut pair, 0);
    assert_eq!(pair.sides[0].states[&2], DeliveryState::Delivered);
}

#[test]
fn reading_is_told_and_makes_messages_read() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 3));
    run_link(&mut pair);
    pair.input(1, Input::Read { up_to: 2 });
    pair.step(1);
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    let states: Vec<_> = pair.sides[0].states.values().copied().collect();
    assert_eq!(
        states,
        [
            DeliveryState::Read,
            DeliveryState::Read,
            DeliveryState::Delivered
        ]
    );
}

#[test]
fn regression_a_receipt_for_a_message_that_is_not_sealed_yet_is_ignored() {
    let mut pair = Pair::new();
    pair.link_up();
    let (now, side) = (pair.now, &mut pair.sides[0]);
    let (id, body) = (MsgId::from_u128(1), Body::text("text 0"));
    side.session.send(id, body, now).unwrap();
    let forged = pair.sides[1].forged_receipt(pair.sides[0].device(), 1);
    pair.tolerate_misbehaviour(0);
    pair.input(
        0,
        Input::Envelope {
            via: Via::Link,
            envelope: forged,
        },
    );
    pair.send(0, &[]);
    assert_eq!(pair.sides[0].session.state_of(1), None);
    run_link(&mut pair);
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
    assert!(pair.sides[0].durable.outbox.is_empty());
}

#[test]
fn a_receipt_for_messages_that_were_never_sent_is_ignored() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(1, &texts(0, 1));
    run_link(&mut pair);
    // Side 1 acknowledges seq 1 of side 0, which side 0 has never sent.
    let forged = pair.sides[1].forged_receipt(pair.sides[0].device(), 1);
    pair.tolerate_misbehaviour(0);
    pair.input(
        0,
        Input::Envelope {
            via: Via::Link,
            envelope: forged,
        },
    );
    pair.step(0);
    assert!(
        pair.sides[0]
            .events
            .iter()
            .any(|event| matches!(event, Event::Misbehaved { .. }))
    );
    assert_eq!(pair.sides[0].session.state_of(1), None);
}

#[test]
fn too_much_at_once_is_an_error_that_uses_nothing_up() {
    let mut pair = Pair::new();
    let now = pair.now;
    let session = &mut pair.sides[0].session;
    let huge = Body::text("x".repeat(60_000));
    assert!(matches!(
        session.send(MsgId::nil(), huge, now),
        Err(SendError::TooLarge { .. })
    ));
    let receipt = Body::Receipt(Receipt::default());
    assert_eq!(
        session.send(MsgId::nil(), receipt, now),
        Err(SendError::NotSequenced)
    );
    let text = || Body::text("x".repeat(16_000));
    let sent = (0..1_000)
        .take_while(|_| session.send(MsgId::nil(), text(), now).is_ok())
        .count();
    assert!((200..300).contains(&sent), "{sent}");
    assert_eq!(
        session.send(MsgId::nil(), text(), now),
        Err(SendError::Busy)
    );
    assert_eq!(session.next_seq(), sent as u64 + 1);
}

#[test]
fn regression_a_receipt_that_cannot_be_opened_is_made_again() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    // The next thing that side 1 seals is its receipt.
    pair.lose_key(0, 1);
    for _ in 0..4 {
        pair.advance(Duration::from_secs(1));
        run_link(&mut pair);
    }
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
}
