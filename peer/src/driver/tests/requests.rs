//! What a stranger gets before somebody has said yes.

use std::time::Duration;

use tincan_core::RefusedDeposit;
use tincan_protocol::EnvelopeId;

use super::bench::Bench;
use super::links::knock;
use crate::net::{DepositTag, Lost, RelayEvent};

#[tokio::test]
async fn regression_nobody_is_dialed_or_answered_before_acceptance() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(2);
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    let theirs = bob.server();
    let dialed = |ann: &Bench| {
        ann.driver.wanted_relays().connected.contains(&theirs)
            || ann.driver.wanted_signals().connected.contains(&theirs)
    };
    knock(&mut ann, &bob, 1);
    assert!(!dialed(&ann));
    assert_eq!(ann.contact().link.attempt(), None);

    let who = bob.driver.identity;
    ann.driver.decide(&who, true).unwrap().unwrap();
    knock(&mut ann, &bob, 2);
    assert!(dialed(&ann));
    assert!(ann.contact().link.attempt().is_some());
}

#[tokio::test]
async fn regression_who_asks_again_is_answered_though_the_first_request_had_arrived() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let (first, second) = (ann.invite(1), ann.invite(1));
    let request = bob.ask(&mut ann, &first);
    ann.take_request(&first, 1, request);
    let mailbox = bob.mailbox();
    let request = bob.ask(&mut ann, &second);
    ann.take_request(&second, 1, request);
    // What ann has written goes where bob still reads, and he can open it.
    let theirs = ann.row().their_reach.as_ref().map(|reach| reach.queue);
    assert_eq!(theirs, Some(mailbox));
    assert_eq!(bob.mailbox(), mailbox);
    for envelope in ann.outbox() {
        bob.take(envelope);
    }
    assert!(ann.contact().is_accepted() && bob.contact().is_accepted());
    assert_eq!(ann.row().send_group(), bob.row().send_group());
}

#[tokio::test]
async fn who_was_rejected_asks_again_with_everything_that_was_said() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(3);
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    let who = bob.driver.identity;
    ann.driver.decide(&who, false).unwrap().unwrap();
    ann.commit();
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 2, request);
    ann.driver.decide(&who, true).unwrap().unwrap();
    ann.commit();
    for envelope in ann.outbox() {
        bob.take(envelope);
    }
    assert!(ann.contact().is_accepted() && bob.contact().is_accepted());
}

#[tokio::test]
async fn regression_who_asks_again_with_another_invite_uses_it_up_as_well() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let (first, second) = (ann.invite(1), ann.invite(1));
    for (index, invite) in [(1, &first), (2, &second)] {
        let request = bob.ask(&mut ann, invite);
        ann.take_request(invite, index, request);
    }
    for invite in [first, second] {
        assert!(ann.driver.invites[&invite.body().queue].is_used_up());
    }
}

#[tokio::test]
async fn who_asks_again_is_accepted_where_the_first_request_was_lost() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let (first, second) = (ann.invite(1), ann.invite(1));
    bob.ask(&mut ann, &first);
    let request = bob.ask(&mut ann, &second);
    ann.take_request(&second, 1, request);
    assert!(ann.contact().is_accepted());
}

/// What she hears in the new group is what he said first, and that spoke of the other invite.
#[tokio::test]
async fn regression_who_asks_again_is_accepted_by_an_invite_for_one_use() {
    for is_rejected in [true, false] {
        let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
        let (shared, single) = (ann.invite(2), ann.invite(1));
        let request = bob.ask(&mut ann, &shared);
        ann.take_request(&shared, 1, request);
        if is_rejected {
            let decided = ann.driver.decide(&bob.driver.identity, false);
            decided.unwrap().unwrap();
            ann.commit();
        }
        let request = bob.ask(&mut ann, &single);
        ann.take_request(&single, 1, request);
        assert!(ann.contact().is_accepted(), "{is_rejected}");
    }
}

/// What they had said stayed in the database for ever.
#[tokio::test]
async fn regression_nothing_is_left_of_whoever_was_rejected() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(2);
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    let no = ann.no();
    let kept = |ann: &mut Bench| {
        let batch = ann.driver.turn.batch().unwrap();
        let said = batch.received(no, u64::MAX).unwrap().len();
        (said, batch.snapshot(no).unwrap().is_some())
    };
    assert_eq!(kept(&mut ann), (1, true));
    let decided = ann.driver.decide(&bob.driver.identity, false);
    decided.unwrap().unwrap();
    ann.commit();
    assert_eq!(kept(&mut ann), (0, false));
}

/// The first request had been given up, and with it what whoever is asked must hear first.
#[tokio::test]
async fn regression_who_asks_again_after_weeks_is_heard() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let first = ann.invite(1);
    bob.ask(&mut ann, &first);
    let weeks = Duration::from_secs(15 * 24 * 3600);
    for bench in [&mut ann, &mut bob] {
        bench.pass(weeks);
        bench.driver.turn([]).unwrap();
    }
    let second = ann.invite(1);
    let request = bob.ask(&mut ann, &second);
    ann.take_request(&second, 1, request);
    assert!(ann.contact().is_accepted());
}

/// How many contacts bob has when the relay has refused his request to ann; before that the connection
/// was lost, or it was not.
fn after_a_refusal(lost: bool) -> usize {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(1);
    let id = EnvelopeId::of(&bob.ask(&mut ann, &invite));
    let (relay, no) = (ann.server(), bob.no());
    bob.want_relay(&relay);
    let refused = RelayEvent::Refused {
        tag: DepositTag { no, id },
        reason: RefusedDeposit::Rejected,
        retry_after: None,
    };
    let lost = lost.then(|| RelayEvent::Down(Lost::new("on its way")));
    for event in lost.into_iter().chain([refused]) {
        bob.driver.handle_relay(&relay, event).unwrap();
    }
    bob.restart();
    bob.driver.conversations.len()
}

#[tokio::test]
async fn regression_a_request_that_a_lost_answer_may_have_taken_is_kept_when_it_is_refused() {
    assert_eq!(after_a_refusal(false), 0);
    assert_eq!(after_a_refusal(true), 1);
}

/// A request that was refused once and has been answered since: the driver woke up for it without end.
#[tokio::test]
async fn regression_a_request_that_was_answered_is_not_due_for_ever() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(1);
    let request = bob.ask(&mut ann, &invite);
    let no = bob.no();
    let (reason, wait) = (RefusedDeposit::QueueFull, None);
    bob.driver.request_refused(no, reason, wait).unwrap();
    ann.take_request(&invite, 1, request);
    for envelope in ann.outbox() {
        bob.take(envelope);
    }
    assert!(bob.contact().is_accepted());
    bob.pass(Duration::from_secs(3600));
    bob.driver.turn([]).unwrap();
    assert_eq!(bob.contact().request_again_at, None);
}
