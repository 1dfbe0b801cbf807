use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tincan_link::LinkEvent;
use tincan_protocol::link::{
    LinkSignal, PROTO_MAJOR, PROTO_MINOR, Role, SignedBye, SignedDescription, Statement,
};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::signal::TurnCredentials;
use tincan_protocol::wire::{self, GroupState, Hello, peer_frame};
use tincan_protocol::{LinkSessionId, sealed_box};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::bench::{Bench, ann_and_bob};
use crate::driver::link_signals::OFFERS_PER_MINUTE;
use crate::driver::link_slot::{OFFER_TRAVELS, OwnOffer, SlotState};
use crate::driver::links::REFUSED_PER_MINUTE;
use crate::driver::servers::SignalState;
use crate::driver::{Input, Link};
use crate::net::Network;
use crate::store::JournalEvent;

/// An offer of `from` to `to`, as its device signs it.
fn offer(from: &Bench, to: &Bench, session: u8) -> LinkSignal {
    let sdp = format!(
        "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:sha-256 {}\r\n",
        ["AB"; 32].join(":")
    );
    let statement = Statement {
        session: LinkSessionId::from_bytes([session; 16]),
        role: Role::Offer,
        from_identity: from.driver.identity,
        from_device: from.driver.device.device(),
        to_identity: to.driver.identity,
        to_device: to.driver.device.device(),
        nonce: [0; 32],
        issued_ms: from.driver.around.now().unix_ms,
        proto_major: PROTO_MAJOR,
        proto_minor: PROTO_MINOR,
        fingerprint: [0xab; 32],
        sdp_sha256: Sha256::digest(sdp.as_bytes()).into(),
        bind: [0; 32],
    };
    LinkSignal::Offer(SignedDescription::sign(
        &statement,
        sdp,
        &from.driver.cert,
        &from.driver.device,
    ))
}

/// A signal of the first contact arrives.
fn signal(at: &mut Bench, signal: &LinkSignal) {
    let to = at.row().address_key().address();
    let from = at.row().their_address().unwrap();
    let bytes = signal.encode().unwrap();
    let body = sealed_box::seal(&to, &bytes, &mut sealed_box::OsRng).unwrap();
    at.driver.handle_sealed_signal(&to, &from, &body).unwrap();
    at.commit();
}

/// A new offer arrives.
pub(super) fn knock(at: &mut Bench, from: &Bench, session: u8) {
    let offer = offer(from, at, session);
    signal(at, &offer);
}

/// A link that leads nowhere.
#[derive(Debug)]
struct Nowhere;

impl Link for Nowhere {
    fn handle_signal(&self, _signal: LinkSignal) {}

    fn send(&self, _frame: Bytes) -> bool {
        true
    }

    fn round_trip(&self) -> Option<Duration> {
        None
    }

    fn close(&self, _reason: &str) {}
}

fn set_slot(at: &mut Bench, state: SlotState) {
    let no = at.no();
    let conversation = at.driver.conversations.get_mut(&no).unwrap();
    conversation.link.state = state;
}

#[tokio::test]
async fn regression_an_offer_is_not_taken_again_after_a_restart() {
    let (mut ann, bob) = ann_and_bob();
    let (old, new) = (offer(&bob, &ann, 1), offer(&bob, &ann, 2));
    signal(&mut ann, &old);
    assert!(ann.contact().link.attempt().is_some());
    ann.restart();
    signal(&mut ann, &old);
    assert_eq!(ann.contact().link.attempt(), None);
    signal(&mut ann, &new);
    assert!(ann.contact().link.attempt().is_some());
}

/// Ann and bob, the one first whose offers win.
fn winner_and_loser() -> (Bench, Bench) {
    let (ann, bob) = ann_and_bob();
    let ann_wins = ann.driver.device.device() < bob.driver.device.device();
    if ann_wins { (ann, bob) } else { (bob, ann) }
}

/// It has just offered.
fn set_offering(at: &mut Bench, attempt: u64) {
    let now = at.driver.around.now().instant;
    let state = SlotState::Connecting {
        attempt,
        offer: Some(OwnOffer::made(now)),
        handle: Box::new(Nowhere),
    };
    set_slot(at, state);
}

/// It waited for an answer for 20 s.
#[tokio::test]
async fn regression_whose_offer_lost_is_answered_if_nobody_answers_ours() {
    let (mut winner, loser) = winner_and_loser();
    let description = |session| match offer(&loser, &winner, session) {
        LinkSignal::Offer(signed) => signed,
        other => panic!("{other:?}"),
    };
    let (ours, others) = (description(9), description(8));
    for (attempt, answer) in [(1, None), (2, Some(&ours)), (3, Some(&others))] {
        let is_answered = answer == Some(&ours);
        set_offering(&mut winner, attempt);
        let no = winner.no();
        let conversation = winner.driver.conversations.get_mut(&no).unwrap();
        conversation.link.offered(&ours);
        knock(&mut winner, &loser, attempt as u8);
        assert_eq!(winner.contact().link.attempt(), Some(attempt));
        let due = winner.driver.link_due(winner.contact()).unwrap();
        if let Some(answer) = answer {
            signal(&mut winner, &LinkSignal::Answer(answer.clone()));
        }
        if is_answered {
            assert_eq!(winner.driver.link_due(winner.contact()), None);
        }
        let wait = due.since(winner.driver.around.now().instant);
        for (pass, answers) in [(wait / 2, false), (OFFER_TRAVELS, !is_answered)] {
            winner.pass(pass);
            winner.driver.start_due_links().unwrap();
            let another = winner.contact().link.attempt() != Some(attempt);
            assert_eq!(another, answers, "{attempt} {pass:?}");
        }
    }
}

#[tokio::test]
async fn regression_who_still_offers_long_after_our_winning_offer_is_answered() {
    let (mut winner, loser) = winner_and_loser();
    set_offering(&mut winner, 1);
    winner.pass(OFFER_TRAVELS);
    knock(&mut winner, &loser, 1);
    assert_ne!(winner.contact().link.attempt(), Some(1));
}

/// It waited for the answer for 20 s.
#[tokio::test]
async fn regression_an_attempt_whose_offer_no_server_takes_ends_at_once() {
    let (mut ann, bob) = ann_and_bob();
    let connecting = SlotState::Connecting {
        attempt: 1,
        offer: None,
        handle: Box::new(Nowhere),
    };
    set_slot(&mut ann, connecting);
    ann.driver.signals.clear();
    let (no, offer) = (ann.no(), offer(&ann, &bob, 1));
    let other = LinkSignal::Bye(SignedBye::sign(
        LinkSessionId::from_bytes([1; 16]),
        &ann.driver.device,
    ));
    let events = [other, offer].map(LinkEvent::Signal);
    let attempts = events.map(|event| {
        ann.driver.handle_link(no, 1, event).unwrap();
        ann.contact().link.attempt()
    });
    assert_eq!(attempts, [Some(1), None]);
    assert!(ann.contact().link.retry_at.is_some());
}

#[tokio::test]
async fn regression_a_flood_of_offers_makes_no_more_attempts_than_the_pace_allows() {
    let (mut ann, bob) = ann_and_bob();
    let mut attempts = Vec::new();
    for session in 0..=OFFERS_PER_MINUTE as u8 + 5 {
        knock(&mut ann, &bob, session);
        attempts.push(ann.contact().link.attempt());
    }
    attempts.dedup();
    assert_eq!(attempts.len(), OFFERS_PER_MINUTE as usize);
}

/// One signaling server could keep out the offers that came through all others.
#[tokio::test]
async fn regression_offers_that_nobody_has_signed_keep_no_others_out() {
    let (mut ann, bob) = ann_and_bob();
    for session in 0..=OFFERS_PER_MINUTE as u8 + 5 {
        let LinkSignal::Offer(mut forged) = offer(&bob, &ann, session) else {
            panic!("an offer");
        };
        forged.signature.0[0] ^= 1;
        signal(&mut ann, &LinkSignal::Offer(forged));
        assert_eq!(ann.contact().link.attempt(), None);
    }
    knock(&mut ann, &bob, 200);
    assert!(ann.contact().link.attempt().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn regression_a_link_that_is_replaced_is_told_as_down() {
    let (mut ann, bob) = ann_and_bob();
    let state = SlotState::Up {
        attempt: 1,
        handle: Box::new(Nowhere),
        relayed: false,
    };
    set_slot(&mut ann, state);
    let no = ann.no();
    ann.driver.tell_news(no);
    knock(&mut ann, &bob, 1);
    assert!(ann.contact().link.up().is_none());
    let told = ann.journal();
    assert!(
        told.iter()
            .any(|event| matches!(event, JournalEvent::Link { up: false, .. })),
        "{told:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn regression_links_of_a_forked_group_are_closed_with_longer_and_longer_waits() {
    let (mut ann, _bob) = ann_and_bob();
    let no = ann.no();
    let group = ann.row().groups[0].clone();
    let state = ann.driver.mls.group_state(&group).unwrap();
    let forked = GroupState {
        authenticator: vec![0; state.authenticator.len()],
        ..state
    };
    for attempt in 1..=4 {
        let state = SlotState::Connecting {
            attempt,
            offer: None,
            handle: Box::new(Nowhere),
        };
        set_slot(&mut ann, state);
        let hello = Hello {
            groups: vec![forked.clone()],
            ..Hello::default()
        };
        let up = LinkEvent::Up {
            hello,
            relayed: false,
        };
        ann.driver.handle_link(no, attempt, up).unwrap();
        let link = &ann.contact().link;
        assert!(matches!(link.state, SlotState::Idle));
        let wait = link
            .retry_at
            .unwrap()
            .since(ann.driver.around.now().instant);
        // At least half of a second that doubles, but for the time that has passed here.
        let least = Duration::from_millis(400 << (attempt - 1));
        assert!(wait >= least, "attempt {attempt}: {wait:?}");
    }
}

/// A signaling server names STUN and TURN servers.
fn name_turn(at: &mut Bench, server: ServerUrl, urls: &[&str], credential: &str) {
    let mut state = SignalState::new(at.driver.dial_signaling(&server));
    state.turn = Some(TurnCredentials {
        urls: urls.iter().map(|&url| url.to_owned()).collect(),
        username: "u".to_owned(),
        credential: credential.to_owned(),
        ttl_s: 600,
    });
    at.driver.signals.insert(server, state);
}

#[tokio::test]
async fn regression_turn_servers_are_those_of_the_own_and_of_this_contact_s_servers() {
    let (mut ann, bob) = ann_and_bob();
    let other = "http://127.0.0.1:9/somebody-else".parse().unwrap();
    let (own, theirs) = (ann.server(), bob.server());
    name_turn(&mut ann, own.clone(), &["turn:ann"], "c");
    name_turn(&mut ann, theirs.clone(), &["turn:bob"], "c");
    name_turn(&mut ann, other, &["turn:somebody-else"], "c");
    let servers = ann.driver.turn_servers(ann.no()).into_iter();
    let named: Vec<_> = servers
        .map(|named| (named.named_by.server, named.urls))
        .collect();
    let url = |text: &str| vec![text.parse().unwrap()];
    assert_eq!(named, [(own, url("turn:ann")), (theirs, url("turn:bob"))]);
}

/// It prevented every link to a contact whose server named it.
#[tokio::test]
async fn regression_a_malformed_turn_url_beside_a_good_one_does_not_prevent_a_link() {
    // The one that offers at once.
    let (mut ann, bob) = winner_and_loser();
    let (own, theirs) = (ann.server(), bob.server());
    name_turn(&mut ann, own, &["turn:127.0.0.1:9"], "");
    name_turn(&mut ann, theirs, &["turn:", "turn:127.0.0.1:9"], "c");
    let (driver, mut inputs) = mpsc::channel(8);
    let network = Network::new(Handle::current(), driver, watch::channel(0).0);
    ann.driver.around = Box::new(network);

    let address = ann.row().their_address().unwrap();
    ann.driver.handle_presence(&address, true);
    ann.driver.start_due_links().unwrap();
    let started = tokio::time::timeout(Duration::from_secs(60), inputs.recv()).await;
    let Ok(Some(Input::LinkStarted(_, started))) = started else {
        panic!("{started:?}");
    };
    assert!(started.result.is_ok(), "{:?}", started.result);
}

/// A link to the first contact opens.
fn open(at: &mut Bench, relayed: bool) {
    let no = at.no();
    let state = SlotState::Connecting {
        attempt: 1,
        offer: None,
        handle: Box::new(Nowhere),
    };
    set_slot(at, state);
    let hello = Hello::default();
    let up = LinkEvent::Up { hello, relayed };
    at.driver.handle_link(no, 1, up).unwrap();
    let conversation = at.driver.conversations.get_mut(&no).unwrap();
    conversation.online = true;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_through_turn_is_tried_directly_later_and_ever_more_rarely() {
    let (mut offering, mut waiting) = winner_and_loser();
    let mut waits = Vec::new();
    for relayed in [true, true, false, true] {
        open(&mut offering, relayed);
        let now = offering.driver.around.now().instant;
        let due = offering.driver.link_due(offering.contact());
        waits.push(due.map(|at| at.since(now).as_secs_f64().round() as u64));
    }
    assert_eq!(waits, [Some(10), Some(40), None, Some(10)]);
    open(&mut waiting, true);
    assert_eq!(waiting.driver.link_due(waiting.contact()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn regression_a_link_that_brings_only_garbage_is_closed() {
    let (mut ann, _bob) = ann_and_bob();
    open(&mut ann, false);
    let no = ann.no();
    for n in 0..=REFUSED_PER_MINUTE {
        assert!(ann.contact().link.up().is_some(), "after {n}");
        let put = wire::Put {
            envelope: n.to_be_bytes().to_vec().into(),
        };
        let frame = LinkEvent::Frame(peer_frame::Kind::Put(put).into());
        ann.driver.handle_link(no, 1, frame).unwrap();
    }
    assert!(ann.contact().link.up().is_none());
}
