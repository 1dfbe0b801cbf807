//! A WebSocket to a server, with the limits that both ends agree on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tincan_protocol::origin::ServerUrl;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::handle::Dial;
use super::server_address;

/// A server that does not answer within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Nothing heard for this long: a ping goes out.
pub(super) const PING_AFTER: Duration = Duration::from_secs(15);

/// And this long without anything after it: the connection is dead.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(30);

/// tungstenite's default read buffer is 128 KiB per connection, which an idle program need not hold.
const READ_BUFFER: usize = 16 * 1024;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection could not be made or was lost, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// For people.
    #[error("{0}")]
    Connection(String),
    /// Somebody else's server where only own ones may be; see `net/server_address.rs`.
    #[error(
        "{server} is not dialed: its address {ip} is {range}, which others could use to reach into your network; ask its owner for a server on the Internet"
    )]
    Special {
        /// Which.
        server: ServerUrl,
        /// Its address.
        ip: IpAddr,
        /// What is special about it.
        range: &'static str,
    },
}

impl Lost {
    /// For any reason.
    pub fn new(reason: impl std::fmt::Display) -> Self {
        Self::Connection(reason.to_string())
    }
}

/// A connection, and this end's address.
pub(super) struct Connected {
    pub(super) socket: Socket,
    pub(super) own: SocketAddr,
}

/// Connects to `endpoint` below a server.
pub(super) async fn connect(
    dial: &Dial,
    endpoint: &str,
    max_message: usize,
) -> Result<Connected, Lost> {
    let server = &dial.server;
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt(dial, endpoint, max_message)).await {
        Ok(result) => result,
        Err(_) => Err(Lost::new(format_args!("{server} does not answer"))),
    }
}

/// Dials addresses, and says the name only in `Host` and to TLS.
async fn attempt(dial: &Dial, endpoint: &str, max_message: usize) -> Result<Connected, Lost> {
    let server = &dial.server;
    let unreachable = |error: &dyn std::fmt::Display| {
        Lost::new(format_args!("{server} cannot be reached: {error}"))
    };
    let addresses = server_address::addresses_of(server, &dial.own).await?;
    let stream = TcpStream::connect(addresses.as_slice()).await;
    let stream = stream.map_err(|error| unreachable(&error))?;
    // Small frames must not wait for company.
    stream
        .set_nodelay(true)
        .map_err(|error| unreachable(&error))?;
    let own = stream.local_addr().map_err(|error| unreachable(&error))?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let url = server.websocket(endpoint);
    let opened = client_async_tls_with_config(url, stream, Some(config), None).await;
    let (socket, _) = opened.map_err(|error| unreachable(&error))?;
    Ok(Connected { socket, own })
}
