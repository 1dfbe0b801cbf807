//! Server URLs and the origin a login is bound to.

use std::fmt;
use url::Url;

use crate::limits::URL_MAX;

/// A server's URL that this protocol can use: `http` or `https`, a host, no credentials, query or
/// fragment.
///
/// Slashes at its end mean nothing here, so none is kept but the one that is the whole path: two URLs
/// are equal if they print alike, and one that was written down and read again is the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerUrl(Url);

/// Why a text is not a server's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerUrlError {
    /// Longer than [`URL_MAX`].
    #[error("server URL has {len} bytes, at most {URL_MAX} are allowed")]
    TooLong {
        /// Length found, in bytes.
        len: usize,
    },
    /// Not a URL.
    #[error("{text:?} is not a URL; one looks like https://chat.example.org")]
    Malformed {
        /// The text.
        text: String,
    },
    /// A scheme that no Tincan server speaks.
    #[error("server URL must start with http:// or https://, not {scheme}:")]
    Scheme {
        /// Scheme found.
        scheme: String,
    },
    /// User, password, query or fragment.
    #[error("server URL may hold a host, a port and a path, nothing else")]
    Extras,
}

impl ServerUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`ServerUrlError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ServerUrlError> {
        if text.len() > URL_MAX {
            return Err(ServerUrlError::TooLong { len: text.len() });
        }
        let mut url = Url::parse(text).map_err(|_| ServerUrlError::Malformed {
            text: text.to_owned(),
        })?;
        // Encoding may have made it longer, and what is kept is the encoded form.
        let len = url.as_str().len();
        if len > URL_MAX {
            return Err(ServerUrlError::TooLong { len });
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ServerUrlError::Scheme {
                scheme: url.scheme().to_owned(),
            });
        }
        if !url.has_host() {
            return Err(ServerUrlError::Malformed {
                text: text.to_owned(),
            });
        }
        let extras = !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some();
        if extras {
            return Err(ServerUrlError::Extras);
        }
        if url.path().ends_with('/') {
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
        }
        Ok(Self(url))
    }

    /// The WebSocket URL of an endpoint below this server.
    #[must_use]
    pub fn websocket(&self, endpoint: &str) -> String {
        let scheme = if self.0.scheme() == "https" {
            "wss"
        } else {
            "ws"
        };
        let path = self.0.path().trim_end_matches('/');
        format!("{scheme}://{}{path}/{endpoint}", self.origin())
    }

    /// What a client that dials this URL sends as `Host`.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => Origin(format!("{host}:{port}")),
            None => Origin(host.to_owned()),
        }
    }

    /// Host and port to connect to.
    #[must_use]
    pub fn host_and_port(&self) -> (String, u16) {
        let host = self
            .0
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        (host, self.0.port_or_known_default().unwrap_or(443))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Url` adds a path of "/" to every bare host; people write it without.
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl std::str::FromStr for ServerUrl {
    type Err = ServerUrlError;

    fn from_str(text: &str) -> Result<Self, ServerUrlError> {
        Self::parse(text)
    }
}

impl serde::Serialize for ServerUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ServerUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Host and, if it is not the scheme's own, port: exactly what a client sends in its `Host`
/// header, in lower case. A login signs the origin the client dialed, so that a server which passes
/// another server's challenge on cannot use the answer there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin in a `Host` header.
    #[must_use]
    pub fn from_host_header(value: &str) -> Self {
        Self(value.trim().to_ascii_lowercase())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `u16 length | text`, for signed bytes.
    pub(crate) fn signed_bytes(&self) -> Vec<u8> {
        let text = self.0.as_bytes();
        // A longer Host header has been refused by every HTTP server long before.
        let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let mut bytes = len.to_be_bytes().to_vec();
        bytes.extend_from_slice(text);
        bytes
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_websockets_and_origins() {
        let url = ServerUrl::parse("https://Chat.Example.org").unwrap();
        assert_eq!(url.to_string(), "https://chat.example.org");
        assert_eq!(url.websocket("signal"), "wss://chat.example.org/signal");
        assert_eq!(url.origin().as_str(), "chat.example.org");
        let url = ServerUrl::parse("http://[::1]:8443/tincan/").unwrap();
        assert_eq!(url.websocket("relay"), "ws://[::1]:8443/tincan/relay");
        assert_eq!(url.host_and_port(), ("::1".to_owned(), 8443));
    }

    #[test]
    fn a_default_port_is_no_part_of_the_origin() {
        let url = ServerUrl::parse("https://chat.example.org:443").unwrap();
        assert_eq!(url.origin(), Origin::from_host_header("Chat.example.org"));
    }

    #[test]
    fn regression_slashes_at_the_end_do_not_make_another_url() {
        for (text, same) in [
            ("https://h/", "https://h"),
            ("https://h//", "https://h"),
            ("https://h/tincan/", "https://h/tincan"),
            ("https://h/a//b//", "https://h/a//b"),
        ] {
            let url = ServerUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), same);
            assert_eq!(ServerUrl::parse(same), Ok(url), "{text}");
        }
    }

    #[test]
    fn regression_a_url_that_grows_by_encoding_is_refused() {
        // 8 + 120 * 2 bytes as text, but 720 characters when percent-encoded.
        let text = format!("http://h/{}", "é".repeat(120));
        assert!(matches!(
            ServerUrl::parse(&text),
            Err(ServerUrlError::TooLong { .. })
        ));
    }

    proptest::proptest! {
        #[test]
        fn what_was_read_once_is_read_again(text in "https?://[a-z0-9é.]{1,40}(:[0-9]{1,5})?(/[a-zé%/]{0,60})?") {
            if let Ok(url) = ServerUrl::parse(&text) {
                proptest::prop_assert_eq!(ServerUrl::parse(&url.to_string()), Ok(url));
            }
        }
    }

    #[test]
    fn wrong_urls_say_why() {
        let error = |text| ServerUrl::parse(text).unwrap_err().to_string();
        assert!(error("chat.example.org").contains("https://"));
        assert!(error("ftp://x").contains("ftp:"));
        for extra in ["https://a@x", "https://:b@x", "https://x?a", "https://x#a"] {
            assert_eq!(
                ServerUrl::parse(extra),
                Err(ServerUrlError::Extras),
                "{extra}"
            );
        }
        assert!(error("https://a:b@x").contains("nothing else"));
        assert!(error(&format!("https://{}", "x".repeat(300))).contains("308 bytes"));
    }
}
