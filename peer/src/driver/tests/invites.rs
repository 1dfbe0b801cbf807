use std::net::{IpAddr, Ipv4Addr};

use tincan_protocol::{DeviceId, IdentityId};

use super::bench::Bench;
use crate::driver::asked::ASKED_MAX;
use crate::driver::commands::{AddRequest, Reply};
use crate::error::AddError;
use crate::net::{Lost, RelayEvent};
use crate::store::ContactState;

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
            single_use: false,
            heard: true,
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
