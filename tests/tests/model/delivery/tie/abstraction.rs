//! Which state of the model the real world is in.
//!
//! Of a session's memory only as much as it shows: the rest of it decides what it does next, and is
//! compared when it has done it.

use std::collections::BTreeMap;

use bytes::Bytes;
use tincan_core::{GapRow, RangeRow, SentVia};
use tincan_protocol::content::{Body, Content};
use tincan_protocol::envelope;
use tincan_protocol::{DeviceId, EnvelopeId};
use tincan_relay::mailbox::ConnectionId;
use tincan_relay::store::Write;

use super::super::budget::Budget;
use super::super::mailbox::{Answer, Mailbox, Push, Request};
use super::super::seqs::Seqs;
use super::super::state::{
    Attempt, Control, Disk, Due, Env, Envelope, Frame, Gap, Memory, Message, Out, Payload, Reason,
    Row, Side, State, UNSEALED,
};
use super::real::{self, Real};
use crate::core_disk;
use crate::relay::{Relay, Taken};

/// The part of a model's state that the real world shows.
pub(super) fn visible(state: &State) -> State {
    let mut state = state.clone();
    state.budget = Budget::default();
    for side in &mut state.sides {
        side.memory = Memory {
            relay_up: side.memory.relay_up,
            ..Memory::default()
        };
    }
    let mut state = state.normalized();
    for side in &mut state.sides {
        if side.held.is_empty() && side.durable.as_deref() == Some(&side.disk) {
            side.durable = None;
        }
    }
    state
}

/// The same of the real world.
pub(super) fn abstracted(real: &Real, relay: &mut Relay) -> State {
    let mut names = Names {
        names: BTreeMap::new(),
        sealed: Vec::new(),
        left: &real.left,
    };
    let mailboxes = [0, 1].map(|of| names.mailbox(real, of, relay));
    let wires = [0, 1].map(|to| {
        let frames = real.wires[to].iter();
        frames.map(|frame| names.frame(frame)).collect()
    });
    let answers = [0, 1].map(|at| {
        let answers = real.sides[at].answers.iter();
        answers.map(|answer| names.answer(*answer)).collect()
    });
    let held = [0, 1].map(|at| {
        let held = real.sides[at].held.iter();
        held.map(|out| names.out(out)).collect::<Vec<_>>()
    });
    // Rows last: of the marks only those count whose envelopes were seen somewhere.
    let rows = real
        .sides
        .each_ref()
        .map(|side| [&side.working, &side.durable].map(|disk| names.rows(disk)));
    let [held0, held1] = held;
    let [[working0, durable0], [working1, durable1]] = rows;
    let sides = [
        names.side(real, 0, held0, working0, durable0),
        names.side(real, 1, held1, working1, durable1),
    ];
    visible(&State {
        sides,
        wires,
        link: real.link,
        link_is_bad: real.link_is_bad,
        answers,
        mailboxes,
        budget: Budget::default(),
        broken: None,
    })
}

struct Names<'a> {
    names: BTreeMap<EnvelopeId, Env>,
    /// Of envelopes whose bytes are somewhere: sealed by whom, and as his which one.
    sealed: Vec<(Env, EnvelopeId, DeviceId, u64)>,
    /// The same of all that ever left.
    left: &'a BTreeMap<EnvelopeId, (DeviceId, u64)>,
}

impl Names<'_> {
    fn name(&mut self, id: EnvelopeId) -> Env {
        let next = self.names.len() as Env + 1;
        *self.names.entry(id).or_insert(next)
    }

    fn envelope(&mut self, bytes: &Bytes) -> Envelope {
        let full = EnvelopeId::of(bytes);
        let id = self.name(full);
        let (sender, generation) = real::sealed_by(bytes);
        self.sealed.push((id, full, sender, generation));
        let contents = envelope::Payload::decode(bytes.slice(40..))
            .unwrap()
            .contents;
        let contents: Vec<Content> = contents
            .iter()
            .map(|content| Content::decode(content).unwrap())
            .collect();
        let payload = match &contents[..] {
            [one] if one.seq > 0 => Payload::Message(message(one)),
            control => Payload::Control(self.control(control)),
        };
        Envelope { id, payload }
    }

    fn control(&mut self, contents: &[Content]) -> Control {
        let mut control = Control::default();
        for content in contents {
            match &content.body {
                Body::Receipt(receipt) => {
                    let [ack] = &receipt.acks[..] else {
                        panic!("{receipt:?}")
                    };
                    let start = (1, ack.received.cumulative());
                    control.received = seqs([start].into_iter().chain(ack.received.ranges()));
                    control.read_up_to = ack.read_up_to as u8;
                    control.stored_up_to = receipt.stored_up_to as u8;
                    control.delivered_up_to = receipt.delivered_up_to as u8;
                    control.read_by_peer = receipt.read_up_to as u8;
                }
                Body::Resend(resend) => {
                    let ids = resend.env_ids.iter();
                    control.ask_ids = ids.map(|id| self.name(*id)).collect();
                    let ranges = resend.ranges.iter();
                    control.ask_ranges = ranges.map(|r| (r.0 as u8, r.1 as u8)).collect();
                }
                other => panic!("{other:?}"),
            }
        }
        control
    }

    fn frame(&mut self, frame: &real::Frame) -> Frame {
        match frame {
            real::Frame::Put(bytes) => Frame::Put(self.envelope(bytes)),
            real::Frame::Stored(id) => Frame::Stored(self.name(*id)),
            real::Frame::Nack(id) => Frame::Nack(self.name(*id)),
        }
    }

    fn answer(&mut self, answer: real::Answer) -> Answer {
        match answer {
            real::Answer::Deposited(id) => Answer::Deposited(self.name(id)),
            real::Answer::Refused(id) => Answer::Refused(self.name(id)),
        }
    }

    fn out(&mut self, out: &real::Out) -> Out {
        match out {
            real::Out::Put(bytes) => Out::Put(self.envelope(bytes)),
            real::Out::Stored(id) => {
                let name = self.name(*id);
                let (sender, generation) = self.left[id];
                self.sealed.push((name, *id, sender, generation));
                Out::Stored(name)
            }
            real::Out::Nack(id) => Out::Nack(self.name(*id)),
            real::Out::Deposit(bytes) => Out::Deposit(self.envelope(bytes)),
            real::Out::AckMailbox(index) => Out::AckMailbox(*index as u8),
            real::Out::State { seq, state } => Out::State {
                seq: *seq as u8,
                state: *state,
            },
            real::Out::Waiting { seq, reason } => Out::Waiting {
                seq: *seq as u8,
                reason: *reason,
            },
            real::Out::Received { seq, late } => Out::Received {
                seq: *seq as u8,
                late: *late,
            },
            real::Out::Gap(gap) => Out::Gap(*gap),
        }
    }

    fn mailbox(&mut self, real: &Real, of: usize, relay: &mut Relay) -> Mailbox {
        let side = &real.sides[of];
        let page = relay.page(side.queue);
        let entries = page.entries.iter();
        let pushes = side.pushes.iter();
        let depositor = real.sides[1 - of].connection;
        let taken = relay.taken(side.queue);
        Mailbox {
            entries: entries
                .map(|(index, bytes)| (*index as u8, self.envelope(bytes)))
                .collect(),
            known: side.known.iter().map(|id| self.name(*id)).collect(),
            last_index: page.last_index as u8,
            taken: taken.map(|taken| self.request(taken, depositor)).collect(),
            pushed: pushes
                .map(|push| match push {
                    real::Push::Deliver(index, bytes) => {
                        Push::Deliver(*index as u8, self.envelope(bytes))
                    }
                    real::Push::Drained => Push::Drained,
                })
                .collect(),
            refuses: side.refuses,
        }
    }

    fn request(&mut self, taken: &Taken, depositor: Option<ConnectionId>) -> Request {
        match &taken.write {
            Write::Deposit { envelope, .. } => Request::Deposit {
                envelope: self.envelope(envelope),
                answered: depositor == Some(taken.connection),
            },
            Write::Ack { index, .. } => Request::Ack(*index as u8),
            other => panic!("no device asks for {other:?}"),
        }
    }

    fn rows(&mut self, disk: &core_disk::Disk) -> Vec<Row> {
        let rows = disk.outbox.iter().map(|(&first, row)| {
            assert_eq!(first, row.last, "one message in an envelope");
            let sealed = (!row.envelope.is_empty()).then(|| self.envelope(&row.envelope));
            let (id, text) = match sealed.map(|envelope| (envelope.id, envelope.payload)) {
                None => (UNSEALED, text(&disk.sent[&first])),
                Some((id, Payload::Message(message))) => (id, message.text),
                Some(other) => panic!("{other:?} in the outbox"),
            };
            Row {
                seq: first as u8,
                id,
                text,
                pending: row.pending,
                stored: row.stored.map(SentVia::into),
                at_relay: row.at_relay,
            }
        });
        rows.collect()
    }

    fn side(
        &mut self,
        real: &Real,
        at: usize,
        held: Vec<Out>,
        working: Vec<Row>,
        durable: Vec<Row>,
    ) -> Side {
        let side = &real.sides[at];
        let [anew, durably_anew] = side.anew;
        Side {
            disk: self.disk(side, &side.working, working, anew),
            durable: Some(Box::new(self.disk(
                side,
                &side.durable,
                durable,
                durably_anew,
            ))),
            memory: Memory {
                relay_up: side.connection.is_some(),
                ..Memory::default()
            },
            held,
            told: side.told.clone(),
        }
    }

    fn disk(
        &mut self,
        side: &real::Side,
        disk: &core_disk::Disk,
        outbox: Vec<Row>,
        anew: real::Anew,
    ) -> Disk {
        let nothing = tincan_core::Snapshot {
            next_seq: 1,
            next_shown: 1,
            ..tincan_core::Snapshot::default()
        };
        let snapshot = disk.snapshot.as_ref().unwrap_or(&nothing);
        let marks = |chosen: &dyn Fn(&EnvelopeId, bool, u64) -> bool| {
            let chosen = self.sealed.iter().filter(|(_, id, sender, generation)| {
                chosen(id, *sender == side.device, *generation)
            });
            chosen.map(|mark| mark.0).collect::<Vec<_>>()
        };
        let sealed = marks(&|_, own, generation| own && generation <= disk.generation);
        let seen = marks(&|id, _, _| disk.seen.contains(id));
        let opened = marks(&|_, own, generation| !own && disk.opened.contains(&generation));
        let lost = marks(&|_, own, generation| !own && disk.lost_keys.contains(&generation));
        let read = |bytes: &Bytes| message(&Content::decode(bytes).unwrap());
        let mut id = |bytes: &Bytes| self.name(EnvelopeId::try_from(bytes.as_ref()).unwrap());
        Disk {
            next_seq: snapshot.next_seq as u8,
            outbox,
            sent: disk.sent.values().map(text).collect(),
            delivered: ranges(&snapshot.delivered),
            read_by_peer: snapshot.read_by_peer as u8,
            failed: ranges(&snapshot.failed),
            wanted_ids: snapshot.resend_ids.iter().map(&mut id).collect(),
            wanted: pairs(&snapshot.resend_wanted).collect(),
            sealed,
            seen,
            opened,
            lost,
            timeline: disk.timeline.values().map(read).collect(),
            held: disk.held.values().map(read).collect(),
            received: ranges(&snapshot.received),
            next_shown: snapshot.next_shown as u8,
            gaps: snapshot.gaps.iter().map(gap).collect(),
            read_up_to: snapshot.read_up_to as u8,
            asks: snapshot.resend_asks.iter().map(id).collect(),
            receipt_pending: snapshot.receipt_pending,
            announced: snapshot.announced as u8,
            to_announce: (snapshot.to_announce > 0).then_some(snapshot.to_announce as u8),
            relay_is_new: anew.theirs,
            mailbox_is_new: anew.own,
        }
    }
}

fn message(content: &Content) -> Message {
    let Body::Text(text) = &content.body else {
        panic!("{content:?}")
    };
    Message {
        seq: content.seq as u8,
        text: text.text.parse().unwrap(),
    }
}

fn text(content: &Bytes) -> u8 {
    message(&Content::decode(content).unwrap()).text
}

fn gap(row: &GapRow) -> Gap {
    Gap {
        first: row.first as u8,
        last: row.last as u8,
    }
}

fn pairs(rows: &[RangeRow]) -> impl Iterator<Item = (u8, u8)> {
    rows.iter().map(|row| (row.first as u8, row.last as u8))
}

fn ranges(rows: &[RangeRow]) -> Seqs {
    seqs(rows.iter().map(|row| (row.first, row.last)))
}

fn seqs(ranges: impl Iterator<Item = (u64, u64)>) -> Seqs {
    ranges.fold(Seqs::default(), |set, (first, last)| {
        set.and(Seqs::from_range(first as u8, last as u8))
    })
}

/// What a session says of its memory fits the model's.
pub(super) fn check_memory(side: &Side, real: &real::Side) {
    let memory = &side.memory;
    let any_path = memory.link_up || memory.relay_up;
    let waiting = memory.window.first().map(|entry| {
        let otherwise = if any_path {
            Reason::InFlight
        } else {
            Reason::NoPath
        };
        (entry.seq, entry.waiting.unwrap_or(otherwise))
    });
    let said = real.session.waiting();
    assert_eq!(
        said.map(|(seq, _, reason)| (seq as u8, reason.into())),
        waiting
    );
    let owes = memory.control_due != Due::No || memory.control.is_some();
    assert_eq!(real.session.owes_nothing(), !any_path || !owes);
    assert_eq!(real.session.next_seq() as u8, side.disk.next_seq);
    assert_eq!(real.session.shown_up_to() as u8, side.disk.next_shown - 1);
    check_timers(side, real, any_path);
}

fn check_timers(side: &Side, real: &real::Side, any_path: bool) {
    let memory = &side.memory;
    let load = memory.next_load < side.disk.next_seq;
    let receipt = any_path && memory.control_due == Due::Now;
    let missing = [memory.missing_since, memory.ask_again];
    let ask = any_path && missing.contains(&Due::Now);
    let stalls = memory.waiting && !memory.stalled;
    let attempts = memory
        .window
        .iter()
        .map(|entry| (entry.direct, entry.deposit));
    let control = memory
        .control
        .iter()
        .map(|entry| (entry.direct, entry.deposit));
    let retries = attempts
        .chain(control)
        .any(|(direct, deposit)| [direct, deposit].contains(&Attempt::Later));
    let Some((at, reason)) = real.session.poll_timeout() else {
        panic!("messages can always expire")
    };
    let now = at <= real.now.instant;
    match reason {
        "load outbox" => assert!(load),
        "receipt" => assert!(any_path && memory.control_due != Due::No && (!now || receipt)),
        "ask for what is missing" => assert!(any_path && (!now || ask)),
        "link stalled" => assert!(stalls && !now),
        "retry" => assert!(retries && !now),
        "gap" => assert!(!side.disk.held.is_empty() && !now),
        "resend" => assert!(!side.disk.wanted.is_empty() || !side.disk.wanted_ids.is_empty()),
        "expiry" => {}
        other => panic!("a session can wait for {other:?}: the model needs it too"),
    }
    assert!(
        now || !(load || receipt || ask),
        "{reason} is said to be next"
    );
}
