//! One end of a conversation with a server: what to say next, without socket and clock.
//!
//! A client outlives its connections: it keeps what should hold at the server, and says it again on
//! the next one. Times are since the connection began. Whoever has a socket runs it
//! ([`super::reconnect`]), and so does the simulated world.

use std::time::Duration;

use bytes::Bytes;

use super::socket::Lost;
use crate::driver::Input;

/// A server that has not said its first word, or not answered, for so long is dialed anew. Chosen: far above
/// a sync of its disk, so that nothing waits for ever where only its connection works.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A message of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// JSON.
    Text(String),
    /// Protobuf.
    Binary(Bytes),
}

impl Frame {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a client wants done, in this order.
#[derive(Debug)]
pub enum ClientOutput {
    /// Send it to the server.
    Send(Frame),
    /// Hand it to the driver.
    Tell(Input),
}

/// See the module.
pub trait Client: Send {
    /// What the driver wants of the server.
    type Command: Send;

    /// The path below the server's URL.
    const ENDPOINT: &'static str;
    /// The longest message that either end may send, bytes.
    const MESSAGE_MAX: usize;
    /// Commands that may wait for the connection.
    const COMMANDS: usize;

    /// There is a connection.
    fn handle_connected(&mut self);

    /// Commands have to wait while it is false: the server has not said its first word.
    fn takes_commands(&self) -> bool;

    /// Also without a connection.
    ///
    /// # Errors
    /// The connection is of no use any more.
    fn handle_command(&mut self, command: Self::Command, now: Duration) -> Result<(), Lost>;

    /// The server said something.
    ///
    /// # Errors
    /// The connection is of no use any more.
    fn handle_frame(&mut self, frame: Frame, now: Duration) -> Result<(), Lost>;

    /// Called now and then, and at [`Client::poll_timeout`].
    ///
    /// # Errors
    /// The connection is of no use any more.
    fn handle_timeout(&mut self, now: Duration) -> Result<(), Lost>;

    /// The connection is over, or there was none.
    fn handle_lost(&mut self, lost: Lost);

    /// When it wants to be called.
    #[must_use]
    fn poll_timeout(&self) -> Option<Duration>;

    /// The next thing to do.
    #[must_use]
    fn poll_output(&mut self) -> Option<ClientOutput>;
}
