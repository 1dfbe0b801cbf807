//! A session with its store, its clocks and everything that it has let out; what the core promises is
//! checked as it comes out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tincan_core::config::{
    FAILED_RANGES, GAPS, HELD_MESSAGES, RECEIVED_RANGES, RESEND_ASKS, RESEND_WANTED,
};
use tincan_core::{
    Config, DeliveryState, DeviceAt, Event, Input, Instant, Now, Output, Persist, SendError,
    Session, Snapshot, Transmit, Via,
};
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{Body, Content};
use tincan_protocol::envelope::Payload;
use tincan_protocol::limits::ENVELOPE_MAX;
use tincan_protocol::{DeviceId, EnvelopeId, MsgId};

use super::disk::Disk;

pub(crate) const LOCAL: DeviceId = DeviceId::from_bytes([1; 32]);
pub(crate) const REMOTE: DeviceId = DeviceId::from_bytes([2; 32]);

/// Unix milliseconds at the start.
pub(crate) const START_MS: u64 = 1_900_000_000_000;

/// Bytes in front of an envelope's payload, see [`Disk`]: generation and device.
const SEAL: usize = 40;

/// Calls at one moment after which a session that is still not content is in a loop. Each one fills
/// the window from the outbox or seals a part of what was asked for.
const CALLS_AT_ONCE: usize = 100;

pub(crate) struct World {
    config: Config,
    session: Session,
    now: Now,
    /// The open transaction.
    working: Disk,
    /// What a crash leaves.
    durable: Disk,
    /// What waits for the commit.
    waiting: VecDeque<Output>,
    /// Envelopes of ours that have got out.
    own: Vec<EnvelopeId>,
    /// Envelopes that have come in.
    theirs: Vec<Bytes>,
    /// The mailbox's index of the one that is coming in.
    coming: Option<u64>,
    /// Own messages as the person knows them, and as they were at the last commit.
    states: BTreeMap<u64, DeliveryState>,
    durable_states: BTreeMap<u64, DeliveryState>,
    /// The seq that is to be shown next.
    next_shown: u64,
    restarts: u64,
    sent: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let config = Config::default();
        let now = Now {
            instant: Instant::from_micros(1),
            unix_ms: START_MS,
        };
        let disk = Disk::new(LOCAL);
        Self {
            session: Session::new(config.clone(), devices(), 0, now),
            config,
            now,
            working: disk.clone(),
            durable: disk,
            waiting: VecDeque::new(),
            own: Vec::new(),
            theirs: Vec::new(),
            coming: None,
            states: BTreeMap::new(),
            durable_states: BTreeMap::new(),
            next_shown: 1,
            restarts: 0,
            sent: 0,
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.sent += 1;
        let id = MsgId::from_u128(u128::from(self.sent));
        let next = self.session.next_seq();
        let body = Body::text(text.to_owned());
        match self.session.send(id, body, self.now) {
            Ok(seq) => assert_eq!((seq, self.session.next_seq()), (next, next + 1)),
            Err(SendError::TooLarge { .. } | SendError::Busy) => {
                assert_eq!(self.session.next_seq(), next, "a seq is used up");
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn flush(&mut self) {
        self.session.flush(&mut self.working, self.now).unwrap();
        self.collect();
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.coming = match &input {
            Input::Envelope {
                via: Via::Mailbox { index },
                ..
            } => Some(*index),
            _ => None,
        };
        self.session
            .handle_input(input, &mut self.working, self.now)
            .unwrap();
        self.collect();
    }

    /// An envelope with this payload, sealed with a key that was not used before.
    pub(crate) fn receive(&mut self, via: Via, sender: DeviceId, payload: &[u8]) {
        let generation = (self.theirs.len() as u64 + 1).to_be_bytes();
        let envelope = [generation.as_slice(), sender.as_bytes(), payload].concat();
        self.receive_bytes(via, envelope.into());
    }

    pub(crate) fn receive_bytes(&mut self, via: Via, envelope: Bytes) {
        self.theirs.push(envelope.clone());
        self.input(Input::Envelope { via, envelope });
        // Whatever it was, the way it came in knows what to do with it.
        let answered = self.waiting.iter().any(|output| match output {
            Output::Transmit(Transmit::Stored { .. } | Transmit::Nack { .. }) => via == Via::Link,
            Output::Transmit(Transmit::AckMailbox { index }) => {
                via == Via::Mailbox { index: *index }
            }
            _ => false,
        });
        assert!(answered, "an envelope without an answer");
    }

    pub(crate) fn receive_again(&mut self, via: Via, at: u64) {
        if let Some(envelope) = pick(&self.theirs, at).cloned() {
            self.input(Input::Envelope { via, envelope });
        }
    }

    pub(crate) fn own_envelope(&self, at: u64) -> Option<EnvelopeId> {
        pick(&self.own, at).copied()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now.instant = self.now.instant.after(time);
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.now.unix_ms = self.now.unix_ms.saturating_add(ms);
    }

    pub(crate) fn set_clock(&mut self, unix_ms: u64) {
        // 48 bits are what a stamp holds.
        self.now.unix_ms = unix_ms & ((1 << 48) - 1);
    }

    /// Lets time pass until the session wants to be called, and calls it until it wants to wait.
    pub(crate) fn wake(&mut self) {
        if let Some((at, _)) = self.session.poll_timeout() {
            self.pass(at.since(self.now.instant));
        }
        for _ in 0..CALLS_AT_ONCE {
            self.session
                .handle_timeout(&mut self.working, self.now)
                .unwrap();
            self.collect();
            let due = self.session.poll_timeout();
            if due.is_none_or(|(at, _)| at > self.now.instant) {
                return;
            }
        }
        panic!("it never waits: {:?}", self.session.poll_timeout());
    }

    /// Commits, lets out at most `leave` things and dies if there were more.
    pub(crate) fn commit(&mut self, leave: usize) {
        self.flush();
        self.durable = self.working.clone();
        self.durable_states = self.states.clone();
        for _ in 0..leave {
            match self.waiting.pop_front() {
                Some(Output::Transmit(Transmit::Put { id, .. } | Transmit::Deposit { id, .. })) => {
                    self.own.push(id);
                }
                Some(_) => {}
                None => return,
            }
        }
        if !self.waiting.is_empty() {
            self.crash();
        }
    }

    pub(crate) fn crash(&mut self) {
        self.restarts += 1;
        self.waiting.clear();
        self.working = self.durable.clone();
        self.states = self.durable_states.clone();
        self.session = self.restored();
        self.next_shown = self.session.shown_up_to() + 1;
    }

    pub(crate) fn lose_key(&mut self, generation: u64) {
        self.working.lost_keys.insert(generation);
        self.durable.lost_keys.insert(generation);
    }

    pub(crate) fn hasten(&mut self) {
        self.session.hasten(self.now.instant);
    }

    /// What must hold between any two steps.
    pub(crate) fn check(&self) {
        assert!(self.working.held.len() <= HELD_MESSAGES);
        assert_eq!(self.session.shown_up_to() + 1, self.next_shown);
        for (&seq, &state) in &self.states {
            let known = self.session.state_of(seq);
            assert!(
                known.is_none_or(|known| known == state),
                "seq {seq}: {known:?}, told {state:?}"
            );
        }
        if let Some((first, last, _)) = self.session.waiting() {
            assert!(first <= last && last < self.session.next_seq());
        }
    }

    /// At the end: a restart loses nothing of what was committed.
    pub(crate) fn settle(&mut self) {
        self.wake();
        self.commit(usize::MAX);
        self.check();
        let restored = self.restored();
        assert_eq!(restored.next_seq(), self.session.next_seq());
        assert_eq!(restored.shown_up_to(), self.session.shown_up_to());
        for seq in 1..restored.next_seq() {
            assert_eq!(
                restored.state_of(seq),
                self.session.state_of(seq),
                "seq {seq}"
            );
            // What is neither delivered nor given up is there to be sent.
            let settled = restored.state_of(seq).is_some();
            let kept = self.durable.outbox.range(..=seq).next_back();
            let kept = kept.is_some_and(|(_, entry)| entry.last >= seq);
            assert!(settled || kept, "seq {seq} is lost");
        }
    }

    fn restored(&self) -> Session {
        let (config, devices) = (self.config.clone(), devices());
        match &self.durable.snapshot {
            None => Session::new(config, devices, self.restarts, self.now),
            Some(snapshot) => {
                let seed = self.restarts;
                Session::restore(config, devices, seed, snapshot, &self.durable, self.now).unwrap()
            }
        }
    }

    /// Takes the outputs, in order.
    fn collect(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Persist(row) => self.persist(row),
                Output::Transmit(transmit) => {
                    self.check_transmit(&transmit);
                    self.waiting.push_back(Output::Transmit(transmit));
                }
                Output::Event(event) => {
                    self.check_event(&event);
                    self.waiting.push_back(Output::Event(event));
                }
            }
        }
    }

    fn persist(&mut self, row: Persist) {
        if let Persist::Snapshot(snapshot) = &row {
            check_bounds(snapshot);
            if let Some(before) = &self.working.snapshot {
                check_progress(before, snapshot);
            }
        }
        self.working.apply(row);
    }

    /// What a transmit depends on has been persisted before.
    fn check_transmit(&self, transmit: &Transmit) {
        match transmit {
            Transmit::Put { id, envelope } | Transmit::Deposit { id, envelope } => {
                assert_eq!(EnvelopeId::of(envelope), *id);
                assert!(envelope.len() <= ENVELOPE_MAX);
                let payload = envelope.slice(SEAL..);
                for bytes in Payload::decode(payload).unwrap().contents {
                    self.check_sent(id, &bytes);
                }
            }
            Transmit::Stored { id } => {
                assert!(
                    self.working.seen.contains(id),
                    "stored before it was persisted"
                );
            }
            Transmit::Nack { id, .. } => assert!(!self.working.seen.contains(id)),
            // An index takes with it what is before it: nothing that has not come is let go.
            Transmit::AckMailbox { index } => assert_eq!(self.coming, Some(*index)),
        }
    }

    fn check_sent(&self, id: &EnvelopeId, bytes: &Bytes) {
        let content = Content::decode(bytes).unwrap();
        if content.seq == 0 {
            return;
        }
        let seq = content.seq;
        assert_eq!(
            self.working.sent.get(&seq),
            Some(bytes),
            "seq {seq} with another content"
        );
        let snapshot = self.working.snapshot.as_ref().unwrap();
        assert!(
            seq < snapshot.next_seq,
            "seq {seq} could be given out again"
        );
        let entry = self.working.outbox.range(..=seq).next_back();
        assert!(
            entry.is_some_and(|(_, entry)| entry.id == *id),
            "seq {seq} is in no outbox"
        );
    }

    fn check_event(&mut self, event: &Event) {
        match event {
            Event::Received {
                content,
                place,
                late,
            } => {
                let seq = content.seq;
                assert!(self.working.timeline.contains_key(&(*place, seq)));
                if *late {
                    assert!(seq < self.next_shown, "seq {seq} is not late");
                } else {
                    assert_eq!(seq, self.next_shown, "out of order");
                    self.next_shown = seq + 1;
                }
            }
            Event::Gap { first, last, .. } => {
                assert_eq!(*first, self.next_shown);
                assert!(first <= last);
                self.next_shown = last + 1;
            }
            Event::State { first, last, state } => {
                assert!(first <= last && *last < self.session.next_seq());
                for seq in *first..=*last {
                    self.check_state(seq, *state);
                }
            }
            Event::Waiting { first, last, .. } => {
                assert!(first <= last && *last < self.session.next_seq());
                for seq in *first..=*last {
                    self.check_state(seq, DeliveryState::Pending);
                }
            }
            _ => {}
        }
    }

    fn check_state(&mut self, seq: u64, state: DeliveryState) {
        let before = self.states.insert(seq, state);
        assert!(before <= Some(state), "seq {seq}: {before:?} -> {state:?}");
    }
}

fn devices() -> DeviceAt {
    DeviceAt {
        local: LOCAL,
        remote: REMOTE,
    }
}

fn pick<T>(list: &[T], at: u64) -> Option<&T> {
    let len = list.len() as u64;
    // The newest first, so that a script need not count.
    let at = usize::try_from(at.checked_rem(len)?).ok()?;
    list.iter().rev().nth(at)
}

fn check_bounds(snapshot: &Snapshot) {
    // One more than the ranges: what is cumulative.
    assert!(snapshot.received.len() <= RECEIVED_RANGES + 1);
    assert!(snapshot.delivered.len() <= RECEIVED_RANGES + 1);
    assert!(snapshot.failed.len() <= FAILED_RANGES + 1);
    // A gap that is filled in its middle becomes two, each between two ranges of what was received.
    assert!(snapshot.gaps.len() <= GAPS + RECEIVED_RANGES);
    assert!(snapshot.resend_asks.len() <= RESEND_ASKS);
    assert!(snapshot.resend_wanted.len() <= RESEND_WANTED);
    assert!(snapshot.resend_ids.len() <= RESEND_WANTED);
    assert!(snapshot.announced < u64::MAX && snapshot.next_shown >= 1);
    assert!(snapshot.to_announce < snapshot.next_seq);
    assert!(snapshot.read_up_to < snapshot.next_shown);
    assert!(snapshot.read_by_peer < snapshot.next_seq);
}

/// Nothing goes back.
fn check_progress(before: &Snapshot, after: &Snapshot) {
    assert!(before.next_seq <= after.next_seq);
    assert!(before.hlc <= after.hlc);
    assert!(before.next_shown <= after.next_shown);
    assert!(before.last_place <= after.last_place);
    assert!(before.read_up_to <= after.read_up_to);
    assert!(before.read_by_peer <= after.read_by_peer);
    assert!(before.announced <= after.announced);
    assert!(contains(&after.received_set(), &before.received_set()));
    assert!(contains(&after.delivered_set(), &before.delivered_set()));
    let mut settled = after.failed_set();
    settled.union_within(&after.delivered_set(), usize::MAX);
    assert!(contains(&settled, &before.failed_set()));
}

fn contains(set: &SeqSet, other: &SeqSet) -> bool {
    let up_to = other.cumulative();
    (up_to == 0 || set.contains_all(1, up_to))
        && other
            .ranges()
            .all(|(first, last)| set.contains_all(first, last))
}
