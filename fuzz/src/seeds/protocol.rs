//! Seeds for what `tincan-protocol` reads.

use bytes::Bytes;
use prost::Message as _;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{
    Body, ContactAccept, ContactRequest, Content, DeviceAck, Reach, Receipt, Resend,
};
use tincan_protocol::envelope::{Envelope, Request, encode_payload};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::invite::{Invite, InviteBody};
use tincan_protocol::keys::{AddressKey, QueueKey};
use tincan_protocol::link::{LinkSignal, Role, SignedBye, SignedCandidate, SignedDescription};
use tincan_protocol::origin::{Origin, ServerUrl};
use tincan_protocol::phrase::Phrase;
use tincan_protocol::sealed_box::seal;
use tincan_protocol::signal::{
    AddressProof, ClientMessage, Nonce, Opaque, ServerMessage, SignalErrorCode, TurnCredentials,
    encode, prove_login,
};
use tincan_protocol::wire::{self, Frame as _, PeerFrame, RelayReply, RelayRequest};
use tincan_protocol::wire::{peer_frame as peer, relay_reply as reply, relay_request as request};
use tincan_protocol::{
    ConversationId, DeviceId, EnvelopeId, IdentityId, LinkSessionId, MsgId, QueueId, SignalAddress,
    StoreId, WriteToken, relay_auth,
};

use super::{Seed, seed};
use crate::protocol::shared::{CERT, Counting, DEVICE_KEY, address_key, sdp_with, template};
use crate::script::ScriptWriter;

fn url(text: &str) -> ServerUrl {
    text.parse().unwrap()
}

fn origin() -> Origin {
    Origin::from_host_header("chat.example.org")
}

pub(crate) fn reach() -> Reach {
    Reach {
        relay: url("https://relay.example.org"),
        queue: QueueId::from_bytes([1; 32]),
        write_token: WriteToken::from_bytes([2; 16]),
        signal_servers: vec![
            url("https://chat.example.org"),
            url("http://[::1]:8443/tincan"),
        ],
        signal_address: SignalAddress::from_bytes([3; 32]),
    }
}

fn invite_body() -> InviteBody {
    InviteBody {
        name: "Ann".into(),
        signal_servers: vec![url("https://chat.example.org")],
        relay: url("https://relay.example.org"),
        queue: QueueId::from_bytes([1; 32]),
        write_token: WriteToken::from_bytes([2; 16]),
        key_package_owner: QueueId::from_bytes([3; 32]),
        key_package_token: WriteToken::from_bytes([4; 16]),
        signal_address: SignalAddress::from_bytes([5; 32]),
        expires_ms: 2_000_000_000_000,
        max_uses: 1,
    }
}

/// Links, and bodies that the target signs.
pub fn invite() -> Vec<Seed> {
    let link = |body| {
        Invite::sign(body, CERT.clone(), &DEVICE_KEY)
            .unwrap()
            .to_string()
    };
    let three = InviteBody {
        signal_servers: vec![url("http://a"), url("https://b:9"), url("http://[::1]:1/c")],
        max_uses: 7,
        ..invite_body()
    };
    let body = wire::InviteBody {
        signal_servers: vec!["https://chat.example.org".to_owned()],
        relay: "https://relay.example.org".to_owned(),
        queue: vec![1; 32],
        write_token: vec![2; 16],
        key_package_owner: vec![3; 32],
        key_package_token: vec![4; 16],
        signal_address: vec![5; 32],
        expires_ms: 2_000_000_000_000,
        max_uses: 1,
        name: "Ann".to_owned(),
    };
    vec![
        seed("link", link(invite_body())),
        seed("three-servers", link(three)),
        seed("body", body.encode_to_vec()),
    ]
}

/// One text of every kind.
pub fn ids() -> Vec<Seed> {
    let identity = IdentityId::from_bytes([0x11; 32]);
    vec![
        seed("identity", identity.to_string()),
        seed("identity-in-capitals", identity.to_string().to_uppercase()),
        seed("device", DeviceId::from_bytes([2; 32]).to_string()),
        seed(
            "conversation",
            ConversationId::from_bytes([0xfb; 32]).to_string(),
        ),
        seed("store", StoreId::from_bytes([3; 16]).to_string()),
    ]
}

/// URLs with and without each part.
pub fn server_url() -> Vec<Seed> {
    vec![
        seed("name", "https://chat.example.org"),
        seed("port-and-path", "http://chat.example.org:8443/tincan/"),
        seed("ipv6", "http://[2001:db8::1]:80"),
        seed("not-ascii", "https://bücher.example/straße"),
        seed("credentials", "https://a:b@c.example/?d#e"),
        seed("host-header", " Chat.Example.org:443 "),
    ]
}

/// Words, and an entropy.
pub fn phrase() -> Vec<Seed> {
    let phrase = Phrase::from_entropy([0x5a; 32]);
    let wrong = phrase.words().replacen("flip", "abandon", 1);
    vec![
        seed("words", phrase.words().as_bytes()),
        seed("untidy", phrase.words().to_uppercase().replace(' ', "\n  ")),
        seed("wrong-word", wrong),
        seed("entropy", [0; 32]),
    ]
}

fn json(message: &impl serde::Serialize) -> String {
    encode(message).unwrap()
}

fn proof() -> AddressProof {
    prove_login(&AddressKey::from_seed(&[1; 32]), &Nonce([7; 32]), &origin())
}

/// One of every kind.
pub fn client_message() -> Vec<Seed> {
    let address = SignalAddress::from_bytes([1; 32]);
    let addresses = vec![address, SignalAddress::from_bytes([2; 32])];
    let messages = [
        (
            "login",
            ClientMessage::Login {
                addresses: vec![proof()],
            },
        ),
        ("logout", ClientMessage::Logout { address }),
        (
            "signal",
            ClientMessage::Signal {
                to: address,
                from: address,
                body: Opaque(vec![1; 50]),
            },
        ),
        (
            "watch",
            ClientMessage::Watch {
                addresses: addresses.clone(),
            },
        ),
        ("unwatch", ClientMessage::Unwatch { addresses }),
        ("turn", ClientMessage::Turn),
        ("ping", ClientMessage::Ping),
    ];
    messages
        .map(|(name, message)| seed(name, json(&message)))
        .into()
}

/// One of every kind.
pub fn server_message() -> Vec<Seed> {
    let address = SignalAddress::from_bytes([1; 32]);
    let turn = Some(TurnCredentials {
        urls: vec!["turn:192.0.2.1:3478?transport=udp".to_owned()],
        username: "1900000000:AQ".to_owned(),
        credential: "secret".to_owned(),
        ttl_s: 3600,
    });
    let messages = [
        (
            "challenge",
            ServerMessage::Challenge {
                nonce: Nonce([7; 32]),
                version: 1,
            },
        ),
        (
            "welcome",
            ServerMessage::Welcome {
                addresses: vec![address],
                turn: turn.clone(),
            },
        ),
        (
            "signal",
            ServerMessage::Signal {
                to: address,
                from: address,
                body: Opaque(vec![1; 50]),
            },
        ),
        (
            "presence",
            ServerMessage::Presence {
                address,
                online: true,
            },
        ),
        ("turn", ServerMessage::Turn { turn }),
        ("no-turn", ServerMessage::Turn { turn: None }),
        ("displaced", ServerMessage::Displaced { address }),
        ("pong", ServerMessage::Pong),
        (
            "error",
            ServerMessage::Error {
                code: SignalErrorCode::RateLimited,
                text: "too much\u{7}".to_owned(),
                retry_after_ms: Some(20),
            },
        ),
    ];
    messages
        .map(|(name, message)| seed(name, json(&message)))
        .into()
}

/// One of every kind.
pub fn peer_frame() -> Vec<Seed> {
    let group = wire::GroupState {
        group_id: vec![1; 16],
        epoch: 1,
        authenticator: vec![2; 48],
    };
    let frames = [
        (
            "hello",
            peer::Kind::Hello(wire::Hello {
                transcript: vec![3; 32],
                proto_major: 1,
                proto_minor: 0,
                groups: vec![group],
            }),
        ),
        (
            "put",
            peer::Kind::Put(wire::Put {
                envelope: Bytes::from_static(b"envelope"),
            }),
        ),
        (
            "stored",
            peer::Kind::Stored(wire::Stored {
                env_ids: vec![vec![4; 32]; 2],
            }),
        ),
        (
            "nack",
            peer::Kind::Nack(wire::Nack {
                env_id: vec![5; 32],
                reason: 1,
            }),
        ),
        ("ping", peer::Kind::Ping(wire::Ping { nonce: 300 })),
        ("pong", peer::Kind::Pong(wire::Pong { nonce: u64::MAX })),
        (
            "bye",
            peer::Kind::Bye(wire::Bye {
                reason: "shutdown".to_owned(),
            }),
        ),
    ];
    frames
        .map(|(name, kind)| seed(name, PeerFrame::from(kind).write()))
        .into()
}

/// One of every kind, as the relay's own targets use them too.
pub(crate) fn requests() -> Vec<(&'static str, request::Kind)> {
    let key = QueueKey::from_seed(&[1; 32]);
    let queue = key.queue().to_vec();
    let token = WriteToken::from_bytes([7; 16]);
    let proof = wire::KeyProof {
        key: queue.clone(),
        signature: relay_auth::prove(&key, &[7; 32], &origin()).to_vec(),
    };
    vec![
        (
            "auth",
            request::Kind::Auth(wire::Auth {
                proofs: vec![proof],
            }),
        ),
        (
            "create",
            request::Kind::QueueCreate(wire::QueueCreate {
                queue: queue.clone(),
                kind: 1,
                write_token_hash: token.hash().to_vec(),
            }),
        ),
        (
            "delete",
            request::Kind::QueueDelete(wire::QueueDelete {
                queue: queue.clone(),
            }),
        ),
        (
            "deposit",
            request::Kind::Deposit(wire::Deposit {
                queue: queue.clone().into(),
                write_token: token.to_vec().into(),
                envelope: Bytes::from_static(b"envelope"),
            }),
        ),
        (
            "append",
            request::Kind::Append(wire::Append {
                queue: queue.clone().into(),
                write_token: token.to_vec().into(),
                after_index: 1,
                entry: Bytes::from_static(b"commit"),
            }),
        ),
        (
            "subscribe",
            request::Kind::Subscribe(wire::Subscribe {
                queue: queue.clone(),
                after_index: 0,
            }),
        ),
        (
            "ack",
            request::Kind::AckUpTo(wire::AckUpTo {
                queue: queue.clone(),
                index: 1,
            }),
        ),
        (
            "publish",
            request::Kind::KeyPackagePublish(wire::KeyPackagePublish {
                owner: queue.clone(),
                token_hash: token.hash().to_vec(),
                packages: vec![vec![1; 10]; 2],
                last_resort: vec![2; 10],
            }),
        ),
        (
            "take",
            request::Kind::KeyPackageTake(wire::KeyPackageTake {
                owner: queue,
                token: token.to_vec(),
            }),
        ),
    ]
}

/// One of every kind.
pub fn relay_request() -> Vec<Seed> {
    let frame = |(name, kind)| {
        let request = RelayRequest {
            id: 1,
            kind: Some(kind),
        };
        seed(name, request.write())
    };
    requests().into_iter().map(frame).collect()
}

/// One of every kind.
pub fn relay_reply() -> Vec<Seed> {
    let queue = vec![1; 32];
    let challenge = wire::Challenge {
        nonce: vec![7; 32],
        proto_major: 1,
        proto_minor: 0,
        store_id: vec![9; 16],
    };
    let error = wire::RelayError {
        code: 4,
        text: "the queue is full".to_owned(),
        retry_after_ms: 60_000,
    };
    let replies = [
        ("challenge", reply::Kind::Challenge(challenge)),
        ("done", reply::Kind::Done(wire::Done {})),
        (
            "deposited",
            reply::Kind::Deposited(wire::Deposited {
                env_id: vec![2; 32],
            }),
        ),
        (
            "appended",
            reply::Kind::Appended(wire::Appended { index: 3 }),
        ),
        (
            "conflict",
            reply::Kind::Conflict(wire::Conflict { last_index: 4 }),
        ),
        (
            "deliver",
            reply::Kind::Deliver(wire::Deliver {
                queue: queue.clone().into(),
                index: 5,
                envelope: Bytes::from_static(b"envelope"),
            }),
        ),
        ("drained", reply::Kind::Drained(wire::Drained { queue })),
        (
            "key-package",
            reply::Kind::KeyPackage(wire::KeyPackage {
                package: vec![1; 20],
            }),
        ),
        (
            "stock",
            reply::Kind::KeyPackageStock(wire::KeyPackageStock {
                single_use: 20,
                last_resort: true,
            }),
        ),
        ("error", reply::Kind::Error(error)),
    ];
    let frame = |(name, kind)| {
        let reply = RelayReply {
            id: 1,
            kind: Some(kind),
        };
        seed(name, reply.write())
    };
    replies.map(frame).into()
}

pub(crate) fn content_of(seq: u64, body: Body) -> Content {
    Content {
        msg_id: MsgId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
        seq,
        hlc: Hlc::at_ms(1_900_000_000_000),
        body,
    }
}

/// One of every kind.
pub fn content() -> Vec<Seed> {
    let mut received = SeqSet::up_to(4);
    received.insert_range(6, 9);
    let ack = DeviceAck {
        device: DeviceId::from_bytes([1; 32]),
        received,
        read_up_to: 2,
    };
    let receipt = Receipt {
        acks: vec![ack],
        stored_up_to: 7,
        delivered_up_to: 5,
        read_up_to: 3,
    };
    let resend = Resend {
        env_ids: vec![EnvelopeId::of(b"e")],
        ranges: vec![(3, 5), (7, 7)],
    };
    let request = ContactRequest {
        name: "Ann".into(),
        text: "it is me".into(),
        reach: reach(),
    };
    let accept = ContactAccept {
        name: "Bob".into(),
        reach: reach(),
    };
    let contents = [
        ("text", 1, Body::Text("hello".into())),
        ("receipt", 0, Body::Receipt(receipt)),
        ("resend", 0, Body::Resend(resend)),
        ("reach", 2, Body::Reach(reach())),
        ("request", 1, Body::ContactRequest(request)),
        ("accept", 1, Body::ContactAccept(accept)),
        ("of-the-future", 8, Body::Unknown),
    ];
    contents
        .map(|(name, seq, body)| seed(name, content_of(seq, body).encode()))
        .into()
}

/// Payloads of one, several and no contents.
pub fn payload() -> Vec<Seed> {
    let text = |seq| content_of(seq, Body::Text(format!("text {seq}"))).encode();
    vec![
        seed("one", encode_payload(vec![text(1)])),
        seed("three", encode_payload((1..=3).map(text).collect())),
        seed("empty-contents", encode_payload(vec![Bytes::new(); 20])),
    ]
}

/// Both kinds.
pub fn envelope() -> Vec<Seed> {
    let request = Request {
        welcome: Bytes::from_static(b"welcome"),
        message: Bytes::from_static(b"message"),
    };
    vec![
        seed(
            "message",
            Envelope::Message(Bytes::from_static(b"sealed")).encode(),
        ),
        seed("request", Envelope::Request(request).encode()),
    ]
}

/// A real one and what was found to be worth a check.
pub fn sdp() -> Vec<Seed> {
    let one = sdp_with(&[0xab; 32], "");
    let again = one
        .lines()
        .find(|line| line.starts_with("a=fingerprint"))
        .unwrap();
    vec![
        seed("data-channel", &one),
        seed("same-twice", format!("{one}{again}\r\n")),
        seed("other-hash", format!("{one}A=Fingerprint:sha-1 AB:CD\r\n")),
        seed("lone-return", format!("{one}a=x\r{again}")),
        seed("video", format!("{one}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")),
    ]
}

/// One of every kind that this side makes, and what others might.
pub fn candidate() -> Vec<Seed> {
    let relayed = "candidate:1 1 udp 1 198.51.100.7 4000 typ relay raddr 192.168.1.5 rport 5000";
    vec![
        seed(
            "host",
            "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host",
        ),
        seed("relayed", relayed),
        seed(
            "ipv6",
            "2 1 UDP 2 2001:db8::7 9 typ srflx raddr :: rport 0 generation 0",
        ),
        seed("mapped", "candidate:1 1 udp 1 ::ffff:127.0.0.1 9 typ host"),
        seed(
            "tcp",
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype passive",
        ),
        seed("name", "candidate:1 1 udp 1 0b5e.local 9 typ host"),
    ]
}

fn described(role: Role) -> SignedDescription {
    let sdp = sdp_with(&[0xab; 32], "");
    SignedDescription::sign(&template(role, [0; 32]), sdp, &CERT, &DEVICE_KEY)
}

/// One of every kind.
pub fn link_signal() -> Vec<Seed> {
    let session = LinkSessionId::from_bytes([1; 16]);
    let line = "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host";
    let candidate = SignedCandidate::sign(session, 0, line.to_owned(), &DEVICE_KEY);
    let signals = [
        ("offer", LinkSignal::Offer(described(Role::Offer))),
        ("answer", LinkSignal::Answer(described(Role::Answer))),
        ("candidate", LinkSignal::Candidate(candidate)),
        (
            "bye",
            LinkSignal::Bye(SignedBye::sign(session, &DEVICE_KEY)),
        ),
    ];
    signals
        .map(|(name, signal)| seed(name, signal.encode().unwrap()))
        .into()
}

/// Both kinds.
pub fn statement() -> Vec<Seed> {
    vec![
        seed("offer", template(Role::Offer, [0; 32]).encode()),
        seed("answer", template(Role::Answer, [1; 32]).encode()),
    ]
}

/// Scripts of the target: nothing wrong, and one thing at a time.
pub fn description() -> Vec<Seed> {
    let script = |wrong: u64, sdp: u8, role: u8| {
        let script = ScriptWriter::default().number(wrong).byte(sdp);
        script.byte(role).raw([6; 32]).number(5)
    };
    let names = [
        "clock",
        "role",
        "sender",
        "recipient",
        "bind",
        "version",
        "fingerprint",
        "sdp",
        "bytes",
    ];
    let mut seeds = vec![
        seed("offer", script(0, 0, 0).finish()),
        seed("answer", script(0, 0, 1).finish()),
    ];
    for (bit, name) in names.into_iter().enumerate() {
        let wrong = script(1 << bit, 0, 0).chunk("a=x\r\n").raw([3; 40]);
        seeds.push(seed(&format!("wrong-{name}"), wrong.finish()));
    }
    let more = ScriptWriter::default()
        .number(0)
        .byte(1)
        .chunk("a=max-message-size:65536\r\n");
    seeds.push(seed(
        "more-lines",
        more.byte(0).raw([6; 32]).number(5).finish(),
    ));
    seeds
}

/// A certificate, and fields that the target signs.
pub fn device_cert() -> Vec<Seed> {
    let fields = ScriptWriter::default()
        .byte(1)
        .raw([2; 32])
        .number(1_900_000_000_000)
        .number(1_963_244_800_000)
        .raw([40, 1]);
    vec![
        seed("certificate", CERT.encode()),
        seed("fields", fields.finish()),
    ]
}

/// A box, and a plaintext that the target seals.
pub fn sealed_box() -> Vec<Seed> {
    let sealed = seal(&address_key().address(), b"offer", &mut Counting(0)).unwrap();
    let script = ScriptWriter::default().number(50).byte(1);
    let script = script
        .raw(address_key().address().as_bytes())
        .raw("plaintext");
    vec![seed("box", sealed), seed("plaintext", script.finish())]
}
