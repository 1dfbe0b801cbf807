//! Invites: the link with which somebody who knows nothing yet becomes a contact.
//!
//! `tincan:` and base64url of a signed protobuf message. The device signs, the certificate in the
//! link ties the device to the identity; so whoever passes the link on can read it, but cannot
//! change where it leads.

mod proof;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message as _;
use std::fmt;
use std::str::FromStr;

use crate::cert::{CertError, DeviceCert};
use crate::ids::{QueueId, SignalAddress, WriteToken, WrongLength};
use crate::keys::{BadSignature, DeviceKey};
use crate::labels::Label;
use crate::limits::{INVITE_MAX, NAME_MAX, SIGNAL_SERVERS_MAX};
use crate::origin::{ServerUrl, ServerUrlError};
use crate::wire;

pub use proof::{InviteSecret, ProofOf, RequestProof};

/// What every link begins with.
pub const SCHEME: &str = "tincan:";

/// What an invite says. See [`Invite`] for one with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteBody {
    /// What the inviter calls themselves.
    pub name: String,
    /// Where the inviter listens for signals.
    pub signal_servers: Vec<ServerUrl>,
    /// The relay with the queue and the key packages.
    pub relay: ServerUrl,
    /// Where requests made with this invite go.
    pub queue: QueueId,
    /// The right to deposit there.
    pub write_token: WriteToken,
    /// Whose key packages to take.
    pub key_package_owner: QueueId,
    /// The right to take one.
    pub key_package_token: WriteToken,
    /// The inviter's address for signals about this invite.
    pub signal_address: SignalAddress,
    /// End of its life, Unix milliseconds.
    pub expires_ms: u64,
    /// With 1, the first who uses it is accepted; with more, the inviter is asked each time.
    pub max_uses: u32,
    /// With what a request proves that its sender has had the link. Older links have none, and who uses
    /// them is asked about.
    pub secret: Option<InviteSecret>,
}

/// An invite whose signatures have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    body: InviteBody,
    cert: DeviceCert,
    encoded: String,
}

/// Why a text is not an invite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// Does not begin with `tincan:`.
    #[error("an invite link starts with \"{SCHEME}\"")]
    Scheme,
    /// Longer than [`INVITE_MAX`].
    #[error("invite link has {len} characters, at most {INVITE_MAX} are allowed")]
    TooLong {
        /// Length found, in bytes.
        len: usize,
    },
    /// A character is wrong, or a part is missing.
    #[error("invite link is damaged or incomplete")]
    Malformed,
    /// The certificate inside does not hold.
    #[error("invite link: {0}")]
    Cert(#[from] CertError),
    /// Somebody changed it.
    #[error("invite link: {0}")]
    Signature(#[from] BadSignature),
    /// An identifier of the wrong length.
    #[error("invite link: {0}")]
    Length(#[from] WrongLength),
    /// A server's URL that cannot be one.
    #[error("invite link: {0}")]
    Url(#[from] ServerUrlError),
    /// A limit is broken.
    #[error("invite link: {what} is above its limit")]
    Limit {
        /// What is too long or too many.
        what: &'static str,
    },
    /// Its time is over.
    #[error("invite link has expired")]
    Expired,
}

impl Invite {
    /// Signs an invite.
    ///
    /// # Errors
    /// [`InviteError::Limit`] for a name or server list above its limit, [`InviteError::TooLong`] if the
    /// URLs are so long that nobody would take the link.
    pub fn sign(body: InviteBody, cert: DeviceCert, key: &DeviceKey) -> Result<Self, InviteError> {
        check_limits(&body)?;
        let bytes = body_to_wire(&body).encode_to_vec();
        let signed = wire::SignedInvite {
            signature: key.sign(Label::Invite, &[&bytes]).to_vec(),
            cert: cert.encode(),
            body: bytes,
        };
        let encoded = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(signed.encode_to_vec()));
        check_len(&encoded)?;
        Ok(Self {
            body,
            cert,
            encoded,
        })
    }

    /// Whether the invite may be used at `now_ms`.
    ///
    /// # Errors
    /// [`InviteError::Expired`], also if the certificate inside has expired.
    pub fn check_time(&self, now_ms: u64) -> Result<(), InviteError> {
        if now_ms >= self.body.expires_ms || self.cert.check_time(now_ms).is_err() {
            return Err(InviteError::Expired);
        }
        Ok(())
    }

    /// What it says.
    #[must_use]
    pub const fn body(&self) -> &InviteBody {
        &self.body
    }

    /// Whose invite it is, and which device made it.
    #[must_use]
    pub const fn cert(&self) -> &DeviceCert {
        &self.cert
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let text = text.trim();
        check_len(text)?;
        let encoded = text.strip_prefix(SCHEME).ok_or(InviteError::Scheme)?;
        if encoded.is_empty() {
            return Err(InviteError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| InviteError::Malformed)?;
        let signed =
            wire::SignedInvite::decode(bytes.as_slice()).map_err(|_| InviteError::Malformed)?;
        let cert = DeviceCert::decode(&signed.cert)?;
        cert.device()
            .verify(Label::Invite, &[&signed.body], &signed.signature)?;
        let body = wire::InviteBody::decode(signed.body.as_slice())
            .map_err(|_| InviteError::Malformed)
            .and_then(body_from_wire)?;
        check_limits(&body)?;
        Ok(Self {
            body,
            cert,
            encoded: text.to_owned(),
        })
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encoded)
    }
}

fn check_len(link: &str) -> Result<(), InviteError> {
    if link.len() > INVITE_MAX {
        return Err(InviteError::TooLong { len: link.len() });
    }
    Ok(())
}

fn check_limits(body: &InviteBody) -> Result<(), InviteError> {
    if body.name.len() > NAME_MAX {
        return Err(InviteError::Limit { what: "name" });
    }
    if body.signal_servers.is_empty() || body.signal_servers.len() > SIGNAL_SERVERS_MAX {
        return Err(InviteError::Limit {
            what: "number of signaling servers",
        });
    }
    Ok(())
}

fn body_to_wire(body: &InviteBody) -> wire::InviteBody {
    wire::InviteBody {
        signal_servers: body
            .signal_servers
            .iter()
            .map(ToString::to_string)
            .collect(),
        relay: body.relay.to_string(),
        queue: body.queue.to_vec(),
        write_token: body.write_token.to_vec(),
        key_package_owner: body.key_package_owner.to_vec(),
        key_package_token: body.key_package_token.to_vec(),
        signal_address: body.signal_address.to_vec(),
        expires_ms: body.expires_ms,
        max_uses: body.max_uses,
        name: body.name.clone(),
        secret: body
            .secret
            .as_ref()
            .map_or_else(Vec::new, InviteSecret::to_vec),
    }
}

fn body_from_wire(body: wire::InviteBody) -> Result<InviteBody, InviteError> {
    Ok(InviteBody {
        name: body.name,
        signal_servers: body
            .signal_servers
            .iter()
            .map(|url| ServerUrl::parse(url))
            .collect::<Result<_, _>>()?,
        relay: ServerUrl::parse(&body.relay)?,
        queue: QueueId::try_from(body.queue.as_slice())?,
        write_token: WriteToken::try_from(body.write_token.as_slice())?,
        key_package_owner: QueueId::try_from(body.key_package_owner.as_slice())?,
        key_package_token: WriteToken::try_from(body.key_package_token.as_slice())?,
        signal_address: SignalAddress::try_from(body.signal_address.as_slice())?,
        expires_ms: body.expires_ms,
        max_uses: body.max_uses,
        secret: match body.secret.as_slice() {
            [] => None,
            secret => Some(InviteSecret::try_from(secret)?),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::IdentityKey;
    use crate::limits::URL_MAX;
    use proptest::prelude::*;

    fn body() -> InviteBody {
        InviteBody {
            name: "Ann".into(),
            signal_servers: vec![ServerUrl::parse("https://chat.example.org").unwrap()],
            relay: ServerUrl::parse("https://relay.example.org").unwrap(),
            queue: QueueId::from_bytes([1; 32]),
            write_token: WriteToken::from_bytes([2; 16]),
            key_package_owner: QueueId::from_bytes([3; 32]),
            key_package_token: WriteToken::from_bytes([4; 16]),
            signal_address: SignalAddress::from_bytes([5; 32]),
            expires_ms: 2_000_000_000_000,
            max_uses: 1,
            secret: Some(InviteSecret::from_bytes([6; 16])),
        }
    }

    fn sign(body: InviteBody) -> Result<Invite, InviteError> {
        let device = DeviceKey::from_seed(&[2; 32]);
        let cert = DeviceCert::issue(
            &IdentityKey::from_seed(&[1; 32]),
            device.device(),
            1_950_000_000_000,
        );
        Invite::sign(body, cert, &device)
    }

    fn sample() -> Invite {
        sign(body()).unwrap()
    }

    #[test]
    fn a_link_is_pinned() {
        use sha2::{Digest, Sha256};
        let link = sample().to_string();
        assert_eq!(
            hex::encode(Sha256::digest(link.as_bytes())),
            "d83ee15d60a4b1ba3f0e951c1c9522a98471474b33589cfc73da9879fbaa10e8"
        );
    }

    #[test]
    fn a_link_round_trips_with_space_around_it() {
        let invite = sample();
        assert_eq!(format!("  {invite}\n").parse::<Invite>(), Ok(invite));
    }

    #[test]
    fn an_invite_ends() {
        let invite = sample();
        assert_eq!(invite.check_time(2_000_000_000_000 - 1), Ok(()));
        assert_eq!(
            invite.check_time(2_000_000_000_000),
            Err(InviteError::Expired)
        );
    }

    #[test]
    fn an_invite_ends_with_its_certificate() {
        let body = InviteBody {
            expires_ms: u64::MAX,
            ..body()
        };
        let invite = sign(body).unwrap();
        let end = invite.cert().expires_ms();
        assert_eq!(invite.check_time(end - 1), Ok(()));
        assert_eq!(invite.check_time(end), Err(InviteError::Expired));
    }

    #[test]
    fn limits_hold_where_a_link_is_made_and_where_it_is_read() {
        let server = || ServerUrl::parse("https://chat.example.org").unwrap();
        let of = |name: usize, servers: usize| InviteBody {
            name: "n".repeat(name),
            signal_servers: vec![server(); servers],
            ..body()
        };
        let read = |body: &InviteBody| {
            let bytes = body_to_wire(body).encode_to_vec();
            let key = DeviceKey::from_seed(&[2; 32]);
            let signed = wire::SignedInvite {
                signature: key.sign(Label::Invite, &[&bytes]).to_vec(),
                cert: sample().cert().encode(),
                body: bytes,
            };
            let link = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(signed.encode_to_vec()));
            link.parse::<Invite>()
        };
        let most = of(NAME_MAX, SIGNAL_SERVERS_MAX);
        assert_eq!(read(&most), sign(most));
        for (what, broken) in [
            ("name", of(NAME_MAX + 1, 1)),
            ("number of signaling servers", of(3, SIGNAL_SERVERS_MAX + 1)),
            ("number of signaling servers", of(3, 0)),
        ] {
            assert_eq!(read(&broken), Err(InviteError::Limit { what }));
            assert_eq!(sign(broken), Err(InviteError::Limit { what }));
        }
    }

    #[test]
    fn an_older_link_has_no_secret_and_is_read_all_the_same() {
        let older = InviteBody {
            secret: None,
            ..body()
        };
        let link = sign(older.clone()).unwrap().to_string();
        assert_eq!(link.parse::<Invite>().unwrap().body(), &older);
    }

    #[test]
    fn a_secret_of_another_length_is_refused() {
        for len in [1, 15, 17] {
            let mut body = body_to_wire(&body());
            body.secret = vec![6; len];
            assert!(matches!(body_from_wire(body), Err(InviteError::Length(_))));
        }
    }

    #[test]
    fn regression_a_link_that_nobody_would_take_is_not_made() {
        let longest = format!("https://h/{}", "x".repeat(URL_MAX - 10));
        let longest = ServerUrl::parse(&longest).unwrap();
        let body = InviteBody {
            name: "n".repeat(NAME_MAX),
            signal_servers: vec![longest.clone(); SIGNAL_SERVERS_MAX],
            relay: longest,
            ..body()
        };
        assert!(matches!(sign(body), Err(InviteError::TooLong { len }) if len > INVITE_MAX));
    }

    #[test]
    fn wrong_links_say_what_to_look_at() {
        assert_eq!("https://x".parse::<Invite>(), Err(InviteError::Scheme));
        for damaged in ["tincan:!", "tincan:", "tincan: "] {
            assert_eq!(damaged.parse::<Invite>(), Err(InviteError::Malformed));
        }
        let link = sample().to_string();
        assert!(link[..link.len() - 9].parse::<Invite>().is_err());
        let longest = format!("tincan:{}", "A".repeat(INVITE_MAX - SCHEME.len()));
        assert_eq!(longest.parse::<Invite>(), Err(InviteError::Malformed));
        let long = format!("tincan:{}", "A".repeat(INVITE_MAX - SCHEME.len() + 1));
        assert!(matches!(
            long.parse::<Invite>(),
            Err(InviteError::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_noticed(at in 0usize..400, bit in 0..8u8) {
            let link = sample().to_string();
            let mut bytes = URL_SAFE_NO_PAD.decode(&link[SCHEME.len()..]).unwrap();
            prop_assume!(at < bytes.len());
            bytes[at] ^= 1 << bit;
            let link = format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(bytes));
            // A flip in protobuf's own framing may turn a field into an unknown one, which must
            // not pass either.
            prop_assert!(link.parse::<Invite>().is_err());
        }

        #[test]
        fn no_text_panics(text in "(tincan:)?[A-Za-z0-9_-]{0,200}") {
            let _ = text.parse::<Invite>();
        }
    }
}
