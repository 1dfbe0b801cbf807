//! Short texts that servers are given.

use std::net::SocketAddr;

use tincan_protocol::origin::{ServerUrl, ServerUrlError};
use tincan_relay::OriginPolicy;
use tincan_signal_server::credentials::{SKEW_S, TTL_S, user_of};

/// The time at which usernames are read, Unix seconds.
pub(crate) const NOW_S: u64 = 1_900_000_000;

/// `Host` headers: what is accepted names this server.
pub fn host_header(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for local in [
        "192.0.2.1:8443",
        "127.0.0.1:80",
        "[2001:db8::1]:443",
        "[::ffff:192.0.2.1]:8443",
    ] {
        let local: SocketAddr = local.parse().unwrap();
        let Some(origin) = OriginPolicy::new(None).accept(text, local) else {
            continue;
        };
        let port = local.port().to_string();
        assert!(origin.as_str().ends_with(&port) || port == "80", "{origin}");
        // A peer that dials it by this name, in whatever notation, gets to the same place.
        let url = match ServerUrl::parse(&format!("http://{origin}")) {
            Ok(url) => url,
            // With hundreds of zeros before the port, which nobody who dials a URL sends.
            Err(ServerUrlError::TooLong { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let (host, port) = url.host_and_port();
        assert_eq!(port, local.port());
        let same = host == "localhost" && local.ip().is_loopback()
            || host
                .parse()
                .ok()
                .map(|ip: std::net::IpAddr| ip.to_canonical())
                == Some(local.ip().to_canonical());
        assert!(same, "{host} is not {local}");
    }
    let public = ServerUrl::parse("https://chat.example.org:8443").unwrap();
    let accepted = OriginPolicy::new(Some(public.clone()))
        .accept(text, SocketAddr::from(([192, 0, 2, 1], 8443)));
    assert!(accepted.is_none_or(|origin| origin == public.origin()));
}

/// Usernames of TURN credentials.
pub fn turn_username(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(user) = user_of(text, NOW_S) {
        let (expiry, rest) = text.split_once(':').unwrap();
        assert_eq!(rest, user);
        let expiry: u64 = expiry.parse().unwrap();
        assert!(expiry > NOW_S && expiry <= NOW_S + TTL_S + SKEW_S);
        assert!(!user.is_empty() && text.len() <= 128);
    }
}
