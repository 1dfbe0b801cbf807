//! What people say, and what it is wrapped in.

use bytes::Bytes;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{
    Body, ContactAccept, ContactRequest, Content, Deletion, DeviceAck, Edit, KeyPackagesAt,
    MessageRef, Reach, Reaction, Receipt, Resend, Text, Timer,
};
use tincan_protocol::envelope::{Envelope, Payload, Request};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::invite::RequestProof;
use tincan_protocol::{DeviceId, EnvelopeId, MsgId, QueueId, SignalAddress, WriteToken};

use super::urls::url;
use crate::seeds::{Seed, seed};

fn reach() -> Reach {
    Reach {
        relay: url("https://relay.example.org"),
        queue: QueueId::from_bytes([1; 32]),
        write_token: WriteToken::from_bytes([2; 16]),
        signal_servers: vec![
            url("https://chat.example.org"),
            url("http://[::1]:8443/tincan"),
        ],
        signal_address: SignalAddress::from_bytes([3; 32]),
        key_packages: Some(KeyPackagesAt {
            owner: QueueId::from_bytes([6; 32]),
            token: WriteToken::from_bytes([7; 16]),
        }),
    }
}

fn content_of(seq: u64, body: Body) -> Content {
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
    let of = MessageRef {
        author: DeviceId::from_bytes([4; 32]),
        msg_id: MsgId::from_u128(9),
    };
    let reply = Text {
        text: "and you?".into(),
        reply_to: Some(of),
        forwarded: true,
        expires_s: 60,
    };
    let contents = [
        ("text", 1, Body::text("hello")),
        ("receipt", 0, Body::Receipt(receipt)),
        ("resend", 0, Body::Resend(resend)),
        ("reach", 2, Body::Reach(reach())),
        ("request", 0, Body::ContactRequest(request)),
        ("accept", 1, Body::ContactAccept(accept)),
        ("reply", 2, Body::Text(reply)),
        (
            "edit",
            3,
            Body::Edit(Edit {
                of,
                text: "hallo".into(),
            }),
        ),
        ("deletion", 4, Body::Deletion(Deletion { of })),
        (
            "reaction",
            5,
            Body::Reaction(Reaction {
                to: of,
                emoji: "\u{1f44d}".into(),
            }),
        ),
        ("timer", 6, Body::Timer(Timer { expires_s: 3600 })),
        ("of-the-future", 8, Body::Unknown),
    ];
    contents
        .map(|(name, seq, body)| seed(name, content_of(seq, body).encode()))
        .into()
}

/// Payloads of one, several and no contents.
pub fn payload() -> Vec<Seed> {
    let text = |seq| content_of(seq, Body::text(format!("text {seq}"))).encode();
    vec![
        seed("one", Payload::of(vec![text(1)]).encode()),
        seed("three", Payload::of((1..=3).map(text).collect()).encode()),
        seed(
            "empty-contents",
            Payload::of(vec![Bytes::new(); 20]).encode(),
        ),
    ]
}

/// Both kinds.
pub fn envelope() -> Vec<Seed> {
    let request = Request {
        welcome: Bytes::from_static(b"welcome"),
        message: Bytes::from_static(b"message"),
        proof: Some(RequestProof::from_bytes([4; 32])),
    };
    vec![
        seed(
            "message",
            Envelope::Message(Bytes::from_static(b"sealed")).encode(),
        ),
        seed("request", Envelope::Request(request).encode()),
    ]
}
