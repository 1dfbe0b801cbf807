//! URLs of servers.

use tincan_protocol::origin::ServerUrl;

use crate::seeds::{Seed, seed};

pub(super) fn url(text: &str) -> ServerUrl {
    text.parse().unwrap()
}

/// URLs with and without each part.
pub fn server_url() -> Vec<Seed> {
    vec![
        seed("name", "https://chat.example.org"),
        seed("port-and-path", "http://chat.example.org:8443/tincan/"),
        seed("ipv6", "http://[2001:db8::1]:80"),
        seed("not-ascii", "https://bücher.example/straße"),
        seed("credentials", "https://a:b@c.example/?d#e"),
        seed("host-header", " Chat.Example.org:443 "),
    ]
}

/// URLs with and without each part, and hosts of every kind.
pub fn turn_url() -> Vec<Seed> {
    vec![
        seed("stun", "stun:chat.example.org"),
        seed("udp", "turn:chat.example.org:3478?transport=udp"),
        seed("tcp", "turn:192.0.2.1:3478?transport=tcp"),
        seed("ipv6", "turn:[2001:db8::1]:80"),
        seed("mapped", "stun:[::ffff:192.0.2.1]:19302?transport=udp"),
        seed("number", "turn:0x7f.1"),
        seed("tls", "turns:chat.example.org:5349"),
    ]
}
