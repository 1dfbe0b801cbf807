//! What a session says when it is asked, and what it does at the request of its device.

use std::time::Duration;

use tincan_core::{DeliveryState, Input, Via};
use tincan_protocol::content::{Body, Content, Receipt};
use tincan_protocol::envelope::Payload;
use tincan_protocol::limits::RESEND_MAX;

use crate::pair::{Frame, Pair, run_link, texts};

/// Bytes in front of a payload, see the stand-in for MLS.
const SEAL: usize = 40;

#[test]
fn how_far_messages_have_come_on_both_sides() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 3));
    let states = |pair: &Pair| [0, 1, 2, 3, 4].map(|seq| pair.sides[0].session.state_of(seq));
    let there = |pair: &Pair| [0, 1, 2, 3, 4].map(|seq| pair.sides[1].session.has_received(seq));
    assert_eq!(states(&pair), [None; 5]);
    assert_eq!(there(&pair), [false; 5]);
    run_link(&mut pair);
    assert_eq!(there(&pair), [false, true, true, true, false]);
    pair.input(1, Input::Read { up_to: 2 });
    pair.step(1);
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    let (read, delivered) = (Some(DeliveryState::Read), Some(DeliveryState::Delivered));
    assert_eq!(states(&pair), [None, read, read, delivered, None]);
}

#[test]
fn what_is_held_back_is_received_and_not_shown() {
    let mut pair = Pair::new();
    pair.link_up();
    for number in 0..3 {
        pair.send(0, &texts(number, 1));
    }
    assert_eq!(pair.sides[1].session.shown_up_to(), 0);
    pair.deliver(1, 1);
    pair.step(1);
    assert!(pair.sides[1].session.has_received(2));
    assert_eq!(pair.sides[1].session.shown_up_to(), 0);
    run_link(&mut pair);
    assert_eq!(pair.sides[1].session.shown_up_to(), 3);
}

#[test]
fn a_device_that_is_about_to_go_says_what_it_owes_at_once() {
    let mut pair = Pair::new();
    assert!(pair.sides[1].session.owes_nothing(), "to nobody");
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.deliver(1, 0);
    pair.step(1);
    assert!(!pair.sides[1].session.owes_nothing(), "a receipt");
    run_link(&mut pair);
    let now = pair.now.instant;
    pair.sides[1].session.hasten(now);
    pair.advance(Duration::ZERO);
    assert_eq!(pair.wires[0].len(), 1, "the receipt is on its way");
    assert!(!pair.sides[1].session.owes_nothing(), "until it is there");
    run_link(&mut pair);
    assert!(pair.sides[1].session.owes_nothing());
    pair.sides[1].session.hasten(now);
    pair.advance(Duration::ZERO);
    assert!(pair.wires[0].is_empty(), "there is nothing to say");
    // What nobody can be told is owed to nobody.
    pair.send(0, &texts(1, 1));
    pair.deliver(1, 0);
    pair.step(1);
    assert!(!pair.sides[1].session.owes_nothing());
    pair.link_down();
    assert!(pair.sides[1].session.owes_nothing());
    pair.relay(1, true);
    assert!(!pair.sides[1].session.owes_nothing());
}

#[test]
fn what_changes_nothing_but_the_snapshot_is_written_down_as_well() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    pair.input(1, Input::Read { up_to: 1 });
    pair.step(1);
    let snapshot = pair.sides[1].durable.snapshot.as_ref();
    assert_eq!(snapshot.map(|snapshot| snapshot.read_up_to), Some(1));
}

#[test]
fn no_more_is_asked_for_at_once_than_is_heard() {
    let mut pair = Pair::new();
    pair.link_up();
    for number in 0..2 * RESEND_MAX + 1 {
        pair.send(0, &texts(number, 1));
        match number % 2 {
            0 => drop(pair.wires[1].pop_back()),
            _ => pair.deliver(1, 0),
        }
        pair.step(1);
    }
    // And what would come behind these holes.
    announce(&mut pair, 1_000);
    assert_eq!(asked_for(&mut pair).len(), RESEND_MAX);
}

#[test]
fn what_is_missing_is_asked_for_and_nothing_else() {
    let mut pair = Pair::new();
    pair.link_up();
    for number in 0..3 {
        pair.send(0, &texts(number, 1));
    }
    pair.wires[1].remove(1);
    run_link(&mut pair);
    announce(&mut pair, 3);
    assert_eq!(asked_for(&mut pair), [(2, 2)]);
    announce(&mut pair, 5);
    assert_eq!(asked_for(&mut pair), [(2, 2), (4, 5)]);
}

/// Side 0 says that its messages up to this one should be there.
fn announce(pair: &mut Pair, stored_up_to: u64) {
    let receipt = Receipt {
        stored_up_to,
        ..Receipt::default()
    };
    let envelope = pair.sides[0].sealed(Body::Receipt(receipt));
    let via = Via::Link;
    pair.input(1, Input::Envelope { via, envelope });
    pair.step(1);
}

/// What side 1 asks for in the next seconds; nobody hears it.
fn asked_for(pair: &mut Pair) -> Vec<(u64, u64)> {
    pair.wires[0].clear();
    pair.advance(Duration::from_secs(5));
    let asked = pair.wires[0].iter().filter_map(|frame| match frame {
        Frame::Put(envelope) => Some(envelope.slice(SEAL..)),
        _ => None,
    });
    let contents = asked.flat_map(|payload| Payload::decode(payload).unwrap().contents);
    let ranges = contents.filter_map(|bytes| match Content::decode(&bytes).unwrap().body {
        Body::Resend(resend) => Some(resend.ranges),
        _ => None,
    });
    ranges.last().expect("a question")
}
