//! Seeds for what the servers read.

use tincan_protocol::wire::{Frame as _, RelayRequest};

use super::protocol::requests;
use super::{Seed, seed};
use crate::script::ScriptWriter;
use crate::servers::shared::{HubStep, RelayStep, TurnStep};

fn begin() -> ScriptWriter {
    ScriptWriter::default()
}

fn hub(script: ScriptWriter, step: HubStep, at: u8) -> ScriptWriter {
    script.byte(step as u8).byte(at)
}

/// Short lives of three connections.
pub fn signal_session() -> Vec<Seed> {
    // One address, `key`, with a right proof.
    let login = |script, at, key| hub(script, HubStep::Login, at).byte(0).byte(key).byte(0);
    let both = login(login(begin(), 0, 0), 1, 1);
    let signal = |script, at, to, from| {
        let script = hub(script, HubStep::Signal, at).byte(to).byte(from);
        script.chunk("sealed")
    };
    let watch = |script, at, key| hub(script, HubStep::Watch, at).byte(0).byte(key);
    let flood = (0..30).fold(both.clone(), |script, _| signal(script, 0, 1, 0));
    vec![
        seed("signal", signal(both.clone(), 0, 1, 0).finish()),
        seed("foreign-sender", signal(both.clone(), 0, 0, 1).finish()),
        seed("flood", flood.finish()),
        seed(
            "watch",
            hub(login(watch(both.clone(), 0, 2), 2, 2), HubStep::Logout, 2)
                .byte(2)
                .finish(),
        ),
        seed("displaced", login(both.clone(), 2, 0).finish()),
        seed(
            "wrong-proof",
            hub(begin(), HubStep::Login, 0)
                .byte(0)
                .byte(0)
                .byte(255)
                .finish(),
        ),
        seed(
            "ping",
            hub(begin(), HubStep::Text, 0)
                .chunk(r#"{"type":"ping"}"#)
                .finish(),
        ),
        seed(
            "not-json",
            hub(both.clone(), HubStep::Text, 1).chunk("{").finish(),
        ),
        seed(
            "reconnect",
            hub(watch(both.clone(), 1, 0), HubStep::Reconnect, 0).finish(),
        ),
        seed(
            "late",
            hub(begin(), HubStep::Pause, 0).number(30_000).finish(),
        ),
        seed(
            "turn-unwatch-written",
            hub(
                hub(hub(both, HubStep::Turn, 0), HubStep::Unwatch, 0)
                    .byte(0)
                    .byte(1),
                HubStep::Written,
                0,
            )
            .finish(),
        ),
    ]
}

/// `Host` headers.
pub fn host_header() -> Vec<Seed> {
    vec![
        seed("ip", "192.0.2.1:8443"),
        seed("ipv6", "[2001:db8::1]:443"),
        seed("localhost", "LocalHost"),
        seed("public", "chat.example.org:8443"),
        seed("mapped", "[::ffff:192.0.2.1]:8443"),
    ]
}

/// Usernames.
pub fn turn_username() -> Vec<Seed> {
    vec![
        seed(
            "good",
            "1900003600:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
        ),
        seed("expired", "1899999999:a"),
        seed("too-far", "1900003661:a"),
        seed("sign", "+1900003600:a"),
    ]
}

fn relay(script: ScriptWriter, step: RelayStep, at: u8, queue: u8) -> ScriptWriter {
    script.byte(step as u8).byte(at).byte(queue)
}

/// Short lives of two connections.
pub fn relay_session() -> Vec<Seed> {
    let login = |script, at| relay(script, RelayStep::Login, at, 0).byte(0);
    // Kind 1 is a mailbox, kind 2 a log; the usual token.
    let create = |script, kind| relay(script, RelayStep::Create, 0, 0).byte(kind).byte(0);
    let deposit = |script, envelope: &str| {
        relay(script, RelayStep::Deposit, 1, 0)
            .byte(0)
            .chunk(envelope)
    };
    let subscribe = |script, at, after| relay(script, RelayStep::Subscribe, at, 0).number(after);
    let ack = |script, index| relay(script, RelayStep::Ack, 0, 0).number(index);
    let mailbox = create(login(begin(), 0), 1);
    let full = (0..10).fold(mailbox.clone(), |script, at| {
        deposit(script, &format!("e{at}"))
    });
    let log = create(login(begin(), 0), 2);
    let append = |script, after| {
        let script = relay(script, RelayStep::Append, 1, 0).byte(0).number(after);
        script.chunk(format!("commit {after}"))
    };
    let publish = relay(login(begin(), 0), RelayStep::Publish, 0, 0)
        .byte(0)
        .byte(2);
    let publish = publish.chunk("one").chunk("two").chunk("last");
    let take = |script| relay(script, RelayStep::Take, 1, 0).byte(0);
    let frames = requests()
        .into_iter()
        .enumerate()
        .fold(begin(), |script, (at, (_, kind))| {
            let request = RelayRequest {
                id: at as u64 + 1,
                kind: Some(kind),
            };
            script
                .byte(RelayStep::Frame as u8)
                .byte(0)
                .chunk(request.write())
        });
    vec![
        seed(
            "deposit-and-read",
            ack(subscribe(deposit(mailbox.clone(), "e"), 0, 0), 1).finish(),
        ),
        seed("full", full.clone().finish()),
        seed("window", ack(ack(subscribe(full, 0, 0), 2), 7).finish()),
        seed(
            "live",
            deposit(subscribe(mailbox.clone(), 0, 0), "e").finish(),
        ),
        seed(
            "displaced",
            subscribe(login(subscribe(mailbox.clone(), 0, 0), 1), 1, 0).finish(),
        ),
        seed(
            "cursor-ahead",
            subscribe(deposit(mailbox.clone(), "e"), 0, 99).finish(),
        ),
        seed(
            "deleted",
            relay(subscribe(mailbox.clone(), 0, 0), RelayStep::Delete, 0, 0).finish(),
        ),
        seed(
            "log",
            subscribe(append(append(append(log, 0), 1), 1), 0, 0).finish(),
        ),
        seed("key-packages", take(take(take(take(publish)))).finish()),
        seed("every-request", frames.finish()),
        seed(
            "store-fails",
            deposit(
                mailbox.clone().byte(RelayStep::Store as u8).byte(0).byte(1),
                "e",
            )
            .finish(),
        ),
        seed(
            "old",
            deposit(mailbox, "e")
                .byte(RelayStep::Pause as u8)
                .byte(0)
                .number(31 * 24 * 3600 * 1000)
                .byte(RelayStep::Pause as u8)
                .byte(0)
                .number(3_600_000)
                .finish(),
        ),
        seed(
            "not-a-request",
            begin()
                .byte(RelayStep::Frame as u8)
                .byte(0)
                .chunk([0xff])
                .finish(),
        ),
        seed(
            "sent",
            begin()
                .byte(RelayStep::Sent as u8)
                .byte(0)
                .byte(RelayStep::Reconnect as u8)
                .byte(0)
                .finish(),
        ),
    ]
}

/// Short lives of TURN clients.
pub fn turn() -> Vec<Seed> {
    let request = |script: ScriptWriter, how, method, attributes| {
        script
            .byte(TurnStep::Request as u8)
            .byte(0)
            .byte(how)
            .byte(method)
            .byte(attributes)
    };
    // Without credentials, which is answered with a nonce; then with them, for UDP.
    let asked = request(begin(), 4, 0, 1).byte(0);
    let allocated = request(asked.clone(), 0, 0, 1).byte(0);
    let permitted = request(allocated.clone(), 0, 2, 1).byte(1).byte(0);
    let bound = request(allocated.clone(), 8, 3, 2)
        .byte(1)
        .byte(0)
        .byte(2)
        .byte(0);
    let peer = |script: ScriptWriter| {
        script
            .byte(TurnStep::PeerPacket as u8)
            .byte(0)
            .byte(0)
            .byte(0)
            .chunk("from a peer")
    };
    let indication = permitted
        .byte(TurnStep::Indication as u8)
        .byte(0)
        .byte(0)
        .byte(0);
    let channel = bound
        .byte(TurnStep::ChannelData as u8)
        .byte(0)
        .byte(0)
        .byte(0);
    vec![
        seed("binding", request(begin(), 12, 4, 0).finish()),
        seed("challenge", asked.finish()),
        seed("send", peer(indication.chunk("to a peer")).finish()),
        seed("channel", peer(channel.chunk("to a peer")).finish()),
        seed(
            "forbidden",
            request(allocated.clone(), 0, 2, 1).byte(1).byte(4).finish(),
        ),
        seed(
            "added-behind-the-signature",
            request(allocated.clone(), 0x80, 2, 1)
                .byte(1)
                .byte(0)
                .finish(),
        ),
        seed(
            "wrong-password",
            request(allocated.clone(), 2, 2, 1).byte(1).byte(0).finish(),
        ),
        seed(
            "again",
            request(allocated.clone(), 0x70, 0, 1).byte(0).finish(),
        ),
        seed(
            "refresh-to-nothing",
            request(allocated.clone(), 0, 1, 1)
                .byte(3)
                .number(0)
                .finish(),
        ),
        seed(
            "over",
            allocated
                .byte(TurnStep::Pause as u8)
                .byte(0)
                .number(700_000)
                .finish(),
        ),
        seed(
            "even-port",
            request(request(begin(), 4, 0, 0), 0, 0, 2)
                .byte(0)
                .byte(9)
                .raw([0, 0x18])
                .chunk([0, 0, 0, 0])
                .finish(),
        ),
        seed(
            "header",
            begin()
                .byte(TurnStep::Packet as u8)
                .byte(0)
                .chunk([
                    0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
                ])
                .finish(),
        ),
    ]
}
