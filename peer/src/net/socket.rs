//! A WebSocket to a server, with the limits that both ends agree on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tincan_protocol::limits::RELAY_MESSAGE_MAX;
use tincan_protocol::origin::ServerUrl;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::counted::Counted;
use super::handle::Dial;
use super::server_address;

/// A server that does not answer within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Nothing heard for this long: a ping goes out.
pub const PING_AFTER: Duration = Duration::from_secs(15);

/// And this long without anything after it: the connection is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(30);

/// tungstenite's default read buffer is 128 KiB per connection, which an idle program need not hold.
const READ_BUFFER: usize = 16 * 1024;

/// Bytes gathered before they are written to the socket. Chosen: a few packets.
const WRITE_BUFFER: usize = 16 * 1024;

/// Largest unsent bytes of a connection: a frame that waits, and one that does not fit in any more. Without it a
/// server that sends pings and reads nothing fills the memory with the answers.
const WRITE_BUFFER_MAX: usize = 2 * RELAY_MESSAGE_MAX + WRITE_BUFFER;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<Counted>>;

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
    /// Bytes that have come in.
    pub(super) incoming: Arc<AtomicU64>,
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
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let url = server.websocket(endpoint);
    let (stream, incoming) = Counted::new(stream);
    let opened = client_async_tls_with_config(url, stream, Some(config), None).await;
    let (socket, _) = opened.map_err(|error| unreachable(&error))?;
    Ok(Connected {
        socket,
        own,
        incoming,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    /// Memory of this process, bytes.
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// Sends pings for as long as they are taken, and reads nothing.
    async fn ping(listener: TcpListener) {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        // As large as a ping may be.
        let ping = [&[0x89, 125][..], &[7; 125]].concat();
        let pings = ping.repeat(1_000);
        for _ in 0..2_000 {
            let written = socket.get_mut().write_all(&pings);
            let written = tokio::time::timeout(Duration::from_secs(1), written).await;
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
    }

    /// The answers waited in memory for a server that did not read them: 2 GB in 14 s, and it may be the one that
    /// a stranger's invite names.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn regression_a_server_that_sends_pings_and_reads_nothing_does_not_fill_the_memory() {
        const ROOM: usize = 48 * 1024 * 1024;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server: ServerUrl = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let pinging = tokio::spawn(ping(listener));
        let dial = Dial {
            own: [server.clone()].into(),
            server,
        };
        let connected = connect(&dial, "relay", RELAY_MESSAGE_MAX).await;
        let Ok(Connected { mut socket, .. }) = connected else {
            panic!("not connected");
        };
        let before = resident();
        while let Some(Ok(_)) = socket.next().await {}
        pinging.await.unwrap();
        let grown = resident().saturating_sub(before);
        assert!(grown < ROOM, "{grown} bytes more");
    }
}
