//! The driver's end of a connection.

use std::sync::Arc;

use tincan_protocol::origin::ServerUrl;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::reconnect::{Service, keep_connected};
use crate::driver::InputSender;

/// A server to be connected to.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub(crate) server: ServerUrl,
    /// The profile's own servers: only others have to be on the public Internet.
    pub(crate) own: Arc<[ServerUrl]>,
}

/// Ends the connection when dropped.
#[derive(Debug)]
pub(crate) struct ServerHandle<C> {
    commands: mpsc::Sender<C>,
    task: AbortHandle,
}

impl<C: Send + 'static> ServerHandle<C> {
    pub(super) fn spawn<S: Service<Command = C> + 'static>(
        dial: Dial,
        service: S,
        driver: InputSender,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        let (commands, receiver) = mpsc::channel(S::COMMANDS);
        let task = runtime.spawn(keep_connected(dial, service, receiver, driver));
        Self {
            commands,
            task: task.abort_handle(),
        }
    }

    /// False if the queue is full.
    pub(crate) fn send(&self, command: C) -> bool {
        self.commands.try_send(command).is_ok()
    }
}

impl<C> Drop for ServerHandle<C> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
