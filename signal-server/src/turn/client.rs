//! One client of the TURN server: its own small protocol machine and what the door knows of it.
//!
//! `turn-server-proto` keeps clients in a list, users for ever, and has no quota; with one machine
//! for each client 5-tuple all of that is moot: a map finds the machine, and dropping it forgets
//! everything.
//!
//! Invariant: a client has exactly one relay from the moment it is opened until it is dropped.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turn_server_proto::api::{
    DelayedMessageOrChannelSend, Transmit, TurnServerApi, TurnServerPollRet,
};
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::prelude::DelayedTransmitBuild;
use turn_server_proto::types::stun::message::{IntegrityKey, Message, TransactionId};
use turn_server_proto::types::{AddressFamily, Instant, TransportType};

use super::stun;
use super::wire::{Relay, Wire};

/// Addresses a client may have permissions for, and channels bound to, at a time. ICE tries at
/// most 40 candidates of the other side ([`tincan_protocol::limits::CANDIDATES_MAX`]).
pub(super) const PEERS_MAX: usize = 64;

/// A permission lasts 5 minutes and a channel 10 (RFC 8656, 9 and 12): after this time without a
/// renewal a peer does not count any more.
const PEER_LIFETIME: Duration = Duration::from_secs(600);

/// An allocation ends at this age, however often it is refreshed. Chosen: an endless link loses
/// one reconnection a day, and stolen credentials are of use for a day at most.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How often the protocol machine is asked in a row for what it wants done; it wants one or two
/// things, so more would be a defect there, which must not become an endless loop here.
const POLLS_MAX: usize = 16;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    machine: TurnServer,
    /// The machine's nonce: requests are signed again with it.
    nonce: String,
    listen: SocketAddr,
    address: SocketAddr,
    pub(super) username: String,
    /// Address part of the username, which the quota goes by.
    pub(super) user: String,
    pub(super) key: IntegrityKey,
    pub(super) relay: Relay,
    opened: Duration,
    /// The answered Allocate and its answer, for a client that did not get it and asks again.
    allocated: (TransactionId, Vec<u8>),
    peers: Vec<(IpAddr, Duration)>,
    channels: Vec<((u16, SocketAddr), Duration)>,
}

/// Who asks for an allocation; the door has checked all of it.
pub(super) struct Applicant {
    pub(super) address: SocketAddr,
    pub(super) username: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) key: IntegrityKey,
}

/// The answer to an Allocate request, and the client if it got an allocation.
pub(super) type Opened = (Option<Vec<u8>>, Option<Client>);

impl Client {
    /// Answers an authenticated Allocate request from an address that has no allocation.
    pub(super) fn open(
        applicant: Applicant,
        request: &Message<'_>,
        listen: SocketAddr,
        realm: &str,
        wire: &mut impl Wire,
        now: Duration,
    ) -> Opened {
        let Applicant {
            address,
            username,
            user,
            password,
            key,
        } = applicant;
        let mut machine = TurnServer::new(TransportType::Udp, listen, realm.to_owned());
        machine.set_nonce_expiry_duration(AGE_MAX * 2);
        machine.add_user(username.clone(), password);
        let Some(nonce) = first_nonce(&mut machine, address, listen, now) else {
            return (None, None);
        };
        let mut opening = Opening {
            machine,
            nonce,
            listen,
            address,
            key,
        };
        let (answer, relay) = opening.run(request, wire, now);
        let Some(relay) = relay else {
            return (answer, None);
        };
        let Opening {
            machine,
            nonce,
            key,
            ..
        } = opening;
        let allocated = (request.transaction_id(), answer.clone().unwrap_or_default());
        let (peers, channels) = (Vec::new(), Vec::new());
        let client = Self {
            machine,
            nonce,
            listen,
            address,
            username,
            user,
            key,
            relay,
            opened: now,
            allocated,
            peers,
            channels,
        };
        (answer, Some(client))
    }

    /// The answer given to this Allocate request, if it is the one that made the allocation.
    pub(super) fn answer_again(&self, request: &Message<'_>) -> Option<&[u8]> {
        (self.allocated.0 == request.transaction_id()).then_some(self.allocated.1.as_slice())
    }

    /// Handles an authenticated request other than Allocate; its peers have been checked.
    pub(super) fn request(&mut self, request: &Message<'_>, now: Duration) -> Option<Vec<u8>> {
        let inner = stun::sign_again(request, Some(&self.nonce), &self.key, false)?;
        let answer = self.machine.recv(
            from_client(inner.as_slice(), self.address, self.listen),
            instant(now),
        )?;
        let answer = answer.data.build();
        stun::sign_again(
            &Message::from_bytes(&answer).ok()?,
            None,
            &self.key,
            stun::has_fingerprint(request),
        )
    }

    /// Handles ChannelData or a Send indication: where to, and which part of the packet. The
    /// packet's peer has been checked if it is an indication.
    pub(super) fn forward<'a>(
        &mut self,
        packet: &'a [u8],
        now: Duration,
    ) -> Option<(SocketAddr, &'a [u8])> {
        let sent = self
            .machine
            .recv(from_client(packet, self.address, self.listen), instant(now))?;
        match sent.data {
            DelayedMessageOrChannelSend::Range(packet, range) => {
                Some((sent.to, packet.get(range)?))
            }
            _ => None,
        }
    }

    /// Wraps a packet from a peer for the client, into `buffer` if it can.
    pub(super) fn backward(
        &mut self,
        peer: SocketAddr,
        packet: &[u8],
        buffer: &mut [u8],
        now: Duration,
        deliver: impl FnOnce(SocketAddr, &[u8]),
    ) {
        let received = Transmit::new(packet, TransportType::Udp, peer, self.relay.address);
        let Some(wrapped) = self.machine.recv(received, instant(now)) else {
            return;
        };
        match wrapped.data {
            DelayedMessageOrChannelSend::Channel(channel) => {
                // `write_into` wants exactly the length it writes.
                let Some(exact) = buffer.get_mut(..channel.len()) else {
                    return;
                };
                channel.write_into(exact);
                deliver(self.address, exact);
            }
            // `write_into` of a message (0.7.3) labels it Send, which is the client's; `build` says Data.
            other => deliver(self.address, &other.build()),
        }
    }

    /// Notes that the client wants to talk to these peers. `false`: it has too many already.
    pub(super) fn admit_peers(&mut self, peers: &[SocketAddr], now: Duration) -> bool {
        peers
            .iter()
            .all(|peer| admit(&mut self.peers, peer.ip(), now))
    }

    /// Notes that the client binds a channel to this peer. `false`: it has too many already.
    pub(super) fn admit_channel(&mut self, number: u16, peer: SocketAddr, now: Duration) -> bool {
        admit(&mut self.peers, peer.ip(), now) && admit(&mut self.channels, (number, peer), now)
    }

    /// Whether a channel number is bound to another peer, which the protocol machine (0.7.3) does
    /// not look at.
    pub(super) fn is_bound_elsewhere(&self, number: u16, peer: SocketAddr, now: Duration) -> bool {
        let lives = |renewed: &Duration| now.saturating_sub(*renewed) <= PEER_LIFETIME;
        self.channels
            .iter()
            .any(|((known, to), renewed)| *known == number && *to != peer && lives(renewed))
    }

    /// Lets time pass. `false`: the allocation is over, the client is to be dropped.
    pub(super) fn is_alive(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.opened) > AGE_MAX {
            return false;
        }
        for _ in 0..POLLS_MAX {
            match self.machine.poll(instant(now)) {
                TurnServerPollRet::WaitUntil(_) => return true,
                TurnServerPollRet::SocketClose { .. } => return false,
                _ => {}
            }
        }
        false
    }
}

/// A client's first request on its way through the machine.
struct Opening {
    machine: TurnServer,
    nonce: String,
    listen: SocketAddr,
    address: SocketAddr,
    key: IntegrityKey,
}

impl Opening {
    /// The answer, and the relay if there is one.
    fn run(
        &mut self,
        request: &Message<'_>,
        wire: &mut impl Wire,
        now: Duration,
    ) -> (Option<Vec<u8>>, Option<Relay>) {
        let Some(inner) = stun::sign_again(request, Some(&self.nonce), &self.key, false) else {
            return (None, None);
        };
        let packet = from_client(inner.as_slice(), self.address, self.listen);
        let refused = self
            .machine
            .recv(packet, instant(now))
            .map(|answer| answer.data.build());
        let relay = if refused.is_none() {
            self.allocate(stun::wants_even_port(request), wire, now)
        } else {
            None
        };
        let answer = refused.or_else(|| {
            self.machine
                .poll_transmit(instant(now))
                .map(|answer| answer.data)
        });
        let answer = answer.and_then(|answer| {
            stun::sign_again(
                &Message::from_bytes(&answer).ok()?,
                None,
                &self.key,
                stun::has_fingerprint(request),
            )
        });
        (answer, relay)
    }

    fn allocate(&mut self, even_port: bool, wire: &mut impl Wire, now: Duration) -> Option<Relay> {
        let TurnServerPollRet::AllocateSocket {
            transport,
            listen_addr,
            client_addr,
            allocation_transport,
            family,
        } = self.machine.poll(instant(now))
        else {
            return None;
        };
        let family_fits = (family == AddressFamily::IPV4) == wire.relays_v4();
        let opened = if family_fits {
            wire.open_relay(even_port)
                .ok_or(turn_server_proto::api::SocketAllocateError::InsufficientCapacity)
        } else {
            Err(turn_server_proto::api::SocketAllocateError::AddressFamilyNotSupported)
        };
        let address = opened.map(|relay| relay.address);
        let at = instant(now);
        self.machine.allocated_socket(
            transport,
            listen_addr,
            client_addr,
            allocation_transport,
            family,
            address,
            at,
        );
        opened.ok()
    }
}

/// The nonce the machine answers a bare request with.
fn first_nonce(
    machine: &mut TurnServer,
    client: SocketAddr,
    listen: SocketAddr,
    now: Duration,
) -> Option<String> {
    let bare = stun::bare_allocate();
    let answer = machine.recv(from_client(bare.as_slice(), client, listen), instant(now))?;
    stun::nonce_of(&answer.data.build())
}

fn from_client(packet: &[u8], client: SocketAddr, listen: SocketAddr) -> Transmit<&[u8]> {
    Transmit::new(packet, TransportType::Udp, client, listen)
}

/// Remembers `entry`, or renews it; `false` if there is no room.
fn admit<T: PartialEq>(entries: &mut Vec<(T, Duration)>, entry: T, now: Duration) -> bool {
    if let Some(known) = entries.iter_mut().find(|(known, _)| *known == entry) {
        known.1 = now;
        return true;
    }
    entries.retain(|(_, renewed)| now.saturating_sub(*renewed) <= PEER_LIFETIME);
    if entries.len() >= PEERS_MAX {
        return false;
    }
    entries.push((entry, now));
    true
}

/// The machine's notion of time: nanoseconds since the server's start. 292 years fit.
fn instant(now: Duration) -> Instant {
    Instant::from_nanos(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
}
