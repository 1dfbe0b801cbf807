//! STUN and TURN servers, as far as links can use what signaling servers say of them.
//!
//! A contact names signaling servers, so that any of this may be wrong: what is of no use is left out
//! by itself, and takes nothing else with it. Where their names lead is not decided here: that is
//! looked up, and checked, where connections are made ([`crate::net`]).

use std::collections::BTreeSet;
use std::fmt;

use tincan_protocol::limits::TURN_URLS_MAX;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::signal::TurnCredentials;
use tincan_protocol::turn_url::{TurnUrl, TurnUrlError};

use super::Driver;
use crate::net::Dial;
use crate::store::ConversationNo;

/// The STUN and TURN servers that one signaling server names.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnServers {
    /// The signaling server.
    pub named_by: Dial,
    /// They; at most [`TURN_URLS_MAX`], all over UDP.
    pub urls: Vec<TurnUrl>,
    /// For TURN.
    pub username: String,
    /// For TURN.
    pub credential: String,
}

impl fmt::Debug for TurnServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnServers")
            .field("named_by", &self.named_by)
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// Why a URL is not used.
#[derive(Debug, thiserror::Error)]
enum Useless {
    #[error(transparent)]
    Malformed(#[from] TurnUrlError),
    #[error("TURN needs a username and a credential, and there is none")]
    NoCredentials,
    #[error("links reach TURN over UDP alone")]
    NotOverUdp,
}

impl TurnServers {
    /// What is of use for a link.
    fn usable(named_by: Dial, named: &TurnCredentials) -> Self {
        let server = &named_by.server;
        let too_many = named.urls.len().saturating_sub(TURN_URLS_MAX);
        if too_many > 0 {
            tracing::warn!(%server, too_many, "the server names more STUN and TURN servers than are used");
        }
        let considered = named.urls.iter().take(TURN_URLS_MAX);
        let urls = considered.filter_map(|text| {
            let url = usable(text, named);
            url.inspect_err(
                |error| tracing::warn!(%server, %error, "a STUN or TURN server is not used"),
            )
            .ok()
        });
        Self {
            urls: urls.collect(),
            username: named.username.clone(),
            credential: named.credential.clone(),
            named_by,
        }
    }
}

fn usable(text: &str, named: &TurnCredentials) -> Result<TurnUrl, Useless> {
    let url: TurnUrl = text.parse()?;
    if url.needs_credentials() && (named.username.is_empty() || named.credential.is_empty()) {
        return Err(Useless::NoCredentials);
    }
    if !url.is_udp() {
        return Err(Useless::NotOverUdp);
    }
    Ok(url)
}

impl Driver {
    /// Those of our own signaling servers and of this contact's, and nobody else's.
    pub(super) fn turn_servers(&self, no: ConversationNo) -> Vec<TurnServers> {
        let row = self
            .conversations
            .get(&no)
            .map(|conversation| &conversation.row);
        let theirs = row.and_then(|row| row.their_reach.as_ref());
        let theirs = theirs.into_iter().flat_map(|reach| &reach.signal_servers);
        let servers: BTreeSet<&ServerUrl> =
            self.profile.signal_servers.iter().chain(theirs).collect();
        let servers = servers.into_iter().filter_map(|server| {
            let named = self.signals.get(server)?.turn.as_ref()?;
            Some(TurnServers::usable(self.dial(server), named))
        });
        servers.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls_of(urls: &[&str], username: &str, credential: &str) -> Vec<String> {
        let server: ServerUrl = "https://chat.example.org".parse().unwrap();
        let named_by = Dial {
            own: [server.clone()].into(),
            server,
        };
        let named = TurnCredentials {
            urls: urls.iter().map(|&url| url.to_owned()).collect(),
            username: username.to_owned(),
            credential: credential.to_owned(),
            ttl_s: 600,
        };
        let usable = TurnServers::usable(named_by, &named);
        usable.urls.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_cannot_be_read_or_used_is_left_out_by_itself() {
        let urls = [
            "turn:",
            "stun:a",
            "turns:b",
            "turn:c?transport=tcp",
            "//",
            "turn:d",
        ];
        let usable = ["stun:a:3478", "turn:d:3478?transport=udp"];
        assert_eq!(urls_of(&urls, "u", "c"), usable);
    }

    #[test]
    fn regression_without_username_or_credential_there_is_stun_alone() {
        let urls = ["turn:a", "stun:b"];
        for (username, credential) in [("", ""), ("u", ""), ("", "c")] {
            assert_eq!(urls_of(&urls, username, credential), ["stun:b:3478"]);
        }
    }

    #[test]
    fn no_more_urls_are_looked_at_than_are_used() {
        let mut urls = ["turn:"; TURN_URLS_MAX + 1];
        urls[TURN_URLS_MAX - 1] = "stun:last";
        urls[TURN_URLS_MAX] = "stun:one-more";
        assert_eq!(urls_of(&urls, "u", "c"), ["stun:last:3478"]);
    }
}
