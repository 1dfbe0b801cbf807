//! A WebSocket to a server, with the limits that both ends agree on.

use std::time::Duration;

use tincan_protocol::origin::ServerUrl;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

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
#[error("{0}")]
pub(crate) struct Lost(pub(crate) String);

impl Lost {
    pub(super) fn new(reason: impl std::fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

/// Connects to `endpoint` below a server.
pub(super) async fn connect(
    server: &ServerUrl,
    endpoint: &str,
    max_message: usize,
) -> Result<Socket, Lost> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let url = server.websocket(endpoint);
    let attempt = tokio_tungstenite::connect_async_tls_with_config(url, Some(config), true, None);
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(Lost(format!("{server} cannot be reached: {error}"))),
        Err(_) => Err(Lost(format!("{server} does not answer"))),
    }
}
