//! A side that has forgotten the conversation, and one that goes on with it.
//!
//! What must hold: of those who go on, every message is there once, before or after; of those who forgot,
//! everything they were told is sent; nobody waits for what never comes.

use std::time::Duration;

use proptest::prelude::*;
use tincan_core::config::RECEIVED_RANGES;
use tincan_core::{DeliveryState, Event, Input, Vault as _, Via};
use tincan_protocol::DeviceId;
use tincan_protocol::content::{Body, Resend};
use tincan_protocol::envelope::Payload;

use crate::pair::{Pair, run_link, run_mailbox, texts};

#[test]
fn where_everything_begins_anew_what_is_not_delivered_is_sealed_and_sent_again() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    pair.send(0, &texts(1, 1));
    pair.lose_mailbox(1, false);
    pair.begin_anew(0);
    pair.advance(Duration::from_secs(1));
    assert!(
        pair.sides[0]
            .durable
            .outbox
            .values()
            .all(|row| !row.envelope.is_empty())
    );
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
}

/// Side 1 has forgotten three messages; two more were sent while it was away.
fn forgotten() -> Pair {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 3));
    pair.send(1, &texts(0, 2));
    run_link(&mut pair);
    pair.advance(Duration::from_secs(1));
    run_link(&mut pair);
    pair.link_down();
    pair.relay(0, true);
    pair.send(0, &texts(3, 1));
    pair.send(0, &texts(4, 1));
    pair.forget(1);
    pair
}

#[test]
fn what_was_delivered_before_is_not_waited_for() {
    let mut pair = forgotten();
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(pair.sides[1].texts(), texts(3, 2), "at once");
    pair.send(1, &texts(9, 1));
    run_mailbox(&mut pair, 0);
    let heard = [texts(0, 2), texts(9, 1)].concat();
    assert_eq!(pair.sides[0].texts(), heard, "at once");
    pair.settle();
    for side in &pair.sides {
        let gap = |event: &Event| matches!(event, Event::Gap { .. });
        assert!(!side.events.iter().any(gap));
        assert!(!side.session.has_gaps());
    }
    for seq in 1..=5 {
        let state = pair.sides[0].session.state_of(seq);
        assert_eq!(state, Some(DeliveryState::Delivered), "{seq}");
    }
}

#[test]
fn what_the_forgotten_one_had_sent_takes_its_place_however_late() {
    let mut pair = Pair::new();
    pair.relay(1, true);
    for number in 0..3 {
        pair.send(1, &texts(number, 1));
    }
    pair.forget(1);
    pair.advance(Duration::from_secs(1));
    pair.relay(1, true);
    pair.send(1, &texts(3, 1));
    pair.relay(0, true);
    // The last one comes first.
    pair.sides[0].mailbox.turn_round();
    run_mailbox(&mut pair, 0);
    assert_eq!(pair.sides[0].texts(), texts(0, 4));
}

#[test]
fn what_had_failed_is_a_gap_for_who_has_forgotten_as_for_everybody() {
    let mut pair = Pair::new();
    pair.send(0, &texts(0, 1));
    pair.advance(Duration::from_secs(15 * 24 * 3600));
    assert_eq!(
        pair.sides[0].session.state_of(1),
        Some(DeliveryState::Failed)
    );
    pair.forget(1);
    pair.send(0, &texts(1, 1));
    pair.settle();
    for _ in 0..5 {
        run_link(&mut pair);
        pair.advance(Duration::from_secs(1));
    }
    assert_eq!(pair.sides[1].texts(), texts(1, 1));
    assert!(pair.sides[1].session.has_gaps());
    let states = [1, 2].map(|seq| pair.sides[0].session.state_of(seq));
    assert_eq!(
        states,
        [Some(DeliveryState::Failed), Some(DeliveryState::Delivered)]
    );
}

#[test]
fn numbers_go_on_after_a_restart() {
    let mut pair = forgotten();
    let next = pair.sides[1].session.next_seq();
    assert_eq!(next, 3);
    pair.crash(1);
    pair.crash(0);
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.send(1, &texts(9, 1));
    assert_eq!(pair.sides[1].session.next_seq(), next + 1);
    pair.settle();
    assert_eq!(pair.sides[1].texts(), texts(3, 2));
    assert_eq!(pair.sides[0].texts(), [texts(0, 2), texts(9, 1)].concat());
}

/// It was on its way when they forgot: the number was neither sent again nor skipped, and a gap for ever.
#[test]
fn regression_a_receipt_of_the_forgotten_one_leaves_no_gap() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.relay(1, true);
    pair.send(0, &texts(0, 1));
    pair.relay(0, false);
    run_mailbox(&mut pair, 1);
    pair.advance(Duration::from_secs(1));
    pair.forget(1);
    pair.relay(0, true);
    run_mailbox(&mut pair, 0);
    pair.send(0, &texts(1, 1));
    pair.settle();
    assert!(pair.sides[1].texts().ends_with(&texts(1, 1)));
    assert!(!pair.sides[1].session.has_gaps());
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Relay(usize, bool),
    LinkUp,
    LinkDown,
    Deliver(usize, usize),
    Fetch(usize),
    Advance(u64),
    Crash(usize),
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0..2usize;
    prop_oneof![
        6 => side.clone().prop_map(Step::Send),
        2 => (side.clone(), any::<bool>()).prop_map(|(at, up)| Step::Relay(at, up)),
        2 => Just(Step::LinkUp),
        1 => Just(Step::LinkDown),
        6 => (side.clone(), 0..3usize).prop_map(|(to, index)| Step::Deliver(to, index)),
        6 => side.clone().prop_map(Step::Fetch),
        3 => (0..3_000u64).prop_map(Step::Advance),
        1 => side.prop_map(Step::Crash),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Side 1 forgets, again and again; side 0 goes on.
    #[test]
    fn nothing_is_lost_or_waited_for_whenever_one_side_forgets(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut pair = Pair::new();
        let mut sent = [Vec::new(), Vec::new()];
        let mut before: Vec<String> = Vec::new();
        let mut promised: Vec<String> = Vec::new();
        for step in steps {
            match step {
                Step::Send(at) => {
                    let text = format!("{} of {at}", sent[at].len());
                    pair.send(at, std::slice::from_ref(&text));
                    sent[at].push(text);
                }
                Step::Relay(at, up) => pair.relay(at, up),
                Step::LinkUp => pair.link_up(),
                Step::LinkDown => pair.link_down(),
                Step::Deliver(to, index) => {
                    pair.deliver(to, index);
                    pair.step(to);
                }
                Step::Fetch(at) => {
                    pair.fetch(at);
                    pair.step(at);
                }
                Step::Advance(ms) => pair.advance(Duration::from_millis(ms)),
                Step::Crash(at) => pair.crash(at),
                Step::Forget => {
                    before.extend(pair.sides[1].texts());
                    before.extend(pair.sides[1].held_texts());
                    let told = pair.sides[1].sent_for_sure();
                    promised.extend(told.into_iter().map(|nth| sent[1][nth].clone()));
                    pair.forget(1);
                }
            }
        }
        let forgotten = pair.sides[1].forgotten;
        pair.settle();
        // Until what comes after holes that are never filled is shown as well.
        for _ in 0..40 {
            run_mailbox(&mut pair, 0);
            run_mailbox(&mut pair, 1);
            run_link(&mut pair);
            pair.advance(Duration::from_secs(1));
        }
        let after = pair.sides[1].texts();
        for text in &sent[0] {
            prop_assert!(before.contains(text) || after.contains(text), "{text} is lost");
        }
        let heard = pair.sides[0].texts();
        for text in promised.iter().chain(&sent[1][forgotten..]) {
            prop_assert!(heard.contains(text), "{text} is lost");
        }
        let mut once = heard.clone();
        once.dedup();
        prop_assert_eq!(once.len(), heard.len());
        // Missing for ever is at most what the forgotten one was never told is sent, or had received itself.
        let gaps = [0, 1].map(|at| {
            let snapshot = pair.sides[at].durable.snapshot.clone().unwrap_or_default();
            let gaps = snapshot.gaps.into_iter().filter(|gap| !gap.skipped);
            gaps.flat_map(|gap| gap.first..=gap.last).collect::<Vec<u64>>()
        });
        prop_assert!(gaps[0].iter().all(|&seq| seq <= forgotten as u64), "{gaps:?}");
        let had = &pair.sides[1].durable.before;
        prop_assert!(gaps[1].iter().all(|seq| had.contains(seq)), "{gaps:?}");
    }
}

/// Nobody had seen them: the former self had received them, and died.
#[test]
fn regression_what_only_the_forgotten_one_had_received_is_not_called_read() {
    let mut pair = forgotten();
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.input(1, Input::Read { up_to: 5 });
    pair.step(1);
    pair.settle();
    pair.crash(0);
    let states = [1, 2, 3, 4, 5].map(|seq| pair.sides[0].session.state_of(seq));
    let (delivered, read) = (Some(DeliveryState::Delivered), Some(DeliveryState::Read));
    assert_eq!(states, [delivered, delivered, delivered, read, read]);
    let snapshot = pair.sides[0].durable.snapshot.as_ref().unwrap();
    assert_eq!([3, 4].map(|seq| snapshot.is_read(seq)), [false, true]);
}

#[test]
fn a_side_that_is_read_on_is_shown_as_read() {
    let mut pair = forgotten();
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    pair.input(1, Input::Read { up_to: 5 });
    pair.step(1);
    pair.settle();
    let state = pair.sides[0].session.state_of(5);
    assert_eq!(state, Some(DeliveryState::Read));
}

#[test]
fn without_keys_nothing_is_sealed_until_all_begins_anew() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 1));
    assert!(!pair.sides[0].session.has_pending(), "it is at the relay");
    pair.sides[0].session.without_keys();
    let sealed = pair.sides[0].working.generation;
    for number in 1..3 {
        pair.send(0, &texts(number, 1));
    }
    assert!(pair.sides[0].session.has_pending());
    // Nor is what the other side asks for.
    let asked = Resend {
        env_ids: Vec::new(),
        ranges: vec![(1, 1)],
    };
    let envelope = pair.sides[1].sealed(Body::Resend(asked));
    let via = Via::Link;
    pair.input(0, Input::Envelope { via, envelope });
    pair.step(0);
    pair.relay(0, false);
    pair.advance(Duration::from_secs(60));
    pair.relay(0, true);
    pair.advance(Duration::from_secs(60));
    let rows = &pair.sides[0].durable.outbox;
    let unsealed = rows.values().filter(|row| row.envelope.is_empty()).count();
    assert_eq!(unsealed, 2);
    // A receipt, which needs none of the outbox, is the only thing that may have been sealed.
    assert!(pair.sides[0].working.generation <= sealed + 4);
    pair.begin_anew(0);
    pair.advance(Duration::from_secs(1));
    assert!(!pair.sides[0].session.has_pending());
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(pair.sides[1].texts(), texts(0, 3));
}

#[test]
fn what_is_open_already_is_taken_once_and_remembered() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.send(0, &texts(0, 2));
    let row = pair.sides[0]
        .durable
        .outbox
        .values()
        .next()
        .unwrap()
        .clone();
    let payload = row.envelope.slice(40..);
    for _ in 0..2 {
        let (now, side) = (pair.now, &mut pair.sides[1]);
        let taken = side
            .session
            .take_opened(row.id, payload.clone(), &mut side.working, now);
        taken.unwrap();
        pair.step(1);
    }
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
    assert!(pair.sides[1].durable.seen.contains(&row.id));
    pair.relay(1, true);
    run_mailbox(&mut pair, 1);
    assert_eq!(
        pair.sides[1].texts(),
        texts(0, 2),
        "also when it comes sealed"
    );
}

/// Holes that only what is known about them tells of are asked for, behind one that was taken open.
#[test]
fn what_is_missing_before_what_was_open_is_asked_for() {
    let mut pair = Pair::new();
    pair.link_up();
    pair.send(0, &texts(0, 1));
    pair.send(0, &texts(1, 1));
    pair.wires[1].clear();
    let rows: Vec<_> = pair.sides[0].durable.outbox.values().cloned().collect();
    let (now, side) = (pair.now, &mut pair.sides[1]);
    let payload = rows[1].envelope.slice(40..);
    let taken = side
        .session
        .take_opened(rows[1].id, payload, &mut side.working, now);
    taken.unwrap();
    pair.step(1);
    assert!(pair.sides[1].texts().is_empty());
    pair.settle();
    assert_eq!(pair.sides[1].texts(), texts(0, 2));
}

#[test]
fn another_device_of_the_other_side_is_heard_and_the_former_one_not() {
    let mut pair = Pair::new();
    pair.link_up();
    let phone = DeviceId::from_bytes([7; 32]);
    pair.sides[1].session.met_as(phone);
    assert_eq!(pair.sides[1].session.devices().remote, phone);
    pair.tolerate_misbehaviour(1);
    pair.send(0, &texts(0, 1));
    run_link(&mut pair);
    assert!(pair.sides[1].texts().is_empty());
}

#[test]
fn ranges_of_skipped_numbers_have_a_bound() {
    let mut pair = Pair::new();
    pair.link_up();
    let ranges = RECEIVED_RANGES as u64 + 50;
    for n in 0..ranges {
        let skipped = vec![(10 * n + 2, 10 * n + 3)];
        let contents = Vec::new();
        let payload = Payload { contents, skipped }.encode();
        let envelope = pair.sides[0].working.seal(payload).unwrap();
        let via = Via::Link;
        pair.input(1, Input::Envelope { via, envelope });
        pair.step(1);
    }
    let snapshot = pair.sides[1].durable.snapshot.clone().unwrap();
    assert_eq!(snapshot.received.len(), RECEIVED_RANGES);
}

/// What is skipped does not begin the wait for another hole anew.
#[test]
fn a_hole_waits_no_longer_because_something_else_is_skipped() {
    let mut pair = Pair::new();
    pair.relay(0, true);
    pair.relay(1, true);
    pair.send(0, &texts(0, 1));
    pair.lose_mailbox(1, false);
    pair.relay(0, false);
    pair.send(0, &texts(1, 1));
    let row = pair.sides[0]
        .durable
        .outbox
        .values()
        .last()
        .unwrap()
        .clone();
    let (now, side) = (pair.now, &mut pair.sides[1]);
    let payload = row.envelope.slice(40..);
    let taken = side
        .session
        .take_opened(row.id, payload, &mut side.working, now);
    taken.unwrap();
    pair.step(1);
    for n in 0..40 {
        pair.advance(Duration::from_secs(1));
        let skipped = vec![(100 + 2 * n, 100 + 2 * n)];
        let contents = Vec::new();
        let payload = Payload { contents, skipped }.encode();
        let envelope = pair.sides[0].working.seal(payload).unwrap();
        let via = Via::Link;
        pair.input(1, Input::Envelope { via, envelope });
        pair.step(1);
    }
    assert_eq!(pair.sides[1].texts(), texts(1, 1));
}
