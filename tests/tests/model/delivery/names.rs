//! Gives names and indices anew, in the order in which they first appear.
//!
//! Two states that differ only in names are the same state. What is left out as well: marks of
//! envelopes that are nowhere any more and so can never come again.

use super::mailbox::{Answer, Mailbox, Push, Request};
use super::state::{Disk, Env, Envelope, Envs, Frame, Out, Payload, Side, State, UNSEALED};

/// A name that nothing else mentions.
const NOBODY: Env = Env::MAX;

impl State {
    pub(crate) fn normalized(mut self) -> Self {
        self.forget_dead_marks();
        self.rename();
        self.rebase_indices();
        self
    }

    /// A name that is not used.
    pub(crate) fn fresh(&mut self) -> Env {
        let mut highest = UNSEALED;
        self.each_name(&mut |id| {
            if *id != NOBODY {
                highest = highest.max(*id);
            }
        });
        highest + 1
    }

    fn forget_dead_marks(&mut self) {
        let mut live = Envs::new();
        self.each_envelope(&mut |id| live.push(id));
        for side in &mut self.sides {
            for disk in side.disks() {
                for set in [
                    &mut disk.sealed,
                    &mut disk.seen,
                    &mut disk.opened,
                    &mut disk.lost,
                ] {
                    set.retain(|id| live.contains(id));
                }
            }
        }
        for mailbox in &mut self.mailboxes {
            mailbox.known.retain(|id| live.contains(id));
        }
    }

    fn rename(&mut self) {
        let mut names: [Env; 256] = [NOBODY; 256];
        names[usize::from(UNSEALED)] = UNSEALED;
        let mut next = UNSEALED;
        self.each_name(&mut |id| {
            let name = &mut names[usize::from(*id)];
            if *name == NOBODY {
                next += 1;
                *name = next;
            }
            *id = *name;
        });
        for side in &mut self.sides {
            for disk in side.disks() {
                for set in [
                    &mut disk.sealed,
                    &mut disk.seen,
                    &mut disk.opened,
                    &mut disk.lost,
                    &mut disk.wanted_ids,
                ] {
                    rename_set(set, &names);
                }
            }
        }
        for mailbox in &mut self.mailboxes {
            rename_set(&mut mailbox.known, &names);
        }
    }

    fn rebase_indices(&mut self) {
        for (side, mailbox) in self.sides.iter_mut().zip(&mut self.mailboxes) {
            let acks = side.held.iter_mut().filter_map(|out| match out {
                Out::AckMailbox(index) => Some(index),
                _ => None,
            });
            let last_index = mailbox.last_index;
            let mut indices: Vec<&mut u8> = acks.chain(mailbox.indices()).collect();
            let lowest = indices.iter().map(|index| **index).min();
            let base = lowest.map_or(last_index, |lowest| lowest - 1);
            indices.iter_mut().for_each(|index| **index -= base);
            mailbox.last_index -= base;
        }
    }

    /// Every mention of a name that has an order.
    fn each_name(&mut self, visit: &mut impl FnMut(&mut Env)) {
        for side in &mut self.sides {
            side.each_name(visit);
        }
        for frame in self.wires.iter_mut().flatten() {
            match frame {
                Frame::Put(envelope) => envelope.each_name(visit),
                Frame::Stored(id) | Frame::Nack(id) => visit(id),
            }
        }
        for answer in self.answers.iter_mut().flatten() {
            match answer {
                Answer::Deposited(id) | Answer::Refused(id) => visit(id),
            }
        }
        for mailbox in &mut self.mailboxes {
            for envelope in mailbox.envelopes() {
                envelope.each_name(visit);
            }
        }
    }

    /// Every envelope that can still come to somebody, and every ack that still has to be right.
    fn each_envelope(&mut self, visit: &mut impl FnMut(Env)) {
        for side in &self.sides {
            for row in side.disk.outbox.iter().chain(&side.durable().outbox) {
                visit(row.id);
            }
            for entry in &side.memory.window {
                visit(entry.envelope.id);
            }
            if let Some(control) = &side.memory.control {
                visit(control.envelope.id);
            }
            for out in &side.held {
                match out {
                    Out::Put(envelope) | Out::Deposit(envelope) => visit(envelope.id),
                    Out::Stored(id) => visit(*id),
                    _ => {}
                }
            }
        }
        for frame in self.wires.iter().flatten() {
            if let Frame::Put(envelope) = frame {
                visit(envelope.id);
            }
        }
        for mailbox in &mut self.mailboxes {
            mailbox.envelopes().for_each(|envelope| visit(envelope.id));
        }
    }
}

impl Side {
    pub(crate) fn disks(&mut self) -> impl Iterator<Item = &mut Disk> {
        self.durable
            .as_deref_mut()
            .into_iter()
            .chain([&mut self.disk])
    }

    fn each_name(&mut self, visit: &mut impl FnMut(&mut Env)) {
        for disk in self.disks() {
            disk.outbox.iter_mut().for_each(|row| visit(&mut row.id));
            disk.asks.iter_mut().for_each(&mut *visit);
        }
        for entry in &mut self.memory.window {
            entry.envelope.each_name(visit);
        }
        if let Some(control) = &mut self.memory.control {
            control.envelope.each_name(visit);
            control.asked.iter_mut().for_each(&mut *visit);
        }
        for out in &mut self.held {
            match out {
                Out::Put(envelope) | Out::Deposit(envelope) => envelope.each_name(visit),
                Out::Stored(id) | Out::Nack(id) => visit(id),
                Out::AckMailbox(_)
                | Out::State { .. }
                | Out::Waiting { .. }
                | Out::Received { .. }
                | Out::Gap(_) => {}
            }
        }
    }
}

impl Mailbox {
    fn indices(&mut self) -> impl Iterator<Item = &mut u8> {
        let acks = self.taken.iter_mut().filter_map(|request| match request {
            Request::Ack(index) => Some(index),
            Request::Deposit { .. } => None,
        });
        let pushes = self.pushed.iter_mut().filter_map(|push| match push {
            Push::Deliver(index, _) => Some(index),
            Push::Drained => None,
        });
        let entries = self.entries.iter_mut().map(|entry| &mut entry.0);
        acks.chain(pushes).chain(entries)
    }

    fn envelopes(&mut self) -> impl Iterator<Item = &mut Envelope> {
        let taken = self.taken.iter_mut().filter_map(|request| match request {
            Request::Deposit { envelope, .. } => Some(envelope),
            Request::Ack(_) => None,
        });
        let pushes = self.pushed.iter_mut().filter_map(|push| match push {
            Push::Deliver(_, envelope) => Some(envelope),
            Push::Drained => None,
        });
        let entries = self.entries.iter_mut().map(|entry| &mut entry.1);
        entries.chain(taken).chain(pushes)
    }
}

impl Envelope {
    fn each_name(&mut self, visit: &mut impl FnMut(&mut Env)) {
        visit(&mut self.id);
        if let Payload::Control(control) = &mut self.payload {
            control.ask_ids.iter_mut().for_each(visit);
        }
    }
}

/// What nothing with an order mentions is somebody that nobody knows, once.
fn rename_set(set: &mut Envs, names: &[Env; 256]) {
    for id in set.iter_mut() {
        *id = names[usize::from(*id)];
    }
    set.sort_unstable();
    set.dedup();
}
