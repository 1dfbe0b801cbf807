//! The UDP sockets of a connection: tokio's, with larger kernel buffers, without segmentation
//! offload while packets are relayed, deaf to strangers ([`super::strangers`]) and with a nudge.
//!
//! The nudge: webrtc 0.21.1 takes at most 256 messages at once out of SCTP and leaves the rest
//! there, where it looks again only when a datagram comes in. A sender that waits for its window
//! sends none, and the messages stay until the next keepalive. Measured on loopback with 200-byte
//! messages: pauses of 200 ms, a third of the rate. So whoever reads many messages asks for a look:
//! the socket then hands out one byte that no protocol begins with, from the multicast DNS port,
//! which ICE (with multicast DNS off) drops without a word. It never goes over a network. What is not
//! to be heard is replaced by it.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::runtime::PathMode;
use super::strangers::Strangers;

/// Asked of the kernel for each direction, bytes. It grants at most `net.core.rmem_max` and
/// `wmem_max` (doubled), which is twice the default on a stock kernel; a burst of packets that does
/// not fit is lost, and SCTP takes a second to notice.
const BUFFER: usize = 4 * 1024 * 1024;

/// RFC 6762, 3.
const MDNS_PORT: u16 = 5353;

/// Outside of every range that RFC 7983 gives to a protocol.
const NUDGE: u8 = 0xff;

/// Asks for larger buffers. What the kernel does not grant costs speed alone.
pub(crate) fn raise_buffers(socket: &std::net::UdpSocket) {
    let socket = socket2::SockRef::from(socket);
    let granted = socket
        .set_recv_buffer_size(BUFFER)
        .and_then(|()| socket.set_send_buffer_size(BUFFER));
    if let Err(error) = granted {
        tracing::debug!(%error, "kernel buffers stay as they are");
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct PathSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    mode: Arc<PathMode>,
}

impl PathSocket {
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>, mode: Arc<PathMode>) -> Self {
        Self { inner, mode }
    }
}

impl PathSocket {
    /// Makes a received datagram one that means nothing.
    fn nudge(&self, buf: &mut [u8], meta: &mut RecvMeta) -> Option<()> {
        let addr = SocketAddr::new(self.inner.local_addr().ok()?.ip(), MDNS_PORT);
        *buf.first_mut()? = NUDGE;
        *meta = RecvMeta::default();
        (meta.addr, meta.len, meta.stride) = (addr, 1, 1);
        Some(())
    }

    fn silence(&self, strangers: &Strangers, bufs: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) {
        let now = Instant::now();
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let datagram = buf.get(..meta.len).unwrap_or_default();
            if strangers.is_too_early(datagram, meta.addr.ip(), now) {
                self.nudge(buf, meta);
            }
        }
    }
}

impl AsyncUdpSocket for PathSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit<'_>) -> Poll<io::Result<usize>> {
        self.inner.poll_send(cx, transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.mode.take_nudge(cx.waker())
            && let (Some(buf), Some(meta)) = (bufs.first_mut(), meta.first_mut())
            && self.nudge(buf, meta).is_some()
        {
            return Poll::Ready(Ok(1));
        }
        let received = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        if let Some(strangers) = self.mode.strangers() {
            self.silence(
                strangers,
                bufs,
                meta.get_mut(..received).unwrap_or_default(),
            );
        }
        Poll::Ready(Ok(received))
    }

    /// A relay has one socket with buffers we do not know: a segmented burst arrives there in no
    /// time and overflows them.
    fn max_gso_segments(&self) -> usize {
        if self.mode.is_relayed() {
            1
        } else {
            self.inner.max_gso_segments()
        }
    }

    fn max_gro_segments(&self) -> usize {
        self.inner.max_gro_segments()
    }
}
