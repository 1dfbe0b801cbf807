//! Time-limited TURN credentials: "A REST API For Access To TURN Services"
//! (draft-uberti-behave-turn-rest), which coturn calls `use-auth-secret`.
//!
//! Username `expiry:user`, expiry in Unix seconds; password `base64(HMAC-SHA1(secret, username))`.
//! Whoever holds the secret can both issue and check, so nothing is stored for a user, and the
//! same secret in a coturn makes it accept what this server issues.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use tincan_protocol::SignalAddress;
use tincan_protocol::signal::TurnCredentials;
use zeroize::Zeroizing;

/// How long issued credentials are good, seconds. Chosen: long enough for a connection to be made
/// with them after a reconnection, short enough that stolen ones are soon worthless.
pub const TTL_S: u64 = 3600;

/// Allowed on top of [`TTL_S`], seconds: another server may have issued them, with its own clock.
pub const SKEW_S: u64 = 60;

/// Longest username taken, bytes. Ours have 54; RFC 8489 allows 508.
const USERNAME_MAX: usize = 128;

/// The secret shared by who issues credentials and who checks them.
#[derive(Clone)]
pub struct TurnSecret(Zeroizing<Vec<u8>>);

impl TurnSecret {
    /// A new random one, for a server that needs to agree with nobody.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rand::fill(bytes.as_mut_slice());
        Self(bytes)
    }

    /// A configured one; white space around it (the line end of a file) does not count.
    /// `None` if it has less than 16 characters: it could be guessed from one credential.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= 16).then(|| Self(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// The password that belongs to a username.
    #[must_use]
    pub fn password(&self, username: &str) -> String {
        // HMAC takes keys of every length, so the error cannot occur.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(username.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

impl std::fmt::Debug for TurnSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TurnSecret")
    }
}

/// Issues credentials to whoever has logged in.
#[derive(Clone, Debug)]
pub struct Issuer {
    secret: TurnSecret,
    urls: Vec<String>,
}

impl Issuer {
    /// Issues for the servers at `urls` (`stun:` and `turn:`, RFC 7064 and 7065).
    #[must_use]
    pub fn new(secret: TurnSecret, urls: Vec<String>) -> Self {
        Self { secret, urls }
    }

    /// Credentials for one address, good from `unix_s` on for [`TTL_S`].
    #[must_use]
    pub fn issue(&self, address: &SignalAddress, unix_s: u64) -> TurnCredentials {
        let username = format!("{}:{address}", unix_s.saturating_add(TTL_S));
        let credential = self.secret.password(&username);
        TurnCredentials {
            urls: self.urls.clone(),
            username,
            credential,
            ttl_s: TTL_S,
        }
    }
}

/// Why a username is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsernameError {
    /// Not `expiry:user`.
    #[error("username is not expiry:user")]
    Malformed,
    /// Its time is over.
    #[error("credentials have expired")]
    Expired,
    /// Good for longer than this server ever issues.
    #[error("credentials expire more than {TTL_S} s from now")]
    TooFar,
}

/// The user part of a username that is good at `unix_s`. Says nothing about the password.
///
/// # Errors
/// [`UsernameError`] says what is wrong.
pub fn user_of(username: &str, unix_s: u64) -> Result<&str, UsernameError> {
    if username.len() > USERNAME_MAX {
        return Err(UsernameError::Malformed);
    }
    let (expiry, user) = username.split_once(':').ok_or(UsernameError::Malformed)?;
    // `parse` alone would take a sign as well.
    if user.is_empty() || !expiry.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UsernameError::Malformed);
    }
    let expiry: u64 = expiry.parse().map_err(|_| UsernameError::Malformed)?;
    if expiry <= unix_s {
        return Err(UsernameError::Expired);
    }
    if expiry - unix_s > TTL_S + SKEW_S {
        return Err(UsernameError::TooFar);
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_pinned() {
        // printf %s '1700000000:alice' | openssl dgst -sha1 -hmac '0123456789abcdef' -binary | base64
        let secret = TurnSecret::from_text("0123456789abcdef\n").unwrap();
        assert_eq!(
            secret.password("1700000000:alice"),
            "QmpguVhgm8LJZp0MkvqhyKEkXps="
        );
    }

    #[test]
    fn what_is_issued_is_good_for_an_hour() {
        let issuer = Issuer::new(TurnSecret::random(), vec!["stun:192.0.2.1:3478".to_owned()]);
        let address = SignalAddress::from_bytes([3; 32]);
        let issued = issuer.issue(&address, 1000);
        assert_eq!(
            user_of(&issued.username, 1000),
            Ok(address.to_string().as_str())
        );
        assert_eq!(
            user_of(&issued.username, 1000 + TTL_S),
            Err(UsernameError::Expired)
        );
        assert_eq!(issued.ttl_s, TTL_S);
    }

    #[test]
    fn odd_usernames_are_refused() {
        for odd in [
            "",
            ":",
            "5000",
            "5000:",
            ":alice",
            "+5000:alice",
            "x:alice",
            "99999999999999999999999:a",
        ] {
            assert_eq!(user_of(odd, 1000), Err(UsernameError::Malformed), "{odd}");
        }
        assert_eq!(
            user_of(&format!("5000:{}", "a".repeat(200)), 1000),
            Err(UsernameError::Malformed)
        );
        assert_eq!(user_of("4661:alice", 1000), Err(UsernameError::TooFar));
        assert_eq!(user_of("4660:alice", 1000), Ok("alice"));
    }

    #[test]
    fn short_secrets_are_refused() {
        assert!(TurnSecret::from_text("  short  ").is_none());
    }
}
