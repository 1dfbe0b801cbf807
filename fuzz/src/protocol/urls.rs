//! URLs of servers and the origins of logins.

use std::net::IpAddr;

use tincan_protocol::limits::{TURN_URL_MAX, URL_MAX};
use tincan_protocol::origin::{Origin, ServerUrl};
use tincan_protocol::turn_url::TurnUrl;

use crate::bounded::bounded;

/// A server's URL.
pub fn server_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let origin = Origin::from_host_header(text);
    assert_eq!(Origin::from_host_header(origin.as_str()), origin);
    if let Ok(url) = bounded(data.len(), || ServerUrl::parse(text)) {
        assert!(data.len() <= URL_MAX);
        check_url(&url);
    }
}

/// What holds for every URL that was accepted.
pub(crate) fn check_url(url: &ServerUrl) {
    let text = url.to_string();
    assert!(text.len() <= URL_MAX, "{} bytes", text.len());
    assert_eq!(ServerUrl::parse(&text).as_ref(), Ok(url), "{text}");
    let json = serde_json::to_string(url).unwrap();
    assert_eq!(serde_json::from_str::<ServerUrl>(&json).unwrap(), *url);

    // What the peer dials and signs, and what the server finds in `Host`, are the same.
    let origin = url.origin();
    assert_eq!(Origin::from_host_header(origin.as_str()), origin);
    let (host, port) = url.host_and_port();
    assert!(
        !host.is_empty() && !host.contains(['/', '@', '[', ']']),
        "{host:?}"
    );
    for endpoint in ["signal", "relay"] {
        let dialed = url.websocket(endpoint);
        assert!(dialed.starts_with("ws://") || dialed.starts_with("wss://"));
        assert!(dialed.ends_with(&format!("/{endpoint}")));
        let http = dialed.replacen("ws", "http", 1);
        if http.len() <= URL_MAX {
            let http = ServerUrl::parse(&http).unwrap();
            assert_eq!(http.origin(), origin);
            assert_eq!(http.host_and_port(), (host.clone(), port));
        }
    }
}

/// A STUN or TURN server's URL.
pub fn turn_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(url) = bounded(data.len(), || text.parse::<TurnUrl>()) else {
        return;
    };
    assert!(data.len() <= TURN_URL_MAX);
    check_turn_url(&url);
    let (host, port) = url.host_and_port();
    let ip = host.parse::<IpAddr>();
    assert!(port != 0 && (ip.is_ok() || !host.contains(':')), "{host:?}");
    if let Ok(ip) = ip {
        assert_eq!(url.at(ip), url);
    }
    // What a name leads to takes its place.
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let at = url.at(ip.parse().unwrap());
        check_turn_url(&at);
        assert_eq!(at.host_and_port(), (ip.to_owned(), port));
        let of_both = |url: &TurnUrl| (url.needs_credentials(), url.is_udp());
        assert_eq!(of_both(&at), of_both(&url));
    }
}

/// What holds for every URL that was accepted.
fn check_turn_url(url: &TurnUrl) {
    let text = url.to_string();
    assert!(text.len() <= TURN_URL_MAX, "{} bytes", text.len());
    assert_eq!(text.parse().as_ref(), Ok(url), "{text}");
    // It passes through JSON and, in logs, lines.
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
}
