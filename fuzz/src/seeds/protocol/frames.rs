//! Frames between peers, and to and from a relay.

use bytes::Bytes;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::wire::{self, Frame as _, PeerFrame, RelayReply, RelayRequest};
use tincan_protocol::wire::{peer_frame as peer, relay_reply as reply, relay_request as request};
use tincan_protocol::{WriteToken, relay_auth};

use super::origin;
use crate::seeds::{Seed, seed};

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
