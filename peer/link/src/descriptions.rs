//! Offer and answer of one session: what this side signs, and what it demands of the other's.

use rand::random;
use sha2::{Digest, Sha256};
use tincan_protocol::LinkSessionId;
use tincan_protocol::link::{
    Expected, LinkError, PROTO_MAJOR, PROTO_MINOR, Role, SeenSessions, SignedDescription,
    Statement, Transcript, VerifiedDescription, sdp, verify,
};

use crate::config::Parties;

/// Signs the offer of a new session.
pub(crate) fn sign_offer(
    parties: &Parties,
    session: LinkSessionId,
    sdp: String,
    now_ms: u64,
) -> Result<(Statement, SignedDescription), LinkError> {
    sign(parties, session, sdp, now_ms, None)
}

/// Signs the answer to `offer`.
pub(crate) fn sign_answer(
    parties: &Parties,
    offer: &Statement,
    sdp: String,
    now_ms: u64,
) -> Result<(Statement, SignedDescription), LinkError> {
    sign(parties, offer.session, sdp, now_ms, Some(offer))
}

fn sign(
    parties: &Parties,
    session: LinkSessionId,
    sdp: String,
    now_ms: u64,
    offer: Option<&Statement>,
) -> Result<(Statement, SignedDescription), LinkError> {
    let (from_identity, from_device) = parties.local();
    let (to_identity, to_device) = parties.remote;
    let statement = Statement {
        session,
        role: if offer.is_some() {
            Role::Answer
        } else {
            Role::Offer
        },
        from_identity,
        from_device,
        to_identity,
        to_device,
        nonce: random(),
        issued_ms: now_ms,
        proto_major: PROTO_MAJOR,
        proto_minor: PROTO_MINOR,
        fingerprint: sdp::fingerprint(&sdp)?,
        sdp_sha256: Sha256::digest(sdp.as_bytes()).into(),
        bind: offer.map_or([0; 32], |offer| Sha256::digest(offer.encode()).into()),
    };
    let description = SignedDescription::sign(&statement, sdp, &parties.cert, &parties.key);
    Ok((statement, description))
}

/// Checks the answer to `offer`.
pub(crate) fn verify_answer(
    parties: &Parties,
    offer: &Statement,
    answer: &SignedDescription,
    now_ms: u64,
) -> Result<VerifiedDescription, LinkError> {
    let expected = Expected {
        me: parties.local(),
        from: parties.remote,
        now_ms,
        offer: Some(offer),
    };
    // One answer is taken for an offer and the answer names it, so nothing else can be replayed.
    verify(answer, &expected, &mut SeenSessions::default())
}

/// What both statements say together.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) transcript: Transcript,
    /// The certificate that the other side must show.
    pub(crate) remote_fingerprint: [u8; 32],
}

impl Agreed {
    pub(crate) fn as_offerer(offer: &Statement, answer: &Statement) -> Self {
        Self {
            transcript: Transcript::of(offer, answer),
            remote_fingerprint: answer.fingerprint,
        }
    }

    pub(crate) fn as_answerer(offer: &Statement, answer: &Statement) -> Self {
        Self {
            transcript: Transcript::of(offer, answer),
            remote_fingerprint: offer.fingerprint,
        }
    }
}

/// Whether these parties may be in a session at all, and this offer (if any) is between them.
pub(crate) fn parties_fit(parties: &Parties, offer: Option<&Statement>) -> bool {
    let local = parties.local();
    let fits = |offer: &Statement| {
        offer.role == Role::Offer
            && (offer.from_identity, offer.from_device) == parties.remote
            && (offer.to_identity, offer.to_device) == local
    };
    (parties.cert.identity(), parties.cert.device()) == local
        && parties.remote.1 != local.1
        && offer.is_none_or(fits)
}
