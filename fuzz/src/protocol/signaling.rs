//! The JSON spoken with a signaling server.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
use tincan_protocol::signal::{
    ClientMessage, ServerMessage, SignalMessageError, check_login, decode, encode,
};

use crate::bounded::bounded;

/// Bytes that a message may grow by when it is written again: `"turn":null` may be left out.
const GROWTH: usize = 16;

/// What a peer says to a server.
pub fn client_message(data: &[u8]) {
    let Some(message) = message::<ClientMessage>(data) else {
        return;
    };
    if let ClientMessage::Login { addresses } = message {
        let (nonce, origin) = (
            tincan_protocol::signal::Nonce([7; 32]),
            tincan_protocol::origin::Origin::from_host_header("chat.example.org"),
        );
        for proof in addresses.iter().take(2) {
            let fits = check_login(proof, &nonce, &origin).is_ok();
            assert!(!fits || proof.signature.0.len() == 64);
        }
    }
}

/// What a server says to a peer.
pub fn server_message(data: &[u8]) {
    message::<ServerMessage>(data);
}

fn message<M: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) -> Option<M> {
    let text = std::str::from_utf8(data).ok()?;
    let message = bounded(data.len(), || decode::<M>(text)).ok()?;
    assert!(data.len() <= SIGNAL_MESSAGE_MAX);
    match encode(&message) {
        Ok(again) => {
            let reread = decode::<M>(&again).unwrap();
            assert_eq!(reread, message);
            assert_eq!(encode(&reread).unwrap(), again, "written in two ways");
        }
        Err(SignalMessageError::TooLarge { len }) => assert!(len <= data.len() + GROWTH),
        Err(error) => panic!("{error}"),
    }
    Some(message)
}
