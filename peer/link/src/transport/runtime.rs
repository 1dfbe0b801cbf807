//! The runtime that connections run on: tokio, with one correction.
//!
//! The driver of webrtc 0.21.1 empties its TURN client *before* it fills it: what a pass of its
//! loop puts in (the core's packets on the way out, the relay's packets on the way in) moves on
//! only in the next pass, which comes with the next packet or timer: 200 ms later on a quiet link.
//! Measured through coturn: a round trip of 201 ms instead of 0.3 ms.
//!
//! The remedy needs nothing but [`Runtime::sleep`], which the driver calls once in each pass, with
//! the time until its next timer: while packets are relayed, the first [`EXTRA_PASSES`] sleeps
//! after a real one are over at once. On a direct path the extra passes would cost a third of the
//! message rate, so they are made only while [`Relaying`] says so.
//!
//! `tests/turn_defect.rs` fails once the driver no longer needs this.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime,
    TokioRuntime,
};

use super::socket::{self, PathSocket};

/// Passes of the driver's loop after the one that a packet or a timer has caused. A packet that
/// comes in through the relay moves in three: TURN client to core; the core's answer to the TURN
/// client; TURN client to socket.
const EXTRA_PASSES: u8 = 2;

/// Whether packets of a connection go through a TURN client of ours; shared between the link, its
/// runtime and its sockets.
#[derive(Debug, Default)]
pub(crate) struct Relaying {
    on: AtomicBool,
    /// Extra passes made since the last real sleep was handed out.
    passes: AtomicU8,
}

impl Relaying {
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Release);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    fn wants_pass(&self) -> bool {
        if self.is_on() && self.passes.load(Ordering::Acquire) < EXTRA_PASSES {
            return true;
        }
        self.passes.store(0, Ordering::Release);
        false
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// See the module. One per connection.
#[derive(Debug)]
pub(crate) struct PassRuntime {
    tokio: TokioRuntime,
    relaying: Arc<Relaying>,
}

impl PassRuntime {
    pub(crate) fn new(relaying: Arc<Relaying>) -> Self {
        Self {
            tokio: TokioRuntime,
            relaying,
        }
    }
}

impl Runtime for PassRuntime {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if self.relaying.wants_pass() {
            let relaying = Arc::clone(&self.relaying);
            // Counted when it is polled: a sleep that loses against a packet was no pass.
            return Box::pin(async move {
                relaying.passes.fetch_add(1, Ordering::AcqRel);
            });
        }
        self.tokio.sleep(duration)
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        socket::raise_buffers(&socket);
        let inner = self.tokio.wrap_udp_socket(socket)?;
        Ok(Arc::new(PathSocket::new(inner, Arc::clone(&self.relaying))))
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
        let runtime = PassRuntime::new(Arc::default());
        assert!(!is_over_at_once(&runtime));
        assert!(!is_over_at_once(&runtime));
    }

    #[tokio::test]
    async fn while_relaying_each_real_sleep_is_followed_by_the_extra_passes() {
        let relaying = Arc::new(Relaying::default());
        let runtime = PassRuntime::new(Arc::clone(&relaying));
        relaying.set(true);
        for _ in 0..3 {
            for _ in 0..EXTRA_PASSES {
                assert!(is_over_at_once(&runtime));
            }
            assert!(!is_over_at_once(&runtime));
        }
        relaying.set(false);
        assert!(!is_over_at_once(&runtime));
    }

    #[tokio::test]
    async fn a_pass_that_was_never_polled_does_not_count() {
        let relaying = Arc::new(Relaying::default());
        let runtime = PassRuntime::new(Arc::clone(&relaying));
        relaying.set(true);
        for _ in 0..10 {
            drop(runtime.sleep(Duration::from_secs(60)));
        }
        assert!(is_over_at_once(&runtime));
    }
}
