//! The Tincan protocol: identities, certificates, invites and everything that goes over a wire.
//!
//! This crate owns the *formats* and the checks that need nothing but bytes: who signed what,
//! which limits hold, how a thing is encoded. It does no I/O, reads no clock and makes no random
//! numbers: time is an argument (`now_ms`, Unix milliseconds) and keys are made from seeds that
//! the caller draws. No input makes it panic.
//!
//! Where to look: [`keys`] and [`cert`] for identities, [`invite`] for contact links, [`signal`]
//! for the JSON spoken with the signaling server, [`link`] for the signed offer and answer of a
//! direct link, [`wire`] for the protobuf frames, [`content`] for what is said in a conversation,
//! [`limits`] for every limit.

pub mod ack;
pub mod address;
pub mod cert;
pub mod content;
pub mod envelope;
pub mod hlc;
pub mod ids;
pub mod invite;
pub mod keys;
pub mod labels;
pub mod limits;
pub mod link;
pub mod origin;
pub mod phrase;
pub mod relay_auth;
pub mod safety_number;
pub mod sealed_box;
pub mod signal;
pub mod special_range;
pub mod turn_url;
pub mod wire;

pub use ids::{
    ConversationId, DeviceId, EnvelopeId, IdentityId, LinkSessionId, MsgId, QueueId, SignalAddress,
    StoreId, TokenHash, WriteToken,
};
