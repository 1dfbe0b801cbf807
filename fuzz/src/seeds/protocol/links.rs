//! What makes a link.

use tincan_protocol::LinkSessionId;
use tincan_protocol::link::{LinkSignal, Role, SignedBye, SignedCandidate, SignedDescription};

use crate::protocol::shared::{CERT, DEVICE_KEY, sdp_with, template};
use crate::script::ScriptWriter;
use crate::seeds::{Seed, seed};

/// A real one and what was found to be worth a check.
pub fn sdp() -> Vec<Seed> {
    let one = sdp_with(&[0xab; 32], "");
    let again = one
        .lines()
        .find(|line| line.starts_with("a=fingerprint"))
        .unwrap();
    vec![
        seed("data-channel", &one),
        seed("same-twice", format!("{one}{again}\r\n")),
        seed("other-hash", format!("{one}A=Fingerprint:sha-1 AB:CD\r\n")),
        seed("lone-return", format!("{one}a=x\r{again}")),
        seed("video", format!("{one}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")),
    ]
}

/// One of every kind that this side makes, and what others might.
pub fn candidate() -> Vec<Seed> {
    let relayed = "candidate:1 1 udp 1 198.51.100.7 4000 typ relay raddr 192.168.1.5 rport 5000";
    vec![
        seed(
            "host",
            "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host",
        ),
        seed("relayed", relayed),
        seed(
            "ipv6",
            "2 1 UDP 2 2001:db8::7 9 typ srflx raddr :: rport 0 generation 0",
        ),
        seed("mapped", "candidate:1 1 udp 1 ::ffff:127.0.0.1 9 typ host"),
        seed(
            "tcp",
            "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype passive",
        ),
        seed("name", "candidate:1 1 udp 1 0b5e.local 9 typ host"),
    ]
}

fn described(role: Role) -> SignedDescription {
    let sdp = sdp_with(&[0xab; 32], "");
    SignedDescription::sign(&template(role, [0; 32]), sdp, &CERT, &DEVICE_KEY)
}

/// One of every kind.
pub fn link_signal() -> Vec<Seed> {
    let session = LinkSessionId::from_bytes([1; 16]);
    let line = "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host";
    let candidate = SignedCandidate::sign(session, 0, line.to_owned(), &DEVICE_KEY);
    let signals = [
        ("offer", LinkSignal::Offer(described(Role::Offer))),
        ("answer", LinkSignal::Answer(described(Role::Answer))),
        ("candidate", LinkSignal::Candidate(candidate)),
        (
            "bye",
            LinkSignal::Bye(SignedBye::sign(session, &DEVICE_KEY)),
        ),
    ];
    signals
        .map(|(name, signal)| seed(name, signal.encode().unwrap()))
        .into()
}

/// Both kinds.
pub fn statement() -> Vec<Seed> {
    vec![
        seed("offer", template(Role::Offer, [0; 32]).encode()),
        seed("answer", template(Role::Answer, [1; 32]).encode()),
    ]
}

/// Scripts of the target: nothing wrong, and one thing at a time.
pub fn description() -> Vec<Seed> {
    let script = |wrong: u64, sdp: u8, role: u8| {
        let script = ScriptWriter::default().number(wrong).byte(sdp);
        script.byte(role).raw([6; 32]).number(5)
    };
    let names = [
        "clock",
        "role",
        "sender",
        "recipient",
        "bind",
        "version",
        "fingerprint",
        "sdp",
        "bytes",
    ];
    let mut seeds = vec![
        seed("offer", script(0, 0, 0).finish()),
        seed("answer", script(0, 0, 1).finish()),
    ];
    for (bit, name) in names.into_iter().enumerate() {
        let wrong = script(1 << bit, 0, 0).chunk("a=x\r\n").raw([3; 40]);
        seeds.push(seed(&format!("wrong-{name}"), wrong.finish()));
    }
    let more = ScriptWriter::default()
        .number(0)
        .byte(1)
        .chunk("a=max-message-size:65536\r\n");
    seeds.push(seed(
        "more-lines",
        more.byte(0).raw([6; 32]).number(5).finish(),
    ));
    seeds
}
