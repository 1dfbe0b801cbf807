//! What a device does with what happens to it: the model's `tincan_core::Session`.
//!
//! Time is only ever "now" and "later": [`Turn::time_passes`] makes every timer due that was set
//! before. Each turn changes the open transaction ([`Side::disk`]), the memory, and adds to what
//! waits for the commit.

use super::rule::Rule;
use super::seqs::Seqs;
use super::state::{
    Attempt, ControlEntry, Due, Entry, Env, Envelope, Gap, Memory, Message, Out, Payload, Reading,
    Reason, Row, Side, UNSEALED,
};

/// The way an envelope came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    Link,
    Mailbox { index: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    LinkUp,
    LinkDown,
    RelayUp,
    RelayDown,
    RelayForgot,
    MailboxForgot,
    MailboxUp,
    MailboxDrained,
    MailboxDown,
    Envelope { way: Way, envelope: Envelope },
    Stored(Env),
    Nack(Env),
    Deposited(Env),
    DepositRefused(Env),
    Read { up_to: u8 },
}

/// One call of the session.
pub(crate) struct Turn<'a> {
    pub(super) side: &'a mut Side,
    /// The next name for an envelope.
    pub(super) fresh: Env,
    /// The rule that this model lacks.
    pub(super) without: Option<Rule>,
    /// Rows have changed that cannot be read before they are out.
    pub(super) unread: bool,
}

impl Memory {
    /// As after a restart.
    pub(crate) fn restored(side: &Side, without: Option<Rule>) -> Self {
        let disk = side.durable();
        let receipt = disk.receipt_pending && without != Some(Rule::OwedReceiptDurable);
        let owes = receipt || !disk.asks.is_empty();
        let reloads = without != Some(Rule::RestartReloads);
        Self {
            next_load: if reloads { 1 } else { disk.next_seq },
            control_due: if owes { Due::Now } else { Due::No },
            ..Self::default()
        }
    }

    pub(super) const fn any_path(&self) -> bool {
        self.link_up || self.relay_up
    }

    const fn uses_relay(&self) -> bool {
        self.relay_up && (!self.link_up || self.stalled)
    }

    /// The first seq that may be stored nowhere else yet.
    fn first_pending(&self, end: u8) -> u8 {
        let on_disk = self.next_load.min(end);
        let in_window = self.window.iter().map(|entry| entry.seq).min();
        in_window.map_or(on_disk, |first| first.min(on_disk))
    }

    fn attempts(&mut self) -> impl Iterator<Item = (&mut Attempt, &mut Attempt, &Envelope)> {
        let entries = self.window.iter_mut();
        let entries = entries.map(|entry| (&mut entry.direct, &mut entry.deposit, &entry.envelope));
        let control = self.control.iter_mut();
        entries.chain(control.map(|entry| (&mut entry.direct, &mut entry.deposit, &entry.envelope)))
    }

    fn in_flight_on_link(&self) -> bool {
        let control = self.control.iter().map(|control| control.direct);
        let mut attempts = self.window.iter().map(|entry| entry.direct).chain(control);
        attempts.any(|attempt| attempt == Attempt::InFlight)
    }
}

impl Turn<'_> {
    pub(super) fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    /// A message is numbered and sealed.
    pub(crate) fn send(&mut self, text: u8) {
        let seq = self.side.disk.next_seq;
        self.side.disk.next_seq += 1;
        self.side.disk.sent.truncate(usize::from(seq) - 1);
        self.side.disk.sent.push(text);
        let takes_it = self.side.memory.next_load == seq;
        let id = if takes_it { self.seal() } else { UNSEALED };
        let row = Row {
            seq,
            id,
            text,
            pending: true,
            stored: None,
            at_relay: false,
        };
        self.side.disk.outbox.retain(|row| row.seq != seq);
        self.side.disk.outbox.push(row);
        if takes_it {
            self.side.memory.next_load = seq + 1;
            self.admit(seq, id, text, false);
        }
        self.transmit();
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.unread = false;
        match input {
            Input::LinkUp => self.link_up(),
            Input::LinkDown => {
                self.set_link(false);
            }
            Input::RelayUp => self.side.memory.relay_up = true,
            Input::RelayDown => self.relay_down(),
            Input::RelayForgot => self.relay_forgot(),
            Input::MailboxForgot => self.say_what_is_known(),
            Input::MailboxUp => self.side.memory.mailbox = Reading::Begun,
            Input::MailboxDrained => self.side.memory.mailbox = Reading::Drained,
            Input::MailboxDown => self.side.memory.mailbox = Reading::Down,
            Input::Envelope { way, envelope } => self.receive(way, envelope),
            Input::Stored(id) => self.stored(id),
            Input::Nack(id) => self.nack(id),
            Input::Deposited(id) => self.settled(id, super::state::Via::Relay),
            Input::DepositRefused(id) => self.deposit_refused(id),
            Input::Read { up_to } => self.read(up_to),
        }
        self.note_missing();
        self.finish();
    }

    /// So much time passes that every timer fires; with `expire` so much that what is not delivered
    /// has failed.
    pub(crate) fn time_passes(&mut self, expire: bool) {
        let memory = &mut self.side.memory;
        memory.control_due = memory.control_due.after_time();
        memory.missing_since = memory.missing_since.after_time();
        memory.ask_again = memory.ask_again.after_time();
        memory.asks_paced = false;
        memory.stalled |= memory.waiting;
        for (direct, deposit, _) in memory.attempts() {
            for attempt in [direct, deposit] {
                if *attempt == Attempt::Later {
                    *attempt = Attempt::Idle;
                }
            }
        }
        self.unread = false;
        self.give_up_hole();
        self.note_missing();
        // What fails now is still in the store when it is asked what is wanted.
        let outbox = self.side.disk.outbox.clone();
        if expire {
            self.expire();
        }
        self.reseal_wanted(&outbox);
        self.finish();
    }

    fn finish(&mut self) {
        self.load();
        self.announce();
        self.seal_control();
        self.transmit();
    }

    pub(super) fn seal(&mut self) -> Env {
        let id = self.fresh;
        self.fresh += 1;
        self.side.disk.sealed.push(id);
        id
    }

    fn admit(&mut self, seq: u8, id: Env, text: u8, told: bool) {
        let payload = Payload::Message(Message { seq, text });
        let entry = Entry {
            envelope: Envelope { id, payload },
            seq,
            direct: Attempt::Idle,
            deposit: Attempt::Idle,
            waiting: None,
            told,
        };
        let window = &mut self.side.memory.window;
        let at = window.partition_point(|entry| entry.seq < seq);
        window.insert(at, entry);
    }

    /// Fills the window from disk, and seals what is not sealed yet.
    fn load(&mut self) {
        if self.unread {
            return;
        }
        let from = self.side.memory.next_load;
        if from >= self.side.disk.next_seq {
            return;
        }
        let rows: Vec<Row> = self.side.disk.outbox.clone();
        for row in rows
            .into_iter()
            .filter(|row| row.pending && row.seq >= from)
        {
            let in_window = self
                .side
                .memory
                .window
                .iter()
                .any(|entry| entry.seq == row.seq);
            if in_window {
                continue;
            }
            let (id, text) = if row.id == UNSEALED {
                self.seal_again(row.seq)
            } else {
                (row.id, row.text)
            };
            self.admit(row.seq, id, text, row.stored.is_some());
        }
        self.side.memory.next_load = self.side.disk.next_seq;
    }

    fn seal_again(&mut self, seq: u8) -> (Env, u8) {
        let id = self.seal();
        let from_store = !self.lacks(Rule::ResealedFromStore);
        let disk = &mut self.side.disk;
        let last = disk.sent.len() - 1;
        let text = disk.sent[if from_store {
            usize::from(seq) - 1
        } else {
            last
        }];
        if let Some(row) = disk.row(seq) {
            (row.id, row.text, row.pending) = (id, text, true);
            row.at_relay = false;
        }
        (id, text)
    }

    fn reseal_wanted(&mut self, outbox: &[Row]) {
        let disk = &mut self.side.disk;
        if disk.wanted_ids.is_empty() && disk.wanted.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut disk.wanted_ids);
        let ranges = std::mem::take(&mut disk.wanted);
        if self.lacks(Rule::WantedResealed) {
            return;
        }
        let found = outbox.iter().filter(|row| ids.contains(&row.id));
        let mut seqs: Vec<u8> = found.map(|row| row.seq).collect();
        let unknown = seqs.len() < ids.len();
        let stored = outbox.iter().filter(|row| !row.pending);
        seqs.extend(stored.map(|row| row.seq).filter(|seq| {
            let asked = |range: &(u8, u8)| range.0 <= *seq && *seq <= range.1;
            ranges.iter().any(asked)
        }));
        seqs.sort_unstable();
        seqs.dedup();
        if unknown {
            self.owe_receipt();
        }
        for seq in seqs {
            let disk = &self.side.disk;
            if !disk.delivered.has(seq) && !disk.failed.has(seq) {
                self.seal_again(seq);
                let memory = &mut self.side.memory;
                memory.next_load = memory.next_load.min(seq);
                memory.window.retain(|entry| entry.seq != seq);
                self.unread = true;
            }
        }
    }

    fn expire(&mut self) {
        for row in std::mem::take(&mut self.side.disk.outbox) {
            self.side.memory.window.retain(|entry| entry.seq != row.seq);
            self.side.disk.failed = self.side.disk.failed.with(row.seq);
            self.changed(row.seq);
            self.say(row.seq, tincan_core::DeliveryState::Failed);
        }
    }

    fn transmit(&mut self) {
        let Side { memory, held, .. } = &mut *self.side;
        let (link_up, relay_up) = (memory.link_up, memory.relay_up);
        let uses_relay = memory.uses_relay();
        let by_relay = self.without != Some(Rule::RefusedGoesToRelay);
        let mut put = false;
        for (direct, deposit, envelope) in memory.attempts() {
            if link_up && *direct == Attempt::Idle {
                *direct = Attempt::InFlight;
                put = true;
                held.push(Out::Put(envelope.clone()));
            }
            let refused = *direct == Attempt::Refused && relay_up && by_relay;
            if (uses_relay || refused) && *deposit == Attempt::Idle {
                *deposit = Attempt::InFlight;
                held.push(Out::Deposit(envelope.clone()));
            }
        }
        memory.waiting |= put;
    }

    /// A row that would be loaded has changed: not before it can be read.
    fn changed(&mut self, seq: u8) {
        self.unread |= self.side.memory.next_load <= seq;
    }

    fn set_link(&mut self, up: bool) {
        let frees = !self.lacks(Rule::LinkLossFreesInFlight);
        let memory = &mut self.side.memory;
        memory.link_up = up;
        (memory.waiting, memory.stalled) = (false, false);
        for (direct, ..) in memory.attempts().filter(|_| frees) {
            *direct = Attempt::Idle;
        }
    }

    fn link_up(&mut self) {
        self.set_link(true);
        let memory = &mut self.side.memory;
        if memory.ask_again != Due::No {
            memory.ask_again = Due::Now;
        }
        if self.lacks(Rule::StoredAnnounced) {
            return;
        }
        self.announce_when_stored();
        if self.side.disk.delivered.cumulative() < self.stored_up_to() {
            self.seal_control_now();
        }
    }

    fn relay_down(&mut self) {
        let frees = !self.lacks(Rule::RelayLossFreesInFlight);
        self.side.memory.relay_up = false;
        for (_, deposit, _) in self.side.memory.attempts() {
            if *deposit == Attempt::InFlight && frees {
                *deposit = Attempt::Idle;
            }
        }
    }

    fn relay_forgot(&mut self) {
        if self.lacks(Rule::RelayForgotReloads) {
            return;
        }
        for row in &mut self.side.disk.outbox {
            row.pending |= row.at_relay;
        }
        self.side.memory.next_load = 1;
        self.unread = true;
    }

    fn say_what_is_known(&mut self) {
        if !self.lacks(Rule::ForgottenSentAnnounced) {
            self.announce_when_stored();
        }
        let disk = &self.side.disk;
        let met = disk.next_seq > 1 || disk.received.highest() > 0;
        if met && !self.lacks(Rule::ForgottenWordsProvoked) {
            self.owe_receipt();
        }
    }

    pub(super) fn stored_up_to(&self) -> u8 {
        self.side.memory.first_pending(self.side.disk.next_seq) - 1
    }

    fn announce_when_stored(&mut self) {
        let disk = &mut self.side.disk;
        let last = disk.next_seq - 1;
        if disk.delivered.cumulative() < last {
            disk.to_announce = Some(last);
        }
    }

    fn announce(&mut self) {
        let stored_up_to = self.stored_up_to();
        let to_announce = &mut self.side.disk.to_announce;
        if let Some(up_to) = to_announce.take_if(|up_to| stored_up_to >= *up_to)
            && self.side.disk.delivered.cumulative() < up_to
        {
            self.side.disk.receipt_pending = true;
            self.seal_control_now();
        }
    }

    fn seal_control_now(&mut self) {
        self.side.memory.control_changed = true;
        self.side.memory.control_due = Due::Now;
    }

    fn stored(&mut self, id: Env) {
        self.settled(id, super::state::Via::Peer);
        let memory = &mut self.side.memory;
        memory.stalled = false;
        memory.waiting = memory.in_flight_on_link();
    }

    fn settled(&mut self, id: Env, via: super::state::Via) {
        use super::state::Via;
        use tincan_core::DeliveryState;
        let memory = &mut self.side.memory;
        if let Some(at) = memory
            .window
            .iter()
            .position(|entry| entry.envelope.id == id)
        {
            let entry = memory.window.remove(at);
            let seq = entry.seq;
            self.changed(seq);
            if let Some(row) = self.side.disk.row(seq) {
                row.pending = false;
                row.at_relay = via == Via::Relay;
                if row.stored != Some(Via::Peer) {
                    row.stored = Some(via);
                }
            }
            let (state, broken) = match via {
                Via::Peer => (DeliveryState::SentToPeer, Rule::StoredIsNotDelivery),
                Via::Relay => (DeliveryState::SentToRelay, Rule::RelayIsNotDelivery),
            };
            if !entry.told || self.lacks(Rule::ToldOnce) {
                self.say(seq, state);
            }
            if self.lacks(broken) {
                self.delivered(Seqs::default().with(seq));
            }
        } else if let Some(control) = memory.control.take_if(|control| control.envelope.id == id) {
            self.settle_control(&control);
        }
    }

    fn settle_control(&mut self, control: &ControlEntry) {
        let disk = &mut self.side.disk;
        disk.asks.retain(|id| !control.asked.contains(id));
        if !self.side.memory.control_changed {
            disk.receipt_pending = false;
        }
        if !disk.asks.is_empty() {
            self.control_due(self.asks_due());
        }
    }

    pub(super) const fn asks_due(&self) -> Due {
        if self.side.memory.asks_paced {
            Due::Later
        } else {
            Due::Now
        }
    }

    pub(super) fn control_due(&mut self, due: Due) {
        let memory = &mut self.side.memory;
        memory.control_due = memory.control_due.or(due);
    }

    fn nack(&mut self, id: Env) {
        let memory = &mut self.side.memory;
        if let Some(entry) = memory
            .window
            .iter_mut()
            .find(|entry| entry.envelope.id == id)
        {
            entry.direct = Attempt::Refused;
            let seq = entry.seq;
            self.wait_for(seq, Reason::RefusedByPeer);
        } else if let Some(control) = memory.control.as_mut().filter(|c| c.envelope.id == id) {
            control.direct = Attempt::Refused;
        }
    }

    fn deposit_refused(&mut self, id: Env) {
        let memory = &mut self.side.memory;
        if let Some(entry) = memory
            .window
            .iter_mut()
            .find(|entry| entry.envelope.id == id)
        {
            entry.deposit = Attempt::Later;
            let seq = entry.seq;
            self.wait_for(seq, Reason::RelayUnavailable);
        } else if let Some(control) = memory.control.as_mut().filter(|c| c.envelope.id == id) {
            control.deposit = Attempt::Later;
        }
    }

    fn wait_for(&mut self, seq: u8, reason: Reason) {
        let any = self.lacks(Rule::SentStaysSent);
        let mut entries = self.side.memory.window.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.seq == seq)
            && (any || !entry.told)
            && entry.waiting.replace(reason) != Some(reason)
        {
            self.side.held.push(Out::Waiting { seq, reason });
        }
    }

    /// Says how far an own message has come, unless it has come further.
    fn say(&mut self, seq: u8, state: tincan_core::DeliveryState) {
        if !self.side.disk.delivered.has(seq) {
            self.side.held.push(Out::State { seq, state });
        }
    }

    /// The other side has these, it says.
    pub(super) fn delivered(&mut self, received: Seqs) {
        let disk = &mut self.side.disk;
        let new = received.without(disk.delivered);
        disk.delivered = disk.delivered.and(received);
        disk.failed = disk.failed.without(disk.delivered);
        disk.outbox.retain(|row| !received.has(row.seq));
        self.side
            .memory
            .window
            .retain(|entry| !received.has(entry.seq));
        for seq in new.iter() {
            self.changed(seq);
            let state = tincan_core::DeliveryState::Delivered;
            self.side.held.push(Out::State { seq, state });
        }
    }

    /// A hole that has waited long enough becomes a gap.
    fn give_up_hole(&mut self) {
        let disk = &mut self.side.disk;
        let next = disk.held.iter().map(|message| message.seq).min();
        let Some(next) = next.filter(|_| self.without != Some(Rule::HoleGivenUp)) else {
            return;
        };
        let gap = Gap {
            first: disk.next_shown,
            last: next - 1,
        };
        disk.gaps.push(gap);
        disk.next_shown = next;
        self.side.held.push(Out::Gap(gap));
        self.release();
    }
}
