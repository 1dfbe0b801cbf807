//! What is decided about contacts.

use super::bench::{Bench, ann_and_bob};
use crate::error::{ContactError, SendError};
use crate::message::{Change, ContactChange, Draft};
use crate::store::{ContactState, JournalEvent};

#[tokio::test]
async fn a_blocked_contact_has_no_way_to_us_until_they_are_unblocked() {
    let (mut ann, mut bob) = ann_and_bob();
    let (mailbox, address) = (bob.mailbox(), bob.row().address_key().address());
    bob.decides(ContactChange::Block).unwrap();
    assert_eq!(bob.row().state, ContactState::Blocked);
    assert!(bob.driver.ended_queues.contains_key(&mailbox));
    assert!(!bob.driver.by_queue.contains_key(&mailbox));
    assert!(!bob.driver.by_address.contains_key(&address));
    let queues = bob.driver.own_queues(&bob.server());
    assert!(
        !queues
            .iter()
            .any(|queue| queue.key.queue() == bob.mailbox())
    );
    assert_eq!(bob.sends(Draft::new("hello")), Err(SendError::Blocked));
    bob.restart();
    assert_eq!(bob.sends(Draft::new("hello")), Err(SendError::Blocked));
    bob.decides(ContactChange::Unblock).unwrap();
    assert!(bob.contact().is_accepted());
    bob.says("hello again");
    bob.reaches(&mut ann);
    // Ann knows the new way.
    let reach = ann.row().their_reach.clone().unwrap();
    assert_eq!(reach.queue, bob.mailbox());
    assert_ne!(reach.queue, mailbox);
    assert_eq!(ann.texts().last().unwrap(), "hello again");
}

#[tokio::test]
async fn somebody_who_asks_can_be_blocked_and_is_forgotten_when_unblocked() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(2);
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    assert_eq!(
        ann.decides(ContactChange::Verify(true)),
        Err(ContactError::OnlyAsks)
    );
    ann.decides(ContactChange::Block).unwrap();
    let again = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 2, again);
    assert_eq!(ann.row().state, ContactState::Blocked);
    ann.decides(ContactChange::Unblock).unwrap();
    assert!(ann.driver.conversations.is_empty());
}

#[tokio::test]
async fn names_are_ones_own_choice_and_unique() {
    let (mut ann, _bob) = ann_and_bob();
    ann.decides(ContactChange::Rename("Robert".to_owned()))
        .unwrap();
    assert_eq!(ann.row().name, "Robert");
    let invite = ann.invite(1);
    let mut carol = Bench::new("carol");
    let request = carol.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    let taken = ann.decides(ContactChange::Rename("CAROL".to_owned()));
    assert_eq!(taken, Err(ContactError::NameTaken));
}

#[tokio::test]
async fn a_removed_contact_leaves_nothing() {
    let (mut ann, mut bob) = ann_and_bob();
    let id = ann.says("hello");
    ann.reaches(&mut bob);
    bob.changes(id, Change::React("\u{1f44d}".to_owned()))
        .unwrap();
    let mailbox = bob.mailbox();
    bob.decides(ContactChange::Remove).unwrap();
    assert!(bob.driver.conversations.is_empty() && bob.driver.by_queue.is_empty());
    assert!(bob.driver.ended_queues.contains_key(&mailbox));
    assert!(bob.is_empty_but_for_what_ended());
    assert!(matches!(
        bob.journal().last(),
        Some(JournalEvent::Removed { .. })
    ));
}

#[tokio::test]
async fn who_is_verified_and_another_device_since_gets_nothing_until_that_is_confirmed() {
    let (mut ann, _bob) = ann_and_bob();
    ann.decides(ContactChange::Verify(true)).unwrap();
    ann.says("hello");
    let mut row = ann.row().clone();
    row.verified.as_mut().unwrap().device = tincan_protocol::DeviceId::from_bytes([7; 32]);
    ann.driver.put_row(row).unwrap();
    assert_eq!(ann.sends(Draft::new("hello")), Err(SendError::Changed));
    ann.decides(ContactChange::Verify(true)).unwrap();
    ann.says("hello");
}
