use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tempfile::TempDir;
use tincan_protocol::invite::{Invite, InviteBody, InviteSecret};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{DeviceId, IdentityId};
use tincan_relay::{Relay, RelayConfig};
use tokio::net::TcpListener;

use super::bench::Bench;
use crate::driver::asked::ASKED_MAX;
use crate::driver::commands::{AddRequest, Reply};
use crate::driver::invites::last_one;
use crate::error::AddError;
use crate::net::{Lost, RelayEvent};
use crate::peer::Peer;
use crate::store::ContactState;

/// Nothing here takes this long, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whether somebody is a contact of ann's; if not, they must wait for her decision.
fn is_accepted(ann: &Bench, who: &Bench) -> bool {
    let known = ann.driver.find(&who.driver.identity).unwrap();
    let asked = matches!(known.row.state, ContactState::Asked { .. });
    assert_ne!(known.is_accepted(), asked);
    known.is_accepted()
}

/// Somebody new uses an invite; whether they are accepted at once.
fn comes(ann: &mut Bench, invite: &Invite, index: u64) -> bool {
    let mut guest = Bench::new("guest");
    let request = guest.ask(ann, invite);
    ann.take_request(invite, index, request);
    is_accepted(ann, &guest)
}

/// The relay has read the queue of a used-up invite to us, with what we have said there last.
fn hears_the_last(ann: &mut Bench, invite: &Invite) {
    let queue = invite.body().queue;
    let delivered = RelayEvent::Delivered {
        queue,
        index: 100,
        envelope: last_one(&ann.driver.invites[&queue]),
    };
    ann.driver.handle_relay(&ann.server(), delivered).unwrap();
    ann.commit();
}

/// The same invite with another secret.
fn with_secret(ann: &Bench, invite: &Invite, secret: Option<InviteSecret>) -> Invite {
    let body = InviteBody {
        secret,
        ..invite.body().clone()
    };
    Invite::sign(body, ann.driver.cert.clone(), &ann.driver.device).unwrap()
}

#[tokio::test]
async fn regression_an_invite_counts_a_person_once_and_ends_with_its_last_use() {
    let mut ann = Bench::new("ann");
    let invite = ann.invite(2);
    let queue = invite.body().queue;
    let mut bob = Bench::new("bob");
    let mut bob_again = bob.copy();
    for (index, bob) in [&mut bob, &mut bob_again].into_iter().enumerate() {
        let request = bob.ask(&mut ann, &invite);
        ann.take_request(&invite, index as u64 + 1, request.clone());
        // A relay may deliver it twice.
        ann.take_request(&invite, index as u64 + 1, request);
        assert_eq!(ann.driver.invites[&queue].uses, 1);
    }
    assert_eq!(ann.driver.conversations.len(), 1);
    let request = Bench::new("carol").ask(&mut ann, &invite);
    ann.take_request(&invite, 3, request);
    assert_eq!(ann.driver.conversations.len(), 2);
    hears_the_last(&mut ann, &invite);
    assert!(ann.driver.invites.is_empty());
    assert!(ann.driver.ended_queues.contains_key(&queue));
    let late = RelayEvent::Delivered {
        queue,
        index: 4,
        envelope: Bench::new("dave").ask(&mut ann, &invite),
    };
    let server = ann.server();
    ann.driver.handle_relay(&server, late).unwrap();
    assert_eq!(ann.driver.conversations.len(), 2);
}

#[tokio::test]
async fn regression_who_asks_cannot_call_itself_an_address() {
    let mut ann = Bench::new("ann");
    let bob = Bench::new("bob");
    let mut mallory = Bench::calling_itself(&bob.driver.identity.to_string());
    let invite = ann.invite(2);
    let request = mallory.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    assert_eq!(ann.row().name, "nameless");
    let who = mallory.driver.identity;
    ann.driver.decide(&who, true).unwrap().unwrap();
    assert_eq!(ann.row().name, "nameless");
}

#[tokio::test]
async fn regression_requests_beyond_the_limit_are_left_and_not_lost() {
    let mut ann = Bench::new("ann");
    ann.want_relay(&ann.server());
    let (invite, server) = (ann.invite(1_000), ann.server());
    let request = Bench::new("bob").ask(&mut ann, &invite);
    let mut others = Vec::new();
    for n in 0..ASKED_MAX {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let other = (IdentityId::from_bytes(id), DeviceId::from_bytes(id));
        let asked = ContactState::Asked {
            text: String::new(),
        };
        let made = ann
            .driver
            .new_contact(other.0, other.1, "other", asked, Vec::new());
        made.unwrap();
        others.push(other.0);
    }
    ann.take_request(&invite, 1, request.clone());
    assert_eq!(ann.driver.conversations.len(), ASKED_MAX);
    assert!(
        ann.driver.relays[&server]
            .left
            .contains(&invite.body().queue)
    );
    // The relay is read again when there is room, and not before.
    ann.driver.decide(&others[0], false).unwrap().unwrap();
    assert!(ann.driver.relays[&server].left.is_empty());
    ann.take_request(&invite, 1, request);
    assert_eq!(ann.driver.conversations.len(), ASKED_MAX);
}

#[tokio::test]
async fn an_invite_to_a_relay_in_a_private_network_is_refused_at_once() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let (reply, mut answer) = Reply::new();
    let request = AddRequest {
        invite: ann.invite(1),
        name: None,
        text: String::new(),
        is_again: false,
    };
    bob.driver.begin_add(request, reply);
    let lost = Lost::Special {
        server: ann.server(),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        range: "loopback",
    };
    bob.driver
        .handle_relay(&ann.server(), RelayEvent::Down(lost))
        .unwrap();
    assert!(matches!(
        answer.try_recv(),
        Ok(Err(AddError::LocalServer { .. }))
    ));
}

#[tokio::test]
async fn regression_who_comes_together_with_the_last_use_is_asked_about() {
    for max_uses in [1, 2] {
        let mut ann = Bench::new("ann");
        let (invite, server) = (ann.invite(max_uses), ann.server());
        let queue = invite.body().queue;
        let link = ann.driver.invites[&queue].write_token;
        ann.want_relay(&server);
        let drained = |ann: &mut Bench| {
            let drained = RelayEvent::Drained(queue);
            ann.driver.handle_relay(&server, drained).unwrap();
        };
        // Ann has read everything when they begin to come.
        drained(&mut ann);
        for index in 1..=u64::from(max_uses) {
            assert_eq!(comes(&mut ann, &invite, index), max_uses == 1);
        }
        // The relay hears that nobody else may write there, on a connection to come.
        assert_ne!(ann.driver.invites[&queue].write_token, link);
        assert!(ann.driver.relays[&server].connection.is_none());
        assert!(!comes(&mut ann, &invite, 10));
        ann.restart();
        assert!(!comes(&mut ann, &invite, 11));
        // It may still be the end of an earlier connection.
        drained(&mut ann);
        assert!(!comes(&mut ann, &invite, 12));
        hears_the_last(&mut ann, &invite);
        assert!(ann.driver.invites.is_empty());
        assert!(ann.driver.ended_queues.contains_key(&queue));
    }
}

#[tokio::test]
async fn who_has_the_link_cannot_say_the_last() {
    let mut ann = Bench::new("ann");
    let invite = ann.invite(1);
    let queue = invite.body().queue;
    let forged = last_one(&ann.driver.invites[&queue]);
    for index in 1..=2 {
        ann.take_request(&invite, index, forged.clone());
        assert!(ann.driver.invites.contains_key(&queue));
        comes(&mut ann, &invite, 10 + index);
    }
}

#[tokio::test]
async fn regression_somebody_who_is_known_already_uses_an_invite_up_as_well() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(1);
    let theirs = bob.invite(1);
    ann.ask(&mut bob, &theirs);
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    assert!(is_accepted(&ann, &bob));
    assert!(!comes(&mut ann, &invite, 2));
}

#[tokio::test]
async fn regression_an_invite_that_is_over_accepts_nobody_by_itself() {
    let mut ann = Bench::new("ann");
    let invite = ann.invite(1);
    let mut bob = Bench::new("bob");
    let request = bob.ask(&mut ann, &invite);
    ann.pass(Duration::from_secs(3_600));
    ann.take_request(&invite, 1, request);
    // It may have been made in time.
    assert!(!is_accepted(&ann, &bob));
}

#[tokio::test]
async fn regression_a_relay_cannot_have_somebody_accepted_who_was_not_invited() {
    let mut ann = Bench::new("ann");
    let (shared, single) = (ann.invite(50), ann.invite(1));
    let mut mallory = Bench::new("mallory");
    let request = mallory.ask(&mut ann, &shared);
    // Where the relay says it came in.
    ann.take_request(&single, 1, request);
    assert!(!is_accepted(&ann, &mallory));
    // It knows all of the link but its secret.
    for (index, secret) in [(2, None), (3, Some(InviteSecret::from_bytes([1; 16])))] {
        let guessed = with_secret(&ann, &single, secret);
        assert!(!comes(&mut ann, &guessed, index));
    }
    // Who was meant still gets in.
    assert!(comes(&mut ann, &single, 4));
}

/// A guest at this relay asks; whether they are told that it is on its way.
async fn asks(relay: &ServerUrl, invite: &Invite) -> bool {
    let folder = Bench::at(relay).close();
    let guest = Peer::builder().home(folder.path()).spawn().await.unwrap();
    let told = match guest.add(invite.clone()).await {
        Ok(_) => true,
        Err(AddError::UsedUp) => false,
        Err(error) => panic!("{error}"),
    };
    guest.shutdown().await.unwrap();
    told
}

/// Opens the profile and waits until it has read everything that its relay has.
async fn online(folder: &TempDir) -> Peer {
    let peer = Peer::builder().home(folder.path()).spawn().await.unwrap();
    while !peer.status().await.unwrap().relays[0].ready {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    peer
}

async fn uses_up_an_invite(url: &ServerUrl) {
    let mut folder = Bench::at(url).close();
    let ann = online(&folder).await;
    let invite = ann.invite(1, Duration::from_secs(600)).await.unwrap();
    let mut told = 0;
    while asks(url, &invite).await {
        told += 1;
    }
    // The first one only is a contact, and all others who were told so are asked about.
    while ann.contacts().unwrap().len() + ann.requests().unwrap().len() < told {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ann.contacts().unwrap().len(), 1);
    ann.shutdown().await.unwrap();
    loop {
        let bench = Bench::open(folder);
        let left = bench.driver.invites.len() + bench.driver.ended_queues.len();
        folder = bench.close();
        if left == 0 {
            return;
        }
        online(&folder).await.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_invite_is_read_to_its_end_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::open(RelayConfig::new(folder.path().join("relay.redb"))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let url: ServerUrl = url.parse().unwrap();
    let until = std::future::pending();
    tokio::spawn(tincan_relay::serve(listener, relay.router(), until));
    tokio::time::timeout(DEADLINE, uses_up_an_invite(&url))
        .await
        .unwrap();
}
