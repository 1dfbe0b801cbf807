//! What a peer does to the world in its turn, looked at by the model.

use bytes::Bytes;
use rand::RngExt as _;
use tincan_peer::simulation::{ConversationNo, JournalEvent, Node, RelayCommand};
use tincan_protocol::EnvelopeId;
use tincan_protocol::wire::{Frame as _, PeerFrame, peer_frame};

use super::network::look_for_canary;
use super::{Cut, World};
use crate::around::{DialId, Done, Effect};
use crate::leaving::Turn;
use crate::machine::{AnyCommand, Slot};
use crate::model::There;

impl World {
    /// Of a turn, or of a process's beginning.
    pub(super) fn take_effects(&mut self, peer: usize, turn: Option<Turn>) {
        for done in self.machines[peer].around.take_effects() {
            self.leaving.check(peer, turn, &done);
            self.apply(peer, done);
        }
    }

    fn apply(&mut self, peer: usize, Done { effect, syncs, .. }: Done) {
        match effect {
            Effect::DialRelay(id, dial, number) | Effect::DialSignaling(id, dial, number) => {
                let slot = Slot::new(&dial.server, number, self.now);
                self.machines[peer].clients.insert(id, slot);
            }
            Effect::HangUp(id) => {
                let slot = self.machines[peer].clients.remove(&id);
                let connection = slot.and_then(|slot| slot.connection);
                if let Some(connection) = connection.and_then(|id| self.connections.get_mut(&id)) {
                    connection.client_gone = true;
                    connection.down.clear();
                }
            }
            Effect::Relay(id, command) => {
                self.look_at(peer, id, &command, syncs);
                self.command(peer, id, AnyCommand::Relay(command));
            }
            Effect::Signal(id, command) => self.command(peer, id, AnyCommand::Signal(command)),
            Effect::StartLink(no, attempt, start) => {
                let around = self.machines[peer].around.clone();
                let inputs = self
                    .links
                    .start((peer, attempt), no, *start, &around, self.now);
                self.machines[peer].inbox.extend(inputs);
            }
            Effect::LinkSignal(attempt, signal) => {
                let now_ms = self.machines[peer].clock(self.now).unix_ms;
                let relayed = self.rng.random_bool(0.2);
                let cuts = &self.cuts;
                self.links
                    .handle_signal((peer, attempt), &signal, now_ms, relayed, |a, b| {
                        !cuts.contains_key(&Cut::Peers(a.min(b), a.max(b)))
                    });
            }
            Effect::LinkFrame(attempt, frame) => self.link_frame(peer, attempt, frame, syncs),
            Effect::LinkClose(attempt, reason) => {
                self.links.close((peer, attempt), &reason);
            }
            Effect::Journal(end, events) => self.journal(peer, end, &events),
        }
    }

    pub(super) fn journal(&mut self, peer: usize, end: u64, events: &[JournalEvent]) {
        let machines = &self.machines;
        let views = machines[peer].node.as_ref().map(Node::conversations);
        let own = machines[peer].identity;
        let has = |no: ConversationNo, seq: u64| {
            let view = views.iter().flatten().find(|view| view.no == no);
            let Some(other) =
                view.and_then(|view| machines.iter().position(|one| one.identity == view.with))
            else {
                return There::Unknown;
            };
            let Some(node) = &machines[other].node else {
                return There::Ask(other);
            };
            let back = node.conversations();
            match back.iter().find(|view| view.with == own) {
                Some(back) if node.has_received(back.no, seq) => There::Yes(other),
                Some(_) => There::No,
                None => There::Unknown,
            }
        };
        let longest_ms = machines[peer].longest_ms(self.now);
        self.model.journal(peer, (end, events), longest_ms, has);
    }

    /// What a peer says to a relay.
    fn look_at(&mut self, peer: usize, dial: DialId, command: &RelayCommand, syncs: u64) {
        match command {
            RelayCommand::Deposit { tag, envelope, .. } => {
                self.model.leaves(peer, tag.no, envelope, syncs);
            }
            RelayCommand::Ack { queue, index } => {
                let Some(slot) = self.machines[peer].clients.get(&dial) else {
                    return;
                };
                let mailbox = (peer, slot.server, *queue);
                let delivered = self.mailboxes.entry(mailbox).or_default();
                let rest = delivered.split_off(&(index + 1));
                let acked = std::mem::replace(delivered, rest);
                self.stores(peer, acked.into_values().collect(), syncs);
            }
            RelayCommand::Publish {
                packages,
                last_resort,
                ..
            } => {
                for package in packages.iter().chain(last_resort) {
                    self.model.publishes(peer, package, syncs);
                }
            }
            _ => {}
        }
    }

    /// A peer calls envelopes stored.
    fn stores(&mut self, peer: usize, ids: Vec<EnvelopeId>, syncs: u64) {
        let Some(node) = &self.machines[peer].node else {
            return;
        };
        for id in ids {
            for view in node.conversations() {
                self.model
                    .stores((peer, node), (view.no, view.with), id, syncs);
            }
        }
    }

    fn link_frame(&mut self, peer: usize, attempt: u64, frame: Bytes, syncs: u64) {
        let no = self.links.conversation((peer, attempt));
        let read = PeerFrame::read(frame.clone()).expect("own frame");
        match (no, read.kind) {
            (Some(no), Some(peer_frame::Kind::Put(put))) => {
                self.model.leaves(peer, no, &put.envelope, syncs);
            }
            (Some(_), Some(peer_frame::Kind::Stored(stored))) => {
                let ids = stored.env_ids.iter();
                let ids = ids.filter_map(|id| EnvelopeId::try_from(id.as_slice()).ok());
                self.stores(peer, ids.collect(), syncs);
            }
            _ => {}
        }
        look_for_canary(&frame);
        self.links.send((peer, attempt), frame);
    }
}
