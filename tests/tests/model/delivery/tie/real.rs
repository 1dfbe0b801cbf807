//! Two real sessions and the real relay, in a world that does what the model's actions say.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tincan_core::{
    Config, DeliveryState, DeviceAt, Event, Input, Instant, Now, Output, RefusedDeposit, Session,
    Transmit, Via,
};
use tincan_protocol::content::Body;
use tincan_protocol::ids::QueueId;
use tincan_protocol::wire::NackReason;
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tincan_protocol::{DeviceId, EnvelopeId, MsgId};
use tincan_relay::mailbox::ConnectionId;
use tincan_relay::store::{QueueKind, Write};

use super::super::actions::{Action, Source};
use super::super::budget::Bounds;
use super::super::state::{Gap, Reason};
use crate::core_disk::Disk;
use crate::relay::{Relay, Said};

/// Longer than any wait of a session, shorter than what lets a message fail.
const A_WHILE: Duration = Duration::from_secs(2 * 24 * 3600);

/// Longer than what lets a message fail.
const TOO_LONG_MS: u64 = 15 * 24 * 3600 * 1000;

/// One output, as it leaves: states are told message by message.
#[derive(Clone, Debug)]
pub(super) enum Out {
    Put(Bytes),
    Stored(EnvelopeId),
    Nack(EnvelopeId),
    Deposit(Bytes),
    AckMailbox(u64),
    State { seq: u64, state: DeliveryState },
    Waiting { seq: u64, reason: Reason },
    Received { seq: u64, late: bool },
    Gap(Gap),
}

#[derive(Clone, Debug)]
pub(super) enum Frame {
    Put(Bytes),
    Stored(EnvelopeId),
    Nack(EnvelopeId),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Deposited(EnvelopeId),
    Refused(EnvelopeId),
}

#[derive(Clone, Debug)]
pub(super) enum Push {
    Deliver(u64, Bytes),
    Drained,
}

/// Which relays have begun anew, and nothing was made of it yet.
#[derive(Clone, Copy, Default)]
pub(super) struct Anew {
    /// The other side's.
    pub(super) theirs: bool,
    pub(super) own: bool,
}

pub(super) struct Side {
    pub(super) device: DeviceId,
    remote: DeviceId,
    pub(super) session: Session,
    pub(super) working: Disk,
    pub(super) durable: Disk,
    /// With `working` and `durable`, for what the core leaves to its caller.
    pub(super) anew: [Anew; 2],
    pub(super) held: VecDeque<Out>,
    pub(super) told: Vec<DeliveryState>,
    pub(super) now: Now,
    /// The wall clock at the last commit. A crash sets it back to there: what had become too old in a
    /// transaction that never was is not too old.
    committed_ms: u64,
    restarts: u64,
    pub(super) connection: Option<ConnectionId>,
    pub(super) queue: QueueId,
    pub(super) answers: VecDeque<Answer>,
    pub(super) pushes: VecDeque<Push>,
    /// What was ever taken into this side's queue.
    pub(super) known: Vec<EnvelopeId>,
    pub(super) refuses: bool,
}

pub(super) struct Real {
    pub(super) sides: [Side; 2],
    pub(super) wires: [VecDeque<Frame>; 2],
    pub(super) link: bool,
    pub(super) link_is_bad: bool,
    /// All envelopes that ever left: who sealed them, and as his which one.
    pub(super) left: BTreeMap<EnvelopeId, (DeviceId, u64)>,
    messages: [u8; 2],
    relay_crashes: u8,
    /// There is another way than the link.
    has_relay: bool,
}

impl Real {
    /// The relay is shared by many runs: opening its store costs more than most of them.
    pub(super) fn new(relay: &mut Relay, bounds: &Bounds) -> Self {
        let devices = [DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32])];
        let mut side = |at: usize| Side::new(devices[at], devices[1 - at], relay);
        Self {
            sides: [side(0), side(1)],
            wires: [VecDeque::new(), VecDeque::new()],
            link: false,
            link_is_bad: false,
            left: BTreeMap::new(),
            messages: bounds.budget.messages,
            relay_crashes: bounds.budget.relay_crashes,
            has_relay: bounds.relay,
        }
    }

    pub(super) fn act(&mut self, action: Action, relay: &mut Relay) {
        self.act_by_itself(action, relay);
        // As in the model: where it cannot crash nobody can tell how long a sync takes.
        if self.relay_crashes == 0 {
            for of in 0..2 {
                while relay.taken(self.sides[of].queue).next().is_some() {
                    self.relay_sync(of, relay);
                }
            }
        }
    }

    fn act_by_itself(&mut self, action: Action, relay: &mut Relay) {
        match action {
            Action::Send { at } => self.send(at),
            Action::Read { at } => {
                let up_to = self.sides[at].session.shown_up_to();
                self.input(at, Input::Read { up_to });
            }
            Action::Commit { at } => self.commit(at, usize::MAX, relay),
            Action::CommitThenCrash { at, left } => {
                self.commit(at, left, relay);
                self.crash(at, relay);
            }
            Action::Crash { at } => self.crash(at, relay),
            Action::LinkUp => {
                self.link = true;
                (0..2).for_each(|at| self.input(at, Input::LinkUp));
            }
            Action::LinkDown => {
                self.lose_link();
                (0..2).for_each(|at| self.input(at, Input::LinkDown));
            }
            Action::Deliver { to } => self.deliver(to, 0),
            Action::Overtake { to, index } => self.deliver(to, index),
            Action::Duplicate { to } => {
                let frame = self.wires[to][0].clone();
                self.wires[to].push_front(frame);
                self.deliver(to, 0);
            }
            Action::Drop { to } => {
                self.link_is_bad = true;
                self.wires[to].pop_front();
            }
            Action::RefusePut { to } => {
                self.link_is_bad = !self.has_relay;
                if let Some(Frame::Put(envelope)) = self.wires[to].pop_front() {
                    let id = EnvelopeId::of(&envelope);
                    self.wires[1 - to].push_back(Frame::Nack(id));
                }
            }
            Action::RelayUp { at } => self.relay_up(at, relay),
            Action::RelayDown { at } => self.relay_down(at, relay),
            Action::RelaySync { of } => self.relay_sync(of, relay),
            Action::RelayCrash => self.relay_crash(relay),
            Action::Answer { at } => {
                let answer = self.sides[at].answers.pop_front().unwrap();
                self.answer(at, answer);
            }
            Action::AnswerAgain { at } => self.answer(at, self.sides[at].answers[0]),
            Action::Fetch { at } => {
                let push = self.sides[at].pushes.pop_front().unwrap();
                self.fetch(at, push);
            }
            Action::FetchAgain { at } => self.fetch(at, self.sides[at].pushes[0].clone()),
            Action::RelayFull { of } => self.sides[of].refuses = true,
            Action::RelayHasRoom { of } => self.sides[of].refuses = false,
            Action::RelayLoses { of, told } => self.relay_loses(of, told, relay),
            Action::LoseKey { to, way } => self.lose_key(to, way),
            Action::Tick { at } => self.time_passes(at, 0),
            Action::Expire { at } => self.time_passes(at, TOO_LONG_MS),
        }
    }

    fn send(&mut self, at: usize) {
        self.messages[at] -= 1;
        let text = self.messages[at].to_string();
        let side = &mut self.sides[at];
        let id = MsgId::from_u128(u128::from(self.messages[at]) + 1);
        let sent = side.session.send(id, Body::text(text), side.now);
        sent.unwrap();
        side.session.flush(&mut side.working, side.now).unwrap();
        side.collect();
    }

    fn input(&mut self, at: usize, input: Input) {
        let side = &mut self.sides[at];
        let done = side
            .session
            .handle_input(input, &mut side.working, side.now);
        done.unwrap();
        side.collect();
    }

    fn time_passes(&mut self, at: usize, unix_ms: u64) {
        let side = &mut self.sides[at];
        side.now.instant = side.now.instant.after(A_WHILE);
        side.now.unix_ms += unix_ms;
        let done = side.session.handle_timeout(&mut side.working, side.now);
        done.unwrap();
        side.collect();
    }

    fn commit(&mut self, at: usize, left: usize, relay: &mut Relay) {
        let side = &mut self.sides[at];
        side.durable = side.working.clone();
        side.committed_ms = side.now.unix_ms;
        side.anew[1] = side.anew[0];
        let held = std::mem::take(&mut side.held);
        for out in held.into_iter().take(left) {
            self.leave(at, out, relay);
        }
    }

    fn leave(&mut self, at: usize, out: Out, relay: &mut Relay) {
        if let Out::Put(envelope) | Out::Deposit(envelope) = &out {
            let id = EnvelopeId::of(envelope);
            self.left.insert(id, sealed_by(envelope));
        }
        let frame = match out {
            Out::Put(envelope) => Frame::Put(envelope),
            Out::Stored(id) => Frame::Stored(id),
            Out::Nack(id) => Frame::Nack(id),
            Out::Deposit(envelope) => return self.deposit(at, envelope, relay),
            Out::AckMailbox(index) => {
                let side = &self.sides[at];
                if let Some(connection) = side.connection {
                    let said = relay.ack(connection, side.queue, index);
                    self.heard(said);
                }
                return;
            }
            Out::State { seq, state } => return self.sides[at].tell(seq, state),
            Out::Waiting { seq, .. } => return self.sides[at].tell(seq, DeliveryState::Pending),
            Out::Received { .. } | Out::Gap(_) => return,
        };
        if self.link {
            self.wires[1 - at].push_back(frame);
        }
    }

    fn deposit(&mut self, at: usize, envelope: Bytes, relay: &mut Relay) {
        if let Some(connection) = self.sides[at].connection {
            let said = relay.deposit(connection, self.sides[1 - at].queue, envelope);
            self.heard(said);
        }
    }

    fn relay_sync(&mut self, of: usize, relay: &mut Relay) {
        let side = &mut self.sides[of];
        let deposit = match relay.taken(side.queue).next().unwrap().write {
            Write::Deposit { env_id, .. } => Some(env_id),
            _ => None,
        };
        if side.refuses
            && let Some(id) = deposit
        {
            return match &relay.fail(side.queue)[..] {
                [] => {}
                [Said::Answer(_, Reply::Error(_))] => {
                    self.sides[1 - of].answers.push_back(Answer::Refused(id));
                }
                other => panic!("{other:?}"),
            };
        }
        let known = deposit.filter(|id| !side.known.contains(id));
        side.known.extend(known);
        let said = relay.sync(side.queue);
        self.heard(said);
    }

    /// What the relay says is on its way to whom it says it to.
    fn heard(&mut self, said: Vec<Said>) {
        for said in said {
            let (Said::Answer(to, _) | Said::Push(to, _)) = &said;
            let mut sides = self.sides.iter_mut();
            let side = sides.find(|side| side.connection == Some(*to)).unwrap();
            match said {
                Said::Answer(_, Reply::Deposited(deposited)) => {
                    let id = EnvelopeId::try_from(deposited.env_id.as_slice()).unwrap();
                    side.answers.push_back(Answer::Deposited(id));
                }
                Said::Answer(_, Reply::Done(_)) => {}
                Said::Push(_, Reply::Deliver(delivery)) => {
                    let push = Push::Deliver(delivery.index, delivery.envelope);
                    side.pushes.push_back(push);
                }
                Said::Push(_, Reply::Drained(_)) => side.pushes.push_back(Push::Drained),
                other => panic!("{other:?}"),
            }
        }
    }

    fn crash(&mut self, at: usize, relay: &mut Relay) {
        let side = &mut self.sides[at];
        side.restart();
        if let Some(connection) = side.connection.take() {
            relay.disconnect(connection);
        }
        if self.link {
            self.lose_link();
            self.input(1 - at, Input::LinkDown);
        }
    }

    fn lose_link(&mut self) {
        self.link = false;
        self.link_is_bad = false;
        self.wires.iter_mut().for_each(VecDeque::clear);
    }

    fn answer(&mut self, at: usize, answer: Answer) {
        let input = match answer {
            Answer::Deposited(id) => Input::Deposited { id },
            Answer::Refused(id) => Input::DepositRefused {
                id,
                reason: RefusedDeposit::Unavailable,
                retry_after: None,
            },
        };
        self.input(at, input);
    }

    fn fetch(&mut self, at: usize, push: Push) {
        let input = match push {
            Push::Drained => Input::MailboxDrained,
            Push::Deliver(index, envelope) => Input::Envelope {
                via: Via::Mailbox { index },
                envelope,
            },
        };
        self.input(at, input);
    }

    fn deliver(&mut self, to: usize, index: usize) {
        let input = match self.wires[to].remove(index).unwrap() {
            Frame::Put(envelope) => Input::Envelope {
                via: Via::Link,
                envelope,
            },
            Frame::Stored(id) => Input::Stored { id },
            Frame::Nack(id) => Input::Nack {
                id,
                reason: NackReason::Invalid,
            },
        };
        self.input(to, input);
    }

    fn relay_up(&mut self, at: usize, relay: &mut Relay) {
        let anew = std::mem::take(&mut self.sides[at].anew[0]);
        if anew.theirs {
            self.input(at, Input::RelayForgot);
        }
        self.input(at, Input::RelayUp);
        if anew.own {
            self.input(at, Input::MailboxForgot);
        }
        self.input(at, Input::MailboxUp);
        let connection = relay.connect();
        self.sides[at].connection = Some(connection);
        let said = relay.subscribe(connection, self.sides[at].queue);
        self.heard(said);
    }

    fn relay_down(&mut self, at: usize, relay: &mut Relay) {
        let side = &mut self.sides[at];
        let connection = side.connection.take();
        relay.disconnect(connection.unwrap());
        side.answers.clear();
        side.pushes.clear();
        self.input(at, Input::RelayDown);
        self.input(at, Input::MailboxDown);
    }

    /// The queue is there again, and empty.
    fn relay_loses(&mut self, of: usize, told: bool, relay: &mut Relay) {
        self.sides[of].queue = relay.queue(QueueKind::Mailbox);
        self.sides[of].known.clear();
        for anew in &mut self.sides[1 - of].anew {
            anew.theirs |= told;
        }
        for anew in &mut self.sides[of].anew {
            anew.own |= told;
        }
        self.every_connection_ends(relay);
    }

    fn relay_crash(&mut self, relay: &mut Relay) {
        self.relay_crashes -= 1;
        relay.crash();
        self.every_connection_ends(relay);
    }

    fn every_connection_ends(&mut self, relay: &mut Relay) {
        for at in 0..2 {
            if self.sides[at].connection.is_some() {
                self.relay_down(at, relay);
            }
        }
    }

    fn lose_key(&mut self, to: usize, way: Source) {
        let side = &mut self.sides[to];
        let envelope = match (way, self.wires[to].front(), side.pushes.front()) {
            (Source::Link, Some(Frame::Put(envelope)), _)
            | (Source::Mailbox, _, Some(Push::Deliver(_, envelope))) => envelope,
            other => panic!("nothing comes next by {other:?}"),
        };
        let (_, generation) = sealed_by(envelope);
        side.working.lost_keys.insert(generation);
        side.durable.lost_keys.insert(generation);
    }
}

/// Who sealed an envelope, and as his which one.
pub(super) fn sealed_by(envelope: &Bytes) -> (DeviceId, u64) {
    let generation = u64::from_be_bytes(envelope[..8].try_into().unwrap());
    let device = DeviceId::try_from(&envelope[8..40]).unwrap();
    (device, generation)
}

impl Side {
    fn new(device: DeviceId, remote: DeviceId, relay: &mut Relay) -> Self {
        let now = Now {
            instant: Instant::from_micros(1),
            unix_ms: 1_900_000_000_000,
        };
        let devices = DeviceAt {
            local: device,
            remote,
        };
        Self {
            device,
            remote,
            session: Session::new(Config::default(), devices, 1, now),
            working: Disk::new(device),
            durable: Disk::new(device),
            anew: Default::default(),
            held: VecDeque::new(),
            told: Vec::new(),
            now,
            committed_ms: now.unix_ms,
            restarts: 0,
            connection: None,
            queue: relay.queue(QueueKind::Mailbox),
            answers: VecDeque::new(),
            pushes: VecDeque::new(),
            known: Vec::new(),
            refuses: false,
        }
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.held.clear();
        self.answers.clear();
        self.pushes.clear();
        self.working = self.durable.clone();
        self.now.unix_ms = self.committed_ms;
        self.anew[0] = self.anew[1];
        let devices = DeviceAt {
            local: self.device,
            remote: self.remote,
        };
        let (config, seed, now) = (Config::default(), self.restarts, self.now);
        self.session = match &self.durable.snapshot {
            None => Session::new(config, devices, seed, now),
            Some(snapshot) => {
                let disk = &self.durable;
                Session::restore(config, devices, seed, snapshot, disk, now).unwrap()
            }
        };
    }

    /// What is to be persisted goes into the open transaction, the rest waits for it.
    fn collect(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Persist(row) => self.working.apply(row),
                Output::Transmit(transmit) => self.held.push_back(match transmit {
                    Transmit::Put { envelope, .. } => Out::Put(envelope),
                    Transmit::Stored { id } => Out::Stored(id),
                    Transmit::Nack { id, .. } => Out::Nack(id),
                    Transmit::Deposit { envelope, .. } => Out::Deposit(envelope),
                    Transmit::AckMailbox { index } => Out::AckMailbox(index),
                }),
                Output::Event(event) => self.hold_event(event),
            }
        }
    }

    fn hold_event(&mut self, event: Event) {
        match event {
            Event::Received { content, late, .. } => {
                let seq = content.seq;
                self.held.push_back(Out::Received { seq, late });
            }
            Event::State { first, last, state } => {
                let each = (first..=last).map(|seq| Out::State { seq, state });
                self.held.extend(each);
            }
            Event::Waiting {
                first,
                last,
                reason,
            } => {
                let reason = reason.into();
                let each = (first..=last).map(|seq| Out::Waiting { seq, reason });
                self.held.extend(each);
            }
            Event::Gap { first, last, .. } => {
                let (first, last) = (first as u8, last as u8);
                self.held.push_back(Out::Gap(Gap { first, last }));
            }
            // The enum is open to other crates: the language asks for an arm for what is not named.
            other => panic!("{other:?}: the model has nothing for it"),
        }
    }

    fn tell(&mut self, seq: u64, state: DeliveryState) {
        let at = seq as usize - 1;
        if self.told.len() <= at {
            self.told.resize(at + 1, DeliveryState::Pending);
        }
        self.told[at] = state;
    }
}
