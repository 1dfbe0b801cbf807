//! Identities, their words and their devices.

use tincan_protocol::phrase::Phrase;
use tincan_protocol::{ConversationId, DeviceId, IdentityId, StoreId};

use crate::protocol::shared::CERT;
use crate::script::ScriptWriter;
use crate::seeds::{Seed, seed};

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
