//! What is done with messages, and that both sides come to the same.

use std::time::Duration;

use proptest::prelude::*;
use tincan_core::Input as SessionInput;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{Body, Content, DeviceAck, Receipt, Resend};
use tincan_protocol::envelope::{Envelope, Payload};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::{EnvelopeId, MsgId};

use super::bench::{Bench, ann_and_bob};
use crate::error::{ChangeError, SendError};
use crate::message::{Change, ContactChange, Draft, HistoryItem, MessageState, Shown};
use crate::store::{Annotations, ChangeName, JournalEvent, MessageName, Who};

const DAY: Duration = Duration::from_secs(24 * 3600);
#[tokio::test]
async fn an_edited_message_says_the_newest_on_both_sides() {
    let (mut ann, mut bob) = ann_and_bob();
    let id = ann.says("helo");
    ann.changes(id, Change::Edit("hello".to_owned())).unwrap();
    ann.changes(id, Change::Edit("hello!".to_owned())).unwrap();
    ann.reaches(&mut bob);
    for side in [&ann, &bob] {
        let message = side.message(id);
        assert_eq!((message.text.as_str(), message.edited), ("hello!", true));
    }
    assert_eq!(bob.changed(), [ChangeName::Edited, ChangeName::Edited]);
    // What was said about it is kept beside it, and nothing else of it.
    let rows = bob.timeline();
    assert!(
        !rows
            .iter()
            .any(|row| matches!(row.content.body, Body::Edit(_)))
    );
}

#[tokio::test]
async fn a_message_that_was_taken_back_says_nothing_and_is_not_unread() {
    let (mut ann, mut bob) = ann_and_bob();
    let (id, other) = (ann.says("secret"), ann.says("hello"));
    ann.reaches(&mut bob);
    bob.changes(id, Change::React("\u{1f44d}".to_owned()))
        .unwrap();
    assert_eq!(bob.unread(), 2);
    ann.changes(id, Change::Delete).unwrap();
    ann.reaches(&mut bob);
    bob.tidies();
    assert_eq!(bob.unread(), 1);
    let message = bob.message(id);
    assert!(message.deleted && message.text.is_empty() && message.reactions.is_empty());
    let bodies = bob.timeline().into_iter().map(|row| row.content.body);
    assert!(
        !bodies
            .into_iter()
            .any(|body| format!("{body:?}").contains("secret"))
    );
    assert_eq!(ann.message(id).text, "");
    let again = ann.changes(id, Change::Edit("x".to_owned()));
    assert_eq!(again, Err(ChangeError::Deleted));
    assert_eq!(bob.message(other).text, "hello");
}

/// Its text may have to be sealed again.
#[tokio::test]
async fn the_text_of_a_deleted_message_stays_with_its_author_until_it_arrived_or_failed() {
    let (mut ann, _bob) = ann_and_bob();
    let id = ann.says("secret");
    ann.changes(id, Change::Delete).unwrap();
    ann.tidies();
    let has_secret = |side: &Bench| {
        let rows = side.timeline();
        rows.iter()
            .any(|row| format!("{:?}", row.content.body).contains("secret"))
    };
    assert!(has_secret(&ann) && ann.message(id).deleted);
    ann.pass(15 * DAY);
    let no = ann.no();
    ann.driver.session_timeout(no).unwrap();
    ann.commit();
    assert!(!has_secret(&ann));
}

/// A contact who has had a part of an envelope, and asked for it again, stopped the program for good.
#[tokio::test]
async fn regression_what_is_gone_of_an_envelope_does_not_keep_the_rest_from_being_sent_again() {
    let (mut ann, mut bob) = ann_and_bob();
    ann.reaches(&mut bob);
    bob.reaches(&mut ann);
    ann.decides(ContactChange::Timer { expires_s: 1 }).unwrap();
    let no = ann.no();
    let drafts = ["one", "two", "three"].map(Draft::new);
    let ids = ann.driver.send(no, drafts.into()).unwrap().unwrap();
    ann.commit();
    let seqs: Vec<u64> = ids.iter().map(|id| ann.message(*id).seq).collect();
    ann.pass(Duration::from_secs(2));
    ann.tidies();
    // All are on their way.
    for envelope in ann.outbox() {
        let id = EnvelopeId::of(&envelope);
        ann.driver
            .session_input(no, SessionInput::Stored { id })
            .unwrap();
    }
    let ack = DeviceAck {
        device: ann.driver.device.device(),
        received: SeqSet::up_to(seqs[0]),
        read_up_to: 0,
    };
    let receipt = Receipt {
        acks: vec![ack],
        ..Receipt::default()
    };
    let resend = Resend {
        ranges: vec![(seqs[0], seqs[2])],
        ..Resend::default()
    };
    let unnumbered = |body| Content {
        msg_id: MsgId::nil(),
        seq: 0,
        hlc: Hlc::default(),
        body,
    };
    let payload =
        [Body::Receipt(receipt), Body::Resend(resend)].map(|body| unnumbered(body).encode());
    let group = bob.row().send_group().unwrap().clone();
    let sealed = bob
        .driver
        .mls
        .seal(&group, &Payload::of(payload.into()).encode())
        .unwrap();
    bob.commit();
    ann.take(Envelope::Message(sealed.into()).encode());
    ann.driver.session_timeout(no).unwrap();
    ann.commit();
    assert_eq!(
        ann.texts(),
        ["let me in", "two", "three"],
        "the first one has gone"
    );
    ann.restart();
    ann.reaches(&mut bob);
    // Bob has only said that he had it, and waits for it in vain.
    bob.pass(Duration::from_secs(60));
    let no = bob.no();
    bob.driver.session_timeout(no).unwrap();
    bob.commit();
    assert_eq!(bob.texts(), ["let me in", "two", "three"]);
}

/// They knew its id, and whatever was to be done with it was done with theirs.
#[tokio::test]
async fn regression_a_contact_cannot_put_a_message_of_theirs_in_the_place_of_one_of_ours() {
    let (mut ann, mut bob) = ann_and_bob();
    let id = ann.says("mine");
    ann.reaches(&mut bob);
    let theirs = Draft {
        id,
        ..Draft::new("theirs")
    };
    bob.sends(theirs).unwrap();
    bob.reaches(&mut ann);
    ann.changes(id, Change::Edit("still mine".to_owned()))
        .unwrap();
    ann.reaches(&mut bob);
    for side in [&ann, &bob] {
        let texts = side.texts();
        assert!(texts.contains(&"still mine".to_owned()) && texts.contains(&"theirs".to_owned()));
    }
}

/// A contact's clock that is far ahead had the last word for ever.
#[tokio::test]
async fn regression_our_word_on_how_long_messages_stay_counts_after_theirs() {
    let (mut ann, mut bob) = ann_and_bob();
    bob.pass(400 * DAY);
    bob.decides(ContactChange::Timer { expires_s: 1 }).unwrap();
    bob.reaches(&mut ann);
    assert_eq!(ann.row().settings.expires_s, 1);
    ann.decides(ContactChange::Timer { expires_s: 0 }).unwrap();
    assert_eq!(ann.row().settings.expires_s, 0);
}

/// It stood before it, as long as their clock was ahead.
#[tokio::test]
async fn regression_our_answer_stands_after_what_it_answers_whatever_their_clock_says() {
    let (mut ann, mut bob) = ann_and_bob();
    bob.pass(Duration::from_secs(240));
    bob.says("question");
    bob.reaches(&mut ann);
    ann.says("answer");
    let texts = ann.texts();
    assert_eq!(texts[texts.len() - 2..], ["question", "answer"]);
    // A clock that is far ahead takes ours along no further than it is believed.
    bob.pass(400 * DAY);
    bob.says("from the future");
    bob.reaches(&mut ann);
    let id = ann.says("now");
    let ahead = ann.message(id).sent_at_ms.saturating_sub(ann.unix_ms());
    assert!(ahead <= 5 * 60 * 1000 + 1, "{ahead} ms");
}

#[tokio::test]
async fn regression_what_a_stranger_says_of_their_words_is_not_told_before_they_are_accepted() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(2);
    let request = bob.ask(&mut ann, &invite);
    let id = bob.messages()[0].id;
    bob.changes(id, Change::Edit("let me in!".to_owned()))
        .unwrap();
    bob.decides(ContactChange::Timer { expires_s: 1 }).unwrap();
    ann.take_request(&invite, 1, request);
    let envelope = bob.outbox().pop().unwrap();
    ann.take(envelope);
    assert!(ann.changed().is_empty());
    assert_eq!(ann.row().settings.expires_s, 0);
    assert!(
        !ann.journal()
            .iter()
            .any(|event| matches!(event, JournalEvent::Contact { .. }))
    );
}

/// Two who ask may have one name, and a contact has one of their own.
#[tokio::test]
async fn regression_somebody_blocked_takes_no_name_from_a_contact() {
    let (mut ann, _bob) = ann_and_bob();
    let invite = ann.invite(2);
    let mut other = Bench::calling_itself("bob");
    let request = other.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    let stranger = ann.driver.find(&other.driver.identity).unwrap().row.no;
    ann.driver
        .change_contact(stranger, ContactChange::Block)
        .unwrap()
        .unwrap();
    ann.commit();
    let name = &ann.driver.find(&other.driver.identity).unwrap().row.name;
    assert_eq!(name, "bob-2");
}

#[tokio::test]
async fn regression_a_message_that_is_to_go_goes_although_it_was_taken_back_too() {
    let (mut ann, _bob) = ann_and_bob();
    let id = ann.says("hello");
    ann.changes(id, Change::Forget).unwrap();
    ann.changes(id, Change::Delete).unwrap();
    ann.tidies();
    ann.pass(15 * DAY);
    let no = ann.no();
    ann.driver.session_timeout(no).unwrap();
    ann.commit();
    assert!(ann.texts().is_empty() || ann.texts() == ["let me in"]);
    // And it is not sent again by whoever did not hear that it was.
    let again = Draft {
        id,
        ..Draft::new("hello")
    };
    assert_eq!(ann.sends(again), Ok(id));
    assert!(!ann.texts().contains(&"hello".to_owned()));
}

#[tokio::test]
async fn regression_nothing_is_kept_about_messages_that_never_were() {
    let (mut ann, mut bob) = ann_and_bob();
    let no = bob.no();
    let of = tincan_protocol::content::MessageRef {
        author: bob.driver.device.device(),
        msg_id: MsgId::now_v7(),
    };
    let edit = tincan_protocol::content::Edit {
        of,
        text: "x".to_owned(),
    };
    bob.driver.send_body(no, Body::Edit(edit)).unwrap();
    bob.commit();
    bob.reaches(&mut ann);
    let no = ann.no();
    let name = MessageName {
        who: Who::Them,
        id: of.msg_id,
    };
    let kept = ann
        .driver
        .turn
        .batch()
        .unwrap()
        .annotations(no, name)
        .unwrap();
    assert_eq!(kept, Annotations::default());
}

#[tokio::test]
async fn only_its_author_edits_and_deletes_a_message() {
    let (mut ann, mut bob) = ann_and_bob();
    let id = ann.says("mine");
    ann.reaches(&mut bob);
    for change in [Change::Edit("yours".to_owned()), Change::Delete] {
        assert_eq!(bob.changes(id, change), Err(ChangeError::NotYours));
    }
    // A program that does it all the same.
    let no = bob.no();
    let author = ann.driver.device.device();
    let of = tincan_protocol::content::MessageRef { author, msg_id: id };
    let edit = tincan_protocol::content::Edit {
        of,
        text: "yours".to_owned(),
    };
    let deletion = tincan_protocol::content::Deletion { of };
    for body in [Body::Edit(edit), Body::Deletion(deletion)] {
        bob.driver.send_body(no, body).unwrap();
        bob.commit();
    }
    bob.reaches(&mut ann);
    assert_eq!(
        (ann.message(id).text.as_str(), ann.changed().len()),
        ("mine", 0)
    );
}

#[tokio::test]
async fn each_side_has_one_reaction_and_can_take_it_back() {
    let (mut ann, mut bob) = ann_and_bob();
    let id = ann.says("news");
    ann.reaches(&mut bob);
    for sign in ["\u{1f44d}", "\u{2764}"] {
        bob.changes(id, Change::React(sign.to_owned())).unwrap();
    }
    ann.changes(id, Change::React("\u{1f389}".to_owned()))
        .unwrap();
    ann.reaches(&mut bob);
    bob.reaches(&mut ann);
    let signs = |side: &Bench| {
        let reactions = side.message(id).reactions.into_iter();
        let mut signs: Vec<_> = reactions.map(|one| (one.from, one.emoji)).collect();
        signs.sort();
        signs
    };
    let [ann_s, bob_s] = [("ann", "\u{1f389}"), ("bob", "\u{2764}")]
        .map(|(who, sign)| (who.to_owned(), sign.to_owned()));
    assert_eq!(signs(&ann), [ann_s.clone(), bob_s.clone()]);
    assert_eq!(signs(&bob), [ann_s.clone(), bob_s]);
    bob.changes(id, Change::React(String::new())).unwrap();
    bob.reaches(&mut ann);
    assert_eq!(signs(&ann), [ann_s]);
    // Of what was never said there is nothing to say.
    let author = ann.driver.device.device();
    let to = tincan_protocol::content::MessageRef {
        author,
        msg_id: MsgId::now_v7(),
    };
    let no = bob.no();
    let reaction = tincan_protocol::content::Reaction {
        to,
        emoji: "x".to_owned(),
    };
    bob.driver.send_body(no, Body::Reaction(reaction)).unwrap();
    bob.commit();
    let before = ann.changed().len();
    bob.reaches(&mut ann);
    assert_eq!(ann.changed().len(), before);
}

#[tokio::test]
async fn an_answer_shows_what_it_answers_as_it_is_now() {
    let (mut ann, mut bob) = ann_and_bob();
    let question = ann.says("where?");
    ann.reaches(&mut bob);
    let answer = Draft {
        reply_to: Some(question),
        ..Draft::new("here")
    };
    let answer = bob.sends(answer).unwrap();
    bob.reaches(&mut ann);
    let quoted = |side: &Bench| side.message(answer).reply_to.unwrap();
    for side in [&ann, &bob] {
        let quote = quoted(side);
        assert_eq!(
            (quote.from.as_deref(), quote.text.as_deref()),
            (Some("ann"), Some("where?"))
        );
    }
    ann.changes(question, Change::Edit("who?".to_owned()))
        .unwrap();
    ann.reaches(&mut bob);
    assert_eq!(quoted(&bob).text.as_deref(), Some("who?"));
    ann.changes(question, Change::Delete).unwrap();
    ann.reaches(&mut bob);
    assert_eq!(quoted(&bob).text, None);
    let nothing = Draft {
        reply_to: Some(MsgId::now_v7()),
        ..Draft::new("?")
    };
    assert_eq!(bob.sends(nothing), Err(SendError::UnknownMessage));
}

/// A program that did not hear of the result sent it once more.
#[tokio::test]
async fn regression_what_is_sent_twice_under_one_id_is_one_message() {
    let (mut ann, mut bob) = ann_and_bob();
    let draft = Draft::new("once");
    for _ in 0..2 {
        assert_eq!(ann.sends(draft.clone()), Ok(draft.id));
    }
    ann.restart();
    assert_eq!(ann.sends(draft.clone()), Ok(draft.id));
    ann.reaches(&mut bob);
    assert_eq!(bob.texts(), ["let me in", "once"]);
}

#[tokio::test]
async fn messages_disappear_after_they_were_shown() {
    let (mut ann, mut bob) = ann_and_bob();
    ann.decides(ContactChange::Timer { expires_s: 60 }).unwrap();
    let id = ann.says("for a minute");
    ann.reaches(&mut bob);
    assert_eq!(bob.row().settings.expires_s, 60);
    assert!(matches!(
        bob.history()[..],
        [.., HistoryItem::Timer(_), HistoryItem::Message(_)]
    ));
    bob.pass(10 * DAY);
    bob.tidies();
    assert_eq!(bob.message(id).text, "for a minute", "nobody has seen it");
    bob.shown();
    bob.pass(Duration::from_secs(59));
    bob.tidies();
    assert_eq!(bob.message(id).expires_s, 60);
    bob.pass(Duration::from_secs(2));
    bob.tidies();
    assert_eq!(bob.texts(), ["let me in"]);
    assert_eq!(bob.changed(), [ChangeName::Removed]);
    // And what bob writes goes after the same time.
    let own = bob.says("mine too");
    assert_eq!(bob.message(own).expires_s, 60);
}

#[tokio::test]
async fn the_later_word_on_how_long_messages_stay_counts_on_both_sides() {
    let (mut ann, mut bob) = ann_and_bob();
    ann.decides(ContactChange::Timer { expires_s: 60 }).unwrap();
    bob.pass(Duration::from_secs(5));
    bob.decides(ContactChange::Timer { expires_s: 600 })
        .unwrap();
    ann.reaches(&mut bob);
    bob.reaches(&mut ann);
    assert_eq!(
        [ann.row().settings.expires_s, bob.row().settings.expires_s],
        [600, 600]
    );
}

#[tokio::test]
async fn what_goes_here_stays_there() {
    let (mut ann, mut bob) = ann_and_bob();
    let id = ann.says("hello");
    ann.reaches(&mut bob);
    bob.changes(id, Change::Forget).unwrap();
    bob.tidies();
    assert_eq!(
        (bob.texts(), bob.unread()),
        (vec!["let me in".to_owned()], 0)
    );
    assert_eq!(ann.message(id).text, "hello");
    assert_eq!(ann.message(id).state, MessageState::Sent);
}

#[tokio::test]
async fn what_was_not_shown_is_counted_exactly_also_after_a_restart() {
    let (mut ann, mut bob) = ann_and_bob();
    bob.shown();
    for n in 0..5 {
        ann.says(&format!("{n}"));
    }
    ann.reaches(&mut bob);
    bob.restart();
    assert_eq!(bob.unread(), 5);
    let no = bob.no();
    let third = bob.messages()[3].seq;
    bob.driver.read(no, &Shown::UpTo(third)).unwrap();
    bob.commit();
    assert_eq!(bob.unread(), 2);
    let first = bob.contact_seen().first_unread.unwrap();
    assert_eq!(
        bob.messages()
            .into_iter()
            .find(|one| one.seq == first)
            .unwrap()
            .text,
        "3"
    );
    bob.shown();
    assert_eq!((bob.unread(), bob.contact_seen().first_unread), (0, None));
}

/// Who jumps to the end has not read what they jumped over, and does not say so.
#[tokio::test]
async fn what_was_jumped_over_is_unread_and_not_told_as_read() {
    let (mut ann, mut bob) = ann_and_bob();
    bob.shown();
    let ids: Vec<MsgId> = (0..4).map(|n| ann.says(&format!("{n}"))).collect();
    ann.reaches(&mut bob);
    let no = bob.no();
    let see = |bob: &mut Bench, ids: &[MsgId]| {
        bob.driver.read(no, &Shown::These(ids.to_vec())).unwrap();
        bob.commit();
    };
    see(&mut bob, &ids[2..]);
    assert_eq!(bob.unread(), 2);
    assert_eq!(bob.contact_seen().first_unread_id, Some(ids[0]));
    let read_up_to = |bob: &Bench| bob.read_up_to();
    let seq = |bob: &Bench, at: usize| bob.message(ids[at]).seq;
    assert_eq!(read_up_to(&bob), seq(&bob, 0) - 1);
    // Again, what is not there, and one of our own.
    let own = bob.says("mine");
    see(&mut bob, &[ids[3], MsgId::now_v7(), own]);
    assert_eq!(bob.unread(), 2);
    see(&mut bob, &ids[..1]);
    assert_eq!(read_up_to(&bob), seq(&bob, 0));
    see(&mut bob, &ids[1..2]);
    assert_eq!(
        (bob.unread(), bob.contact_seen().first_unread_id),
        (0, None)
    );
    assert!(read_up_to(&bob) >= seq(&bob, 3));
}

/// Other faces of the profile learn of what one of them has sent.
#[tokio::test]
async fn what_is_sent_is_told_at_once() {
    let (mut ann, _bob) = ann_and_bob();
    let no = ann.no();
    let drafts = ["a", "b"].map(Draft::new).to_vec();
    let ids = ann.driver.send(no, drafts).unwrap().unwrap();
    ann.commit();
    let seqs: Vec<u64> = ids.iter().map(|id| ann.message(*id).seq).collect();
    let told = ann.journal().into_iter().any(|event| {
        matches!(
            event,
            JournalEvent::State { first, last, ref state, reason: None, .. }
                if [first, last] == seqs[..] && state == "pending"
        )
    });
    assert!(told, "{:?}", ann.journal());
}

/// Something that one of two people does.
#[derive(Clone, Debug)]
enum Deed {
    Say,
    Edit(prop::sample::Index),
    Delete(prop::sample::Index),
    React(prop::sample::Index, bool),
    Timer(u32),
}

fn deeds() -> impl Strategy<Value = Vec<(bool, Deed)>> {
    let index = any::<prop::sample::Index>;
    let deed = prop_oneof![
        3 => Just(Deed::Say),
        2 => index().prop_map(Deed::Edit),
        1 => index().prop_map(Deed::Delete),
        2 => (index(), any::<bool>()).prop_map(|(index, back)| Deed::React(index, back)),
        1 => (0..5u32).prop_map(|n| Deed::Timer(n * 1_000_000)),
    ];
    prop::collection::vec((any::<bool>(), deed), 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever both do, in whatever order its envelopes come: in the end they see the same.
    #[test]
    fn both_sides_come_to_the_same(deeds in deeds(), seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut ann, mut bob) = ann_and_bob();
            for (n, (is_ann, deed)) in deeds.iter().enumerate() {
                let side = if *is_ann { &mut ann } else { &mut bob };
                let all = side.messages();
                let one = |index: &prop::sample::Index| index.get(&all).id;
                // What must not be done is refused, and changes nothing.
                let _ = match deed {
                    Deed::Say => side.sends(Draft::new(format!("{n}"))).map(|_| ()).map_err(Into::into),
                    Deed::Edit(index) => side.changes(one(index), Change::Edit(format!("edit {n}"))),
                    Deed::Delete(index) => side.changes(one(index), Change::Delete),
                    Deed::React(index, true) => side.changes(one(index), Change::React(String::new())),
                    Deed::React(index, false) => side.changes(one(index), Change::React(format!("{n}"))),
                    Deed::Timer(expires_s) => {
                        let expires_s = *expires_s;
                        side.decides(ContactChange::Timer { expires_s }).unwrap();
                        Ok(())
                    }
                };
                if (seed >> (n % 64)) & 1 == 1 {
                    ann.reaches(&mut bob);
                }
                if (seed >> ((n + 7) % 64)) & 3 == 1 {
                    bob.reaches(&mut ann);
                }
            }
            ann.reaches(&mut bob);
            bob.reaches(&mut ann);
            let seen = |side: &Bench| {
                let mut seen: Vec<String> = side.messages().iter().map(|one| {
                    let mut signs: Vec<_> = one.reactions.iter().map(|sign| (&sign.from, &sign.emoji)).collect();
                    signs.sort();
                    format!("{} {:?} {} {} {signs:?}", one.id, one.text, one.edited, one.deleted)
                }).collect();
                seen.sort();
                seen
            };
            prop_assert_eq!(seen(&ann), seen(&bob));
            prop_assert_eq!(ann.row().settings.expires_s, bob.row().settings.expires_s);
            Ok(())
        })?;
    }
}
