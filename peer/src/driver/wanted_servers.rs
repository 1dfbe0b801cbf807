//! Which servers there must be connections to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::origin::ServerUrl;

use super::Driver;
use super::servers::{Connection, SignalState};
use super::surroundings::random;
use crate::net::{Dial, OwnQueue, RelayCommand, SignalCommand};
use crate::store::ContactState;

/// Relays of others, and as many signaling servers of others, that are connected at a time. A
/// connection costs a socket and some 20 KiB; of one contact come at most one relay and three
/// signaling servers. Chosen: more contacts with servers of their own than people have.
pub(super) const FOREIGN_SERVERS_MAX: usize = 128;

/// Servers of one kind.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) connected: BTreeSet<ServerUrl>,
    /// Beyond the limit.
    pub(super) surplus: BTreeSet<ServerUrl>,
    foreign: usize,
}

type PerServer<T> = BTreeMap<ServerUrl, Vec<T>>;

impl Wanted {
    fn own(servers: impl IntoIterator<Item = ServerUrl>) -> Self {
        Self {
            connected: servers.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Whoever comes first is connected first, so that a new contact takes no server away.
    fn add_foreign(&mut self, server: &ServerUrl) {
        if self.connected.contains(server) {
            return;
        }
        if self.foreign < FOREIGN_SERVERS_MAX {
            self.foreign += 1;
            self.connected.insert(server.clone());
        } else {
            self.surplus.insert(server.clone());
        }
    }
}

impl Driver {
    /// Makes the connections follow what the contacts, invites and requests are now.
    pub(super) fn sync_servers(&mut self) {
        if self.settings.offline {
            return;
        }
        self.sync_relays();
        self.sync_signals();
    }

    pub(super) fn wanted_relays(&self) -> Wanted {
        let mut wanted = Wanted::own(self.own_relays().cloned());
        for add in self.pending_adds.values() {
            wanted.add_foreign(add.relay());
        }
        for conversation in self.conversations.values() {
            // Nobody makes us dial their server, and so learn our IP address, before we have agreed.
            if let (true, Some(reach)) = (conversation.may_reach(), &conversation.row.their_reach) {
                wanted.add_foreign(&reach.relay);
            }
            if let ContactState::Requesting(stage) = &conversation.row.state {
                wanted.add_foreign(&stage.relay);
            }
            if let Some(at) = self.package_wanted(conversation.row.no) {
                wanted.add_foreign(&at.relay);
            }
        }
        wanted
    }

    /// Those that we have chosen.
    fn own_relays(&self) -> impl Iterator<Item = &ServerUrl> {
        let invites = self.invites.values().map(|invite| &invite.relay);
        let ended = self.ended_queues.values().map(|ended| &ended.relay);
        std::iter::once(&self.profile.relay)
            .chain(invites)
            .chain(ended)
    }

    /// How many relays and signaling servers of others there are connections to.
    pub(super) fn foreign_servers(&self) -> (usize, usize) {
        let relays = self.relays.keys();
        let relays = relays.filter(|server| !self.own_relays().any(|own| own == *server));
        let signals = self.signals.keys();
        let signals = signals.filter(|server| !self.profile.signal_servers.contains(server));
        (relays.count(), signals.count())
    }

    pub(super) fn wanted_signals(&self) -> Wanted {
        let mut wanted = Wanted::own(self.profile.signal_servers.iter().cloned());
        let accepted = self
            .conversations
            .values()
            .filter(|conversation| conversation.may_reach());
        let reaches = accepted.filter_map(|conversation| conversation.row.their_reach.as_ref());
        for server in reaches.flat_map(|reach| &reach.signal_servers) {
            wanted.add_foreign(server);
        }
        wanted
    }

    fn sync_relays(&mut self) {
        let wanted = self.wanted_relays().connected;
        self.relays.retain(|server, _| wanted.contains(server));
        for server in wanted {
            let relay = self.relays.get(&server);
            if relay.is_none_or(|relay| relay.connection.is_none()) {
                let connection = self.dial_relay(&server);
                self.relays.entry(server.clone()).or_default().connection = Some(connection);
            }
            let queues = self.own_queues(&server);
            self.send_to_relay(&server, RelayCommand::Queues(queues));
        }
    }

    pub(super) fn dial_relay(&mut self, server: &ServerUrl) -> Connection<RelayCommand> {
        let (dial, number) = (self.dial(server), self.connection_number());
        let outlet = self.around.dial_relay(dial, number);
        Connection { number, outlet }
    }

    pub(super) fn dial_signaling(&mut self, server: &ServerUrl) -> Connection<SignalCommand> {
        let (dial, number) = (self.dial(server), self.connection_number());
        let outlet = self.around.dial_signaling(dial, number);
        Connection { number, outlet }
    }

    /// By chance, because what connections of this process say may be older than this driver.
    fn connection_number(&mut self) -> u64 {
        u64::from_be_bytes(random(self.around.as_mut()))
    }

    pub(super) fn dial(&self, server: &ServerUrl) -> Dial {
        let signals = self.profile.signal_servers.iter();
        let own: Arc<[ServerUrl]> = signals.chain([&self.profile.relay]).cloned().collect();
        Dial {
            server: server.clone(),
            own,
        }
    }

    /// The mailboxes we have at a relay.
    pub(super) fn own_queues(&self, server: &ServerUrl) -> Vec<OwnQueue> {
        let invites = self
            .invites
            .values()
            .filter(|invite| invite.relay == *server);
        let invites = invites.map(|invite| OwnQueue {
            key: invite.queue_key(),
            token_hash: invite.write_token.hash(),
        });
        let here = self.profile.relay == *server;
        let rows = self
            .conversations
            .values()
            .map(|conversation| &conversation.row);
        let mailboxes = rows.filter(|row| here && row.state != ContactState::Blocked);
        let mailboxes = mailboxes.map(|row| OwnQueue {
            key: row.queue_key(),
            token_hash: row.write_token.hash(),
        });
        invites.chain(mailboxes).collect()
    }

    fn sync_signals(&mut self) {
        let wanted = self.wanted_signals().connected;
        let (mut addresses, mut watched) = self.held_and_watched();
        self.signals.retain(|server, _| wanted.contains(server));
        for server in &wanted {
            if !self.signals.contains_key(server) {
                let state = SignalState::new(self.dial_signaling(server));
                self.signals.insert(server.clone(), state);
            }
            let keys = addresses.remove(server).unwrap_or_default();
            let watch = watched.remove(server).unwrap_or_default();
            self.sync_signal(server, keys, watch);
        }
    }

    /// Where the queue is full, nobody would say it again: the server is dialed anew, with an empty one.
    fn sync_signal(
        &mut self,
        server: &ServerUrl,
        keys: Vec<AddressKey>,
        watch: Vec<SignalAddress>,
    ) {
        let Some(state) = self.signals.get(server) else {
            return;
        };
        let say = |connection: &Connection<SignalCommand>| {
            let outlet = connection.outlet.as_ref();
            outlet.send(SignalCommand::Addresses(keys.clone()))
                && outlet.send(SignalCommand::Watch(watch.clone()))
        };
        if !say(&state.connection) {
            let connection = self.dial_signaling(server);
            say(&connection);
            self.signals
                .insert(server.clone(), SignalState::new(connection));
            self.signal_down(server, None);
        }
    }

    /// At each server, which of our addresses are held, and whose presence matters.
    fn held_and_watched(&self) -> (PerServer<AddressKey>, PerServer<SignalAddress>) {
        let own = &self.profile.signal_servers;
        let (mut addresses, mut watched) = (PerServer::new(), PerServer::new());
        for conversation in self
            .conversations
            .values()
            .filter(|conversation| conversation.may_reach())
        {
            let row = &conversation.row;
            let theirs = row
                .their_reach
                .iter()
                .flat_map(|reach| &reach.signal_servers);
            let servers: BTreeSet<&ServerUrl> = own.iter().chain(theirs.clone()).collect();
            for server in servers {
                addresses
                    .entry(server.clone())
                    .or_default()
                    .push(row.address_key());
            }
            for server in theirs {
                watched
                    .entry(server.clone())
                    .or_default()
                    .extend(row.their_address());
            }
        }
        (addresses, watched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_others_are_bounded_and_the_first_ones_stay() {
        let url = |n: usize| -> ServerUrl { format!("http://s{n}.example").parse().unwrap() };
        let mut wanted = Wanted::own([url(0)]);
        for n in 0..=FOREIGN_SERVERS_MAX + 1 {
            wanted.add_foreign(&url(n));
            wanted.add_foreign(&url(n));
        }
        assert_eq!(wanted.connected.len(), 1 + FOREIGN_SERVERS_MAX);
        assert!(wanted.connected.contains(&url(FOREIGN_SERVERS_MAX)));
        assert_eq!(
            wanted.surplus,
            BTreeSet::from([url(FOREIGN_SERVERS_MAX + 1)])
        );
    }
}
