//! Which `Host` headers a server answers to.
//!
//! A login signs the origin the client dialed. That protects only if the server refuses origins
//! which are not its own: otherwise a malicious server could pass another server's challenge on,
//! have it signed for its own origin, and present it there with its own name as `Host`. So an
//! accepted origin is always one that belongs to this server: the configured public URL, or the
//! very address the connection came in on.

use std::net::{IpAddr, SocketAddr};

use tincan_protocol::origin::{Origin, ServerUrl};

/// The port that a plain-HTTP client leaves out of `Host` (RFC 9110, 4.2.1).
const HTTP_PORT: u16 = 80;

/// What to tell a client whose `Host` is refused; with HTTP 421 (Misdirected Request).
pub const WRONG_ORIGIN: &str = "this server does not know itself by the name in the URL; \
     its operator has to start it with --public-url set to the URL that clients use\n";

/// Which `Host` headers a server answers to.
#[derive(Clone, Debug)]
pub struct OriginPolicy {
    public: Option<Origin>,
}

impl OriginPolicy {
    /// With a public URL its origin is the only one; without, the address of each connection.
    #[must_use]
    pub fn new(public_url: Option<ServerUrl>) -> Self {
        Self {
            public: public_url.map(|url| url.origin()),
        }
    }

    /// The origin that a login on a connection with this `Host` header must have signed, or `None`
    /// if the header does not name this server. `local` is the accepted socket's own address.
    #[must_use]
    pub fn accept(&self, host_header: &str, local: SocketAddr) -> Option<Origin> {
        let origin = Origin::from_host_header(host_header);
        let own = match &self.public {
            Some(public) => origin == *public,
            None => names_address(origin.as_str(), local),
        };
        own.then_some(origin)
    }
}

/// Whether `host` is `IP:port` of this address, or `localhost:port` and the address is loopback.
fn names_address(host: &str, local: SocketAddr) -> bool {
    let Some((name, port)) = split_port(host) else {
        return false;
    };
    if port != local.port() {
        return false;
    }
    // A dual-stack listener sees IPv4 clients as `::ffff:a.b.c.d`.
    let local = local.ip().to_canonical();
    match name.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical() == local,
        Err(_) => name == "localhost" && local.is_loopback(),
    }
}

/// Name (an IPv6 literal without its brackets) and port.
fn split_port(host: &str) -> Option<(&str, u16)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        let is_v6 = name.contains(':');
        return is_v6.then_some((name, port_of(rest.strip_prefix(':'), rest)?));
    }
    match host.split_once(':') {
        Some((name, port)) => Some((name, port_of(Some(port), port)?)),
        None => Some((host, HTTP_PORT)),
    }
}

/// The port's number; digits only, so that `+80` is none.
fn port_of(port: Option<&str>, rest: &str) -> Option<u16> {
    match port {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        None if rest.is_empty() => Some(HTTP_PORT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(url: Option<&str>, host: &str, local: &str) -> bool {
        let policy = OriginPolicy::new(url.map(|url| ServerUrl::parse(url).unwrap()));
        policy.accept(host, local.parse().unwrap()).is_some()
    }

    #[test]
    fn with_a_public_url_only_its_origin_is_accepted() {
        let url = Some("https://relay.example.org");
        assert!(accepts(url, "Relay.Example.org", "10.0.0.1:8444"));
        assert!(!accepts(url, "relay.example.org:8444", "10.0.0.1:8444"));
        assert!(!accepts(url, "10.0.0.1:8444", "10.0.0.1:8444"));
        assert!(accepts(
            Some("http://a.example:8444"),
            "a.example:8444",
            "10.0.0.1:8444"
        ));
    }

    #[test]
    fn without_a_public_url_only_the_connections_own_address_is_accepted() {
        assert!(accepts(None, "10.0.0.1:8444", "10.0.0.1:8444"));
        assert!(accepts(None, "[::1]:8444", "[::1]:8444"));
        assert!(accepts(None, "10.0.0.1", "10.0.0.1:80"));
        assert!(accepts(None, "127.0.0.1:1", "[::ffff:127.0.0.1]:1"));
        for host in [
            "10.0.0.2:8444",
            "10.0.0.1:8445",
            "10.0.0.1",
            "evil.example:8444",
            "",
        ] {
            assert!(!accepts(None, host, "10.0.0.1:8444"), "{host}");
        }
    }

    #[test]
    fn localhost_is_accepted_on_loopback_only() {
        assert!(accepts(None, "LocalHost:8444", "127.0.0.1:8444"));
        assert!(accepts(None, "localhost:8444", "[::1]:8444"));
        assert!(!accepts(None, "localhost:8444", "10.0.0.1:8444"));
        assert!(!accepts(None, "localhost.evil:8444", "127.0.0.1:8444"));
    }

    #[test]
    fn a_port_is_made_of_digits() {
        for host in [
            "127.0.0.1:+80",
            "127.0.0.1:",
            "127.0.0.1:80:80",
            "[127.0.0.1]:80",
            "[::1",
            "[::1]80",
        ] {
            assert!(!accepts(None, host, "127.0.0.1:80"), "{host}");
            assert!(!accepts(None, host, "[::1]:80"), "{host}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(host in ".{0,60}", ip: [u8; 4], port: u16) {
            let _ = OriginPolicy::new(None).accept(&host, SocketAddr::from((ip, port)));
        }

        #[test]
        fn every_address_names_itself_and_no_other(ip: [u8; 16], port: u16, other: u16) {
            let local = SocketAddr::from((ip, port));
            let policy = OriginPolicy::new(None);
            prop_assert!(policy.accept(&local.to_string(), local).is_some());
            prop_assert_eq!(policy.accept(&SocketAddr::from((ip, other)).to_string(), local).is_some(), port == other);
        }
    }
}
