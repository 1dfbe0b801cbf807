//! Both ends of an accepted TCP connection, for handlers.
//!
//! Serve a router with `into_make_service_with_connect_info::<ConnectionAddrs>()` and extract
//! `ConnectInfo<ConnectionAddrs>`. The addresses serve decisions only (which origin fits, which
//! interface a client came in by); nothing here writes them to a log or a store.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

/// Both ends of an accepted TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionAddrs {
    /// The address the client reached: with a listener on `0.0.0.0` the interface's own one.
    pub local: SocketAddr,
    /// Where the connection comes from: the client, or a proxy before us.
    pub peer: SocketAddr,
}

impl Connected<IncomingStream<'_, TcpListener>> for ConnectionAddrs {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        // Fails only for a socket that is already gone. Port 0 fits no `Host` header, so such a
        // connection gets no further than that.
        let local = stream.io().local_addr();
        let local = local.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Self {
            local,
            peer: *stream.remote_addr(),
        }
    }
}
