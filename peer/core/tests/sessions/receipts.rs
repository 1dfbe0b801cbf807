//! What a receipt says, and what is made of one that says too much.

use std::time::Duration;

use tincan_core::config::RECEIVED_RANGES;
use tincan_core::{DeliveryState, Event, Input, RefusedDeposit, Via};
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{Body, Content, DeviceAck, Receipt};
use tincan_protocol::envelope::Payload;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::limits::RECEIPT_RANGES_MAX;
use tincan_protocol::{DeviceId, EnvelopeId, MsgId};

use crate::pair::{Frame, Pair, run_link, run_mailbox, texts};

/// Side 1 says that it has these of side 0, and has shown so many of them.
fn acknowledge(pair: &mut Pair, received: SeqSet, read_up_to: u64) {
    let ack = DeviceAck {
        device: pair.sides[0].device(),
        received,
        read_up_to,
    };
    say(pair, vec![ack]);
}

fn say(pair: &mut Pair, acks: Vec<DeviceAck>) {
    let receipt = Receipt {
        acks,
        ..Receipt::default()
    };
    let envelope = pair.sides[1].sealed(Body::Receipt(receipt));
    let via = Via::Link;
    pair.input(0, Input::Envelope { via, envelope });
    pair.step(0);
}

/// Side 1 has three messages, and nobody has said so yet.
fn three_there() -> Pair {
    let mut pair = Pair::new();
    pair.link_up();
    for number in 0..3 {
        pair.send(0, &texts(number, 1));
    }
    run_link(&mut pair);
    pair
}

fn told(pair: &Pair, wanted: DeliveryState) -> Vec<(u64, u64)> {
    let events = pair.sides[0].events.iter();
    let told = events.filter_map(|event| match event {
        Event::State { first, last, state } if *state == wanted => Some((*first, *last)),
        _ => None,
    });
    told.collect()
}

fn has_misbehaved(pair: &Pair) -> bool {
    let mut events = pair.sides[0].events.iter();
    events.any(|event| matches!(event, Event::Misbehaved { .. }))
}

#[test]
fn what_is_read_is_told_from_where_it_was() {
    let mut pair = three_there();
    acknowledge(&mut pair, SeqSet::up_to(3), 1);
    acknowledge(&mut pair, SeqSet::up_to(3), 3);
    acknowledge(&mut pair, SeqSet::up_to(3), 2);
    assert_eq!(told(&pair, DeliveryState::Delivered), [(1, 3)]);
    assert_eq!(told(&pair, DeliveryState::Read), [(1, 1), (2, 3)]);
    assert!(!has_misbehaved(&pair));
}

#[test]
fn what_has_not_come_in_order_is_not_read() {
    let mut pair = three_there();
    let mut received = SeqSet::up_to(1);
    received.insert(3);
    acknowledge(&mut pair, received, 3);
    assert_eq!(told(&pair, DeliveryState::Delivered), [(1, 1), (3, 3)]);
    assert_eq!(told(&pair, DeliveryState::Read), [(1, 1)]);
    acknowledge(&mut pair, SeqSet::up_to(3), 3);
    assert_eq!(
        told(&pair, DeliveryState::Delivered),
        [(1, 1), (3, 3), (2, 2)]
    );
    assert_eq!(told(&pair, DeliveryState::Read), [(1, 1), (2, 3)]);
}

#[test]
fn who_has_read_what_was_never_sent_is_not_believed() {
    let mut pair = three_there();
    pair.tolerate_misbehaviour(0);
    acknowledge(&mut pair, SeqSet::up_to(3), 4);
    assert!(has_misbehaved(&pair));
    assert_eq!(told(&pair, DeliveryState::Delivered), []);
}

#[test]
fn a_receipt_for_another_device_says_nothing() {
    let mut pair = three_there();
    let of = |device, received| DeviceAck {
        device,
        received: SeqSet::up_to(received),
        read_up_to: 0,
    };
    let (own, other) = (pair.sides[0].device(), pair.sides[1].device());
    say(&mut pair, vec![of(other, 3)]);
    assert_eq!(told(&pair, DeliveryState::Delivered), []);
    say(&mut pair, vec![of(other, 3), of(own, 2)]);
    assert_eq!(told(&pair, DeliveryState::Delivered), [(1, 2)]);
}

#[test]
fn more_is_not_read_than_was_shown() {
    let mut pair = three_there();
    pair.input(1, Input::Read { up_to: 99 });
    pair.step(1);
    pair.send(0, &texts(3, 1));
    run_link(&mut pair);
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    assert_eq!(told(&pair, DeliveryState::Read), [(1, 3)]);
    assert_eq!(pair.sides[0].states[&4], DeliveryState::Delivered);
    // Nothing new is read: there is nothing to tell.
    pair.input(1, Input::Read { up_to: 2 });
    pair.step(1);
    pair.advance(Duration::from_secs(1));
    assert!(pair.wires[0].is_empty());
}

#[test]
fn a_read_mark_that_a_relay_has_lost_is_told_again() {
    let mut pair = Pair::new();
    for at in 0..2 {
        pair.relay(at, true);
    }
    let carry = |pair: &mut Pair| {
        for at in [1, 0, 1, 0] {
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
    pair.lose_mailbox(0, false);
    carry(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
    // Side 0 says what it knows where it acknowledges something.
    pair.send(1, &texts(0, 1));
    carry(&mut pair);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Read);
}

#[test]
fn who_knows_everything_is_told_nothing_on_a_new_link() {
    let mut pair = three_there();
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    assert_eq!(pair.sides[0].states[&3], DeliveryState::Delivered);
    pair.link_down();
    pair.link_up();
    pair.advance(Duration::from_secs(1));
    assert!(pair.wires.iter().all(|wire| wire.is_empty()));
}

#[test]
fn a_new_link_is_told_at_once_up_to_where_everything_should_have_come() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    assert_eq!(pair.sides[0].states[&1], DeliveryState::SentToRelay);
    pair.link_up();
    assert_eq!((pair.wires[0].len(), pair.wires[1].len()), (0, 1));
}

#[test]
fn a_receipt_that_a_full_mailbox_refuses_is_deposited_again_later() {
    let mut pair = Pair::new();
    pair.relay(1, true);
    pair.link_up();
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    pair.link_down();
    pair.sides[0].mailbox.full = true;
    pair.advance(Duration::from_millis(600));
    assert_eq!(pair.sides[0].mailbox.tries, 1, "refused");
    // An answer to something else changes nothing.
    pair.input(
        1,
        Input::DepositRefused {
            id: EnvelopeId::of(b"another one"),
            reason: RefusedDeposit::QueueFull,
            retry_after: Some(Duration::from_secs(3600)),
        },
    );
    pair.step(1);
    pair.sides[0].mailbox.full = false;
    pair.advance(Duration::from_secs(60));
    assert_eq!(pair.sides[0].mailbox.deposits(), 1);
}

#[test]
fn what_was_read_is_told_once() {
    let mut pair = three_there();
    for _ in 0..2 {
        acknowledge(&mut pair, SeqSet::up_to(3), 2);
    }
    let read = |event: &&Event| {
        let state = DeliveryState::Read;
        matches!(event, Event::State { state: told, .. } if *told == state)
    };
    assert_eq!(pair.sides[0].events.iter().filter(read).count(), 1);
}

/// Side 1 says, receipt by receipt, that it has the first one and every second one after it; those that
/// count as delivered.
fn with_holes(ranges: usize) -> usize {
    let mut pair = Pair::new();
    let last = 2 * ranges as u64 + 1;
    for number in 0..2 * ranges + 1 {
        pair.send(0, &texts(number, 1));
    }
    pair.sides[1].durable.received = (1..=last).collect();
    let alone: Vec<u64> = (3..=last).step_by(2).collect();
    for some in alone.chunks(RECEIPT_RANGES_MAX) {
        let mut received = SeqSet::up_to(1);
        for &seq in some {
            received.insert(seq);
        }
        acknowledge(&mut pair, received, 0);
    }
    let state = |seq: &u64| pair.sides[0].session.state_of(*seq);
    let delivered = |seq: &u64| state(seq) == Some(DeliveryState::Delivered);
    (1..=last).filter(delivered).count()
}

/// What was delivered did not count any more, but for what was before the first hole.
#[test]
fn regression_what_was_delivered_counts_however_many_holes_are_told() {
    let bound = RECEIVED_RANGES + 1;
    for ranges in [RECEIVED_RANGES, RECEIVED_RANGES + 1, RECEIVED_RANGES + 2] {
        assert_eq!(with_holes(ranges), bound, "and no more than that");
    }
}

/// Whoever said so of every second message, again and again, made the list of those that had failed
/// longer for ever.
#[test]
fn regression_what_is_delivered_after_it_has_failed_is_not_kept_as_failed() {
    let mut pair = Pair::new();
    for number in 0..3 {
        pair.send(0, &texts(number, 1));
    }
    pair.advance(Duration::from_secs(14 * 24 * 3600 + 3700));
    assert_eq!(told(&pair, DeliveryState::Failed), [(1, 1), (2, 2), (3, 3)]);
    let failed = |pair: &Pair| {
        let snapshot = pair.sides[0].durable.snapshot.as_ref();
        let set = snapshot.unwrap().failed_set();
        [1, 2, 3].map(|seq| set.contains(seq))
    };
    assert_eq!(failed(&pair), [true; 3]);
    pair.sides[1].durable.received = (1..=3).collect();
    let mut received = SeqSet::up_to(1);
    received.insert(3);
    acknowledge(&mut pair, received, 0);
    assert_eq!(failed(&pair), [false, true, false]);
    acknowledge(&mut pair, SeqSet::up_to(3), 0);
    assert_eq!(failed(&pair), [false; 3]);
}

#[test]
fn what_somebody_else_has_sealed_is_not_shown_and_told() {
    let mut pair = Pair::new();
    pair.tolerate_misbehaviour(1);
    pair.link_up();
    let content = Content {
        msg_id: MsgId::nil(),
        seq: 1,
        hlc: Hlc::default(),
        body: Body::text("it is me"),
    };
    let payload = Payload::of(vec![content.encode()]).encode();
    let stranger = DeviceId::from_bytes([3; 32]);
    let generation = 1_u64.to_be_bytes();
    let envelope = [&generation[..], stranger.as_bytes(), &payload].concat();
    let via = Via::Link;
    let envelope = envelope.into();
    pair.input(1, Input::Envelope { via, envelope });
    pair.step(1);
    assert!(pair.sides[1].texts().is_empty());
    let told = |event: &Event| matches!(event, Event::Misbehaved { .. });
    assert!(pair.sides[1].events.iter().any(told));
    // It is rid of it.
    assert!(matches!(pair.wires[0].front(), Some(Frame::Stored(_))));
}

#[test]
fn who_has_everything_meanwhile_is_told_nothing() {
    let mut pair = Pair::new();
    pair.send(0, &texts(0, 1));
    pair.link_up();
    assert_eq!(pair.wires[1].len(), 1, "the text");
    // It had come another way.
    pair.sides[1].durable.received = [1].into();
    acknowledge(&mut pair, SeqSet::up_to(1), 0);
    assert_eq!(pair.sides[0].states[&1], DeliveryState::Delivered);
    pair.advance(Duration::from_secs(1));
    let puts = pair.wires[1].iter();
    let puts = puts.filter(|frame| matches!(frame, Frame::Put(_)));
    assert_eq!(puts.count(), 1);
}
