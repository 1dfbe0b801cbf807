//! The checks on an offer or answer, in the order that the protocol demands: nothing reaches the
//! WebRTC stack before all of them hold.

use sha2::{Digest, Sha256};

use super::replay::SeenSessions;
use super::sdp::{self, SdpError};
use super::signal::SignedDescription;
use super::statement::{Role, Statement, StatementError};
use super::{PROTO_MAJOR, PROTO_MINOR};
use crate::cert::{CertError, DeviceCert};
use crate::ids::{DeviceId, IdentityId};
use crate::keys::BadSignature;
use crate::limits::{LINK_CLOCK_SKEW_MS, SDP_MAX};

/// What the verifier knows beforehand.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The verifier.
    pub me: (IdentityId, DeviceId),
    /// The accepted contact the signal came from, and their device.
    pub from: (IdentityId, DeviceId),
    /// Unix milliseconds.
    pub now_ms: u64,
    /// For an answer: the offer that it must answer.
    pub offer: Option<&'a Statement>,
}

/// A description that passed every check.
#[derive(Clone, Debug)]
pub struct VerifiedDescription {
    /// What was signed.
    pub statement: Statement,
    /// The SDP, for `set_remote_description`.
    pub sdp: String,
}

/// Why an offer or answer makes no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The layout is wrong.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The SDP is too large, has other media, or no or two fingerprints.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// The device did not sign it.
    #[error("description: {0}")]
    Signature(#[from] BadSignature),
    /// The certificate does not hold.
    #[error(transparent)]
    Cert(#[from] CertError),
    /// An answer where an offer belongs, or the other way round.
    #[error("description has the wrong role")]
    Role,
    /// The certificate, the statement and the contact do not name the same identity and device.
    #[error("description comes from somebody else than it should")]
    Sender,
    /// Signed for somebody else.
    #[error("description is addressed to somebody else")]
    Recipient,
    /// Clocks too far apart.
    #[error(
        "description was signed {skew_ms} ms away from now, at most {LINK_CLOCK_SKEW_MS} are allowed; check the clocks"
    )]
    Clock {
        /// Difference found.
        skew_ms: u64,
    },
    /// This session has been seen before.
    #[error("link session was used before")]
    Replayed,
    /// The two programs cannot talk.
    #[error("the other side speaks protocol {major}, this program {PROTO_MAJOR}.{PROTO_MINOR}")]
    Version {
        /// Major version found.
        major: u16,
    },
    /// The SDP is not the one that was signed.
    #[error("SDP is not the one that was signed")]
    SdpChanged,
    /// The SDP shows another certificate than was signed.
    #[error("SDP has another fingerprint than was signed")]
    Fingerprint,
    /// An answer to another offer.
    #[error("answer belongs to another offer")]
    Bind,
}

/// Checks an offer (`expected.offer` is `None`) or an answer.
///
/// # Errors
/// The first check that fails.
pub fn verify(
    description: &SignedDescription,
    expected: &Expected<'_>,
    seen: &mut SeenSessions,
) -> Result<VerifiedDescription, LinkError> {
    let role = if expected.offer.is_some() {
        Role::Answer
    } else {
        Role::Offer
    };
    let statement = check_signed(description, role, expected)?;
    check_parties(&statement, expected)?;
    check_session(&statement, expected, seen)?;
    check_sdp(description, &statement)?;
    Ok(VerifiedDescription {
        statement,
        sdp: description.sdp.clone(),
    })
}

/// Size, signature, certificate chain.
fn check_signed(
    description: &SignedDescription,
    role: Role,
    expected: &Expected<'_>,
) -> Result<Statement, LinkError> {
    if description.sdp.len() > SDP_MAX {
        return Err(SdpError::TooLarge {
            len: description.sdp.len(),
        }
        .into());
    }
    let statement = Statement::decode(&description.statement.0)?;
    if statement.role != role {
        return Err(LinkError::Role);
    }
    description.check_signature(role, &expected.from.1)?;
    let cert = DeviceCert::decode(&description.cert.0)?;
    cert.check_time(expected.now_ms)?;
    if (cert.identity(), cert.device()) != expected.from {
        return Err(LinkError::Sender);
    }
    Ok(statement)
}

/// From the accepted contact, to me.
fn check_parties(statement: &Statement, expected: &Expected<'_>) -> Result<(), LinkError> {
    if (statement.from_identity, statement.from_device) != expected.from {
        return Err(LinkError::Sender);
    }
    if (statement.to_identity, statement.to_device) != expected.me {
        return Err(LinkError::Recipient);
    }
    Ok(())
}

/// Fresh, never seen, and an answer fits its offer.
fn check_session(
    statement: &Statement,
    expected: &Expected<'_>,
    seen: &mut SeenSessions,
) -> Result<(), LinkError> {
    let skew_ms = statement.issued_ms.abs_diff(expected.now_ms);
    if skew_ms > LINK_CLOCK_SKEW_MS {
        return Err(LinkError::Clock { skew_ms });
    }
    if statement.proto_major != PROTO_MAJOR {
        return Err(LinkError::Version {
            major: statement.proto_major,
        });
    }
    if let Some(offer) = expected.offer {
        let bind: [u8; 32] = Sha256::digest(offer.encode()).into();
        if statement.session != offer.session || statement.bind != bind {
            return Err(LinkError::Bind);
        }
    } else if statement.bind != [0; 32] {
        return Err(LinkError::Bind);
    }
    if !seen.note(statement.from_device, statement.session, expected.now_ms) {
        return Err(LinkError::Replayed);
    }
    Ok(())
}

/// The SDP is the signed one and shows the signed certificate.
fn check_sdp(description: &SignedDescription, statement: &Statement) -> Result<(), LinkError> {
    let hash: [u8; 32] = Sha256::digest(description.sdp.as_bytes()).into();
    if hash != statement.sdp_sha256 {
        return Err(LinkError::SdpChanged);
    }
    if sdp::fingerprint(&description.sdp)? != statement.fingerprint {
        return Err(LinkError::Fingerprint);
    }
    Ok(())
}
