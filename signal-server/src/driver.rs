//! The task that owns the [`Hub`], and the handle its connections speak to it through.
//!
//! What comes in waits in one bounded queue: when it is full, connections are not read from. What
//! goes out waits in a queue for each connection whose length in bytes the hub keeps count of, so
//! the driver never waits for a connection and the two cannot wait for each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::hub::{CloseReason, Command, ConnectionId, Hub, Request};

/// Inputs waiting for the hub. Chosen: some milliseconds of its work.
const INPUTS: usize = 1024;

/// What a connection is told.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Text(String),
    Close(CloseReason),
}

#[derive(Debug)]
enum Input {
    Connect(ConnectionId, mpsc::UnboundedSender<Outgoing>),
    Request(ConnectionId, Request),
    Written(ConnectionId, usize),
    Disconnect(ConnectionId),
    Shutdown,
}

/// Speaks to the hub. The driver ends when all handles are gone.
#[derive(Clone, Debug)]
pub(crate) struct HubHandle {
    inputs: mpsc::Sender<Input>,
    next: Arc<AtomicU64>,
}

impl HubHandle {
    /// Starts the driver.
    pub(crate) fn spawn(hub: Hub, clock: Clock) -> Self {
        let (inputs, receiver) = mpsc::channel(INPUTS);
        tokio::spawn(drive(hub, clock, receiver));
        Self {
            inputs,
            next: Arc::default(),
        }
    }

    /// Joins the hub. `None`: the server stops.
    pub(crate) async fn connect(&self) -> Option<Joined> {
        let connection = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, outgoing) = mpsc::unbounded_channel();
        self.inputs
            .send(Input::Connect(connection, sender))
            .await
            .ok()?;
        Some(Joined {
            connection,
            inputs: self.inputs.clone(),
            outgoing,
        })
    }

    /// Tells all connections that the server stops, and closes them.
    pub(crate) async fn shut_down(&self) {
        let _ = self.inputs.send(Input::Shutdown).await;
    }
}

/// A connection's place in the hub.
#[derive(Debug)]
pub(crate) struct Joined {
    connection: ConnectionId,
    inputs: mpsc::Sender<Input>,
    pub(crate) outgoing: mpsc::UnboundedReceiver<Outgoing>,
}

impl Joined {
    pub(crate) async fn ask(&self, request: Request) {
        let _ = self
            .inputs
            .send(Input::Request(self.connection, request))
            .await;
    }

    pub(crate) async fn written(&self, bytes: usize) {
        let _ = self
            .inputs
            .send(Input::Written(self.connection, bytes))
            .await;
    }

    pub(crate) async fn leave(self) {
        let _ = self.inputs.send(Input::Disconnect(self.connection)).await;
    }
}

async fn drive(mut hub: Hub, clock: Clock, mut inputs: mpsc::Receiver<Input>) {
    let mut connections = HashMap::new();
    let mut stopped = false;
    while let Some(input) = inputs.recv().await {
        match input {
            // Too late: dropping the sender ends the connection.
            Input::Connect(..) if stopped => {}
            Input::Connect(connection, sender) => {
                connections.insert(connection, sender);
                hub.handle_connect(connection);
            }
            Input::Request(connection, request) => {
                hub.handle_request(connection, request, clock.now().unix_s)
            }
            Input::Written(connection, bytes) => hub.handle_written(connection, bytes),
            Input::Disconnect(connection) => {
                connections.remove(&connection);
                hub.handle_disconnect(connection);
            }
            Input::Shutdown => {
                stopped = true;
                hub.handle_shutdown();
            }
        }
        while let Some(command) = hub.poll_command() {
            carry_out(command, &mut connections);
        }
    }
}

/// A connection whose receiver is gone is about to leave by itself.
fn carry_out(
    command: Command,
    connections: &mut HashMap<ConnectionId, mpsc::UnboundedSender<Outgoing>>,
) {
    match command {
        Command::Send { connection, text } => {
            if let Some(sender) = connections.get(&connection) {
                let _ = sender.send(Outgoing::Text(text));
            }
        }
        Command::Close { connection, reason } => {
            if let Some(sender) = connections.remove(&connection) {
                let _ = sender.send(Outgoing::Close(reason));
            }
        }
    }
}
