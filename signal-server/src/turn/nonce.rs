//! Nonces for the long-term credential mechanism (RFC 8489, 9.2) that need no memory.
//!
//! A nonce is a time and a MAC over that time and the client's transport address: it is good for
//! one client for an hour, and a flood of first requests leaves nothing behind.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a nonce is good, seconds. RFC 8489, 9.2.4 asks for a limit; an hour spares clients that
/// take a stale nonce for a failure (rtc-turn 0.21 does when allocating) from ever meeting one.
const LIFETIME_S: u64 = 3600;

/// Bytes of the MAC kept: 80 bits cannot be guessed within an hour over a network.
const TAG_LEN: usize = 10;

/// Makes and checks nonces with a key of its own.
#[derive(Debug)]
pub(super) struct Nonces {
    key: [u8; 32],
}

impl Nonces {
    /// `key`: 32 random bytes.
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// A nonce for this client: 16 hexadecimal digits of time, 20 of MAC.
    pub(super) fn issue(&self, client: SocketAddr, now: Duration) -> String {
        let issued = now.as_secs();
        let tag = self.tag(client, issued);
        let mut nonce = format!("{issued:016x}");
        for byte in tag {
            nonce.push_str(&format!("{byte:02x}"));
        }
        nonce
    }

    /// Whether the nonce was issued to this client within the last hour.
    pub(super) fn is_fresh(&self, nonce: &str, client: SocketAddr, now: Duration) -> bool {
        let Some(issued) = nonce
            .get(..16)
            .and_then(|time| u64::from_str_radix(time, 16).ok())
        else {
            return false;
        };
        let age = now.as_secs().checked_sub(issued);
        // Only what `issue` itself would have written is taken: one notation for each nonce.
        age.is_some_and(|age| age <= LIFETIME_S)
            && self.issue(client, Duration::from_secs(issued)) == nonce
    }

    fn tag(&self, client: SocketAddr, issued: u64) -> [u8; TAG_LEN] {
        let mut tag = [0; TAG_LEN];
        // HMAC takes keys of every length, so the error cannot occur.
        if let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.key) {
            match client.ip() {
                IpAddr::V4(ip) => mac.update(&ip.octets()),
                IpAddr::V6(ip) => mac.update(&ip.octets()),
            }
            mac.update(&client.port().to_be_bytes());
            mac.update(&issued.to_be_bytes());
            tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG_LEN]);
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn a_nonce_is_good_for_its_client_for_an_hour() {
        let nonces = Nonces::new([7; 32]);
        let issued = Duration::from_secs(100);
        let nonce = nonces.issue(client(1), issued);
        assert!(nonces.is_fresh(&nonce, client(1), issued));
        assert!(nonces.is_fresh(&nonce, client(1), issued + Duration::from_secs(LIFETIME_S)));
        assert!(!nonces.is_fresh(
            &nonce,
            client(1),
            issued + Duration::from_secs(LIFETIME_S + 1)
        ));
        assert!(!nonces.is_fresh(&nonce, client(1), Duration::from_secs(99)));
        assert!(!nonces.is_fresh(&nonce, client(2), issued));
        assert!(!Nonces::new([8; 32]).is_fresh(&nonce, client(1), issued));
        assert!(!nonces.is_fresh(&nonce.to_uppercase(), client(1), issued));
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_a_nonce(text in ".{0,60}") {
            prop_assert!(!Nonces::new([7; 32]).is_fresh(&text, client(1), Duration::from_secs(100)));
        }
    }
}
