//! The TURN server's thread: sockets and clock around [`Core`].
//!
//! One thread waits for all sockets and owns all state, so nothing is locked and a packet between
//! two relays never leaves the thread. It ends when the handle says so.

use mio::{Events, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::core::{Core, CoreConfig};
use super::sockets::{MAIN, STOP, Sockets, bind};
use super::{EmbeddedTurn, TurnError};
use crate::clock::Clock;
use crate::credentials::TurnSecret;

/// Packets read from one socket before the others get their turn.
const BATCH: usize = 64;

/// How often clients are asked whether they are over, and so how late an expired allocation may end.
const TICK: Duration = Duration::from_secs(1);

/// Events taken from the kernel at a time.
const EVENTS: usize = 256;

/// A running TURN server. Dropping the handle ends it without waiting.
#[derive(Debug)]
pub(crate) struct Turn {
    public: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Turn {
    /// Binds and starts.
    pub(crate) fn start(
        config: &EmbeddedTurn,
        secret: TurnSecret,
        clock: Clock,
    ) -> Result<Self, TurnError> {
        let public_ip = public_ip(config)?;
        if public_ip.is_ipv4() != config.listen.is_ipv4() {
            return Err(TurnError::Family {
                public: public_ip,
                listen: config.listen,
            });
        }
        let main = bind(config.listen).map_err(|source| TurnError::Bind {
            address: config.listen,
            source,
        })?;
        let listen = main.local_addr().map_err(TurnError::Io)?;
        let public = SocketAddr::new(public_ip, listen.port());
        let poll = Poll::new().map_err(TurnError::Io)?;
        let waker = Arc::new(Waker::new(poll.registry(), STOP).map_err(TurnError::Io)?);
        let registry = poll.registry().try_clone().map_err(TurnError::Io)?;
        let bind_ip = config.listen.ip();
        let sockets = Sockets::new(
            main,
            registry,
            bind_ip,
            public_ip,
            config.relay_ports.clone(),
        )
        .map_err(TurnError::Io)?;
        let core = Core::new(CoreConfig {
            listen,
            own: vec![public_ip, bind_ip],
            secret,
            allow_loopback: config.allow_loopback,
            allocations_per_user: config.allocations_per_user,
            allocations: config.allocations,
            nonce_key: rand::random(),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let shell = Shell {
            core,
            sockets,
            clock,
            poll,
            stop: stop.clone(),
            ready: VecDeque::new(),
        };
        let thread = std::thread::Builder::new()
            .name("turn".to_owned())
            .spawn(move || shell.run());
        Ok(Self {
            public,
            stop,
            waker,
            thread: Some(thread.map_err(TurnError::Io)?),
        })
    }

    /// Where clients reach it.
    pub(crate) fn public_addr(&self) -> SocketAddr {
        self.public
    }

    /// Ends the thread and waits for it; blocks for a packet's time.
    pub(crate) fn stop(mut self) {
        self.signal_stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn signal_stop(&self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.signal_stop();
    }
}

struct Shell {
    core: Core,
    sockets: Sockets,
    clock: Clock,
    poll: Poll,
    stop: Arc<AtomicBool>,
    /// Sockets that may have more to read. The kernel tells once, when something arrives.
    ready: VecDeque<Token>,
}

impl Shell {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut buffer = vec![0; 65_536];
        let mut next_tick = Instant::now() + TICK;
        while !self.stop.load(Ordering::Acquire) {
            if let Err(error) = self.poll.poll(&mut events, self.patience(next_tick))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "TURN stops: waiting for packets failed");
                return;
            }
            for event in &events {
                if !self.ready.contains(&event.token()) {
                    self.ready.push_back(event.token());
                }
            }
            for _ in 0..self.ready.len() {
                self.read_one(&mut buffer);
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.core
                    .handle_timeout(&mut self.sockets, self.clock.now());
            }
        }
    }

    /// How long the kernel may let us sleep.
    fn patience(&self, next_tick: Instant) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        (!self.core.is_idle()).then(|| next_tick.saturating_duration_since(Instant::now()))
    }

    /// Gives the first socket in line its turn, and a place at the end if it is not empty yet.
    fn read_one(&mut self, buffer: &mut [u8]) {
        let Some(token) = self.ready.pop_front() else {
            return;
        };
        let now = self.clock.now();
        for _ in 0..BATCH {
            let received = match token {
                STOP => return,
                MAIN => self.sockets.main.recv_from(buffer).map(|(len, from)| {
                    self.core
                        .handle_client(from, &buffer[..len], &mut self.sockets, now);
                }),
                relay => {
                    let Some((received, relayed)) = self.sockets.receive_at(relay, buffer) else {
                        return;
                    };
                    received.map(|(len, from)| {
                        self.core.handle_peer(
                            relayed,
                            from,
                            &buffer[..len],
                            &mut self.sockets,
                            now,
                        );
                    })
                }
            };
            // Other errors are of earlier packets (an unreachable peer): the next one may be fine.
            if received.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                return;
            }
        }
        self.ready.push_back(token);
    }
}

/// The address clients and peers reach relays at.
fn public_ip(config: &EmbeddedTurn) -> Result<IpAddr, TurnError> {
    let listen = config.listen.ip();
    match config.public_ip {
        Some(ip) => Ok(ip),
        None if !listen.is_unspecified() => Ok(listen),
        None => outgoing_ip(listen).ok_or(TurnError::NoPublicIp),
    }
}

/// The address this host uses towards the Internet. Connecting a UDP socket sends nothing.
fn outgoing_ip(unspecified: IpAddr) -> Option<IpAddr> {
    // A root name server, so an address that is routed wherever the Internet is.
    let far = if unspecified.is_ipv4() {
        "198.41.0.4:53"
    } else {
        "[2001:503:ba3e::2:30]:53"
    };
    let socket = UdpSocket::bind(SocketAddr::new(unspecified, 0)).ok()?;
    socket.connect(far.parse::<SocketAddr>().ok()?).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
