//! Conversations that are begun anew.

use tincan_protocol::envelope::Envelope;
use tincan_protocol::limits::{PAYLOAD_MAX, TEXT_MAX};

use super::bench::{Bench, ann_and_bob};
use super::post::exchange;
use crate::driver::anew::ANEW_PER_HOUR;
use crate::message::{Change, ContactChange, Draft, HistoryItem, MessageState};
use crate::store::ContactState;

pub(super) fn say(bench: &mut Bench, text: &str) -> tincan_protocol::MsgId {
    let (no, id) = (bench.no(), bench.driver.new_msg_id());
    let draft = Draft {
        id,
        text: text.to_owned(),
        reply_to: None,
        forwarded: false,
    };
    bench.driver.send(no, vec![draft]).unwrap().unwrap();
    bench.commit();
    id
}

pub(super) fn texts(bench: &Bench) -> Vec<String> {
    let messages = bench.history().into_iter().filter_map(|item| match item {
        HistoryItem::Message(message) => Some(message.text),
        _ => None,
    });
    messages.collect()
}

/// Their clocks are not the same, so neither is the order.
pub(super) fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

fn remove(bench: &mut Bench) {
    let no = bench.no();
    let removed = bench.driver.change_contact(no, ContactChange::Remove);
    removed.unwrap().unwrap();
    bench.commit();
}

/// Who is added again after they were removed.
fn add_again(guest: &mut Bench, host: &mut Bench) {
    let invite = host.invite(1);
    let request = guest.ask(host, &invite);
    host.take_request(&invite, 1, request);
}

#[tokio::test]
async fn who_removed_somebody_and_adds_them_again_talks_to_them_again() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    say(&mut ann, "from ann");
    say(&mut bob, "from bob");
    exchange(&mut ann, &mut bob);
    remove(&mut bob);
    say(&mut ann, "to nobody");
    add_again(&mut bob, &mut ann);
    assert!(ann.contact().is_accepted());
    exchange(&mut ann, &mut bob);
    assert!(bob.contact().is_accepted());
    say(&mut bob, "here again");
    say(&mut ann, "welcome back");
    exchange(&mut ann, &mut bob);
    let with_ann = [
        "from ann",
        "from bob",
        "here again",
        "let me in",
        "let me in",
        "to nobody",
        "welcome back",
    ];
    assert_eq!(sorted(texts(&ann)), with_ann);
    // What he has removed stays removed; what she had written to him meanwhile is there.
    let with_bob = ["here again", "let me in", "to nobody", "welcome back"];
    assert_eq!(sorted(texts(&bob)), with_bob);
    for bench in [&ann, &bob] {
        assert!(!bench.contact().session.has_gaps());
        for item in bench.history() {
            if let HistoryItem::Message(message) = item {
                assert!(message.state >= MessageState::Delivered, "{message:?}");
            }
        }
    }
}

#[tokio::test]
async fn numbers_are_never_given_out_twice_also_after_restarts() {
    let (mut ann, mut bob) = ann_and_bob();
    for round in 0..3 {
        say(&mut bob, "one more");
        exchange(&mut ann, &mut bob);
        let next = bob.contact().session.next_seq();
        remove(&mut bob);
        bob.restart();
        add_again(&mut bob, &mut ann);
        bob.restart();
        ann.restart();
        assert!(bob.contact().session.next_seq() > next, "{round}");
        exchange(&mut ann, &mut bob);
    }
    let said = texts(&ann);
    assert_eq!(said.iter().filter(|text| *text == "one more").count(), 3);
    assert_eq!(said.iter().filter(|text| *text == "let me in").count(), 4);
}

#[tokio::test]
async fn who_was_removed_can_ask_once_more_and_keeps_what_was_said() {
    let (mut ann, mut bob) = ann_and_bob();
    let waiting = say(&mut ann, "still on its way");
    remove(&mut bob);
    add_again(&mut ann, &mut bob);
    assert!(matches!(ann.row().state, ContactState::Requesting(_)));
    // He has everything that he had not received, with the request.
    assert_eq!(texts(&bob), ["still on its way", "let me in"]);
    exchange(&mut ann, &mut bob);
    assert!(ann.contact().is_accepted());
    let no = ann.no();
    let changed = ann.driver.change(no, waiting, Change::Delete);
    changed.unwrap().unwrap();
    say(&mut bob, "hello again");
    exchange(&mut ann, &mut bob);
    assert_eq!(texts(&ann), ["let me in", "", "let me in", "hello again"]);
    assert_eq!(texts(&bob), ["", "let me in", "hello again"]);
}

#[tokio::test]
async fn what_was_on_its_way_when_they_were_removed_still_takes_its_place() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    say(&mut bob, "at the relay");
    let late = bob.outbox();
    remove(&mut bob);
    add_again(&mut bob, &mut ann);
    for envelope in late {
        ann.take(envelope);
    }
    exchange(&mut ann, &mut bob);
    assert_eq!(texts(&ann), ["let me in", "at the relay", "let me in"]);
}

#[tokio::test]
async fn a_request_in_a_conversations_mailbox_counts_only_from_its_other_side() {
    let (mut ann, mut bob) = ann_and_bob();
    let invite = ann.invite(2);
    let mut mallory = Bench::new("mallory");
    let request = mallory.ask(&mut ann, &invite);
    ann.take_in_mailbox(request);
    assert_eq!(ann.driver.conversations.len(), 1);
    exchange(&mut ann, &mut bob);
    assert!(ann.contact().is_accepted() && bob.contact().is_accepted());
    remove(&mut bob);
    let request = bob.ask(&mut ann, &invite);
    assert!(matches!(
        Envelope::decode(request.clone()),
        Ok(Envelope::Request(_))
    ));
    ann.take_in_mailbox(request);
    exchange(&mut ann, &mut bob);
    assert!(bob.contact().is_accepted());
}

#[tokio::test]
async fn who_begins_anew_again_and_again_is_not_heard_any_more() {
    let (mut ann, mut bob) = ann_and_bob();
    for n in 0..=ANEW_PER_HOUR {
        remove(&mut bob);
        add_again(&mut bob, &mut ann);
        let is_heard = n < ANEW_PER_HOUR;
        exchange(&mut ann, &mut bob);
        assert_eq!(bob.contact().is_accepted(), is_heard, "{n}");
    }
    assert!(ann.row().retired.len() <= 8, "{}", ann.row().retired.len());
}

/// The same person comes back with another device.
#[tokio::test]
async fn a_verified_contact_with_another_device_gets_nothing_until_somebody_has_made_sure() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    let no = ann.no();
    let verified = ann.driver.change_contact(no, ContactChange::Verify(true));
    verified.unwrap().unwrap();
    say(&mut ann, "before");
    let mut phone = bob.another_device();
    add_again(&mut phone, &mut ann);
    assert_eq!(ann.row().device, phone.driver.device.device());
    assert!(ann.row().has_changed() && !ann.contact().may_reach());
    assert!(ann.driver.may_send(no).is_err());
    assert!(!ann.is_dialed(&phone.server()));
    let verified = ann.driver.change_contact(no, ContactChange::Verify(true));
    verified.unwrap().unwrap();
    assert!(ann.contact().may_reach() && ann.is_dialed(&phone.server()));
    exchange(&mut ann, &mut phone);
    assert!(phone.contact().is_accepted());
    assert_eq!(sorted(texts(&phone)), ["before", "let me in"]);
    // Its numbers are none that the other device may have used.
    assert_eq!(sorted(texts(&ann)), ["before", "let me in", "let me in"]);
    assert!(!ann.contact().session.has_gaps());
}

#[tokio::test]
async fn how_long_messages_stay_is_said_again_to_who_has_forgotten_it() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    let no = ann.no();
    let timer = ContactChange::Timer { expires_s: 60 };
    ann.driver.change_contact(no, timer).unwrap().unwrap();
    exchange(&mut ann, &mut bob);
    for _ in 0..2 {
        remove(&mut bob);
        add_again(&mut bob, &mut ann);
        exchange(&mut ann, &mut bob);
        assert_eq!(bob.row().settings.expires_s, 60);
    }
}

/// The numbers that are skipped were not counted in what a payload may have, and no turn came to its end.
#[tokio::test]
async fn regression_full_payloads_are_sealed_again_with_what_is_skipped_before_them() {
    let (mut ann, mut bob) = ann_and_bob();
    exchange(&mut ann, &mut bob);
    say(&mut ann, "delivered");
    exchange(&mut ann, &mut bob);
    let no = ann.no();
    let long = [TEXT_MAX, TEXT_MAX, TEXT_MAX].map(|len| "x".repeat(len));
    let rest = PAYLOAD_MAX - 3 * TEXT_MAX - 4 * 50;
    let all = long
        .into_iter()
        .chain([20, 10, 5, 0].map(|less| "y".repeat(rest - less)));
    let drafts: Vec<Draft> = all.map(Draft::new).collect();
    ann.driver.send(no, drafts).unwrap().unwrap();
    ann.commit();
    remove(&mut bob);
    add_again(&mut bob, &mut ann);
    exchange(&mut ann, &mut bob);
    exchange(&mut ann, &mut bob);
    assert_eq!(
        texts(&bob).iter().filter(|text| text.len() > 100).count(),
        7
    );
}
