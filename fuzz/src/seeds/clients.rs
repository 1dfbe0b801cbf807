//! Seeds for what a peer's clients hear.

use super::{Seed, seed};
use crate::clients::shared::{RelayClientStep as Relay, SignalClientStep as Signal};
use crate::script::ScriptWriter;

/// Lives of a connection to a relay.
pub fn relay_client() -> Vec<Seed> {
    let step = |script: ScriptWriter, step: Relay| script.byte(step as u8);
    let begin = || {
        let script = step(ScriptWriter::default(), Relay::Queues).byte(2);
        step(script, Relay::Connect)
    };
    let reply = |script, id, kind| step(script, Relay::Reply).number(id).byte(kind);
    let challenge = |script| reply(script, 0, 0);
    // Proofs, two mailboxes made, both subscribed to.
    let ready = || (1..=5).fold(challenge(begin()), |script, id| reply(script, id, 1));
    let deposit = step(ready(), Relay::Deposit).byte(3).chunk("envelope");
    let take = step(ready(), Relay::Take).byte(3);
    let publish = step(ready(), Relay::Publish).byte(1).chunk("package");
    vec![
        seed("ready", ready().finish()),
        seed(
            "guest",
            challenge(step(ScriptWriter::default(), Relay::Connect)).finish(),
        ),
        seed("challenged-twice", challenge(challenge(begin())).finish()),
        seed("deposited", reply(deposit.clone(), 6, 2).finish()),
        seed(
            "refused",
            reply(deposit.clone(), 6, 7)
                .byte(4)
                .chunk("full")
                .number(60_000)
                .finish(),
        ),
        seed(
            "no-answer",
            step(deposit, Relay::Pause).number(31_000).finish(),
        ),
        seed(
            "delivered-acked",
            step(
                reply(ready(), 0, 3).byte(1).number(5).chunk("envelope"),
                Relay::Ack,
            )
            .byte(1)
            .number(5)
            .finish(),
        ),
        seed("drained", reply(ready(), 0, 4).byte(1).finish()),
        seed("key-package", reply(take, 6, 5).chunk("package").finish()),
        seed("stock", reply(reply(publish, 6, 1), 7, 6).byte(20).finish()),
        seed(
            "subscription-ended",
            reply(ready(), 4, 7)
                .byte(6)
                .chunk("displaced")
                .number(0)
                .finish(),
        ),
        seed(
            "deleted",
            reply(step(ready(), Relay::Delete).byte(0), 7, 1).finish(),
        ),
        seed(
            "nonsense",
            step(ready(), Relay::Frame).chunk([0xff; 20]).finish(),
        ),
        seed(
            "again",
            challenge(step(step(ready(), Relay::Lose), Relay::Connect)).finish(),
        ),
    ]
}

/// Lives of a connection to a signaling server.
pub fn signal_client() -> Vec<Seed> {
    let step = |script: ScriptWriter, step: Signal| script.byte(step as u8);
    let begin = || {
        let script = step(ScriptWriter::default(), Signal::Addresses).byte(3);
        let script = step(script, Signal::Watch).byte(2);
        step(script, Signal::Connect)
    };
    let message = |script, kind| step(script, Signal::Message).byte(kind);
    let challenge = |script| message(script, 0).byte(7).byte(1);
    let welcome = |script| message(script, 1).byte(0).byte(0);
    let ready = || welcome(challenge(begin()));
    let turn = message(ready(), 2).byte(1);
    let turn = turn
        .chunk("turn:192.0.2.1:3478")
        .chunk("1900000000:AQ")
        .chunk("secret");
    vec![
        seed("ready", ready().finish()),
        seed("challenged-twice", challenge(challenge(begin())).finish()),
        seed(
            "another-version",
            message(begin(), 0).byte(7).byte(2).finish(),
        ),
        seed(
            "turn",
            step(turn.number(3_600), Signal::Pause)
                .number(1_900_000)
                .finish(),
        ),
        seed(
            "signal",
            message(ready(), 3).byte(0).byte(9).chunk("sealed").finish(),
        ),
        seed("presence", message(ready(), 4).byte(1).byte(1).finish()),
        seed(
            "fewer",
            step(step(ready(), Signal::Addresses).byte(1), Signal::Watch)
                .byte(9)
                .finish(),
        ),
        seed(
            "send",
            step(ready(), Signal::Send)
                .byte(9)
                .byte(0)
                .chunk("sealed")
                .finish(),
        ),
        seed("ping", step(ready(), Signal::Pause).number(15_000).finish()),
        seed("nonsense", step(ready(), Signal::Text).chunk("{").finish()),
        seed(
            "again",
            challenge(step(step(ready(), Signal::Lose), Signal::Connect)).finish(),
        ),
    ]
}
