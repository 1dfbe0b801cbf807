//! The JSON spoken between a peer and a signaling server: one message a WebSocket text frame.
//!
//! The server sees who knocks at which address and nothing else: a signal's `body` is sealed to
//! its recipient ([`crate::sealed_box`]) and signed by its sender inside ([`crate::link`]).

mod login;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::ids::SignalAddress;
use crate::limits::SIGNAL_MESSAGE_MAX;

pub use login::{AddressProof, Nonce, check_login, prove_login};

/// Version of this message set; the server names it in its challenge, the client signs it.
pub const SIGNAL_VERSION: u16 = 1;

/// Peer to server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientMessage {
    /// Answers the challenge, for at most [`crate::limits::LOGIN_PROOFS_MAX`] addresses at a time. May be
    /// sent again on the same connection to add addresses.
    Login {
        /// One proof per address.
        addresses: Vec<AddressProof>,
    },
    /// Gives an address up; signals to it are no longer delivered here.
    Logout {
        /// The address.
        address: SignalAddress,
    },
    /// Passes `body` on to whoever holds the address `to`.
    Signal {
        /// Recipient.
        to: SignalAddress,
        /// Sender: an address this connection holds.
        from: SignalAddress,
        /// Sealed body.
        body: Opaque,
    },
    /// Tells when these addresses come and go.
    Watch {
        /// The addresses.
        addresses: Vec<SignalAddress>,
    },
    /// Stops telling.
    Unwatch {
        /// The addresses.
        addresses: Vec<SignalAddress>,
    },
    /// Asks for fresh TURN credentials.
    Turn,
    /// Keeps the connection alive.
    Ping,
}

/// Server to peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerMessage {
    /// First message on every connection.
    Challenge {
        /// Good for this connection only.
        nonce: Nonce,
        /// [`SIGNAL_VERSION`] of the server.
        version: u16,
    },
    /// The addresses of a login are held by this connection now.
    Welcome {
        /// The addresses, as they were proved.
        addresses: Vec<SignalAddress>,
        /// How to use the server's STUN and TURN, if it has any.
        turn: Option<TurnCredentials>,
    },
    /// Somebody knocks.
    Signal {
        /// The address they knock at.
        to: SignalAddress,
        /// Where an answer goes.
        from: SignalAddress,
        /// Sealed body.
        body: Opaque,
    },
    /// A watched address came or went.
    Presence {
        /// The address.
        address: SignalAddress,
        /// Whether somebody holds it now.
        online: bool,
    },
    /// Fresh TURN credentials.
    Turn {
        /// `None`: the server has no TURN.
        turn: Option<TurnCredentials>,
    },
    /// Another connection has proved this address; it is no longer held here.
    Displaced {
        /// The address.
        address: SignalAddress,
    },
    /// Answer to a ping.
    Pong,
    /// Something was refused.
    Error {
        /// What kind of refusal.
        code: SignalErrorCode,
        /// For people.
        text: String,
        /// Milliseconds to wait before another attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SignalErrorCode {
    /// The message could not be read or breaks a limit; the server closes the connection.
    BadMessage,
    /// A proof did not hold, or `from` is not an address of this connection.
    Unauthorized,
    /// Too much at once.
    RateLimited,
    /// A limit on addresses or watches is reached.
    TooMany,
    /// The server is about to stop.
    ShuttingDown,
}

/// Time-limited TURN credentials, as in "A REST API For Access To TURN Services"
/// (draft-uberti-behave-turn-rest): coturn's `use-auth-secret` serves the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnCredentials {
    /// `stun:` and `turn:` URLs (RFC 7064, 7065).
    pub urls: Vec<String>,
    /// `expiry:address`, expiry in Unix seconds.
    pub username: String,
    /// `base64(HMAC-SHA1(secret, username))`.
    pub credential: String,
    /// How long they are good, seconds.
    pub ttl_s: u64,
}

impl std::fmt::Debug for TurnCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TurnCredentials")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// Bytes that the server passes on without looking at them; base64url in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque(pub Vec<u8>);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}

impl Serialize for Opaque {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Opaque {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        URL_SAFE_NO_PAD
            .decode(text.as_ref())
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a signaling message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalMessageError {
    /// Longer than [`SIGNAL_MESSAGE_MAX`]; it has not been parsed.
    #[error("signaling message has {len} bytes, at most {SIGNAL_MESSAGE_MAX} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
    },
    /// Not JSON, or not a message of this version.
    #[error("signaling message is malformed: {reason}")]
    Malformed {
        /// The parser's reason.
        reason: String,
    },
}

/// Reads a message of either direction.
///
/// # Errors
/// [`SignalMessageError`] for what is too large (before it is parsed) or malformed.
pub fn decode<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, SignalMessageError> {
    if text.len() > SIGNAL_MESSAGE_MAX {
        return Err(SignalMessageError::TooLarge { len: text.len() });
    }
    serde_json::from_str(text).map_err(|error| SignalMessageError::Malformed {
        reason: error.to_string(),
    })
}

/// The JSON text of a message.
///
/// # Errors
/// [`SignalMessageError::TooLarge`] if it would not be accepted at the other end.
pub fn encode<T: Serialize>(message: &T) -> Result<String, SignalMessageError> {
    let text = serde_json::to_string(message).map_err(|error| SignalMessageError::Malformed {
        reason: error.to_string(),
    })?;
    if text.len() > SIGNAL_MESSAGE_MAX {
        return Err(SignalMessageError::TooLarge { len: text.len() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADDRESS: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";

    #[test]
    fn messages_are_pinned() {
        let address = SignalAddress::from_bytes([1; 32]);
        let signal = ClientMessage::Signal {
            to: address,
            from: address,
            body: Opaque(vec![1, 2]),
        };
        assert_eq!(
            encode(&signal).unwrap(),
            format!(r#"{{"type":"signal","to":"{ADDRESS}","from":"{ADDRESS}","body":"AQI"}}"#)
        );
        assert_eq!(encode(&ClientMessage::Ping).unwrap(), r#"{"type":"ping"}"#);
        let presence = ServerMessage::Presence {
            address,
            online: true,
        };
        assert_eq!(
            encode(&presence).unwrap(),
            format!(r#"{{"type":"presence","address":"{ADDRESS}","online":true}}"#)
        );
    }

    #[test]
    fn debug_shows_no_secret_and_no_body() {
        let turn = TurnCredentials {
            urls: vec!["turn:x".into()],
            username: "u".into(),
            credential: "c".into(),
            ttl_s: 1,
        };
        assert_eq!(
            format!("{turn:?}"),
            r#"TurnCredentials { urls: ["turn:x"], .. }"#
        );
        assert_eq!(format!("{:?}", Opaque(vec![7; 3])), "Opaque(3 bytes)");
    }

    #[test]
    fn the_longest_message_passes_and_one_byte_more_does_not() {
        let of = |text: usize| ServerMessage::Error {
            code: SignalErrorCode::TooMany,
            text: "x".repeat(text),
            retry_after_ms: None,
        };
        let frame = encode(&of(0)).unwrap().len();
        let longest = encode(&of(SIGNAL_MESSAGE_MAX - frame)).unwrap();
        assert_eq!(longest.len(), SIGNAL_MESSAGE_MAX);
        assert_eq!(decode(&longest), Ok(of(SIGNAL_MESSAGE_MAX - frame)));
        let error = SignalMessageError::TooLarge {
            len: SIGNAL_MESSAGE_MAX + 1,
        };
        assert_eq!(encode(&of(SIGNAL_MESSAGE_MAX + 1 - frame)), Err(error));
    }

    #[test]
    fn what_is_too_large_is_not_parsed() {
        let text = " ".repeat(SIGNAL_MESSAGE_MAX + 1);
        assert_eq!(
            decode::<ClientMessage>(&text),
            Err(SignalMessageError::TooLarge {
                len: SIGNAL_MESSAGE_MAX + 1
            })
        );
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_stack_overflow() {
        let text = format!(
            r#"{{"type":"ping","x":{}"#,
            "[".repeat(SIGNAL_MESSAGE_MAX / 2)
        );
        assert!(matches!(
            decode::<ClientMessage>(&text),
            Err(SignalMessageError::Malformed { .. })
        ));
    }

    proptest! {
        #[test]
        fn signals_round_trip(to: [u8; 32], from: [u8; 32], body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let message = ServerMessage::Signal {
                to: SignalAddress::from_bytes(to),
                from: SignalAddress::from_bytes(from),
                body: Opaque(body),
            };
            let text = encode(&message).unwrap();
            prop_assert_eq!(decode::<ServerMessage>(&text), Ok(message));
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = decode::<ClientMessage>(&text);
            let _ = decode::<ServerMessage>(&text);
        }
    }
}
