//! Seeds for what comes over a direct link, and about one.

use tincan_protocol::limits::{CANDIDATES_MAX, FRAME_MAX, HELLO_GROUPS_MAX};
use tincan_protocol::link::{LinkSignal, SignedBye, SignedCandidate};

use super::{Seed, seed};
use crate::link::shared::{CandidateStep, HelloKind, Line, SESSION, SessionStep, Wrong};
use crate::protocol::shared::DEVICE_KEY;
use crate::script::ScriptWriter;

/// What a `Put` has beside its envelope, in the longest frames, bytes.
const PUT_FRAMING: u64 = 8;

/// A frame of a kind that nobody knows.
const UNKNOWN_KIND: [u8; 3] = [0x7a, 1, 7];

fn step(script: ScriptWriter, step: SessionStep) -> ScriptWriter {
    script.byte(step as u8)
}

fn hello(script: ScriptWriter, kind: HelloKind) -> ScriptWriter {
    step(script, SessionStep::Hello).byte(kind as u8)
}

fn put(script: ScriptWriter, more: u64) -> ScriptWriter {
    step(script, SessionStep::Put)
        .chunk("envelope")
        .number(more)
}

fn ping(script: ScriptWriter, nonce: u64) -> ScriptWriter {
    step(script, SessionStep::Ping).number(nonce)
}

/// An answer to the last `Ping`, or to another one.
fn pong(script: ScriptWriter, off_by: u64) -> ScriptWriter {
    step(script, SessionStep::Pong).number(off_by)
}

fn transmit(script: ScriptWriter) -> ScriptWriter {
    step(script, SessionStep::Transmit).byte(2)
}

fn listen(script: ScriptWriter, listening: bool) -> ScriptWriter {
    step(script, SessionStep::Listen).byte((!listening).into())
}

fn pause(script: ScriptWriter, ms: u64) -> ScriptWriter {
    step(script, SessionStep::Pause).number(ms)
}

fn wake(script: ScriptWriter, times: usize) -> ScriptWriter {
    (0..times).fold(script, |script, _| step(script, SessionStep::Wake))
}

/// An open channel, and no groups.
fn greeting() -> ScriptWriter {
    step(ScriptWriter::default(), SessionStep::Open).byte(0)
}

fn up() -> ScriptWriter {
    transmit(hello(greeting(), HelloKind::Right).byte(0).byte(0))
}

fn group(script: ScriptWriter) -> ScriptWriter {
    script.raw([1; 4]).number(3).raw([2; 4])
}

/// Lives of a session.
pub fn link_session() -> Vec<Seed> {
    use SessionStep as S;
    let frames = |script| step(step(put(script, 0), S::Stored).byte(2), S::Nack);
    let flood = (0..40).fold(up(), ping);
    let right = |script| hello(script, HelloKind::Right).byte(0).byte(0);
    let bye = |script| step(script, S::Bye).chunk("ä".repeat(100));
    let many = HELLO_GROUPS_MAX + 1;
    let too_many = hello(greeting(), HelloKind::Groups).byte(many.to_le_bytes()[0]);
    let with_group = group(step(ScriptWriter::default(), S::Open).byte(1));
    let with_group = group(hello(with_group, HelloKind::Right).byte(0).byte(1));
    let longest = FRAME_MAX as u64 - PUT_FRAMING - "envelope".len() as u64;
    let resumed = listen(wake(listen(up(), false), 5), true);
    vec![
        seed("frames", frames(up()).chunk([1; 32]).byte(2).finish()),
        seed("groups", transmit(with_group).finish()),
        seed(
            "other-transcript",
            hello(greeting(), HelloKind::Transcript)
                .byte(0)
                .byte(31)
                .byte(1)
                .finish(),
        ),
        seed(
            "other-handshake",
            hello(greeting(), HelloKind::Transcript)
                .byte(2)
                .byte(2)
                .finish(),
        ),
        seed(
            "short-transcript",
            hello(greeting(), HelloKind::Transcript)
                .byte(1)
                .byte(31)
                .finish(),
        ),
        seed(
            "other-version",
            hello(greeting(), HelloKind::Major).number(2).finish(),
        ),
        seed(
            "too-many-groups",
            (0..many).fold(too_many, |script, _| group(script)).finish(),
        ),
        seed(
            "edited-hello",
            hello(greeting(), HelloKind::Edited)
                .byte(7)
                .byte(1)
                .chunk("")
                .finish(),
        ),
        seed("second-hello", right(up()).finish()),
        seed("put-before-hello", put(greeting(), 0).finish()),
        seed("ping-before-hello", ping(greeting(), 1).finish()),
        seed(
            "before-the-channel",
            right(ScriptWriter::default()).finish(),
        ),
        seed("bye", bye(up()).finish()),
        seed("bye-before-hello", bye(greeting()).finish()),
        seed("closed-here", step(up(), S::Close).chunk("over").finish()),
        seed("flood-of-pings", transmit(flood).finish()),
        seed(
            "round-trip",
            pong(pong(pong(pause(up(), 40), 1), 0), 0).finish(),
        ),
        seed(
            "late-pong",
            pong(transmit(wake(up(), 1)), u64::MAX).finish(),
        ),
        seed("no-connection", wake(ScriptWriter::default(), 1).finish()),
        seed("no-hello", wake(greeting(), 1).finish()),
        seed("silence", wake(up(), 3).finish()),
        seed("signs-of-life", wake(put(wake(up(), 2), 0), 3).finish()),
        seed("nobody-listens", wake(resumed, 3).finish()),
        seed(
            "too-late",
            step(pause(greeting(), 11_000), S::Call).finish(),
        ),
        seed("longest-frame", put(up(), longest).finish()),
        seed("longer-frame", put(up(), longest + 1).finish()),
        seed(
            "unknown-kind",
            step(up(), S::Bytes).chunk(UNKNOWN_KIND).finish(),
        ),
        seed("nonsense", step(up(), S::Bytes).chunk([0xff; 20]).finish()),
    ]
}

/// With this number, to a machine of its own.
fn candidate(script: ScriptWriter, wrong: Wrong, counter: u32) -> ScriptWriter {
    let script = script
        .byte(CandidateStep::Candidate as u8)
        .byte(wrong as u8);
    let script = script.number(counter.into()).byte(Line::Usual as u8);
    rest(script.byte(counter.to_le_bytes()[0]), 0)
}

/// What follows a line's address.
fn rest(script: ScriptWriter, kind: u8) -> ScriptWriter {
    script.byte(kind).number(4_000).byte(0)
}

/// What comes for a session.
pub fn link_candidates() -> Vec<Seed> {
    use CandidateStep as S;
    let begin = |settings: u8| ScriptWriter::default().byte(settings);
    let right = |script, counter| candidate(script, Wrong::Nothing, counter);
    let release = |script: ScriptWriter| script.byte(S::Release as u8);
    let again = |script: ScriptWriter, at: u8| script.byte(S::Again as u8).byte(at);
    let wrong = |wrong| candidate(begin(0), wrong, 0);
    let gather = |script: ScriptWriter| {
        let script = script.byte(S::Gather as u8).byte(Line::Usual as u8);
        rest(script.byte(1), 2)
    };
    // Number 0 with another line.
    let and_to = |script: ScriptWriter, line: Line| {
        let script = script.byte(S::Candidate as u8).byte(Wrong::Nothing as u8);
        script.number(0).byte(line as u8)
    };
    let to = |settings, line| and_to(begin(settings), line);
    let signal = |signal: LinkSignal| {
        let script = begin(0).byte(S::Signal as u8);
        script.chunk(signal.encode().unwrap()).finish()
    };
    let line = "candidate:1 1 udp 1 192.0.2.1 4000 typ host";
    let signed = SignedCandidate::sign(SESSION, 0, line.to_owned(), &DEVICE_KEY);
    let loopback = |settings| rest(to(settings, Line::V4).raw([127, 0, 0, 1]), 0).finish();
    let all = (0..=CANDIDATES_MAX).fold(begin(0), right);
    let gathered = (0..=CANDIDATES_MAX).fold(begin(2), |script, _| gather(script));
    let long = to(0, Line::Usual).byte(1).byte(0).number(4_000).byte(255);
    let relayed = to(0, Line::Usual).byte(1);
    vec![
        seed("waits", release(right(begin(0), 0)).finish()),
        seed(
            "out-of-order",
            right(release(right(right(begin(0), 7), 3)), 0).finish(),
        ),
        seed("repeated", again(right(begin(0), 0), 0).finish()),
        seed(
            "one-number-for-two",
            rest(and_to(right(begin(0), 0), Line::Usual).byte(9), 2).finish(),
        ),
        seed(
            "number-of-a-refused",
            right(rest(to(0, Line::Tcp).byte(1), 0), 0).finish(),
        ),
        seed("too-many", release(all).finish()),
        seed("other-session", wrong(Wrong::Session).finish()),
        seed("says-session", wrong(Wrong::SaysSession).finish()),
        seed("other-device", wrong(Wrong::Device).byte(9).finish()),
        seed("other-number", wrong(Wrong::Counter).byte(1).finish()),
        seed(
            "other-line",
            wrong(Wrong::Line).chunk(" generation 0").finish(),
        ),
        seed(
            "bit-of-signature",
            wrong(Wrong::SignatureByte).byte(63).byte(0x80).finish(),
        ),
        seed("no-signature", wrong(Wrong::Signature).chunk("").finish()),
        seed("relayed", release(rest(relayed, 2)).finish()),
        seed("ipv6", rest(to(0, Line::V6).raw([0x20; 16]), 1).finish()),
        seed("loopback", loopback(0)),
        seed("loopback-allowed", loopback(1)),
        seed(
            "multicast",
            rest(to(0, Line::V4).raw([224, 0, 0, 251]), 0).finish(),
        ),
        seed("tcp", rest(to(0, Line::Tcp).byte(1), 0).finish()),
        seed(
            "name",
            rest(to(0, Line::Name).chunk("0b5e.local"), 0).finish(),
        ),
        seed("no-line", to(0, Line::Text).chunk("").finish()),
        seed("too-long", long.finish()),
        seed("signal", signal(LinkSignal::Candidate(signed))),
        seed(
            "bye",
            signal(LinkSignal::Bye(SignedBye::sign(SESSION, &DEVICE_KEY))),
        ),
        seed("gathered", again(again(gathered, 39), 0).finish()),
    ]
}
