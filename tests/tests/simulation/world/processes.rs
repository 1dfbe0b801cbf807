//! Processes that begin, run and die.

use rand::RngExt as _;
use tincan_peer::simulation::{Buffer, ConversationNo, Input, Node};

use super::{PEERS, World};
use crate::disk::Disk;
use crate::leaving::Turn;
use crate::machine::Server;
use crate::model::CANARY;

/// How full the buffers are is written down in one turn of so many: in each it would take longer than the turn.
const NOTED_IN_ONE_OF: u64 = 64;

/// A process may die or find its disk full, but what it finds on it makes sense: also a panic is called
/// damage.
fn check_is_no_damage(peer: usize, error: &str) {
    assert!(!error.contains("damaged"), "peer {peer}: {error}");
}

/// Invariant 12, as whoever takes a disk out of its machine sees it.
pub(super) fn check_disk(disk: &Disk) {
    assert!(
        !disk.contains(CANARY.as_bytes()),
        "12: a text stands on a disk in clear"
    );
}

/// Whether it is full.
pub(super) fn check_buffer(peer: usize, no: Option<ConversationNo>, buffer: Buffer) -> bool {
    let Buffer {
        what,
        filled,
        limit,
    } = buffer;
    assert!(
        filled <= limit,
        "9: {what} of {no:?} of peer {peer}: {filled}, at most {limit}",
    );
    filled == limit
}

impl World {
    pub(crate) fn start_all(&mut self) {
        if !self.signaling.is_alive() {
            self.signaling.start();
        }
        for relay in &mut self.relays {
            if !relay.is_alive() && !relay.start(self.now) {
                self.tally.killed_at_start += 1;
                relay.crash();
                check_disk(&relay.disk);
            }
        }
        for peer in 0..PEERS {
            let machine = &self.machines[peer];
            if machine.node.is_none() && machine.reload_at.is_none() {
                self.start(peer);
            }
        }
    }

    pub(super) fn start(&mut self, peer: usize) {
        let machine = &mut self.machines[peer];
        let result = machine.start(self.now);
        if let Err(error) = &result {
            check_is_no_damage(peer, &error.to_string());
        }
        if machine.around.fuse().is_burnt() {
            self.tally.killed_at_start += 1;
            return self.crash(peer);
        }
        match result {
            Ok(()) => {
                let node = machine.node.as_ref().unwrap();
                self.model.begins(peer, node);
                self.read_journal(peer);
                self.take_effects(peer, None);
            }
            Err(error) => {
                assert!(
                    machine.disk.is_full(),
                    "peer {peer} does not start: {error}"
                );
                machine.fail(self.now);
            }
        }
    }

    /// What became durable in the last moment of an earlier process.
    pub(super) fn read_journal(&mut self, peer: usize) {
        let after = self.model.journal_end(peer);
        let node = self.machines[peer].node.as_ref().unwrap();
        for (_, event) in node.journal(after).unwrap() {
            self.journal(peer, after, &[event]);
        }
    }

    /// After its last turn.
    fn end(&mut self, peer: usize, turn: Turn) {
        self.tally.ended += 1;
        if let Some(node) = &mut self.machines[peer].node {
            node.say_goodbye();
        }
        self.take_effects(peer, Some(turn));
        self.machines[peer].end();
        self.gone(peer);
    }

    pub(super) fn crash(&mut self, peer: usize) {
        self.machines[peer].stop();
        let disk = &self.machines[peer].disk;
        disk.crash(&mut self.rng);
        check_disk(disk);
        self.gone(peer);
    }

    /// The others find out, of a part of what it has said last.
    fn gone(&mut self, peer: usize) {
        self.links.forget(peer, self.now);
        let rng = &mut self.rng;
        for connection in self.connections.values_mut() {
            if connection.peer == peer && !connection.client_gone {
                connection.client_gone = true;
                connection.down.clear();
                let kept = rng.random_range(0..=connection.up.len());
                connection.up.truncate(kept);
            }
        }
    }

    pub(super) fn crash_relay(&mut self, relay: usize) {
        self.relays[relay].crash();
        check_disk(&self.relays[relay].disk);
        self.server_gone(Server::Relay(relay));
    }

    pub(super) fn server_gone(&mut self, server: Server) {
        let rng = &mut self.rng;
        for connection in self.connections.values_mut() {
            if connection.server == server && !connection.server_gone {
                connection.server_gone = true;
                connection.up.clear();
                let kept = rng.random_range(0..=connection.down.len());
                connection.down.truncate(kept);
            }
        }
    }

    pub(super) fn turn(&mut self, peer: usize, some: usize) {
        let machine = &mut self.machines[peer];
        machine.around.set_time(machine.clock(self.now));
        let some = machine.inbox.len().min(some);
        let inputs: Vec<Input> = machine.inbox.drain(..some).collect();
        let Some(node) = &mut machine.node else {
            return;
        };
        let before = machine.disk.syncs();
        let result = node.turn(inputs);
        if let Err(error) = &result {
            check_is_no_damage(peer, &error.to_string());
        }
        let is_whole = result.is_ok() && !machine.around.fuse().is_burnt();
        let refused = machine.around.take_refused();
        self.tally.full_queues += refused;
        let turn = Turn {
            before,
            after: machine.disk.syncs(),
            is_open: is_whole && node.has_uncommitted(),
            is_whole,
            is_choked: refused > 0,
        };
        self.take_effects(peer, Some(turn));
        let machine = &mut self.machines[peer];
        if machine.around.fuse().is_burnt() {
            self.tally.peers_killed_in_a_turn += 1;
            return self.crash(peer);
        }
        match result {
            Ok(false) => self.check_buffers(peer),
            Ok(true) => self.end(peer, turn),
            Err(error) => {
                assert!(machine.disk.is_full(), "peer {peer}: {error}");
                self.tally.full_disks += 1;
                self.links.forget(peer, self.now);
                self.machines[peer].fail(self.now);
                self.hang_up_all(peer);
            }
        }
    }

    /// Invariant 9, of what a peer keeps in memory: for each conversation, and beside them.
    fn check_buffers(&mut self, peer: usize) {
        let machine = &mut self.machines[peer];
        self.looks = self.looks.wrapping_add(1);
        let is_noted = self.looks.is_multiple_of(NOTED_IN_ONE_OF);
        let mut conversations = Vec::with_capacity(machine.conversations.len());
        for (no, buffer) in machine.node.iter().flat_map(Node::buffers) {
            let is_full = check_buffer(peer, no, buffer);
            self.tally.full_buffers += u64::from(is_full);
            if is_noted {
                self.tally.holds(buffer.what, buffer.filled);
            }
            if no.is_some() && conversations.last() != no.as_ref() {
                conversations.extend(no);
            }
        }
        let is_durable = machine
            .node
            .as_ref()
            .is_some_and(|node| !node.has_uncommitted());
        if is_durable && conversations != machine.conversations {
            self.model.has(peer, &conversations);
            machine.conversations = conversations;
        }
    }

    pub(super) fn hang_up_all(&mut self, peer: usize) {
        for connection in self.connections.values_mut() {
            if connection.peer == peer {
                connection.client_gone = true;
                connection.down.clear();
            }
        }
    }
}
