//! A TURN server without sockets and its callers: packets in, packets out, time as an argument.

use super::super::core::{Core, CoreConfig, REALM};
use super::super::stun::long_term_key;
use super::super::wire::{Relay, Wire};
use crate::clock::Now;
use crate::credentials::TurnSecret;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use turn_server_proto::types::attribute::{
    ChannelNumber, Data, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, SEND};
use turn_server_proto::types::stun::attribute::{ErrorCode, Nonce, Realm, Username};
use turn_server_proto::types::stun::message::{
    IntegrityAlgorithm, Message, MessageClass, MessageType, MessageWrite, MessageWriteExt,
    MessageWriteVec, Method, TransactionId,
};
use turn_server_proto::types::stun::prelude::AttributeWrite;

pub(super) const PEER: &str = "1.1.1.1:1000";
pub(super) const START: u64 = 1_700_000_000;

/// Remembers what was sent; relays have ports from 50000 on.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) to_clients: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) to_peers: Vec<(usize, SocketAddr, Vec<u8>)>,
    pub(super) open: Vec<usize>,
    pub(super) opened: usize,
}

impl Wire for Memory {
    fn send_to_client(&mut self, client: SocketAddr, packet: &[u8]) {
        self.to_clients.push((client, packet.to_vec()));
    }
    fn send_to_peer(&mut self, relay: usize, peer: SocketAddr, packet: &[u8]) {
        self.to_peers.push((relay, peer, packet.to_vec()));
    }
    fn open_relay(&mut self, _even_port: bool) -> Option<Relay> {
        let id = self.opened;
        self.opened += 1;
        self.open.push(id);
        Some(Relay {
            id,
            address: SocketAddr::from(([9, 9, 9, 9], u16::try_from(50_000 + id).unwrap())),
        })
    }
    fn close_relay(&mut self, relay: usize) {
        self.open.retain(|open| *open != relay);
    }
    fn relays_v4(&self) -> bool {
        true
    }
    fn is_own_address(&self, ip: IpAddr) -> bool {
        ip == IpAddr::from([8, 8, 8, 8])
    }
}

pub(super) struct World {
    pub(super) core: Core,
    pub(super) wire: Memory,
    pub(super) secret: TurnSecret,
    pub(super) now: Now,
}

/// What a client knows about its place at the server.
pub(super) struct Caller {
    pub(super) address: SocketAddr,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) nonce: String,
}

pub(super) type Attributes<'a> = &'a [&'a dyn AttributeWrite];

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut CoreConfig)) -> Self {
        let secret = TurnSecret::from_text("a secret of the tests").unwrap();
        let mut config = CoreConfig {
            listen: "9.9.9.9:3478".parse().unwrap(),
            own: vec![IpAddr::from([9, 9, 9, 9])],
            secret: secret.clone(),
            allow_loopback: false,
            allocations_per_user: 8,
            allocations: 100,
            nonce_key: [7; 32],
        };
        change(&mut config);
        let now = Now {
            since_start: Duration::from_secs(10),
            unix_s: START,
        };
        Self {
            core: Core::new(config),
            wire: Memory::default(),
            secret,
            now,
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.since_start += time;
        self.now.unix_s += time.as_secs();
        self.core.handle_timeout(&mut self.wire, self.now);
    }

    pub(super) fn send(&mut self, from: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        self.core
            .handle_client(from, packet, &mut self.wire, self.now);
        let (to, answer) = self.wire.to_clients.pop()?;
        assert_eq!(to, from);
        Some(answer)
    }

    /// A caller that has got its nonce.
    pub(super) fn caller(&mut self, port: u16, user: &str) -> Caller {
        let address = SocketAddr::from(([5, 5, 5, 5], port));
        let username = format!("{}:{user}", self.now.unix_s + 600);
        let password = self.secret.password(&username);
        let bare = Message::builder_request(ALLOCATE, MessageWriteVec::new()).finish();
        let answer = self.send(address, &bare).unwrap();
        let answer = Message::from_bytes(&answer).unwrap();
        assert_eq!(code_of(&answer), Some(401));
        assert_eq!(answer.attribute::<Realm>().unwrap().realm(), REALM);
        let nonce = answer.attribute::<Nonce>().unwrap().nonce().to_owned();
        Caller {
            address,
            username,
            password,
            nonce,
        }
    }

    /// A caller that has an allocation, and its relayed address.
    pub(super) fn allocated(&mut self, port: u16, user: &str) -> (Caller, SocketAddr) {
        let caller = self.caller(port, user);
        let answer = self
            .ask(
                &caller,
                ALLOCATE,
                &[&RequestedTransport::new(RequestedTransport::UDP)],
            )
            .unwrap();
        let relayed = relayed(&answer).expect("no allocation");
        (caller, relayed)
    }

    pub(super) fn ask(
        &mut self,
        caller: &Caller,
        method: Method,
        attributes: Attributes<'_>,
    ) -> Option<Vec<u8>> {
        let request = request(caller, method, attributes);
        self.send(caller.address, &request)
    }

    pub(super) fn code(
        &mut self,
        caller: &Caller,
        method: Method,
        attributes: Attributes<'_>,
    ) -> Option<u16> {
        let answer = self.ask(caller, method, attributes).expect("no answer");
        code_of(&Message::from_bytes(&answer).unwrap())
    }

    pub(super) fn permit(&mut self, caller: &Caller, peer: &str) -> Option<u16> {
        let transaction = TransactionId::generate();
        let peer = XorPeerAddress::new(peer.parse().unwrap(), transaction);
        let request = request_with_id(caller, CREATE_PERMISSION, transaction, &[&peer]);
        code_of(&Message::from_bytes(&self.send(caller.address, &request).unwrap()).unwrap())
    }

    pub(super) fn bind(&mut self, caller: &Caller, channel: u16, peer: &str) -> Option<u16> {
        let transaction = TransactionId::generate();
        let peer = XorPeerAddress::new(peer.parse().unwrap(), transaction);
        let request = request_with_id(
            caller,
            CHANNEL_BIND,
            transaction,
            &[&ChannelNumber::new(channel), &peer],
        );
        code_of(&Message::from_bytes(&self.send(caller.address, &request).unwrap()).unwrap())
    }

    pub(super) fn indicate(&mut self, caller: &Caller, peer: &str, data: &[u8]) {
        let transaction = TransactionId::generate();
        let kind = MessageType::from_class_method(MessageClass::Indication, SEND);
        let mut indication = Message::builder(kind, transaction, MessageWriteVec::new());
        indication
            .add_attribute(&XorPeerAddress::new(peer.parse().unwrap(), transaction))
            .unwrap();
        indication.add_attribute(&Data::new(data)).unwrap();
        assert_eq!(self.send(caller.address, &indication.finish()), None);
    }

    pub(super) fn peer_sends(
        &mut self,
        relayed: SocketAddr,
        peer: &str,
        data: &[u8],
    ) -> Option<Vec<u8>> {
        self.core.handle_peer(
            relayed,
            peer.parse().unwrap(),
            data,
            &mut self.wire,
            self.now,
        );
        self.wire.to_clients.pop().map(|(_, packet)| packet)
    }
}

pub(super) fn request(caller: &Caller, method: Method, attributes: Attributes<'_>) -> Vec<u8> {
    request_with_id(caller, method, TransactionId::generate(), attributes)
}

pub(super) fn request_with_id(
    caller: &Caller,
    method: Method,
    id: TransactionId,
    attributes: Attributes<'_>,
) -> Vec<u8> {
    let kind = MessageType::from_class_method(MessageClass::Request, method);
    let mut request = Message::builder(kind, id, MessageWriteVec::new());
    for attribute in attributes {
        request.add_attribute(*attribute).unwrap();
    }
    request
        .add_attribute(&Username::new(&caller.username).unwrap())
        .unwrap();
    request.add_attribute(&Realm::new(REALM).unwrap()).unwrap();
    request
        .add_attribute(&Nonce::new(&caller.nonce).unwrap())
        .unwrap();
    let key = long_term_key(&caller.username, REALM, caller.password.clone());
    request
        .add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1)
        .unwrap();
    request.add_fingerprint().unwrap();
    request.finish()
}

pub(super) fn code_of(answer: &Message<'_>) -> Option<u16> {
    answer
        .attribute::<ErrorCode>()
        .ok()
        .map(|error| error.code())
}

pub(super) fn relayed(answer: &[u8]) -> Option<SocketAddr> {
    let answer = Message::from_bytes(answer).unwrap();
    Some(
        answer
            .attribute::<XorRelayedAddress>()
            .ok()?
            .addr(answer.transaction_id()),
    )
}

pub(super) fn channel_data(channel: u16, data: &[u8]) -> Vec<u8> {
    [
        &channel.to_be_bytes()[..],
        &u16::try_from(data.len()).unwrap().to_be_bytes(),
        data,
    ]
    .concat()
}

pub(super) fn udp() -> RequestedTransport {
    RequestedTransport::new(RequestedTransport::UDP)
}
