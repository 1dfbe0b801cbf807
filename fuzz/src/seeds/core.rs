//! Seeds for the delivery core: short lives of a session.

use super::{Seed, seed};
use crate::core::{STEPS, Step};
use crate::script::ScriptWriter;

trait Steps {
    fn step(self, step: Step) -> Self;
}

impl Steps for ScriptWriter {
    fn step(self, step: Step) -> Self {
        let at = STEPS.iter().position(|other| *other == step);
        self.byte(u8::try_from(at.unwrap()).unwrap())
    }
}

fn begin() -> ScriptWriter {
    ScriptWriter::default()
}

/// Everything that waits gets out.
fn commit(script: ScriptWriter) -> ScriptWriter {
    script.step(Step::Commit).byte(255)
}

fn send(script: ScriptWriter, more: u8, text: &str) -> ScriptWriter {
    script.step(Step::Send).byte(more).chunk(text)
}

/// Texts of the other side from `first` on, over the link.
fn texts(script: ScriptWriter, first: u64, more: u8) -> ScriptWriter {
    let script = script.step(Step::Texts).number(0).number(first).byte(more);
    script.number(1).number(0).chunk("hi")
}

/// Everything up to `received` is there, up to `read` was shown, up to `stored` is on its way.
fn receipt(script: ScriptWriter, received: u64, read: u64, stored: u64) -> ScriptWriter {
    let script = script
        .step(Step::Receipt)
        .number(0)
        .number(received)
        .byte(0);
    script.number(read).number(stored).number(0).number(0)
}

/// Lives.
pub fn session() -> Vec<Seed> {
    let sent = commit(send(begin().step(Step::LinkUp), 1, "hello"));
    let stored = sent.clone().step(Step::Stored).number(0);
    let by_relay = commit(send(begin().step(Step::RelayUp), 0, "hello"));
    let deposited = by_relay.clone().step(Step::Deposited).number(0);
    let hole = texts(texts(begin().step(Step::LinkUp), 1, 0), 3, 1);
    vec![
        seed("stored-and-read", receipt(stored.clone(), 2, 1, 0).finish()),
        seed(
            "nack",
            sent.clone()
                .step(Step::Nack)
                .number(0)
                .byte(1)
                .step(Step::Wake)
                .finish(),
        ),
        seed(
            "stalled-link",
            sent.step(Step::RelayUp)
                .step(Step::Wake)
                .step(Step::Wake)
                .finish(),
        ),
        seed(
            "relay-forgot",
            commit(deposited.clone().step(Step::RelayForgot))
                .step(Step::Wake)
                .finish(),
        ),
        seed(
            "refused",
            by_relay
                .step(Step::DepositRefused)
                .number(0)
                .byte(0)
                .number(500)
                .step(Step::Wake)
                .finish(),
        ),
        seed(
            "resend",
            commit(
                deposited
                    .step(Step::Resend)
                    .number(0)
                    .byte(1)
                    .number(0)
                    .byte(1)
                    .number(1)
                    .number(5)
                    .step(Step::Wake),
            )
            .finish(),
        ),
        seed(
            "gap",
            texts(commit(hole.clone()).step(Step::Wake).step(Step::Wake), 2, 0).finish(),
        ),
        seed(
            "mailbox-gap",
            commit(
                hole.clone()
                    .step(Step::MailboxUp)
                    .step(Step::MailboxDrained),
            )
            .step(Step::Wake)
            .step(Step::Wake)
            .finish(),
        ),
        seed(
            "crash-with-held",
            commit(hole)
                .step(Step::Crash)
                .step(Step::LinkUp)
                .step(Step::Wake)
                .finish(),
        ),
        seed(
            "opened-twice",
            commit(texts(begin().step(Step::LinkUp), 1, 3))
                .step(Step::Again)
                .number(1)
                .number(0)
                .finish(),
        ),
        seed(
            "lost-key",
            texts(
                begin().step(Step::LinkUp).step(Step::LoseKey).number(1),
                1,
                0,
            )
            .step(Step::Wake)
            .finish(),
        ),
        seed(
            "expired",
            commit(
                stored
                    .step(Step::Pause)
                    .number(15 * 24 * 3600 * 1000)
                    .step(Step::Wake),
            )
            .finish(),
        ),
        seed(
            "announced",
            receipt(begin().step(Step::LinkUp), 0, 0, 5)
                .step(Step::Wake)
                .finish(),
        ),
        seed("window", {
            let many = (0..80).fold(begin(), |script, _| send(script, 7, "x").step(Step::Flush));
            commit(many.step(Step::LinkUp)).step(Step::Wake).finish()
        }),
        seed(
            "read",
            commit(
                texts(begin(), 1, 3)
                    .step(Step::Read)
                    .number(3)
                    .step(Step::Hasten),
            )
            .step(Step::LinkUp)
            .step(Step::Wake)
            .finish(),
        ),
        seed(
            "torn-commit",
            send(begin().step(Step::LinkUp), 3, "a")
                .step(Step::Commit)
                .byte(1)
                .finish(),
        ),
        seed(
            "foreign-device",
            begin()
                .step(Step::Payload)
                .number(1)
                .byte(3)
                .chunk([10, 0])
                .finish(),
        ),
        seed(
            "clock",
            send(begin().step(Step::ClockJump).number(5), 0, "a")
                .step(Step::Flush)
                .finish(),
        ),
        seed(
            "not-an-envelope",
            begin()
                .step(Step::Envelope)
                .number(2)
                .chunk("short")
                .finish(),
        ),
    ]
}
