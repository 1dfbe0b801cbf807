//! What the ends of links sign about themselves.

use sha2::{Digest as _, Sha256};
use tincan_protocol::link::{PROTO_MAJOR, PROTO_MINOR, Role, Statement};
use tincan_protocol::{DeviceId, IdentityId, LinkSessionId};

use crate::around::Around;

/// Somebody's identity and device.
pub(super) type Party = (IdentityId, DeviceId);

pub(super) fn sdp() -> String {
    format!(
        "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=fingerprint:sha-256 {}\r\n",
        ["AB"; 32].join(":")
    )
}

/// An offer to somebody, or the answer to theirs.
pub(super) fn statement(
    me: Party,
    them: Party,
    offer: Option<&Statement>,
    around: &Around,
) -> Statement {
    let (mut session, mut nonce) = ([0; 16], [0; 32]);
    around.fill(&mut session);
    around.fill(&mut nonce);
    Statement {
        session: offer.map_or(LinkSessionId::from_bytes(session), |offer| offer.session),
        role: if offer.is_some() {
            Role::Answer
        } else {
            Role::Offer
        },
        from_identity: me.0,
        from_device: me.1,
        to_identity: them.0,
        to_device: them.1,
        nonce,
        issued_ms: around.time().unix_ms,
        proto_major: PROTO_MAJOR,
        proto_minor: PROTO_MINOR,
        fingerprint: [0xab; 32],
        sdp_sha256: Sha256::digest(sdp().as_bytes()).into(),
        bind: offer.map_or([0; 32], |offer| Sha256::digest(offer.encode()).into()),
    }
}
