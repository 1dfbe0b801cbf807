//! The TURN server's door and its map of clients: packets in, packets out, no I/O and no clock.
//!
//! Every packet from a client comes through [`Core::handle_client`], every packet from a peer
//! through [`Core::handle_peer`]. The door authenticates (stateless nonces, time-limited
//! credentials), keeps the quotas, checks every peer, and only then lets a [`Client`]'s protocol
//! machine see a request.
//!
//! Invariants: nothing is remembered about a source that has not proved credentials, except in
//! tables of fixed size; `relays` and `clients` name each other; no packet goes to or comes from a
//! peer that [`peer_filter`](super::peer_filter) forbids; a relayed address of this server is
//! reached without leaving the process.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, SEND};
use turn_server_proto::types::stun::attribute::ErrorCode;
use turn_server_proto::types::stun::message::{
    BINDING, IntegrityKey, Message, MessageClass, MessageHeader,
};

use super::answer_limit::AnswerLimit;
use super::client::{Applicant, Client};
use super::nonce::Nonces;
use super::peer_filter::{self, Host};
use super::quota::{Full, Quota};
use super::stun::{self, Authentication};
use super::wire::Wire;
use crate::clock::Now;
use crate::credentials::{self, TurnSecret};

/// REALM of the long-term credentials. Part of every key, so it must be the same at a coturn that
/// serves the same credentials.
pub const REALM: &str = "tincan";

/// Longest datagram (UDP over IPv4 or IPv6, without jumbograms) and the ChannelData header.
const WRAPPED_MAX: usize = 65_536 + 4;

/// What a TURN server is told.
#[derive(Debug)]
pub(super) struct CoreConfig {
    /// The address clients send to.
    pub(super) listen: SocketAddr,
    /// Addresses of this host that relays have, as others see them.
    pub(super) own: Vec<IpAddr>,
    pub(super) secret: TurnSecret,
    pub(super) allow_loopback: bool,
    pub(super) allocations_per_user: u32,
    pub(super) allocations: usize,
    /// Random.
    pub(super) nonce_key: [u8; 32],
}

/// The whole server but for its sockets.
#[derive(Debug)]
pub(super) struct Core {
    config: CoreConfig,
    clients: HashMap<SocketAddr, Client>,
    /// Relayed address -> client.
    relays: HashMap<SocketAddr, SocketAddr>,
    nonces: Nonces,
    quota: Quota,
    answers: AnswerLimit,
    wrapped: Box<[u8]>,
}

/// An authenticated sender.
struct User {
    username: String,
    user: String,
    password: String,
    key: IntegrityKey,
}

/// Why a request goes no further.
enum Refused {
    /// 401 or 438 with realm and nonce.
    Challenge(u16),
    /// An error that does not need a user.
    Plain(u16),
}

impl Core {
    pub(super) fn new(config: CoreConfig) -> Self {
        Self {
            clients: HashMap::new(),
            relays: HashMap::new(),
            nonces: Nonces::new(config.nonce_key),
            quota: Quota::new(config.allocations_per_user, config.allocations),
            answers: AnswerLimit::new(),
            wrapped: vec![0; WRAPPED_MAX].into_boxed_slice(),
            config,
        }
    }

    /// A packet that reached the server's main address.
    pub(super) fn handle_client(
        &mut self,
        from: SocketAddr,
        packet: &[u8],
        wire: &mut impl Wire,
        now: Now,
    ) {
        match packet.first() {
            // The first two bits tell them apart (RFC 8656, 12.4).
            Some(0x00..=0x3f) => self.handle_stun(from, packet, wire, now),
            Some(0x40..=0x7f) => self.forward(from, packet, wire, now.since_start),
            _ => {}
        }
    }

    /// A packet that reached a relay.
    pub(super) fn handle_peer(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        packet: &[u8],
        wire: &mut impl Wire,
        now: Now,
    ) {
        // Packets between relays do not come this way, so this is another program on this host.
        if self.is_own(peer.ip()) {
            return;
        }
        self.backward(relayed, peer, packet, wire, now.since_start);
    }

    /// Drops the clients whose allocation is over.
    pub(super) fn handle_timeout(&mut self, wire: &mut impl Wire, now: Now) {
        let over = self.clients.iter_mut().filter_map(|(address, client)| {
            (!client.is_alive(now.since_start)).then_some(*address)
        });
        let over: Vec<SocketAddr> = over.collect();
        over.into_iter()
            .for_each(|address| self.drop_client(address, wire));
    }

    /// Whether there is anything that time can change.
    pub(super) fn is_idle(&self) -> bool {
        self.clients.is_empty()
    }

    fn handle_stun(&mut self, from: SocketAddr, packet: &[u8], wire: &mut impl Wire, now: Now) {
        // A datagram holds one message and nothing else; the parser would look behind its end.
        let len = packet
            .get(2..4)
            .map_or(0, |len| usize::from(u16::from_be_bytes([len[0], len[1]])));
        if packet.len() != len + MessageHeader::LENGTH {
            return;
        }
        let Ok(message) = Message::from_bytes(packet) else {
            return;
        };
        match (message.class(), message.method()) {
            (MessageClass::Request, BINDING) => self.handle_binding(from, &message, wire, now),
            (MessageClass::Request, _) => self.handle_request(from, &message, wire, now),
            (MessageClass::Indication, SEND) => {
                let peers = stun::peer_addresses(&message).unwrap_or_default();
                if !peers.is_empty()
                    && peers
                        .iter()
                        .all(|peer| self.forbidden(*peer, wire).is_none())
                {
                    self.forward(from, packet, wire, now.since_start);
                }
            }
            _ => {}
        }
    }

    fn handle_binding(
        &mut self,
        from: SocketAddr,
        request: &Message<'_>,
        wire: &mut impl Wire,
        now: Now,
    ) {
        if self.answers.allows(from, now.since_start) {
            send(wire, from, stun::binding_answer(request, from));
        }
    }

    fn handle_request(
        &mut self,
        from: SocketAddr,
        request: &Message<'_>,
        wire: &mut impl Wire,
        now: Now,
    ) {
        match self.authenticate(from, request, now) {
            Ok(user) => self.handle_authenticated(from, user, request, wire, now),
            Err(refused) => {
                if !self.answers.allows(from, now.since_start) {
                    return;
                }
                send(
                    wire,
                    from,
                    match refused {
                        Refused::Plain(code) => stun::refusal(request, code, None),
                        Refused::Challenge(code) => stun::challenge(
                            request,
                            code,
                            REALM,
                            &self.nonces.issue(from, now.since_start),
                        ),
                    },
                );
            }
        }
    }

    /// RFC 8489, 9.2.4, in its order, with the credentials' expiry as part of "the username is valid".
    fn authenticate(
        &self,
        from: SocketAddr,
        request: &Message<'_>,
        now: Now,
    ) -> Result<User, Refused> {
        let claim = match stun::authentication(request) {
            Authentication::None => return Err(Refused::Challenge(ErrorCode::UNAUTHORIZED)),
            Authentication::Incomplete => return Err(Refused::Plain(ErrorCode::BAD_REQUEST)),
            Authentication::Claimed(claim) => claim,
        };
        if !self.nonces.is_fresh(&claim.nonce, from, now.since_start) {
            return Err(Refused::Challenge(ErrorCode::STALE_NONCE));
        }
        let username = claim.username;
        // An allocation may be refreshed after its credentials expired: a live link cannot get new ones.
        let known = self
            .clients
            .get(&from)
            .filter(|client| client.username == username);
        let user = match known {
            Some(client) => client.user.clone(),
            None => match credentials::user_of(&username, now.unix_s) {
                Ok(user) => user.to_owned(),
                Err(_) => return Err(Refused::Challenge(ErrorCode::UNAUTHORIZED)),
            },
        };
        let password = self.config.secret.password(&username);
        let key = match known {
            Some(client) => client.key.clone(),
            None => stun::long_term_key(&username, REALM, password.clone()),
        };
        if claim.realm != REALM || !stun::is_signed_with(request, &key) {
            return Err(Refused::Challenge(ErrorCode::UNAUTHORIZED));
        }
        Ok(User {
            username,
            user,
            password,
            key,
        })
    }

    fn handle_authenticated(
        &mut self,
        from: SocketAddr,
        user: User,
        request: &Message<'_>,
        wire: &mut impl Wire,
        now: Now,
    ) {
        let key = user.key.clone();
        let answer = if !stun::is_turn_request(request.method()) {
            Err(ErrorCode::BAD_REQUEST)
        } else if request.has_method(ALLOCATE) {
            self.allocate(from, user, request, wire, now.since_start)
        } else {
            self.change(from, &user, request, wire, now.since_start)
        };
        send(
            wire,
            from,
            answer.unwrap_or_else(|code| stun::refusal(request, code, Some(&key))),
        );
    }

    /// Answers an Allocate request, or says with which error.
    fn allocate(
        &mut self,
        from: SocketAddr,
        user: User,
        request: &Message<'_>,
        wire: &mut impl Wire,
        now: Duration,
    ) -> Result<Option<Vec<u8>>, u16> {
        if let Some(client) = self.clients.get(&from) {
            let again = client
                .answer_again(request)
                .filter(|_| client.username == user.username);
            return again
                .map(|answer| Some(answer.to_vec()))
                .ok_or(ErrorCode::ALLOCATION_MISMATCH);
        }
        // Pairs of ports were for RTP and RTCP apart, which no WebRTC client asks for.
        if stun::reserves_port(request) {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        self.quota.take(&user.user).map_err(|full| match full {
            Full::User => ErrorCode::ALLOCATION_QUOTA_REACHED,
            Full::Server => ErrorCode::INSUFFICIENT_CAPACITY,
        })?;
        let User {
            username,
            user,
            password,
            key,
        } = user;
        let applicant = Applicant {
            address: from,
            username,
            user: user.clone(),
            password,
            key,
        };
        let (answer, client) =
            Client::open(applicant, request, self.config.listen, REALM, wire, now);
        match client {
            Some(client) => {
                self.relays.insert(client.relay.address, from);
                self.clients.insert(from, client);
            }
            None => self.quota.give_back(&user),
        }
        Ok(answer)
    }

    /// Answers a Refresh, CreatePermission or ChannelBind request, or says with which error.
    fn change(
        &mut self,
        from: SocketAddr,
        user: &User,
        request: &Message<'_>,
        wire: &mut impl Wire,
        now: Duration,
    ) -> Result<Option<Vec<u8>>, u16> {
        let peers = stun::peer_addresses(request).ok_or(ErrorCode::BAD_REQUEST)?;
        if peers
            .iter()
            .any(|peer| self.forbidden(*peer, wire).is_some())
        {
            return Err(ErrorCode::FORBIDDEN);
        }
        let client = self
            .clients
            .get_mut(&from)
            .ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if client.username != user.username {
            return Err(ErrorCode::WRONG_CREDENTIALS);
        }
        let admitted = match (
            request.method(),
            peers.as_slice(),
            stun::channel_number(request),
        ) {
            (CREATE_PERMISSION, peers, _) => client.admit_peers(peers, now),
            (CHANNEL_BIND, [peer], Some(number))
                if !client.is_bound_elsewhere(number, *peer, now) =>
            {
                client.admit_channel(number, *peer, now)
            }
            (CHANNEL_BIND, ..) => return Err(ErrorCode::BAD_REQUEST),
            _ => true,
        };
        if !admitted {
            return Err(ErrorCode::INSUFFICIENT_CAPACITY);
        }
        let answer = client.request(request, now);
        if !client.is_alive(now) {
            self.drop_client(from, wire);
        }
        Ok(answer)
    }

    /// ChannelData or a checked Send indication, to a peer.
    fn forward(&mut self, from: SocketAddr, packet: &[u8], wire: &mut impl Wire, now: Duration) {
        let Some(client) = self.clients.get_mut(&from) else {
            return;
        };
        let relay = client.relay;
        let Some((peer, payload)) = client.forward(packet, now) else {
            return;
        };
        if self.relays.contains_key(&peer) {
            self.backward(peer, relay.address, payload, wire, now);
        } else if !self.is_own(peer.ip()) {
            wire.send_to_peer(relay.id, peer, payload);
        }
    }

    /// A packet that a peer sent to a relayed address, to the client.
    fn backward(
        &mut self,
        relayed: SocketAddr,
        peer: SocketAddr,
        packet: &[u8],
        wire: &mut impl Wire,
        now: Duration,
    ) {
        let Some(client) = self
            .relays
            .get(&relayed)
            .and_then(|client| self.clients.get_mut(client))
        else {
            return;
        };
        client.backward(peer, packet, &mut self.wrapped, now, |client, packet| {
            wire.send_to_client(client, packet)
        });
    }

    /// Whether an address is one of the relays' own, where only live relays may be reached. The
    /// port may have been a relay's when the permission was given and another program's by now.
    fn is_own(&self, ip: IpAddr) -> bool {
        self.config.own.contains(&ip)
            && !(self.config.allow_loopback && peer_filter::is_plain_loopback(ip))
    }

    fn forbidden(&self, peer: SocketAddr, wire: &impl Wire) -> Option<&'static str> {
        peer_filter::forbidden(
            peer,
            self.config.allow_loopback,
            &ThisHost { core: self, wire },
        )
    }

    fn drop_client(&mut self, address: SocketAddr, wire: &mut impl Wire) {
        let Some(client) = self.clients.remove(&address) else {
            return;
        };
        self.relays.remove(&client.relay.address);
        self.quota.give_back(&client.user);
        wire.close_relay(client.relay.id);
    }
}

struct ThisHost<'a, W> {
    core: &'a Core,
    wire: &'a W,
}

impl<W: Wire> Host for ThisHost<'_, W> {
    fn is_live_relay(&self, address: SocketAddr) -> bool {
        self.core.relays.contains_key(&address)
    }

    fn is_own_address(&self, ip: IpAddr) -> bool {
        self.core.config.own.contains(&ip) || self.wire.is_own_address(ip)
    }
}

fn send(wire: &mut impl Wire, client: SocketAddr, packet: Option<Vec<u8>>) {
    if let Some(packet) = packet {
        wire.send_to_client(client, &packet);
    }
}
