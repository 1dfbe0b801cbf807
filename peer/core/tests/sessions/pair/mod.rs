//! Two sessions, two mailboxes and a network that misbehaves, with time that jumps to the next
//! thing that happens. What the protocol's invariants forbid panics on the spot.

pub(crate) mod disk;
mod mailbox;
mod side;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use side::Side;
use tincan_core::{
    Config, DeliveryState, Event, Input, Instant, Now, Output, RefusedDeposit, Transmit, Via,
};
use tincan_protocol::content::Body;
use tincan_protocol::wire::NackReason;
use tincan_protocol::{DeviceId, EnvelopeId, MsgId};

/// More things at once than a session that works ever does.
const BUSY: usize = 100_000;

const START_MS: u64 = 1_900_000_000_000;

/// A frame on the direct link.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Put(Bytes),
    Stored(EnvelopeId),
    Nack(EnvelopeId, NackReason),
}

pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    /// Frames on their way to each side.
    pub(crate) wires: [VecDeque<Frame>; 2],
    pub(crate) link: bool,
    pub(crate) now: Now,
    pub(crate) config: Config,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let config = Config::default();
        let now = Now {
            instant: Instant::from_micros(1),
            unix_ms: START_MS,
        };
        let devices = [DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32])];
        let side = |at: usize| Side::new(devices[at], devices[1 - at], &config, now);
        Self {
            sides: [side(0), side(1)],
            wires: [VecDeque::new(), VecDeque::new()],
            link: false,
            now,
            config: config.clone(),
        }
    }

    /// Sends a text and seals it with whatever else was sent in this step.
    pub(crate) fn send(&mut self, at: usize, texts: &[String]) {
        self.send_bodies(at, texts.iter().cloned().map(Body::text).collect());
    }

    pub(crate) fn send_bodies(&mut self, at: usize, bodies: Vec<Body>) {
        let (now, side) = (self.now, &mut self.sides[at]);
        for body in bodies {
            let id = MsgId::from_u128(u128::from(side.session.next_seq()));
            side.session.send(id, body, now).unwrap();
        }
        side.session.flush(&mut side.working, now).unwrap();
        self.step(at);
    }

    pub(crate) fn input(&mut self, at: usize, input: Input) {
        let (now, side) = (self.now, &mut self.sides[at]);
        side.session
            .handle_input(input, &mut side.working, now)
            .unwrap();
        side.collect();
    }

    pub(crate) fn begin_anew(&mut self, at: usize) {
        let now = self.now;
        self.sides[at].session.begin_anew(now);
        self.step(at);
    }

    /// A side loses everything but its next number, is met by the other one under other keys, and has another
    /// mailbox.
    pub(crate) fn forget(&mut self, at: usize) {
        self.link_down();
        self.relay(at, false);
        let (now, config) = (self.now, self.config.clone());
        self.sides[at].forget(&config, now);
        self.step(at);
        self.lose_mailbox(at, false);
        self.begin_anew(1 - at);
        // It is sealed when it is loaded.
        self.advance(Duration::ZERO);
    }

    /// Commits what is open and lets out what depends on it.
    pub(crate) fn step(&mut self, at: usize) {
        self.sides[at].collect();
        self.commit(at, usize::MAX);
    }

    /// Commits, lets out at most `leave` things, and drops the rest, as a crash would.
    pub(crate) fn commit(&mut self, at: usize, leave: usize) {
        self.sides[at].durable = self.sides[at].working.clone();
        for _ in 0..leave {
            let Some(output) = self.sides[at].uncommitted.pop_front() else {
                return;
            };
            match output {
                Output::Persist(_) => {}
                Output::Transmit(transmit) => self.transmit(at, transmit),
                Output::Event(event) => self.event(at, event),
            }
        }
        self.sides[at].uncommitted.clear();
    }

    /// The process dies: what is not committed is gone, and so are its connections.
    pub(crate) fn crash(&mut self, at: usize) {
        let (now, config) = (self.now, self.config.clone());
        self.sides[at].restart(&config, now);
        if self.link {
            self.link = false;
            self.wires = [VecDeque::new(), VecDeque::new()];
            self.input(1 - at, Input::LinkDown);
            self.step(1 - at);
        }
        if self.sides[at].relay_up {
            self.input(at, Input::RelayUp);
        }
        self.subscribe(at);
    }

    /// From now on a side may be told that the other one misbehaves.
    pub(crate) fn tolerate_misbehaviour(&mut self, at: usize) {
        self.sides[at].tolerant = true;
    }

    /// A side can no longer open what was sealed with this key.
    pub(crate) fn lose_key(&mut self, at: usize, generation: u64) {
        let side = &mut self.sides[at];
        side.working.lost_keys.insert(generation);
        side.durable.lost_keys.insert(generation);
    }

    pub(crate) fn link_up(&mut self) {
        if !self.link {
            self.link = true;
            for at in 0..2 {
                self.input(at, Input::LinkUp);
                self.step(at);
            }
        }
    }

    pub(crate) fn link_down(&mut self) {
        if self.link {
            self.link = false;
            self.wires = [VecDeque::new(), VecDeque::new()];
            for at in 0..2 {
                self.input(at, Input::LinkDown);
                self.step(at);
            }
        }
    }

    pub(crate) fn relay(&mut self, at: usize, up: bool) {
        self.sides[at].relay_up = up;
        self.input(at, if up { Input::RelayUp } else { Input::RelayDown });
        self.step(at);
        if up {
            self.subscribe(at);
        } else {
            self.input(at, Input::MailboxDown);
            self.step(at);
        }
    }

    /// The relay of a side loses what it kept for it. `told`: as a whole, so that both sides learn of it
    /// when it comes back; otherwise nobody notices.
    pub(crate) fn lose_mailbox(&mut self, at: usize, told: bool) {
        let mailbox = &mut self.sides[at].mailbox;
        mailbox.entries.clear();
        mailbox.known.clear();
        if told {
            self.begins_anew(1 - at, Input::RelayForgot);
            self.begins_anew(at, Input::MailboxForgot);
        }
    }

    /// A side is told so, before it finds its relay again.
    fn begins_anew(&mut self, at: usize, input: Input) {
        let was_up = self.sides[at].relay_up;
        self.relay(at, false);
        self.input(at, input);
        self.step(at);
        if was_up {
            self.relay(at, true);
        }
    }

    fn subscribe(&mut self, at: usize) {
        self.sides[at].mailbox.delivered_up_to = 0;
        self.input(at, Input::MailboxUp);
        self.step(at);
    }

    /// Delivers the frame at `index` of a wire.
    pub(crate) fn deliver(&mut self, to: usize, index: usize) {
        let Some(frame) = self.wires[to].remove(index) else {
            return;
        };
        self.input(
            to,
            match frame {
                Frame::Put(envelope) => Input::Envelope {
                    via: Via::Link,
                    envelope,
                },
                Frame::Stored(id) => Input::Stored { id },
                Frame::Nack(id, reason) => Input::Nack { id, reason },
            },
        );
    }

    /// Delivers the next envelope of a side's mailbox, or tells that there is none.
    pub(crate) fn fetch(&mut self, at: usize) {
        if !self.sides[at].relay_up {
            return;
        }
        let mailbox = &mut self.sides[at].mailbox;
        let next = mailbox
            .entries
            .iter()
            .find(|entry| entry.0 > mailbox.delivered_up_to);
        match next.cloned() {
            Some((index, envelope)) => {
                mailbox.delivered_up_to = index;
                self.input(
                    at,
                    Input::Envelope {
                        via: Via::Mailbox { index },
                        envelope,
                    },
                );
            }
            None => self.input(at, Input::MailboxDrained),
        }
    }

    /// Moves time on and lets timers fire.
    pub(crate) fn advance(&mut self, by: Duration) {
        let end = self.now.instant.after(by);
        for timers in 0.. {
            assert!(timers < BUSY, "timers that are always due");
            let due = self
                .sides
                .iter()
                .filter_map(|side| side.session.poll_timeout())
                .min();
            let Some((at, _)) = due.filter(|due| due.0 <= end) else {
                break;
            };
            self.set_time(at.max(self.now.instant));
            for at in 0..2 {
                let (now, side) = (self.now, &mut self.sides[at]);
                if side
                    .session
                    .poll_timeout()
                    .is_some_and(|due| due.0 <= now.instant)
                {
                    side.session.handle_timeout(&mut side.working, now).unwrap();
                    self.step(at);
                }
            }
        }
        self.set_time(end);
    }

    fn set_time(&mut self, instant: Instant) {
        let passed = instant.since(self.now.instant);
        self.now = Now {
            instant,
            unix_ms: self.now.unix_ms + passed.as_millis() as u64,
        };
    }

    /// Everything works, until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        for at in 0..2 {
            self.sides[at].mailbox.full = false;
            self.relay(at, true);
        }
        self.link_down();
        self.link_up();
        for _ in 0..400 {
            for at in 0..2 {
                let mut frames = 0;
                while !self.wires[at].is_empty() {
                    frames += 1;
                    assert!(frames < BUSY, "frames that answer frames without an end");
                    self.deliver(at, 0);
                    self.step(at);
                }
                for _ in 0..20 {
                    self.fetch(at);
                    self.step(at);
                }
            }
            self.advance(Duration::from_secs(1));
            let quiet = self.wires.iter().all(VecDeque::is_empty);
            if quiet && self.sides.iter().all(|side| side.durable.outbox.is_empty()) {
                return;
            }
        }
        panic!(
            "it never settles: {:?}",
            self.sides.each_ref().map(|side| side.session.waiting())
        );
    }

    /// Every message is there once, in order, unchanged.
    pub(crate) fn check_complete(&self, sent: [&[String]; 2]) {
        for (at, sent) in sent.into_iter().enumerate() {
            let texts: Vec<String> = self.sides[1 - at].texts();
            assert_eq!(texts, sent, "from side {at}");
            let last = sent.len() as u64;
            for seq in 1..=last {
                let state = self.sides[at].session.state_of(seq);
                assert!(
                    state >= Some(DeliveryState::Delivered),
                    "seq {seq}: {state:?}"
                );
            }
        }
    }

    fn transmit(&mut self, at: usize, transmit: Transmit) {
        match transmit {
            Transmit::Put { envelope, .. } if self.link => {
                self.wires[1 - at].push_back(Frame::Put(envelope));
            }
            Transmit::Stored { id } => {
                assert!(
                    self.sides[at].durable.seen.contains(&id),
                    "Stored before durable"
                );
                if self.link {
                    self.wires[1 - at].push_back(Frame::Stored(id));
                }
            }
            Transmit::Nack { id, reason } if self.link => {
                self.wires[1 - at].push_back(Frame::Nack(id, reason));
            }
            Transmit::Put { .. } | Transmit::Nack { .. } => {}
            Transmit::Deposit { id, envelope } => self.deposit(at, id, envelope),
            Transmit::AckMailbox { index } => {
                self.sides[at]
                    .mailbox
                    .entries
                    .retain(|entry| entry.0 > index);
            }
        }
    }

    fn deposit(&mut self, at: usize, id: EnvelopeId, envelope: Bytes) {
        if !self.sides[at].relay_up {
            return;
        }
        let mailbox = &mut self.sides[1 - at].mailbox;
        mailbox.tries += 1;
        let answer = if mailbox.full {
            let reason = RefusedDeposit::QueueFull;
            Input::DepositRefused {
                id,
                reason,
                retry_after: None,
            }
        } else {
            if mailbox.known.insert(id) {
                mailbox.next_index += 1;
                mailbox.entries.push_back((mailbox.next_index, envelope));
            }
            Input::Deposited { id }
        };
        self.input(at, answer);
    }

    fn event(&mut self, at: usize, event: Event) {
        if let Event::State { first, last, state } = &event {
            for seq in *first..=*last {
                if *state == DeliveryState::Delivered {
                    let there = &self.sides[1 - at].durable;
                    assert!(
                        there.received.contains(&seq) || there.before.contains(&seq),
                        "delivered before it was committed"
                    );
                }
                self.sides[at].state(seq, *state);
            }
        }
        self.sides[at].see(&event);
        self.sides[at].events.push(event);
    }
}

/// Numbered texts.
pub(crate) fn texts(from: usize, count: usize) -> Vec<String> {
    (from..from + count)
        .map(|number| format!("text {number}"))
        .collect()
}

/// Delivers what is on both wires until nothing moves.
pub(crate) fn run_link(pair: &mut Pair) {
    let mut frames = 0;
    while pair.wires.iter().any(|wire| !wire.is_empty()) {
        frames += 1;
        assert!(frames < BUSY, "frames that answer frames without an end");
        for to in 0..2 {
            pair.deliver(to, 0);
            pair.step(to);
        }
    }
}

pub(crate) fn run_mailbox(pair: &mut Pair, at: usize) {
    for _ in 0..200 {
        pair.fetch(at);
        pair.step(at);
    }
}
