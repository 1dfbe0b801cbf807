//! Connections between peers and servers, and what breaks them.

use std::collections::VecDeque;

use bytes::Bytes;
use rand::RngExt as _;
use tincan_link::PATH_LOST_AFTER;
use tincan_peer::simulation::{ClientOutput, Frame};
use tincan_protocol::wire::{Frame as _, RelayReply, relay_reply};
use tincan_protocol::{EnvelopeId, QueueId};

use super::{Connection, Cut, PEERS, RELAYS, World};
use crate::around::DialId;
use crate::disk::memmem;
use crate::machine::{AnyCommand, Server};
use crate::model::CANARY;
use crate::witness::message_id;
use crate::{relay, signaling};

/// An intruder comes with one connection in so many: each makes a signature, and one is checked.
const INTRUDES_IN_ONE_OF: u64 = 4;

impl World {
    pub(super) fn is_cut(&self, cut: Cut) -> bool {
        self.cuts.contains_key(&cut)
    }

    pub(super) fn partition(&mut self, who: usize, from: usize) {
        let who = who % PEERS;
        let all = PEERS + RELAYS + 1;
        let cut = match from % all {
            peer if peer < PEERS && peer != who => Cut::Peers(who.min(peer), who.max(peer)),
            other if other < PEERS + RELAYS => Cut::Server(who, Server::Relay(other % RELAYS)),
            _ => Cut::Server(who, Server::Signaling(0)),
        };
        self.tally.partitions += 1;
        self.cuts.entry(cut).or_insert(self.now);
    }

    /// Links between those who cannot reach each other end when they have been silent long enough.
    pub(super) fn starve_links(&mut self) {
        for (cut, since) in &self.cuts {
            if let Cut::Peers(a, b) = *cut
                && self.now >= *since + PATH_LOST_AFTER
            {
                self.links.starve(a, b, self.now);
            }
        }
    }

    pub(super) fn cut_connection(&mut self, which: usize) {
        let open: Vec<u64> = self.connections.keys().copied().collect();
        let Some(id) = open.get(which % open.len().max(1)) else {
            return;
        };
        let rng = &mut self.rng;
        if let Some(connection) = self.connections.get_mut(id) {
            (connection.client_gone, connection.server_gone) = (true, true);
            let kept = rng.random_range(0..=connection.up.len());
            connection.up.truncate(kept);
            let kept = rng.random_range(0..=connection.down.len());
            connection.down.truncate(kept);
        }
    }

    pub(super) fn command(&mut self, peer: usize, dial: DialId, command: AnyCommand) {
        let now = self.now;
        if let Some(slot) = self.machines[peer].clients.get_mut(&dial) {
            let result = slot.handle_command(command, now);
            self.after_client(peer, dial, result);
        }
    }

    pub(super) fn dial(&mut self, peer: usize, dial: DialId) {
        let now = self.now;
        let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
            return;
        };
        let server = slot.server;
        let alive = match server {
            Server::Relay(relay) => self.relays[relay].is_alive(),
            Server::Signaling(_) => self.signaling.is_alive(),
        };
        if !alive || self.cuts.contains_key(&Cut::Server(peer, server)) {
            slot.lost("cannot be reached", now);
            return self.after_client(peer, dial, Ok(()));
        }
        let id = self.next_connection;
        self.next_connection += 1;
        slot.connected(id, now);
        let connection = Connection {
            peer,
            dial,
            server,
            up: VecDeque::new(),
            down: VecDeque::new(),
            client_gone: false,
            server_gone: false,
        };
        self.connections.insert(id, connection);
        let origin = server.url().origin();
        match server {
            Server::Relay(relay) => {
                if self.relays[relay].may_expire() {
                    // What is still there comes once more; what is too old may not, and is acknowledged with the rest.
                    self.mailboxes
                        .retain(|&(owner, at, _), _| (owner, at) != (peer, server));
                }
                let mut outputs = self.relays[relay].open(id, origin.clone(), now);
                if id.is_multiple_of(INTRUDES_IN_ONE_OF) {
                    outputs.extend(self.relays[relay].intrude(u64::MAX - id, &origin, now));
                }
                self.take_from_relay(relay, outputs);
            }
            Server::Signaling(_) => {
                let outputs = self.signaling.open(id, origin, now);
                self.take_from_signaling(outputs);
            }
        }
        self.after_client(peer, dial, Ok(()));
    }

    pub(super) fn tick(&mut self, peer: usize, dial: DialId) {
        let now = self.now;
        let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
            return;
        };
        let hears = !self.cuts.contains_key(&Cut::Server(peer, slot.server));
        let result = slot.handle_tick(hears, now);
        self.after_client(peer, dial, result);
    }

    /// Passes on what a client wants, and ends its connection if that is of no use any more.
    pub(super) fn after_client(&mut self, peer: usize, dial: DialId, result: Result<(), String>) {
        if let Err(reason) = result {
            self.lose(peer, dial, &reason);
        }
        let machine = &mut self.machines[peer];
        let Some(slot) = machine.clients.get_mut(&dial) else {
            return;
        };
        while let Some(output) = slot.poll_output() {
            match output {
                ClientOutput::Tell(input) => machine.inbox.push_back(input),
                ClientOutput::Send(frame) => {
                    look_for_canary_in(&frame);
                    let connection = slot.connection.and_then(|id| self.connections.get_mut(&id));
                    if let Some(connection) = connection.filter(|it| !it.server_gone) {
                        connection.up.push_back(frame);
                    }
                }
            }
        }
    }

    pub(super) fn lose(&mut self, peer: usize, dial: DialId, reason: &str) {
        let now = self.now;
        let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
            return;
        };
        if let Some(connection) = slot.connection.and_then(|id| self.connections.get_mut(&id)) {
            connection.client_gone = true;
            connection.down.clear();
        }
        slot.lost(reason, now);
    }

    /// Frames arrive at a server.
    pub(super) fn up(&mut self, id: u64, some: usize) {
        for _ in 0..some {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let (server, frame) = (connection.server, connection.up.pop_front());
            let Some(frame) = frame else {
                if connection.client_gone {
                    self.close_at(server, id);
                    self.connections.remove(&id);
                }
                return;
            };
            match (server, frame) {
                (Server::Relay(relay), Frame::Binary(bytes)) => {
                    let outputs = self.relays[relay].handle_frame(id, bytes);
                    self.take_from_relay(relay, outputs);
                }
                (Server::Signaling(_), Frame::Text(text)) => {
                    let unix_s = self.right_ms() / 1_000;
                    let outputs = self.signaling.handle_text(id, &text, self.now, unix_s);
                    self.take_from_signaling(outputs);
                }
                (server, frame) => panic!("{server:?}: {frame:?}"),
            }
        }
    }

    pub(super) fn close_at(&mut self, server: Server, id: u64) {
        match server {
            Server::Relay(relay) => {
                let outputs = self.relays[relay].close(id);
                self.take_from_relay(relay, outputs);
            }
            Server::Signaling(_) => {
                let outputs = self.signaling.close(id);
                self.take_from_signaling(outputs);
            }
        }
    }

    /// Frames arrive at a peer.
    pub(super) fn down(&mut self, id: u64, some: usize) {
        for _ in 0..some {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let (peer, dial, server) = (connection.peer, connection.dial, connection.server);
            let Some(frame) = connection.down.pop_front() else {
                if connection.server_gone {
                    // The server may know nothing of it, if the path broke.
                    self.close_at(server, id);
                    let here = self.machines[peer].clients.get(&dial);
                    if here.is_some_and(|slot| slot.connection == Some(id)) {
                        self.lose(peer, dial, "the server closed the connection");
                        self.after_client(peer, dial, Ok(()));
                    }
                    self.connections.remove(&id);
                }
                return;
            };
            if server == Server::Signaling(0) {
                self.signaling.handle_written(id);
            }
            self.note_delivery(peer, server, &frame);
            let now = self.now;
            let Some(slot) = self.machines[peer].clients.get_mut(&dial) else {
                return;
            };
            if slot.connection != Some(id) {
                return;
            }
            let result = slot.handle_frame(frame, now);
            self.after_client(peer, dial, result);
        }
    }

    pub(super) fn note_delivery(&mut self, peer: usize, server: Server, frame: &Frame) {
        let Frame::Binary(bytes) = frame else { return };
        if let Ok(Some(relay_reply::Kind::Deliver(deliver))) =
            RelayReply::read(bytes.clone()).map(|reply| reply.kind)
            && let Some(id) = message_id(deliver.envelope)
        {
            let queue = QueueId::try_from(deliver.queue.as_ref()).unwrap();
            let mailbox = self.mailboxes.entry((peer, server, queue)).or_default();
            mailbox.insert(deliver.index, id);
        }
    }

    fn note_deposit(&mut self, reply: &Bytes) {
        if let Ok(Some(relay_reply::Kind::Deposited(deposited))) =
            RelayReply::read(reply.clone()).map(|reply| reply.kind)
        {
            let id = EnvelopeId::try_from(deposited.env_id.as_slice()).unwrap();
            self.model.deposited(&id);
        }
    }

    pub(super) fn take_from_relay(&mut self, relay: usize, outputs: Vec<relay::ToClient>) {
        for output in outputs {
            let (id, frame) = match output {
                relay::ToClient::Frame(id, bytes) => {
                    self.note_deposit(&bytes);
                    (id, Some(Frame::Binary(bytes)))
                }
                relay::ToClient::Close(id) => (id, None),
            };
            self.send_down(id, frame);
        }
        if self.relays[relay].is_dying() && self.relays[relay].is_alive() {
            self.tally.relays_killed_at_work += 1;
            self.crash_relay(relay);
        }
    }

    pub(super) fn take_from_signaling(&mut self, outputs: Vec<signaling::ToClient>) {
        for output in outputs {
            match output {
                signaling::ToClient::Text(id, text) => self.send_down(id, Some(Frame::Text(text))),
                signaling::ToClient::Close(id) => self.send_down(id, None),
            }
        }
    }

    pub(super) fn send_down(&mut self, id: u64, frame: Option<Frame>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match frame {
            Some(frame) if !connection.client_gone => connection.down.push_back(frame),
            Some(_) => {}
            None => {
                connection.server_gone = true;
                connection.up.clear();
            }
        }
    }
}

fn look_for_canary_in(frame: &Frame) {
    match frame {
        Frame::Text(text) => look_for_canary(text.as_bytes()),
        Frame::Binary(bytes) => look_for_canary(bytes),
    }
}

pub(super) fn look_for_canary(frame: &[u8]) {
    assert!(
        !memmem(frame, CANARY.as_bytes()),
        "12: a text leaves in clear"
    );
}
