//! The receiving half of [`super::session`]: envelopes in, receipts and questions out.

use super::rule::Rule;
use super::session::{Turn, Way};
use super::state::{
    Attempt, Control, ControlEntry, Due, Env, Envelope, Gap, Message, Out, Payload,
};
use tincan_core::DeliveryState;

impl Turn<'_> {
    pub(super) fn receive(&mut self, way: Way, envelope: Envelope) {
        let id = envelope.id;
        if self.side.disk.seen.contains(&id) {
            return self.acknowledge(way, id);
        }
        let disk = &mut self.side.disk;
        if disk.lost.contains(&id) || disk.opened.contains(&id) {
            self.ask_for(id);
        } else {
            disk.opened.push(id);
            match envelope.payload {
                Payload::Message(message) => self.take(message),
                Payload::Control(control) => self.heed(control),
            }
        }
        self.side.disk.seen.push(id);
        if self.lacks(Rule::SeenWithItsRow)
            && let Some(durable) = &mut self.side.durable
        {
            durable.seen.push(id);
        }
        self.acknowledge(way, id);
    }

    fn acknowledge(&mut self, way: Way, id: Env) {
        self.side.held.push(match way {
            Way::Link => Out::Stored(id),
            Way::Mailbox { index } => Out::AckMailbox(index),
        });
    }

    fn ask_for(&mut self, id: Env) {
        if self.lacks(Rule::UnreadableAskedFor) {
            return;
        }
        self.side.disk.asks.push(id);
        self.side.memory.control_changed = true;
        self.control_due(self.asks_due());
    }

    pub(super) fn owe_receipt(&mut self) {
        self.side.disk.receipt_pending = true;
        self.side.memory.control_changed = true;
        self.control_due(Due::Later);
    }

    fn take(&mut self, message: Message) {
        let Message { seq, .. } = message;
        let disk = &mut self.side.disk;
        let known = disk.received.has(seq) && self.without != Some(Rule::OneRowPerSeq);
        if !known {
            disk.received = disk.received.with(seq);
            if seq == disk.next_shown {
                self.show(message);
                self.release();
            } else if seq < disk.next_shown {
                self.fill(message);
            } else {
                let at = disk.held.partition_point(|held| held.seq < seq);
                disk.held.insert(at, message);
            }
        }
        self.owe_receipt();
    }

    fn show(&mut self, message: Message) {
        let Message { seq, .. } = message;
        self.side.disk.timeline.push(message);
        self.side.disk.next_shown = seq + 1;
        self.side.held.push(Out::Received { seq, late: false });
    }

    /// Shows the held messages that are next.
    pub(super) fn release(&mut self) {
        let next = |turn: &Self| {
            let disk = &turn.side.disk;
            let mut held = disk.held.iter();
            held.position(|message| message.seq == disk.next_shown)
        };
        while let Some(at) = next(self) {
            let message = self.side.disk.held.remove(at);
            self.show(message);
        }
    }

    /// Puts a late message before the one that its gap was shown before.
    fn fill(&mut self, message: Message) {
        let Message { seq, .. } = message;
        let disk = &mut self.side.disk;
        let gap = disk.gaps.iter();
        let gap = gap
            .clone()
            .position(|gap| gap.first <= seq && seq <= gap.last);
        if let Some(at) = gap {
            let gap = disk.gaps.remove(at);
            let rest = [(gap.first, seq - 1), (seq + 1, gap.last)]
                .into_iter()
                .rev();
            for (first, last) in rest.filter(|(first, last)| first <= last) {
                disk.gaps.insert(at, Gap { first, last });
            }
        }
        let behind = disk.timeline.iter().position(|shown| shown.seq > seq);
        let place = behind.filter(|_| self.without != Some(Rule::GapFilledInPlace));
        let place = place.unwrap_or(disk.timeline.len());
        disk.timeline.insert(place, message);
        self.side.held.push(Out::Received { seq, late: true });
    }

    /// A receipt, and what is asked for with it.
    fn heed(&mut self, control: Control) {
        let disk = &mut self.side.disk;
        disk.announced = disk.announced.max(control.stored_up_to);
        let behind = control.delivered_up_to < disk.received.cumulative()
            || control.read_by_peer < disk.read_up_to;
        if behind && !disk.receipt_pending {
            self.owe_receipt();
        }
        self.acknowledged(&control);
        let disk = &mut self.side.disk;
        disk.wanted_ids.extend(control.ask_ids);
        disk.wanted_ids.sort_unstable();
        disk.wanted_ids.dedup();
        for (first, last) in control.ask_ranges {
            match disk.wanted.iter_mut().find(|range| range.0 == first) {
                Some(range) => range.1 = range.1.max(last),
                None => disk.wanted.push((first, last)),
            }
        }
        disk.wanted.sort_unstable();
    }

    fn acknowledged(&mut self, control: &Control) {
        if control.received.highest() >= self.side.disk.next_seq {
            return;
        }
        self.delivered(control.received);
        let disk = &mut self.side.disk;
        let read_up_to = control.read_up_to.min(disk.delivered.cumulative());
        let news = disk.read_by_peer + 1..=read_up_to;
        disk.read_by_peer = disk.read_by_peer.max(read_up_to);
        for seq in news {
            let state = DeliveryState::Read;
            self.side.held.push(Out::State { seq, state });
        }
    }

    pub(super) fn read(&mut self, up_to: u8) {
        let up_to = up_to.min(self.side.disk.next_shown - 1);
        if up_to > self.side.disk.read_up_to {
            self.side.disk.read_up_to = up_to;
            self.owe_receipt();
        }
    }

    /// Takes note of holes that are new, or filled.
    pub(super) fn note_missing(&mut self) {
        let missing = self.missing();
        let memory = &mut self.side.memory;
        match missing.last() {
            None => {
                memory.missing_since = Due::No;
                memory.asked_up_to = 0;
                memory.ask_again = Due::No;
            }
            Some(&(_, last)) if last > memory.asked_up_to => {
                memory.missing_since = memory.missing_since.or(Due::Later);
            }
            Some(_) => memory.missing_since = Due::No,
        }
    }

    /// The other side's messages that are missing, as ranges.
    fn missing(&self) -> Vec<(u8, u8)> {
        let disk = &self.side.disk;
        let mut ranges = disk.received.gaps();
        let highest = disk.received.highest();
        if disk.announced > highest {
            ranges.push((highest + 1, disk.announced));
        }
        ranges
    }

    /// Seals the receipt and what must be asked for, if it is time and there is a path.
    pub(super) fn seal_control(&mut self) {
        let memory = &self.side.memory;
        let asks_missing = memory.missing_since == Due::Now || memory.ask_again == Due::Now;
        if !(asks_missing || memory.control_due == Due::Now) || !memory.any_path() {
            return;
        }
        let before = memory.control.as_ref();
        let asks_missing = asks_missing || before.is_some_and(|control| control.asks_for_missing);
        let mut control = Control {
            received: self.side.disk.received,
            read_up_to: self.side.disk.read_up_to,
            stored_up_to: self.stored_up_to(),
            delivered_up_to: self.side.disk.delivered.cumulative(),
            read_by_peer: self.side.disk.read_by_peer,
            ..Control::default()
        };
        if !memory.asks_paced {
            control.ask_ids.clone_from(&self.side.disk.asks);
        }
        if asks_missing && !self.lacks(Rule::HolesAskedFor) {
            control.ask_ranges = self.missing();
        }
        self.control_sealed(control);
    }

    fn control_sealed(&mut self, control: Control) {
        let id = self.seal();
        let asked = control.ask_ids.clone();
        let missing = control.ask_ranges.last().copied();
        let memory = &mut self.side.memory;
        memory.asks_paced |= !asked.is_empty();
        if let Some((_, last)) = missing {
            memory.missing_since = Due::No;
            memory.asked_up_to = last;
            memory.ask_again = Due::Later;
        }
        memory.control_due = Due::No;
        memory.control_changed = false;
        let asks_waiting = self.side.disk.asks.len() > asked.len();
        memory.control = Some(ControlEntry {
            envelope: Envelope {
                id,
                payload: Payload::Control(control),
            },
            direct: Attempt::Idle,
            deposit: Attempt::Idle,
            asked,
            asks_for_missing: missing.is_some(),
        });
        if asks_waiting {
            self.control_due(self.asks_due());
        }
    }
}
