//! Messages to and from a signaling server.

use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::signal::{
    AddressProof, ClientMessage, Nonce, Opaque, ServerMessage, SignalErrorCode, TurnCredentials,
    encode, prove_login,
};

use super::origin;
use crate::seeds::{Seed, seed};

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
