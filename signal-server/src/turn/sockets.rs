//! The TURN server's UDP sockets: the main one and one for each allocation.
//!
//! Everything is non-blocking. What the kernel does not take is dropped, as a router would do.

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::wire::{Relay, Wire};

/// Token of the main socket; relays count up from [`FIRST_RELAY`].
pub(super) const MAIN: Token = Token(0);
/// Token of the waker that ends the loop.
pub(super) const STOP: Token = Token(1);
const FIRST_RELAY: usize = 2;

/// Asked of the kernel for each direction, bytes; it grants at most net.core.rmem_max and
/// wmem_max (212,992 by default). A burst of a WebRTC sender is up to 1 MiB.
const BUFFER: usize = 2 * 1024 * 1024;

/// Random ports tried before an allocation is refused. With half of the range taken, 64 tries for
/// an even one (of which half are odd) fail once in a hundred million.
const PORT_TRIES: usize = 64;

/// An address that no host has (TEST-NET-1, RFC 5737).
const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// All sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) main: UdpSocket,
    relays: HashMap<usize, RelaySocket>,
    next_relay: usize,
    registry: Registry,
    /// Address relays are bound to.
    bind: IpAddr,
    /// Address relays are known by.
    public: IpAddr,
    ports: RangeInclusive<u16>,
    /// Whether binding tells own addresses from others: not where `ip_nonlocal_bind` is set.
    binding_tells: bool,
}

#[derive(Debug)]
struct RelaySocket {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Sockets {
    pub(super) fn new(
        mut main: UdpSocket,
        registry: Registry,
        bind: IpAddr,
        public: IpAddr,
        ports: RangeInclusive<u16>,
    ) -> io::Result<Self> {
        registry.register(&mut main, MAIN, Interest::READABLE)?;
        let binding_tells = !can_bind(NOBODYS);
        let (relays, next_relay) = (HashMap::new(), FIRST_RELAY);
        Ok(Self {
            main,
            relays,
            next_relay,
            registry,
            bind,
            public,
            ports,
            binding_tells,
        })
    }

    /// Receives at a relay: length and source, and the relay's address. `None` if it is closed.
    pub(super) fn receive_at(
        &self,
        relay: Token,
        buffer: &mut [u8],
    ) -> Option<(io::Result<(usize, SocketAddr)>, SocketAddr)> {
        let relay = self.relays.get(&relay.0)?;
        Some((relay.socket.recv_from(buffer), relay.address))
    }

    fn bind_relay(&self, even_port: bool) -> Option<UdpSocket> {
        (0..PORT_TRIES).find_map(|_| {
            let port = rand::random_range(self.ports.clone());
            if even_port && port % 2 != 0 {
                return None;
            }
            bind(SocketAddr::new(self.bind, port)).ok()
        })
    }
}

impl Wire for Sockets {
    fn send_to_client(&mut self, client: SocketAddr, packet: &[u8]) {
        let _ = self.main.send_to(packet, client);
    }

    fn send_to_peer(&mut self, relay: usize, peer: SocketAddr, packet: &[u8]) {
        if let Some(relay) = self.relays.get(&relay) {
            let _ = relay.socket.send_to(packet, peer);
        }
    }

    fn open_relay(&mut self, even_port: bool) -> Option<Relay> {
        let mut socket = self.bind_relay(even_port)?;
        let id = self.next_relay;
        self.registry
            .register(&mut socket, Token(id), Interest::READABLE)
            .ok()?;
        let address = SocketAddr::new(self.public, socket.local_addr().ok()?.port());
        self.next_relay += 1;
        self.relays.insert(id, RelaySocket { socket, address });
        Some(Relay { id, address })
    }

    fn close_relay(&mut self, relay: usize) {
        if let Some(mut relay) = self.relays.remove(&relay) {
            let _ = self.registry.deregister(&mut relay.socket);
        }
    }

    fn relays_v4(&self) -> bool {
        self.public.is_ipv4()
    }

    fn is_own_address(&self, ip: IpAddr) -> bool {
        self.binding_tells && can_bind(ip)
    }
}

/// A non-blocking UDP socket with large buffers. IPv6 sockets take no IPv4: clients would appear
/// under IPv4-mapped addresses.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

/// The kernel binds sockets to this host's addresses only, so it knows them all, at any time.
fn can_bind(ip: IpAddr) -> bool {
    std::net::UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}
