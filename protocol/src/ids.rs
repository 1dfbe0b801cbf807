//! Fixed-length identifiers. Each has its own type, so that a queue is never taken for a device.
//!
//! All of them print as base64url without padding (43 characters for 32 bytes) and as their first
//! four bytes in `Debug`, which is enough to follow one through a log. [`IdentityId`] alone prints
//! as bech32m (`tin1...`), because people read and type it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::fmt;
use std::str::FromStr;

use crate::labels::Label;

/// A byte string had the wrong length for the identifier it should become.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} has {len} bytes instead of {expected}")]
pub struct WrongLength {
    /// What the bytes should have been.
    pub what: &'static str,
    /// Length found, in bytes.
    pub len: usize,
    /// Length needed, in bytes.
    pub expected: usize,
}

/// A text is not the base64url form of the identifier it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// Not base64url without padding.
    #[error("{what} is not base64url")]
    NotBase64 {
        /// What the text should have been.
        what: &'static str,
    },
    /// Decodes to another number of bytes.
    #[error(transparent)]
    Length(#[from] WrongLength),
}

macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The bytes as an owned vector, as protobuf messages want them.
            #[must_use]
            pub fn to_vec(&self) -> Vec<u8> {
                self.0.to_vec()
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = WrongLength;

            fn try_from(bytes: &[u8]) -> Result<Self, WrongLength> {
                bytes.try_into().map(Self).map_err(|_| WrongLength {
                    what: $what,
                    len: bytes.len(),
                    expected: $len,
                })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($what, ":"))?;
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

macro_rules! base64_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = URL_SAFE_NO_PAD
                    .decode(text)
                    .map_err(|_| ParseIdError::NotBase64 { what: $what })?;
                Ok(Self::try_from(bytes.as_slice())?)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fixed_bytes!(
    /// A person: the public half of the identity key. Shown as `tin1...`, see [`crate::address`].
    IdentityId, 32, "identity"
);
fixed_bytes!(
    /// A device: the public half of its ed25519 key, which is also its MLS signature key.
    DeviceId, 32, "device"
);
fixed_bytes!(
    /// An address at signaling servers: an ed25519 public key made for this purpose. Knowing it is
    /// the right to knock.
    SignalAddress, 32, "signal-address"
);
fixed_bytes!(
    /// A mailbox or commit log at a relay: the ed25519 public key that may read it.
    QueueId, 32, "queue"
);
fixed_bytes!(
    /// What a relay keeps: random bytes made together with its database. Another value than last time
    /// means that the relay has lost what it kept.
    StoreId, 16, "relay-store"
);
fixed_bytes!(
    /// `SHA-256(label | envelope bytes)`: bound to the content, so that nobody can register an id
    /// before the content exists and so swallow the real one.
    EnvelopeId, 32, "envelope"
);
fixed_bytes!(
    /// Names one attempt to make a direct link.
    LinkSessionId, 16, "link-session"
);
fixed_bytes!(
    /// The right to deposit in a queue, or to take a key package. The relay keeps only its
    /// [`TokenHash`].
    WriteToken, 16, "token"
);
fixed_bytes!(
    /// SHA-256 of a [`WriteToken`].
    TokenHash, 32, "token-hash"
);
fixed_bytes!(
    /// One conversation on this device. For two people it follows from their identities.
    ConversationId, 32, "conversation"
);
base64_text!(DeviceId, "device");
base64_text!(SignalAddress, "signal-address");
base64_text!(QueueId, "queue");
base64_text!(StoreId, "relay-store");
base64_text!(EnvelopeId, "envelope");
base64_text!(LinkSessionId, "link-session");
base64_text!(WriteToken, "token");
base64_text!(ConversationId, "conversation");

/// A message's id: UUIDv7, chosen by its sender.
pub type MsgId = uuid::Uuid;

impl EnvelopeId {
    /// The id of these envelope bytes.
    #[must_use]
    pub fn of(envelope: &[u8]) -> Self {
        Self(Label::Envelope.hash(&[envelope]))
    }
}

impl WriteToken {
    /// What the relay keeps of this token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        use sha2::{Digest, Sha256};
        TokenHash(Sha256::digest(self.0).into())
    }
}

impl ConversationId {
    /// The conversation between two people: the same on both sides, whoever asked first.
    #[must_use]
    pub fn direct(one: &IdentityId, other: &IdentityId) -> Self {
        let (min, max) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        Self(Label::DirectConversation.hash(&[min.as_bytes(), max.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_as_text() {
        let id = QueueId::from_bytes([7; 32]);
        assert_eq!(id.to_string().parse::<QueueId>(), Ok(id));
    }

    #[test]
    fn a_text_of_the_wrong_length_names_both_lengths() {
        let error = "AAAA".parse::<QueueId>().unwrap_err().to_string();
        assert_eq!(error, "queue has 3 bytes instead of 32");
    }

    #[test]
    fn a_direct_conversation_is_the_same_from_both_sides() {
        let (a, b) = (
            IdentityId::from_bytes([1; 32]),
            IdentityId::from_bytes([2; 32]),
        );
        assert_eq!(
            ConversationId::direct(&a, &b),
            ConversationId::direct(&b, &a)
        );
        let smaller_first = Label::DirectConversation.hash(&[&[1; 32], &[2; 32]]);
        assert_eq!(ConversationId::direct(&b, &a).as_bytes(), &smaller_first);
        assert_ne!(
            ConversationId::direct(&a, &b),
            ConversationId::direct(&a, &a)
        );
    }

    #[test]
    fn an_envelope_id_is_pinned() {
        assert_eq!(
            hex::encode(EnvelopeId::of(b"tincan").as_bytes()),
            "f6a315f9125b823327a6c46f4b97f614408205770a781516063948dbf2647074"
        );
    }
}
