//! The driver's end of a connection.

use std::fmt;
use std::sync::Arc;

use tincan_protocol::origin::ServerUrl;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::client::Client;
use super::reconnect::keep_connected;
use crate::driver::{InputSender, Outlet};

/// A server to be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Which.
    pub server: ServerUrl,
    /// The profile's own servers: only others have to be on the public Internet.
    pub own: Arc<[ServerUrl]>,
}

/// Ends the connection when dropped.
pub(super) struct ServerHandle<C> {
    commands: mpsc::Sender<C>,
    task: AbortHandle,
}

impl<C: Send + fmt::Debug + 'static> ServerHandle<C> {
    pub(super) fn spawn<S: Client<Command = C> + 'static>(
        dial: Dial,
        client: S,
        driver: InputSender,
        runtime: &tokio::runtime::Handle,
    ) -> Box<dyn Outlet<C>> {
        let (commands, receiver) = mpsc::channel(S::COMMANDS);
        let task = runtime.spawn(keep_connected(dial, client, receiver, driver));
        Box::new(Self {
            commands,
            task: task.abort_handle(),
        })
    }
}

impl<C: Send> Outlet<C> for ServerHandle<C> {
    fn send(&self, command: C) -> bool {
        self.commands.try_send(command).is_ok()
    }
}

impl<C> Drop for ServerHandle<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
