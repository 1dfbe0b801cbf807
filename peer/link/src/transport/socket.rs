//! The UDP sockets of a connection: tokio's, with larger kernel buffers, and without segmentation
//! offload while packets are relayed.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use webrtc::runtime::{AsyncUdpSocket, RecvMeta, Transmit};

use super::runtime::PathMode;

/// Asked of the kernel for each direction, bytes. It grants at most `net.core.rmem_max` and
/// `wmem_max` (doubled), which is twice the default on a stock kernel; a burst of packets that does
/// not fit is lost, and SCTP takes a second to notice.
const BUFFER: usize = 4 * 1024 * 1024;

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
        self.inner.poll_recv(cx, bufs, meta)
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
