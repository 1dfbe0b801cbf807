//! Seeds for what a peer reads on its own machine.

use serde_json::json;
use tincan_peer::rpc::methods::METHODS;

use super::{Seed, seed};

/// A call of every method, and a few of several at once.
pub fn socket_command() -> Vec<Seed> {
    let params = |method: &str| match method {
        "invite" => json!({"uses": 2, "expires_ms": 60_000}),
        "add" => json!({"link": "tincan:AAAA", "name": "bob", "message": "hello", "again": true}),
        "accept" | "reject" => json!({"id": "bob"}),
        "send" => json!({"to": "bob", "texts": ["one", "two"]}),
        "state" => json!({"to": "bob", "id": "01900000-0000-7000-8000-000000000001"}),
        "edit" => {
            json!({"to": "bob", "id": "01900000-0000-7000-8000-000000000001", "text": "three"})
        }
        "delete" => {
            json!({"to": "bob", "id": "01900000-0000-7000-8000-000000000001", "here": true})
        }
        "react" => json!({"to": "bob", "id": "01900000-0000-7000-8000-000000000001", "emoji": "x"}),
        "forward" => {
            json!({"from": "bob", "id": "01900000-0000-7000-8000-000000000001", "to": "carol"})
        }
        "rename" => json!({"name": "bob", "to": "rob"}),
        "block" | "unblock" | "remove" | "unmute" => json!({"name": "bob"}),
        "mute" => json!({"name": "bob", "for_ms": 1_000}),
        "disappear" => json!({"name": "bob", "after_s": 60}),
        "verify" => json!({"name": "bob", "number": "12345 67890"}),
        "draft" => json!({"name": "bob", "text": "hello, I"}),
        "history" => json!({"to": "bob", "limit": 5, "before": null, "after": null}),
        "read" => json!({"from": "bob", "ids": ["01900000-0000-7000-8000-000000000001"]}),
        "events.next" => json!({"after": 0, "timeout_ms": 0, "max": 10}),
        "cursor.get" => json!({"name": "tui"}),
        "cursor.set" => json!({"name": "tui", "cursor": 3}),
        "status" => json!({"outbox": true}),
        "backup.export" => json!({"file": "ann.backup", "passphrase": "correct horse"}),
        _ => json!({}),
    };
    let call = |id: usize, method: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params(method)}).to_string()
    };
    let mut seeds: Vec<Seed> = METHODS
        .iter()
        .enumerate()
        .map(|(id, method)| seed(&method.name().replace('.', "-"), call(id, method.name())))
        .collect();
    let all: Vec<String> = (0..)
        .zip(METHODS)
        .map(|(id, method)| call(id, method.name()))
        .collect();
    seeds.push(seed("all-at-once", all.join("\n")));
    seeds.push(seed("not-json", "{\"id\":1,\n\n[]"));
    seeds.push(seed(
        "odd-ids",
        "{\"id\":{\"a\":[1]},\"method\":\"id\"}\n{\"method\":\"\"}",
    ));
    seeds
}

/// One of each mode.
pub fn key_file() -> Vec<Seed> {
    let key = "A".repeat(43);
    let wrapped = json!({
        "mode": "passphrase", "memory_kib": 65_536, "passes": 3, "lanes": 4,
        "salt": "A".repeat(22), "nonce": "A".repeat(32), "wrapped": "A".repeat(64),
    });
    vec![
        seed("plain", json!({"mode": "plain", "key": key}).to_string()),
        seed("short", json!({"mode": "plain", "key": "AAAA"}).to_string()),
        seed("passphrase", wrapped.to_string()),
        seed("empty", ""),
    ]
}
