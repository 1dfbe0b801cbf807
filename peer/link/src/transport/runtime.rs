//! The runtime that connections run on: tokio, with one correction.
//!
//! The driver of webrtc 0.21.1 moves packets between its parts in a fixed order, once in each pass
//! of its loop, and then sleeps until the next packet or timer. What a later part makes for an
//! earlier one waits for that, 200 ms on a quiet link:
//!
//! - It empties its TURN client *before* it fills it. Measured through coturn: a round trip of
//!   201 ms instead of 0.3 ms.
//! - It sends *before* it handles events, and some steps of connecting are answers to events (the
//!   first packet of DTLS, that of SCTP, the opening of the channel). Measured on loopback: a link
//!   is up after 0.5 s instead of 0.06 s.
//!
//! The remedy needs nothing but [`Runtime::sleep`], which the driver calls once in each pass, with
//! the time until its next timer: while [`PathMode`] asks for it, the first [`EXTRA_PASSES`] sleeps
//! after a real one are over at once. On a direct path that carries messages the extra passes would
//! cost a third of the message rate, so they end there with the connecting.
//!
//! `tests/turn_defect.rs` fails once the driver no longer needs this.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime,
    TokioRuntime,
};

use super::socket::{self, PathSocket};
use super::strangers::Strangers;

/// Passes of the driver's loop after the one that a packet or a timer has caused. The longest way
/// takes four: a packet from the TURN client to the core; the event that it causes; the packet that
/// the event causes, to the TURN client; and from there to the socket. Measured through coturn:
/// with two extra ones a link is up after 510 ms, with three after 60 ms.
const EXTRA_PASSES: u8 = 3;

/// How a connection's packets travel, and what its driver is asked for; shared between the connection, its runtime and its sockets.
#[derive(Debug)]
pub(crate) struct PathMode {
    extra_passes: AtomicBool,
    relayed: AtomicBool,
    /// Extra passes made since the last real sleep was handed out.
    made: AtomicU8,
    nudged: AtomicBool,
    receiver: AtomicWaker,
    connecting: AtomicBool,
    strangers: Strangers,
}

impl PathMode {
    /// While connecting, any path is possible.
    pub(crate) fn connecting() -> Self {
        Self {
            extra_passes: AtomicBool::new(true),
            relayed: AtomicBool::new(true),
            made: AtomicU8::new(0),
            nudged: AtomicBool::new(false),
            receiver: AtomicWaker::new(),
            connecting: AtomicBool::new(true),
            strangers: Strangers::default(),
        }
    }

    /// The path is known: through a TURN client of ours, or through a relay of either side.
    pub(crate) fn settle(&self, own_relay: bool, any_relay: bool) {
        self.extra_passes.store(own_relay, Ordering::Release);
        self.relayed.store(any_relay, Ordering::Release);
        self.connecting.store(false, Ordering::Release);
    }

    /// Who is not heard yet; `None` once there is a path.
    pub(super) fn strangers(&self) -> Option<&Strangers> {
        let connecting = self.connecting.load(Ordering::Acquire);
        connecting.then_some(&self.strangers)
    }

    /// From here on all sleeps are real.
    pub(crate) fn end_passes(&self) {
        self.extra_passes.store(false, Ordering::Release);
    }

    /// Whether packets pass a relay.
    pub(crate) fn is_relayed(&self) -> bool {
        self.relayed.load(Ordering::Acquire)
    }

    /// Has a socket hand the driver a datagram that means nothing, see [`super::socket`].
    pub(crate) fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.receiver.wake();
    }

    /// Whether the socket that is polled owes such a datagram; if not, the next nudge wakes it.
    pub(super) fn take_nudge(&self, waker: &Waker) -> bool {
        self.receiver.register(waker);
        self.nudged.swap(false, Ordering::AcqRel)
    }

    fn wants_pass(&self) -> bool {
        let wants = self.extra_passes.load(Ordering::Acquire);
        if wants && self.made.load(Ordering::Acquire) < EXTRA_PASSES {
            return true;
        }
        self.made.store(0, Ordering::Release);
        false
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// See the module. One per connection.
#[derive(Debug)]
pub(crate) struct PassRuntime {
    tokio: TokioRuntime,
    mode: Arc<PathMode>,
}

impl PassRuntime {
    pub(crate) fn new(mode: Arc<PathMode>) -> Self {
        Self {
            tokio: TokioRuntime,
            mode,
        }
    }
}

impl Runtime for PassRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if self.mode.wants_pass() {
            let mode = Arc::clone(&self.mode);
            // Counted when it is polled: a sleep that loses against a packet was no pass.
            return Box::pin(async move {
                mode.made.fetch_add(1, Ordering::AcqRel);
            });
        }
        self.tokio.sleep(duration)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        socket::raise_buffers(&socket);
        let inner = self.tokio.wrap_udp_socket(socket)?;
        Ok(Arc::new(PathSocket::new(inner, Arc::clone(&self.mode))))
    }

    fn spawn(&self, future: BoxFuture<'static, ()>) -> Box<dyn JoinHandle> {
        self.tokio.spawn(future)
    }

    fn wrap_tcp_listener(
        &self,
        listener: std::net::TcpListener,
    ) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.tokio.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> BoxFuture<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.tokio.connect_tcp(remote)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.tokio.resolve_host(host)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.tokio.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.tokio.block_on(future);
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        self.tokio.yield_now()
    }

    fn name(&self) -> &'static str {
        "tokio with extra passes"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn is_over_at_once(runtime: &PassRuntime) -> bool {
        runtime
            .sleep(Duration::from_secs(60))
            .now_or_never()
            .is_some()
    }

    #[tokio::test]
    async fn sleeps_are_real_on_a_direct_path() {
        let mode = Arc::new(PathMode::connecting());
        mode.settle(false, false);
        let runtime = PassRuntime::new(mode);
        assert!(!is_over_at_once(&runtime));
        assert!(!is_over_at_once(&runtime));
    }

    #[tokio::test]
    async fn each_real_sleep_is_followed_by_the_extra_passes_until_they_end() {
        let mode = Arc::new(PathMode::connecting());
        let runtime = PassRuntime::new(Arc::clone(&mode));
        for _ in 0..3 {
            for _ in 0..EXTRA_PASSES {
                assert!(is_over_at_once(&runtime));
            }
            assert!(!is_over_at_once(&runtime));
        }
        mode.end_passes();
        assert!(!is_over_at_once(&runtime));
    }

    #[tokio::test]
    async fn a_pass_that_was_never_polled_does_not_count() {
        let runtime = PassRuntime::new(Arc::new(PathMode::connecting()));
        for _ in 0..10 {
            drop(runtime.sleep(Duration::from_secs(60)));
        }
        assert!(is_over_at_once(&runtime));
    }
}
