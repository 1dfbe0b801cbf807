//! URLs of STUN and TURN servers (RFC 7064, RFC 7065).
//!
//! Signaling servers name them, also those that a contact has named, and a WebRTC stack gives up a
//! whole connection for one that it cannot read: so they are read here before.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::limits::TURN_URL_MAX;

/// Where STUN and TURN are if a URL does not say it (RFC 7064 and RFC 7065, 3.2).
const DEFAULT_PORT: u16 = 3478;

/// A DNS name, bytes as text: 255 on the wire (RFC 1035, 2.3.4).
const DNS_NAME_MAX: usize = 253;

/// What is between two dots of it, bytes (RFC 1035, 2.3.4).
const DNS_LABEL_MAX: usize = 63;

/// A STUN or TURN server's URL that this protocol can use: `stun` or `turn`, a host, maybe a port
/// and a transport.
///
/// Port and transport are always printed, so that two URLs are equal if they print alike. Nothing here
/// speaks `stuns` and `turns`: links are encrypted from end to end, whoever passes their packets on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TurnUrl {
    service: Service,
    host: Host,
    port: u16,
}

/// What is asked for, and how the server is reached. STUN goes over UDP: it tells a UDP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Service {
    Stun,
    TurnOverUdp,
    TurnOverTcp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Name(String),
    Ip(IpAddr),
}

/// Why a text is not a STUN or TURN server's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TurnUrlError {
    /// Longer than [`TURN_URL_MAX`].
    #[error("STUN or TURN URL has {len} bytes, at most {TURN_URL_MAX} are allowed")]
    TooLong {
        /// Length found, in bytes.
        len: usize,
    },
    /// A scheme that links do not speak, or none.
    #[error("STUN or TURN URL must start with stun: or turn:, not with {scheme:?}")]
    Scheme {
        /// What is in its place.
        scheme: String,
    },
    /// Neither a DNS name nor an address; an IPv6 address stands in brackets.
    #[error("{host:?} is neither a DNS name nor an IPv4 address nor an IPv6 address in brackets")]
    Host {
        /// What is in its place.
        host: String,
    },
    /// Not a port.
    #[error("a port is a number from 1 to 65535, not {port:?}")]
    Port {
        /// What is in its place.
        port: String,
    },
    /// Asks for something else than a transport that the scheme knows.
    #[error(
        "a TURN URL may end in ?transport=udp or ?transport=tcp, a STUN URL in the former, not in {query:?}"
    )]
    Query {
        /// What follows the question mark.
        query: String,
    },
}

impl TurnUrl {
    /// Whether it is a TURN server's, which wants to know who uses it.
    #[must_use]
    pub const fn needs_credentials(&self) -> bool {
        !matches!(self.service, Service::Stun)
    }

    /// Whether the server is reached over UDP.
    #[must_use]
    pub const fn is_udp(&self) -> bool {
        !matches!(self.service, Service::TurnOverTcp)
    }

    /// Host and port to connect to.
    #[must_use]
    pub fn host_and_port(&self) -> (String, u16) {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Ip(ip) => ip.to_string(),
        };
        (host, self.port)
    }

    /// The same server at an address: whoever uses this asks no resolver.
    #[must_use]
    pub const fn at(&self, ip: IpAddr) -> Self {
        Self {
            service: self.service,
            host: Host::Ip(ip),
            port: self.port,
        }
    }
}

impl FromStr for TurnUrl {
    type Err = TurnUrlError;

    fn from_str(text: &str) -> Result<Self, TurnUrlError> {
        if text.len() > TURN_URL_MAX {
            return Err(TurnUrlError::TooLong { len: text.len() });
        }
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let (server, query) = match rest.split_once('?') {
            Some((server, query)) => (server, Some(query)),
            None => (rest, None),
        };
        let service = service(scheme, query)?;
        let (host, port) = host_and_port(server)?;
        Ok(Self {
            service,
            host,
            port,
        })
    }
}

fn service(scheme: &str, query: Option<&str>) -> Result<Service, TurnUrlError> {
    let is_turn = scheme.eq_ignore_ascii_case("turn");
    if !is_turn && !scheme.eq_ignore_ascii_case("stun") {
        return Err(TurnUrlError::Scheme {
            scheme: scheme.to_owned(),
        });
    }
    let transport = query.unwrap_or("transport=udp");
    // RFC 7064 has no transport, but many write it.
    match (is_turn, transport.to_ascii_lowercase().as_str()) {
        (false, "transport=udp") => Ok(Service::Stun),
        (true, "transport=udp") => Ok(Service::TurnOverUdp),
        (true, "transport=tcp") => Ok(Service::TurnOverTcp),
        _ => Err(TurnUrlError::Query {
            query: transport.to_owned(),
        }),
    }
}

/// `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
fn host_and_port(server: &str) -> Result<(Host, u16), TurnUrlError> {
    let end = match server.find(']') {
        Some(bracket) => bracket + 1,
        None => server.find(':').unwrap_or(server.len()),
    };
    let (host, rest) = server.split_at(end);
    let host = Host::parse(host).ok_or_else(|| TurnUrlError::Host {
        host: host.to_owned(),
    })?;
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, read_port(port)?)),
        None if rest.is_empty() => Ok((host, DEFAULT_PORT)),
        None => Err(TurnUrlError::Host {
            host: server.to_owned(),
        }),
    }
}

fn read_port(text: &str) -> Result<u16, TurnUrlError> {
    // `parse` alone would take a sign as well.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| is_number);
    port.map(NonZeroU16::get).ok_or_else(|| TurnUrlError::Port {
        port: text.to_owned(),
    })
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
        if let Some(text) = text.strip_prefix('[') {
            let ip: Ipv6Addr = text.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Ip(ip.into()));
        }
        match text.parse::<Ipv4Addr>() {
            Ok(ip) => Some(Self::Ip(ip.into())),
            Err(_) => is_dns_name(text).then(|| Self::Name(text.to_ascii_lowercase())),
        }
    }
}

/// Whether a text is a DNS name (RFC 1123, 2.1; with the underscores that names at home have), and no
/// other notation of an address: resolvers take `127.1` and `0x7f000001` for one.
fn is_dns_name(text: &str) -> bool {
    let is_name = text.len() <= DNS_NAME_MAX && text.split('.').all(is_label);
    let last = text.rsplit('.').next().unwrap_or_default();
    is_name && !is_number(last)
}

fn is_label(label: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=DNS_LABEL_MAX).contains(&label.len())
        && label.bytes().all(inside)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// As C writes them: hexadecimal or, with or without a 0 in front, of digits alone.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or(label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for TurnUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, query) = match self.service {
            Service::Stun => ("stun", ""),
            Service::TurnOverUdp => ("turn", "?transport=udp"),
            Service::TurnOverTcp => ("turn", "?transport=tcp"),
        };
        let port = self.port;
        match &self.host {
            Host::Name(name) => write!(f, "{scheme}:{name}:{port}{query}"),
            Host::Ip(ip) => write!(f, "{scheme}:{}{query}", SocketAddr::new(*ip, port)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(text: &str) -> TurnUrl {
        text.parse().unwrap()
    }

    fn error(text: &str) -> TurnUrlError {
        text.parse::<TurnUrl>().unwrap_err()
    }

    #[test]
    fn urls_print_with_everything_that_was_left_out() {
        for (text, printed) in [
            ("stun:Chat.Example.org", "stun:chat.example.org:3478"),
            ("stun:192.0.2.1:19302", "stun:192.0.2.1:19302"),
            ("STUN:h?transport=UDP", "stun:h:3478"),
            ("turn:turn_server", "turn:turn_server:3478?transport=udp"),
            ("turn:h:1?transport=tcp", "turn:h:1?transport=tcp"),
            ("Turn:h:065535", "turn:h:65535?transport=udp"),
            (
                "turn:[2001:DB8::0:1]",
                "turn:[2001:db8::1]:3478?transport=udp",
            ),
            (
                "turn:[::ffff:10.0.0.1]:9?Transport=Tcp",
                "turn:[::ffff:10.0.0.1]:9?transport=tcp",
            ),
            ("turn:a-b.3.x3", "turn:a-b.3.x3:3478?transport=udp"),
            ("turn:0x7g", "turn:0x7g:3478?transport=udp"),
        ] {
            assert_eq!(url(text).to_string(), printed, "{text}");
            assert_eq!(url(printed), url(text), "{text}");
        }
    }

    #[test]
    fn what_its_user_must_know_is_told() {
        let told = |text| {
            let url = url(text);
            (url.needs_credentials(), url.is_udp())
        };
        assert_eq!(told("stun:h"), (false, true));
        assert_eq!(told("turn:h"), (true, true));
        assert_eq!(told("turn:h?transport=tcp"), (true, false));
        let named = url("turn:chat.example.org:9");
        assert_eq!(named.host_and_port(), ("chat.example.org".to_owned(), 9));
        let at = url("stun:[2001:db8::1]");
        assert_eq!(at.host_and_port(), ("2001:db8::1".to_owned(), 3478));
    }

    #[test]
    fn the_name_is_exchanged_for_an_address_and_nothing_else() {
        let named = url("turn:chat.example.org:9?transport=tcp");
        let at = |ip: &str| named.at(ip.parse().unwrap()).to_string();
        assert_eq!(at("192.0.2.1"), "turn:192.0.2.1:9?transport=tcp");
        assert_eq!(at("2001:db8::1"), "turn:[2001:db8::1]:9?transport=tcp");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in [
            "",
            ".",
            "a..b",
            "example.org.",
            "-a",
            "a-",
            "a b",
            "a/b",
            "a@b",
            "a%00",
            "bücher.example",
            "//h",
            "[]",
            "[h]",
            "[192.0.2.1]",
            "[fe80::1%eth0]",
            "x[::1]",
            "[::1",
            "::1]",
            "[::1]9",
            "[::1]]",
            "1.2.3",
            "127.1",
            "256.0.0.1",
            "01.02.03.04",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "0x7f.0x1",
            "a.0X",
            "a.0x",
        ] {
            for scheme in ["stun", "turn"] {
                let error = error(&format!("{scheme}:{host}"));
                let TurnUrlError::Host { .. } = error else {
                    panic!("{host:?}: {error:?}");
                };
            }
        }
    }

    #[test]
    fn wrong_urls_say_why() {
        let scheme = |scheme: &str| TurnUrlError::Scheme {
            scheme: scheme.to_owned(),
        };
        assert_eq!(error("turns:h"), scheme("turns"));
        assert_eq!(error("stuns:h"), scheme("stuns"));
        assert_eq!(error("https://h"), scheme("https"));
        assert_eq!(error("h"), scheme("h"));
        assert_eq!(error(":h"), scheme(""));
        for port in ["", "0", "+1", "-1", "65536", "1 ", "1:2", "x"] {
            let found = TurnUrlError::Port {
                port: port.to_owned(),
            };
            assert_eq!(error(&format!("turn:h:{port}")), found);
            assert_eq!(error(&format!("turn:[::1]:{port}")), found);
        }
        for query in ["", "transport", "transport=", "transport=tls", "a=b"] {
            let found = TurnUrlError::Query {
                query: query.to_owned(),
            };
            assert_eq!(error(&format!("turn:h?{query}")), found);
            assert_eq!(error(&format!("stun:h?{query}")), found);
        }
        assert!(matches!(
            error("stun:h?transport=tcp"),
            TurnUrlError::Query { .. }
        ));
        let said = error("turns:h").to_string();
        assert!(said.contains("not with \"turns\""), "{said}");
    }

    #[test]
    fn the_longest_url_passes_and_one_byte_more_does_not() {
        let label = "a".repeat(DNS_LABEL_MAX);
        let name = format!("{label}.{label}.{label}.{}", &label[2..]);
        assert_eq!(name.len(), DNS_NAME_MAX);
        let longest = format!("turn:{name}:65535?transport=udp");
        assert_eq!(longest.len(), TURN_URL_MAX);
        assert_eq!(url(&longest).to_string(), longest);
        assert_eq!(
            error(&format!("{longest}x")),
            TurnUrlError::TooLong {
                len: TURN_URL_MAX + 1
            }
        );
        for host in [format!("{name}a"), format!("a{label}")] {
            let error = error(&format!("turn:{host}"));
            assert!(matches!(error, TurnUrlError::Host { .. }), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_read_once_is_read_again(
            text in "(stun|turn):([a-z0-9.-]{1,20}|[0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9a-f:.]{2,20}\\])(:[0-9]{1,5})?(\\?transport=(udp|tcp))?"
        ) {
            if let Ok(url) = text.parse::<TurnUrl>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }

        #[test]
        fn every_address_is_read_and_printed(ip: IpAddr, port in 1_u16..) {
            let at = SocketAddr::new(ip, port);
            let url = url(&format!("turn:{at}"));
            prop_assert_eq!(url.to_string(), format!("turn:{at}?transport=udp"));
            prop_assert_eq!(url.host_and_port(), (ip.to_string(), port));
        }

        #[test]
        fn no_text_panics(text in "(stun:|turn:|[?:.é\\[\\]]|transport=|[a-z0-9]){0,20}") {
            let _ = text.parse::<TurnUrl>();
        }
    }
}
