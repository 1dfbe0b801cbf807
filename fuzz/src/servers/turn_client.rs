//! Packets of TURN clients.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tincan_signal_server::REALM;
use tincan_signal_server::credentials::TurnSecret;
use turn_server_proto::types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress,
};
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH, SEND};
use turn_server_proto::types::stun::attribute::{
    AttributeType, Fingerprint, MessageIntegrity, MessageIntegritySha256, Nonce, RawAttribute,
    Realm, Username,
};
use turn_server_proto::types::stun::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageClass, MessageHeader,
    MessageType, MessageWrite as _, MessageWriteExt as _, MessageWriteVec, Method, TransactionId,
};
use turn_server_proto::types::stun::prelude::AttributeStaticType as _;

use crate::script::Script;

/// Makes requests as clients do: with the nonce of the last challenge.
pub(super) struct Signer {
    secret: TurnSecret,
    nonces: BTreeMap<SocketAddr, String>,
    transactions: u128,
}

impl Signer {
    pub(super) const fn new(secret: TurnSecret) -> Self {
        Self {
            secret,
            nonces: BTreeMap::new(),
            transactions: 0,
        }
    }

    /// Takes the nonce of an answer.
    pub(super) fn learn(&mut self, from: SocketAddr, answer: &[u8]) {
        if let Ok(message) = Message::from_bytes(answer)
            && let Ok(nonce) = message.attribute::<Nonce>()
        {
            self.nonces.insert(from, nonce.nonce().to_owned());
        }
    }

    /// A request, and whether it is signed with credentials that hold.
    pub(super) fn request(
        &mut self,
        from: SocketAddr,
        unix_s: u64,
        script: &mut Script<'_>,
    ) -> (Vec<u8>, bool) {
        let how = script.byte();
        let method = match script.byte() {
            0 => ALLOCATE,
            1 => REFRESH,
            2 => CREATE_PERMISSION,
            3 => CHANNEL_BIND,
            4 => BINDING,
            other => Method::new(u16::from(other)),
        };
        // Every eighth value repeats the last transaction.
        self.transactions += u128::from(how & 0x70 != 0x70);
        let id = TransactionId::from(self.transactions);
        let kind = MessageType::from_class_method(MessageClass::Request, method);
        let mut request = Message::builder(kind, id, MessageWriteVec::new());
        for _ in 0..script.byte() % 6 {
            add_attribute(&mut request, id, script);
        }
        let user = [b'a' + how % 2];
        let user = String::from_utf8_lossy(&user);
        let username = format!("{}:{user}", unix_s + 600);
        let nonce = self.nonces.get(&from).cloned().unwrap_or_default();
        let signed = how & 2 == 0 && !nonce.is_empty();
        if how & 4 == 0 {
            // Each of these fails only where there was one before, which the script may have wanted.
            let _ = request.add_attribute(&Username::new(&username).unwrap());
            let _ = request.add_attribute(&Realm::new(REALM).unwrap());
            let _ = Nonce::new(&nonce).map(|nonce| request.add_attribute(&nonce));
            let mut password = self.secret.password(&username);
            if how & 2 != 0 {
                password.push('x');
            }
            let key = LongTermKeyCredentials::new(username, password, REALM.to_owned())
                .make_key(IntegrityAlgorithm::Sha1);
            let _ = request.add_message_integrity_with_key(&key, IntegrityAlgorithm::Sha1);
        }
        if how & 8 != 0 {
            let _ = request.add_fingerprint();
        }
        let mut request = request.finish();
        if how & 0x80 != 0 {
            add_unsigned(&mut request, id);
        }
        (request, signed)
    }
}

/// The peer that somebody on the way adds to requests, and that no client asks for.
pub(super) const SMUGGLED: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(2, 2, 2, 2)), 2222);

/// Adds [`SMUGGLED`] behind the signature.
fn add_unsigned(request: &mut Vec<u8>, id: TransactionId) {
    let kind = MessageType::from_class_method(MessageClass::Indication, SEND);
    let mut carrier = Message::builder(kind, id, MessageWriteVec::new());
    carrier
        .add_attribute(&XorPeerAddress::new(SMUGGLED, id))
        .unwrap();
    request.extend_from_slice(&carrier.finish()[MessageHeader::LENGTH..]);
    let len = u16::try_from(request.len() - MessageHeader::LENGTH).unwrap_or(u16::MAX);
    request[2..4].copy_from_slice(&len.to_be_bytes());
}

/// What only a finished message can be given, and the library's writer panics about.
const SIGNATURES: [AttributeType; 3] = [
    MessageIntegrity::TYPE,
    MessageIntegritySha256::TYPE,
    Fingerprint::TYPE,
];

fn add_attribute(request: &mut MessageWriteVec, id: TransactionId, script: &mut Script<'_>) {
    // A message takes each kind of attribute once, but for those that may be repeated.
    let _ = match script.byte() {
        0 => request.add_attribute(&RequestedTransport::new(RequestedTransport::UDP)),
        1 => request.add_attribute(&XorPeerAddress::new(peer(script), id)),
        2 => request.add_attribute(&ChannelNumber::new(0x4000 + u16::from(script.byte() % 4))),
        3 => request.add_attribute(&Lifetime::new(
            u32::try_from(script.number() >> 32).unwrap(),
        )),
        _ => {
            let kind = AttributeType::new(u16::from_be_bytes(script.array()));
            if SIGNATURES.contains(&kind) {
                return;
            }
            let value = script.chunk();
            let value = &value[..value.len().min(1024)];
            request.add_attribute(&RawAttribute::new(kind, value))
        }
    };
}

/// A Send indication.
pub(super) fn indication(script: &mut Script<'_>) -> Vec<u8> {
    let id = TransactionId::from(1);
    let kind = MessageType::from_class_method(MessageClass::Indication, SEND);
    let mut indication = Message::builder(kind, id, MessageWriteVec::new());
    for _ in 0..=script.byte() % 3 {
        let _ = indication.add_attribute(&XorPeerAddress::new(peer(script), id));
    }
    let data = script.chunk();
    let _ = indication.add_attribute(&Data::new(&data[..data.len().min(1024)]));
    indication.finish()
}

/// Data on a channel, with any length in its header.
pub(super) fn channel_data(script: &mut Script<'_>) -> Vec<u8> {
    let channel = 0x4000 + u16::from(script.byte() % 4);
    let off = script.byte();
    let data = script.chunk();
    let len = u16::try_from(data.len())
        .unwrap_or(u16::MAX)
        .wrapping_add(u16::from(off));
    [&channel.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
}

/// A peer's address: public ones, private ones, relays, and whatever the script says.
pub(super) fn peer(script: &mut Script<'_>) -> SocketAddr {
    let kind = script.byte();
    let port = 1000 + u16::from(kind / 8);
    match kind % 8 {
        0..=2 => SocketAddr::from(([1, 1, 1, 1 + kind % 8], port)),
        3 => SocketAddr::from(([9, 9, 9, 9], 50_000 + u16::from(kind / 8 % 8))),
        4 => SocketAddr::from(([10, 0, 0, 1], port)),
        5 => {
            let any = SocketAddr::from((script.array::<4>(), u16::from_be_bytes(script.array())));
            [any, SocketAddr::from(([1, 1, 1, 4], port))][usize::from(any == SMUGGLED)]
        }
        6 => SocketAddr::from(([127, 0, 0, 1], port)),
        _ => {
            let ip = IpAddr::V6(Ipv6Addr::from(script.array::<16>()));
            SocketAddr::new(ip, port)
        }
    }
}
