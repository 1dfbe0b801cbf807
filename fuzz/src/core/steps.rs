//! What one step of a script does.

use std::time::Duration;

use bytes::Bytes;
use tincan_core::{Input, RefusedDeposit, Via};
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{Body, Content, DeviceAck, Receipt, Resend};
use tincan_protocol::envelope::Payload;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::wire::NackReason;
use tincan_protocol::{DeviceId, EnvelopeId, MsgId};

use super::world::{LOCAL, REMOTE, World};
use crate::script::Script;

/// Longest pause, milliseconds: beyond the life of a message.
const PAUSE_MAX_MS: u64 = 20 * 24 * 3600 * 1000;

/// The kinds of steps; a script names one by its place here.
pub(crate) const STEPS: [Step; 29] = [
    Step::Send,
    Step::Flush,
    Step::LinkUp,
    Step::LinkDown,
    Step::RelayUp,
    Step::RelayDown,
    Step::RelayForgot,
    Step::MailboxUp,
    Step::MailboxDrained,
    Step::MailboxDown,
    Step::Texts,
    Step::Receipt,
    Step::Resend,
    Step::Payload,
    Step::Envelope,
    Step::Again,
    Step::Stored,
    Step::Deposited,
    Step::Nack,
    Step::DepositRefused,
    Step::Read,
    Step::Pause,
    Step::Wake,
    Step::ClockJump,
    Step::Commit,
    Step::Crash,
    Step::LoseKey,
    Step::Hasten,
    Step::MailboxForgot,
];

/// One kind of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Numbers texts; a later `Flush` or `Commit` seals them.
    Send,
    Flush,
    LinkUp,
    LinkDown,
    RelayUp,
    RelayDown,
    RelayForgot,
    MailboxUp,
    MailboxDrained,
    MailboxDown,
    /// An envelope with texts of the other side, under any seqs.
    Texts,
    /// One with a receipt.
    Receipt,
    /// One with a question.
    Resend,
    /// One with any payload.
    Payload,
    /// Any bytes as an envelope.
    Envelope,
    /// An envelope that has come before.
    Again,
    Stored,
    Deposited,
    Nack,
    DepositRefused,
    Read,
    /// Time passes, and nothing is done about it.
    Pause,
    /// Time passes until the session wants to be called.
    Wake,
    /// The wall clock is set.
    ClockJump,
    /// The open transaction becomes durable, and some of what waited for it gets out.
    Commit,
    /// The process dies and comes back.
    Crash,
    /// The ratchet has moved too far for one envelope.
    LoseKey,
    Hasten,
    MailboxForgot,
}

/// Reads and plays one step.
pub(crate) fn play(script: &mut Script<'_>, world: &mut World) {
    let step = STEPS[usize::from(script.byte()) % STEPS.len()];
    match step {
        Step::Send => {
            let count = script.byte() % 8 + 1;
            let text = script.text();
            for _ in 0..count {
                world.send(&text);
            }
        }
        Step::Flush => world.flush(),
        Step::LinkUp => world.input(Input::LinkUp),
        Step::LinkDown => world.input(Input::LinkDown),
        Step::RelayUp => world.input(Input::RelayUp),
        Step::RelayDown => world.input(Input::RelayDown),
        Step::RelayForgot => world.input(Input::RelayForgot),
        Step::MailboxUp => world.input(Input::MailboxUp),
        Step::MailboxDrained => world.input(Input::MailboxDrained),
        Step::MailboxDown => world.input(Input::MailboxDown),
        Step::Texts => {
            let (via, first, count) = (via(script), script.number(), script.byte() % 16 + 1);
            let (stride, hlc) = (script.number(), script.number());
            let text = script.text();
            let texts = (0..u64::from(count)).map(|at| {
                let seq = first.wrapping_add(at.wrapping_mul(stride));
                content(seq, hlc, Body::text(text.clone()))
            });
            let payload = Payload::of(texts.collect()).encode();
            world.receive(via, REMOTE, &payload);
        }
        Step::Receipt => {
            let (via, receipt) = (via(script), receipt(script));
            world.receive(via, REMOTE, &control(Body::Receipt(receipt)));
        }
        Step::Resend => {
            let (via, resend) = (via(script), resend(script, world));
            world.receive(via, REMOTE, &control(Body::Resend(resend)));
        }
        Step::Payload => {
            let via = via(script);
            // Of the other device, or of one that has no business here.
            let sender = DeviceId::from_bytes([2 + script.byte() % 4 / 3; 32]);
            world.receive(via, sender, script.chunk());
        }
        Step::Envelope => {
            let via = via(script);
            world.receive_bytes(via, Bytes::copy_from_slice(script.chunk()));
        }
        Step::Again => {
            let (via, at) = (via(script), script.number());
            world.receive_again(via, at);
        }
        Step::Stored => {
            let id = id(script, world);
            world.input(Input::Stored { id });
        }
        Step::Deposited => {
            let id = id(script, world);
            world.input(Input::Deposited { id });
        }
        Step::Nack => {
            let id = id(script, world);
            let reason = [
                NackReason::Invalid,
                NackReason::Busy,
                NackReason::Unspecified,
            ];
            let reason = reason[usize::from(script.byte() % 3)];
            world.input(Input::Nack { id, reason });
        }
        Step::DepositRefused => {
            let id = id(script, world);
            let reason = [
                RefusedDeposit::QueueFull,
                RefusedDeposit::Rejected,
                RefusedDeposit::Unavailable,
            ];
            let reason = reason[usize::from(script.byte() % 3)];
            let wait = script.number();
            let retry_after = (wait != 0).then(|| Duration::from_millis(wait));
            world.input(Input::DepositRefused {
                id,
                reason,
                retry_after,
            });
        }
        Step::Read => {
            let up_to = script.number();
            world.input(Input::Read { up_to });
        }
        Step::Pause => world.pass(Duration::from_millis(script.number().min(PAUSE_MAX_MS))),
        Step::Wake => world.wake(),
        Step::ClockJump => world.set_clock(script.number()),
        Step::Commit => {
            let leave = usize::from(script.byte());
            world.commit(leave);
        }
        Step::Crash => world.crash(),
        Step::LoseKey => {
            let generation = script.number();
            world.lose_key(generation);
        }
        Step::Hasten => world.hasten(),
        Step::MailboxForgot => world.input(Input::MailboxForgot),
    }
}

fn via(script: &mut Script<'_>) -> Via {
    match script.number() {
        0 => Via::Link,
        index => Via::Mailbox { index },
    }
}

fn id(script: &mut Script<'_>, world: &World) -> EnvelopeId {
    let at = script.number();
    world
        .own_envelope(at)
        .unwrap_or(EnvelopeId::of(&at.to_be_bytes()))
}

fn receipt(script: &mut Script<'_>) -> Receipt {
    let mut received = SeqSet::up_to(script.number().min(u64::MAX - 1));
    for _ in 0..script.byte() % 8 {
        let first = script.number();
        received.insert_range(
            first,
            first.saturating_add(script.number()).min(u64::MAX - 1),
        );
    }
    let ack = DeviceAck {
        device: LOCAL,
        received,
        read_up_to: script.number(),
    };
    Receipt {
        acks: vec![ack],
        stored_up_to: script.number(),
        delivered_up_to: script.number(),
        read_up_to: script.number(),
    }
}

fn resend(script: &mut Script<'_>, world: &World) -> Resend {
    let env_ids = (0..script.byte() % 8).map(|_| id(script, world)).collect();
    let ranges = (0..script.byte() % 8).map(|_| {
        let first = script.number();
        (first, first.saturating_add(script.number()))
    });
    Resend {
        env_ids,
        ranges: ranges.collect(),
    }
}

fn control(body: Body) -> Vec<u8> {
    Payload::of(vec![content(0, 0, body)]).encode()
}

fn content(seq: u64, hlc: u64, body: Body) -> Bytes {
    let content = Content {
        msg_id: MsgId::from_u128(u128::from(seq)),
        seq,
        hlc: Hlc::from_u64(hlc),
        body,
    };
    content.encode()
}
