//! Profiles that were made of a backup.

use tincan_core::RefusedDeposit;
use tincan_protocol::EnvelopeId;

use super::anew::{say, sorted, texts};
use super::bench::{Bench, ann_and_bob};
use super::post::exchange;
use crate::driver::commands::{AddRequest, Reply};
use crate::message::ContactChange;
use crate::net::{DepositTag, RelayEvent};
use crate::store::ContactState;

/// There were no keys to seal it with, and no turn came to its end.
#[tokio::test]
async fn regression_what_was_not_delivered_at_the_backup_is_sent_by_the_new_device() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    say(&mut ann, "not delivered");
    let mut ann = ann.backed_up();
    assert_eq!(ann.row().state, ContactState::Lost);
    for _ in 0..3 {
        ann.driver.turn([]).unwrap();
    }
    say(&mut ann, "not sealed");
    ann.restart();
    ann.driver.turn([]).unwrap();
    exchange(&mut ann, &mut bob);
    assert!(ann.contact().is_accepted());
    say(&mut bob, "there you are");
    exchange(&mut ann, &mut bob);
    let said = ["let me in", "not delivered", "not sealed", "there you are"];
    assert_eq!(sorted(texts(&ann)), said);
    assert_eq!(sorted(texts(&bob)), said);
}

#[tokio::test]
async fn both_may_come_back_with_backups_and_more_than_once() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    for round in 0..3 {
        say(&mut ann, &format!("{round} of ann"));
        say(&mut bob, &format!("{round} of bob"));
        exchange(&mut ann, &mut bob);
        (ann, bob) = (ann.backed_up(), bob.backed_up());
        exchange(&mut ann, &mut bob);
        exchange(&mut ann, &mut bob);
        assert!(ann.contact().is_accepted() && bob.contact().is_accepted());
    }
    let mut said = vec!["let me in".to_owned()];
    said.extend((0..3).flat_map(|round| [format!("{round} of ann"), format!("{round} of bob")]));
    let said = sorted(said);
    assert_eq!(sorted(texts(&ann)), said);
    assert_eq!(sorted(texts(&bob)), said);
}

/// The whole conversation was deleted, as if it had been made for the link.
#[tokio::test]
async fn regression_a_used_link_takes_nothing_from_a_lost_contact() {
    let (mut ann, mut bob) = ann_and_bob();
    say(&mut ann, "kept");
    let invite = bob.invite(1);
    let mut ann = ann.backed_up();
    let attempt = ann.driver.next_attempt;
    let request = AddRequest {
        invite,
        name: None,
        text: String::new(),
        is_again: false,
    };
    ann.driver.begin_add(request, Reply::nobody());
    let package = bob.driver.mls.create_key_package(false).unwrap();
    ann.driver.handle_key_package(attempt, Ok(package)).unwrap();
    ann.commit();
    let ContactState::Requesting(stage) = ann.row().state.clone() else {
        panic!("nobody was asked");
    };
    let refused = RelayEvent::Refused {
        tag: DepositTag {
            no: ann.no(),
            id: EnvelopeId::of(&stage.envelope),
        },
        reason: RefusedDeposit::Rejected,
        retry_after: None,
    };
    ann.want_relay(&bob.server());
    ann.driver.handle_relay(&bob.server(), refused).unwrap();
    ann.restart();
    assert_eq!(ann.row().state, ContactState::Lost);
    assert_eq!(texts(&ann), ["let me in", "kept"]);
}

/// What waited for them went to whichever device their relay had a key package of.
#[tokio::test]
async fn regression_a_lost_contact_who_was_verified_is_not_asked_on_another_device() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    let no = ann.no();
    let verified = ann.driver.change_contact(no, ContactChange::Verify(true));
    verified.unwrap().unwrap();
    say(&mut ann, "for the device that was verified");
    let mut ann = ann.backed_up();
    let mut bob = bob.backed_up();
    exchange(&mut ann, &mut bob);
    assert!(ann.row().has_changed());
    assert!(texts(&bob).iter().all(|text| text == "let me in"));
    let no = ann.no();
    let verified = ann.driver.change_contact(no, ContactChange::Verify(true));
    verified.unwrap().unwrap();
    exchange(&mut ann, &mut bob);
    exchange(&mut ann, &mut bob);
    assert!(ann.contact().is_accepted() && bob.contact().is_accepted());
    assert_eq!(texts(&bob).len(), 2);
}

#[tokio::test]
async fn who_only_asks_or_was_blocked_at_the_backup_can_still_become_a_contact() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    let no = ann.no();
    let blocked = ann.driver.change_contact(no, ContactChange::Block);
    blocked.unwrap().unwrap();
    let mut ann = ann.backed_up();
    ann.driver.turn([]).unwrap();
    let no = ann.no();
    let unblocked = ann.driver.change_contact(no, ContactChange::Unblock);
    unblocked.unwrap().unwrap();
    exchange(&mut ann, &mut bob);
    assert!(ann.contact().is_accepted() && bob.contact().is_accepted());

    let (mut carol, mut dave) = (Bench::new("carol"), Bench::new("dave"));
    let invite = carol.invite(2);
    let request = dave.ask(&mut carol, &invite);
    carol.take_request(&invite, 1, request);
    let mut carol = carol.backed_up();
    let who = dave.driver.identity;
    carol.driver.decide(&who, true).unwrap().unwrap();
    exchange(&mut carol, &mut dave);
    exchange(&mut carol, &mut dave);
    assert!(carol.contact().is_accepted() && dave.contact().is_accepted());
}
