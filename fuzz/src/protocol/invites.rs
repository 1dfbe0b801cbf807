//! Invite links.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message as _;
use tincan_protocol::invite::{Invite, InviteError, SCHEME};
use tincan_protocol::labels::Label;
use tincan_protocol::limits::{INVITE_MAX, NAME_MAX, SIGNAL_SERVERS_MAX};
use tincan_protocol::wire;

use super::check_url;
use super::identity::{CERT, DEVICE_KEY};
use crate::bounded::bounded;

/// An invite link: any text, and any body with a right signature.
pub fn invite(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    let signed = wire::SignedInvite {
        signature: DEVICE_KEY.sign(Label::Invite, &[data]).to_vec(),
        cert: CERT.encode(),
        body: data.to_vec(),
    };
    check(&link(&signed));
}

fn link(signed: &wire::SignedInvite) -> String {
    format!("{SCHEME}{}", URL_SAFE_NO_PAD.encode(signed.encode_to_vec()))
}

fn check(text: &str) {
    let Ok(invite) = bounded(text.len(), || text.parse::<Invite>()) else {
        return;
    };
    let link = invite.to_string();
    assert!(link.len() <= INVITE_MAX && link.starts_with(SCHEME));
    assert_eq!(link.parse::<Invite>().as_ref(), Ok(&invite));
    let body = invite.body();
    assert!(body.name.len() <= NAME_MAX);
    assert!((1..=SIGNAL_SERVERS_MAX).contains(&body.signal_servers.len()));
    body.signal_servers
        .iter()
        .chain([&body.relay])
        .for_each(check_url);
    assert_eq!(
        invite.check_time(body.expires_ms),
        Err(InviteError::Expired)
    );

    // The same said by our own encoder. The signer of the text may be another one.
    match Invite::sign(body.clone(), CERT.clone(), &DEVICE_KEY) {
        Ok(own) => {
            let reread = own.to_string().parse::<Invite>().unwrap();
            assert_eq!(reread.body(), body);
        }
        // Encoding may have made its URLs longer.
        Err(error) => assert!(matches!(error, InviteError::TooLong { .. }), "{error}"),
    }
}
