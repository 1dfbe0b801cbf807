//! What the TURN server grants, refuses and forgets.

mod world;

use super::core::REALM;
use super::stun::long_term_key;
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;
use turn_server_proto::types::AddressFamily;
use turn_server_proto::types::attribute::{
    AdditionalAddressFamily, Data, EvenPort, Lifetime, RequestedAddressFamily, RequestedTransport,
    XorPeerAddress,
};
use turn_server_proto::types::message::{ALLOCATE, CONNECT, CREATE_PERMISSION, DATA, REFRESH};
use turn_server_proto::types::stun::attribute::{Nonce, XorMappedAddress};
use turn_server_proto::types::stun::message::{
    BINDING, Message, MessageClass, MessageWrite, MessageWriteVec, TransactionId,
};
use turn_server_proto::types::stun::prelude::AttributeStaticType;

use world::*;

#[test]
fn an_allocation_names_its_address_and_is_signed_for_the_client() {
    let mut world = World::new();
    let caller = world.caller(1, "alice");
    let answer = world.ask(&caller, ALLOCATE, &[&udp()]).unwrap();
    let message = Message::from_bytes(&answer).unwrap();
    let key = long_term_key(&caller.username, REALM, caller.password);
    assert!(message.validate_integrity_with_key(&key).is_ok());
    assert_eq!(relayed(&answer), Some("9.9.9.9:50000".parse().unwrap()));
    assert_eq!(
        message
            .attribute::<XorMappedAddress>()
            .unwrap()
            .addr(message.transaction_id()),
        caller.address
    );
    assert_eq!(message.attribute::<Lifetime>().unwrap().seconds(), 600);
    assert!(
        !message.has_attribute(Nonce::TYPE),
        "the machine's nonce must not get out"
    );
}

#[test]
fn packets_go_through_channels_and_indications() {
    let mut world = World::new();
    let (caller, relayed) = world.allocated(1, "alice");
    assert_eq!(world.bind(&caller, 0x4000, PEER), None);
    assert_eq!(
        world.send(caller.address, &channel_data(0x4000, b"ping")),
        None
    );
    assert_eq!(
        world.wire.to_peers.pop(),
        Some((0, PEER.parse().unwrap(), b"ping".to_vec()))
    );
    assert_eq!(
        world.peer_sends(relayed, PEER, b"pong"),
        Some(channel_data(0x4000, b"pong"))
    );

    world.indicate(&caller, "1.1.1.1:2000", b"ping");
    assert_eq!(
        world.wire.to_peers.pop(),
        Some((0, "1.1.1.1:2000".parse().unwrap(), b"ping".to_vec()))
    );
    let indication = world.peer_sends(relayed, "1.1.1.1:2000", b"pong").unwrap();
    let indication = Message::from_bytes(&indication).unwrap();
    assert_eq!(
        (indication.class(), indication.method()),
        (MessageClass::Indication, DATA)
    );
    assert_eq!(indication.attribute::<Data>().unwrap().data(), b"pong");

    assert_eq!(world.peer_sends(relayed, "1.1.1.2:1000", b"stranger"), None);
}

#[test]
fn forbidden_peers_get_403_whichever_way_they_are_named() {
    let mut world = World::new();
    let (caller, _) = world.allocated(1, "alice");
    let forbidden = [
        "10.0.0.1:80",
        "169.254.169.254:80",
        "127.0.0.1:80",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "9.9.9.9:22",
        "8.8.8.8:22",
        "[::ffff:127.0.0.1]:80",
        "[::1]:80",
        "[fd00::1]:80",
        "[64:ff9b::a00:1]:80",
        "[2002:7f00:1::]:80",
        "1.1.1.1:0",
    ];
    for peer in forbidden {
        assert_eq!(world.permit(&caller, peer), Some(403), "{peer}");
        assert_eq!(world.bind(&caller, 0x4000, peer), Some(403), "{peer}");
        world.indicate(&caller, peer, b"data");
    }
    // One forbidden peer beside an allowed one: neither gets a permission.
    let id = TransactionId::generate();
    let (good, bad) = (
        XorPeerAddress::new(PEER.parse().unwrap(), id),
        XorPeerAddress::new("10.0.0.1:1".parse().unwrap(), id),
    );
    let request = request_with_id(&caller, CREATE_PERMISSION, id, &[&good, &bad]);
    let answer = world.send(caller.address, &request).unwrap();
    assert_eq!(code_of(&Message::from_bytes(&answer).unwrap()), Some(403));
    world.indicate(&caller, PEER, b"data");
    assert_eq!(world.wire.to_peers, []);
    assert_eq!(world.permit(&caller, PEER), None);
    world.indicate(&caller, PEER, b"data");
    assert_eq!(world.wire.to_peers.len(), 1);
}

#[test]
fn loopback_is_allowed_for_development_only() {
    let mut world = World::with(|config| config.allow_loopback = true);
    let (caller, _) = world.allocated(1, "alice");
    assert_eq!(world.permit(&caller, "127.0.0.1:80"), None);
    assert_eq!(world.permit(&caller, "[::ffff:127.0.0.1]:80"), Some(403));
    assert_eq!(world.permit(&caller, "10.0.0.1:80"), Some(403));
}

#[test]
fn two_relays_reach_each_other_without_a_socket_and_only_while_both_live() {
    let mut world = World::new();
    let ((alice, at_alice), (bob, at_bob)) =
        (world.allocated(1, "alice"), world.allocated(2, "bob"));
    assert_eq!(world.bind(&alice, 0x4000, &at_bob.to_string()), None);
    assert_eq!(world.bind(&bob, 0x4001, &at_alice.to_string()), None);
    let send = |world: &mut World| {
        world.core.handle_client(
            alice.address,
            &channel_data(0x4000, b"hello"),
            &mut world.wire,
            world.now,
        );
        world.wire.to_clients.pop()
    };
    assert_eq!(
        send(&mut world),
        Some((bob.address, channel_data(0x4001, b"hello")))
    );
    // Another program of this host sends to alice's relay, or has bob's port after him.
    assert_eq!(world.peer_sends(at_alice, "9.9.9.9:22", b"inner"), None);
    assert_eq!(world.code(&bob, REFRESH, &[&Lifetime::new(0)]), None);
    assert_eq!(world.wire.open, [0]);
    assert_eq!(send(&mut world), None);
    assert_eq!(world.wire.to_peers, []);
    assert_eq!(world.permit(&alice, &at_bob.to_string()), Some(403));
}

#[test]
fn wrong_expired_and_too_long_credentials_get_401_and_leave_nothing() {
    let mut world = World::new();
    let mut caller = world.caller(1, "alice");
    let right = (caller.username.clone(), caller.password.clone());
    let of = |username: String| (username.clone(), world.secret.password(&username));
    let table = [
        (right.0.clone(), "wrong".to_owned()),
        (format!("{}:bob", START + 600), right.1.clone()),
        of(format!("{START}:alice")),
        of(format!("{}:alice", START + 3661)),
        of("alice".to_owned()),
    ];
    for (username, password) in table {
        (caller.username, caller.password) = (username, password);
        assert_eq!(
            world.code(&caller, ALLOCATE, &[&udp()]),
            Some(401),
            "{}",
            caller.username
        );
    }
    assert!(world.core.is_idle() && world.wire.opened == 0);
    (caller.username, caller.password) = right;
    assert_eq!(world.code(&caller, ALLOCATE, &[&udp()]), None);
}

#[test]
fn a_nonce_is_good_for_one_client_and_an_hour() {
    let mut world = World::new();
    let mut caller = world.caller(1, "alice");
    let other = world.caller(2, "alice");
    let own = std::mem::replace(&mut caller.nonce, other.nonce);
    assert_eq!(world.code(&caller, ALLOCATE, &[&udp()]), Some(438));
    caller.nonce = own;
    world.pass(Duration::from_secs(3601));
    caller.username = format!("{}:alice", world.now.unix_s + 600);
    caller.password = world.secret.password(&caller.username);
    let answer = world.ask(&caller, ALLOCATE, &[&udp()]).unwrap();
    let answer = Message::from_bytes(&answer).unwrap();
    assert_eq!(code_of(&answer), Some(438));
    caller.nonce = answer.attribute::<Nonce>().unwrap().nonce().to_owned();
    assert_eq!(world.code(&caller, ALLOCATE, &[&udp()]), None);
}

#[test]
fn a_repeated_allocate_gets_the_same_answer_and_another_a_mismatch() {
    let mut world = World::new();
    let caller = world.caller(1, "alice");
    let request = request(&caller, ALLOCATE, &[&udp()]);
    let first = world.send(caller.address, &request).unwrap();
    assert_eq!(world.send(caller.address, &request), Some(first));
    assert_eq!(world.code(&caller, ALLOCATE, &[&udp()]), Some(437));
    assert_eq!(world.wire.opened, 1);
}

#[test]
fn quotas_hold_for_a_user_and_in_total_and_are_given_back() {
    let mut world =
        World::with(|config| (config.allocations_per_user, config.allocations) = (2, 3));
    let (first, _) = world.allocated(1, "alice");
    world.allocated(2, "alice");
    let third = world.caller(3, "alice");
    assert_eq!(world.code(&third, ALLOCATE, &[&udp()]), Some(486));
    world.allocated(4, "bob");
    let carol = world.caller(5, "carol");
    assert_eq!(world.code(&carol, ALLOCATE, &[&udp()]), Some(508));
    assert_eq!(world.code(&first, REFRESH, &[&Lifetime::new(0)]), None);
    assert_eq!(world.code(&third, ALLOCATE, &[&udp()]), None);
}

#[test]
fn an_allocation_that_is_not_refreshed_ends() {
    let mut world = World::new();
    let (caller, _) = world.allocated(1, "alice");
    world.pass(Duration::from_secs(599));
    assert_eq!(world.code(&caller, REFRESH, &[]), None);
    // Refreshed after its credentials expired: a live link has no way to get new ones.
    world.pass(Duration::from_secs(599));
    assert_eq!(
        world.code(&caller, REFRESH, &[&Lifetime::new(1_000_000)]),
        None
    );
    world.pass(Duration::from_secs(3601));
    assert!(world.core.is_idle() && world.wire.open.is_empty());
    assert_eq!(
        world.peer_sends("9.9.9.9:50000".parse().unwrap(), PEER, b"late"),
        None
    );
}

#[test]
fn no_allocation_outlives_a_day() {
    let mut world = World::new();
    let (mut caller, _) = world.allocated(1, "alice");
    for _ in 0..48 {
        let answer = world
            .ask(&caller, REFRESH, &[&Lifetime::new(3600)])
            .unwrap();
        if let Ok(nonce) = Message::from_bytes(&answer).unwrap().attribute::<Nonce>() {
            caller.nonce = nonce.nonce().to_owned();
            assert_eq!(world.code(&caller, REFRESH, &[&Lifetime::new(3600)]), None);
        }
        assert!(!world.core.is_idle());
        world.pass(Duration::from_secs(1799));
    }
    world.pass(Duration::from_secs(100));
    assert!(world.core.is_idle());
}

#[test]
fn an_allocation_belongs_to_the_user_that_made_it() {
    let mut world = World::new();
    let (caller, _) = world.allocated(1, "alice");
    let thief = world.caller(1, "mallory");
    assert_eq!(world.code(&thief, REFRESH, &[&Lifetime::new(0)]), Some(441));
    assert_eq!(world.code(&thief, ALLOCATE, &[&udp()]), Some(437));
    assert_eq!(world.code(&caller, REFRESH, &[]), None);
    let stranger = world.caller(2, "alice");
    assert_eq!(world.code(&stranger, REFRESH, &[]), Some(437));
}

#[test]
fn what_is_not_offered_is_refused() {
    let mut world = World::new();
    let caller = world.caller(1, "alice");
    assert_eq!(world.code(&caller, ALLOCATE, &[]), Some(400));
    assert_eq!(
        world.code(&caller, ALLOCATE, &[&RequestedTransport::new(6)]),
        Some(400)
    );
    assert_eq!(
        world.code(&caller, ALLOCATE, &[&RequestedTransport::new(1)]),
        Some(442)
    );
    assert_eq!(
        world.code(&caller, ALLOCATE, &[&udp(), &EvenPort::new(true)]),
        Some(508)
    );
    let v6 = RequestedAddressFamily::new(AddressFamily::IPV6);
    assert_eq!(world.code(&caller, ALLOCATE, &[&udp(), &v6]), Some(440));
    assert_eq!(world.code(&caller, CONNECT, &[]), Some(400));
    assert!(world.core.is_idle());
    let both = AdditionalAddressFamily::new(AddressFamily::IPV6);
    assert_eq!(
        world.code(&caller, ALLOCATE, &[&udp(), &both, &EvenPort::new(false)]),
        None
    );
}

#[test]
fn a_channel_number_names_one_peer() {
    let mut world = World::new();
    let (caller, _) = world.allocated(1, "alice");
    assert_eq!(world.bind(&caller, 0x4000, PEER), None);
    assert_eq!(world.bind(&caller, 0x4000, PEER), None);
    assert_eq!(world.bind(&caller, 0x4000, "1.1.1.2:1000"), Some(400));
    assert_eq!(world.bind(&caller, 0x4001, PEER), Some(400));
}

#[test]
fn peers_of_one_client_are_bounded() {
    let mut world = World::new();
    let (caller, _) = world.allocated(1, "alice");
    for host in 0..64 {
        assert_eq!(world.permit(&caller, &format!("1.1.1.{host}:1")), None);
    }
    assert_eq!(world.permit(&caller, "1.1.2.1:1"), Some(508));
    assert_eq!(world.permit(&caller, "1.1.1.5:1"), None);
}

#[test]
fn unauthenticated_answers_are_limited_for_each_source() {
    let mut world = World::new();
    let source = SocketAddr::from(([6, 6, 6, 6], 1));
    let binding = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
    let bare = Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish();
    let answered = (0..1000).filter(|round| {
        world
            .send(source, if round % 2 == 0 { &binding } else { &bare })
            .is_some()
    });
    assert_eq!(answered.count(), 200);
    assert!(
        world
            .send(SocketAddr::from(([7, 7, 7, 7], 1)), &binding)
            .is_some()
    );
}

#[test]
fn a_first_request_gets_an_answer_not_much_longer_than_itself() {
    let mut world = World::new();
    let source = SocketAddr::from(([6, 6, 6, 6], 1));
    let bare = Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish();
    assert!(world.send(source, &bare).unwrap().len() <= 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_packet_panics(packet in proptest::collection::vec(any::<u8>(), 0..200), method in 0u8..16, peer: bool) {
        let mut world = World::new();
        let (caller, relayed) = world.allocated(1, "alice");
        // Half of them with the head of a STUN message, so that they get past the first look.
        let mut packet = packet;
        if packet.len() >= 20 && packet[0] & 1 == 0 {
            let len = u16::try_from((packet.len() - 20) & !3).unwrap();
            packet[..8].copy_from_slice(&[0, method, len.to_be_bytes()[0], len.to_be_bytes()[1], 0x21, 0x12, 0xa4, 0x42]);
        }
        if peer {
            world.core.handle_peer(relayed, PEER.parse().unwrap(), &packet, &mut world.wire, world.now);
        } else {
            world.core.handle_client(caller.address, &packet, &mut world.wire, world.now);
        }
    }

    #[test]
    fn a_flipped_bit_of_a_signed_request_never_gets_an_allocation(at in 0usize..1000, bit in 0u8..8) {
        let mut world = World::new();
        let caller = world.caller(1, "alice");
        let mut request = request(&caller, ALLOCATE, &[&udp()]);
        // Without the fingerprint, which only finds accidents.
        request.truncate(request.len() - 8);
        let len = u16::try_from(request.len() - 20).unwrap();
        request[2..4].copy_from_slice(&len.to_be_bytes());
        let at = at % request.len();
        request[at] ^= 1 << bit;
        world.send(caller.address, &request);
        prop_assert_eq!(world.wire.opened, 0);
    }
}
