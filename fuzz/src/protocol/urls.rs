//! URLs of servers and the origins of logins.

use tincan_protocol::limits::URL_MAX;
use tincan_protocol::origin::{Origin, ServerUrl};

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
