//! Links that invite.

use prost::Message as _;
use tincan_protocol::invite::{Invite, InviteBody, InviteSecret};
use tincan_protocol::{QueueId, SignalAddress, WriteToken, wire};

use super::urls::url;
use crate::protocol::shared::{CERT, DEVICE_KEY};
use crate::seeds::{Seed, seed};

fn invite_body() -> InviteBody {
    InviteBody {
        name: "Ann".into(),
        signal_servers: vec![url("https://chat.example.org")],
        relay: url("https://relay.example.org"),
        queue: QueueId::from_bytes([1; 32]),
        write_token: WriteToken::from_bytes([2; 16]),
        key_package_owner: QueueId::from_bytes([3; 32]),
        key_package_token: WriteToken::from_bytes([4; 16]),
        signal_address: SignalAddress::from_bytes([5; 32]),
        expires_ms: 2_000_000_000_000,
        max_uses: 1,
        secret: Some(InviteSecret::from_bytes([6; 16])),
    }
}

/// Links, and bodies that the target signs.
pub fn invite() -> Vec<Seed> {
    let link = |body| {
        Invite::sign(body, CERT.clone(), &DEVICE_KEY)
            .unwrap()
            .to_string()
    };
    let three = InviteBody {
        signal_servers: vec![url("http://a"), url("https://b:9"), url("http://[::1]:1/c")],
        max_uses: 7,
        secret: None,
        ..invite_body()
    };
    let body = wire::InviteBody {
        signal_servers: vec!["https://chat.example.org".to_owned()],
        relay: "https://relay.example.org".to_owned(),
        queue: vec![1; 32],
        write_token: vec![2; 16],
        key_package_owner: vec![3; 32],
        key_package_token: vec![4; 16],
        signal_address: vec![5; 32],
        expires_ms: 2_000_000_000_000,
        max_uses: 1,
        name: "Ann".to_owned(),
        secret: vec![6; 16],
    };
    vec![
        seed("link", link(invite_body())),
        seed("three-servers", link(three)),
        seed("body", body.encode_to_vec()),
    ]
}
