//! The serving end of the socket.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::error::RpcError;
use super::lines::{self, Answering};
use super::method::Entry;
use super::{methods, socket};
use crate::peer::Peer;

/// Calls of all connections, for counting them: no limit, beside the one of each connection.
const CALLS: u32 = 1 << 20;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("socket {path}: {source}")]
pub struct ServeError {
    path: PathBuf,
    source: std::io::Error,
}

/// Serves a profile's socket until dropped.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
    ending: watch::Sender<bool>,
    calls: Arc<Semaphore>,
}

/// What every connection knows of the server's end.
#[derive(Clone)]
struct Serving {
    peer: Peer,
    ending: watch::Receiver<bool>,
    calls: Arc<Semaphore>,
}

impl Server {
    /// Opens the socket of the peer's home.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn spawn(peer: Peer) -> Result<Self, ServeError> {
        let path = socket::path(peer.home());
        let listener = socket::listen(peer.home()).map_err(|source| ServeError {
            path: path.clone(),
            source,
        })?;
        let (ending, hears_of_end) = watch::channel(false);
        let calls = Arc::new(Semaphore::new(CALLS as usize));
        let serving = Serving {
            peer,
            ending: hears_of_end,
            calls: Arc::clone(&calls),
        };
        let task = tokio::spawn(accept(listener, serving));
        Ok(Self {
            path,
            task,
            ending,
            calls,
        })
    }

    /// Before the peer is shut down: no further call is taken, callers who only wait for news are told
    /// to look elsewhere, and the others get their answers, if those come within `limit`.
    pub async fn drain(&self, limit: Duration) {
        self.ending.send_replace(true);
        // Whoever is cut off here learns of it by the end of their connection.
        let _ = tokio::time::timeout(limit, self.calls.acquire_many(CALLS)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        // Left behind, it would only make the next client wait for its refusal.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, serving: Serving) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match socket::check(&stream) {
                    Ok(()) => {
                        connections.spawn(serve(stream, serving.clone()));
                    }
                    Err(error) => tracing::warn!(%error, "socket connection refused"),
                },
                Err(error) => {
                    tracing::warn!(%error, "socket connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: UnixStream, serving: Serving) {
    let (reader, writer) = stream.into_split();
    lines::serve(reader, writer, serving, pending()).await;
}

impl Answering for Serving {
    /// Counted, so that the end waits for it; not counted where there are too many.
    type Call = Option<OwnedSemaphorePermit>;

    fn begin(&self) -> Self::Call {
        Arc::clone(&self.calls).try_acquire_owned().ok()
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let mut ending = self.ending.clone();
        if *ending.borrow() {
            return Err(RpcError::ended());
        }
        let only_waits = methods::find(method).is_some_and(Entry::waits);
        let result = tokio::select! {
            result = methods::call(&self.peer, method, params) => result,
            _ = ending.wait_for(|ending| *ending), if only_waits => Err(RpcError::ended()),
        };
        // What fails in the last moment fails because it is the last.
        result.map_err(|error| {
            if *self.ending.borrow() || self.peer.has_ended() {
                RpcError::ended()
            } else {
                error
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::NewProfile;
    use crate::rpc::Client;

    /// A draining server sends everybody away within this time.
    const SOON: Duration = Duration::from_secs(5);

    // On one thread: once it can be seen that a call has begun, it has come to where it waits.
    #[tokio::test]
    async fn regression_a_server_that_drains_keeps_nobody_waiting_for_news() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("ann");
        let url = "http://127.0.0.1:1".parse::<crate::ServerUrl>().unwrap();
        let new = NewProfile {
            name: "ann".to_owned(),
            signal_servers: vec![url.clone()],
            relay: url,
            restore: None,
        };
        Peer::builder().home(&home).init(new).unwrap();
        let peer = Peer::builder().home(&home).offline().spawn().await.unwrap();
        let server = Server::spawn(peer.clone()).unwrap();
        let mut waits = Client::connect(peer.home()).await.unwrap();
        let mut asks = Client::connect(peer.home()).await.unwrap();
        // Both have asked who is there.
        calls_in_progress(&server, 0).await;
        let news = tokio::spawn(async move {
            let params = json!({"after": peer.last_cursor(), "timeout_ms": 60_000});
            waits.call("events.next", params).await
        });
        calls_in_progress(&server, 1).await;
        tokio::time::timeout(SOON, server.drain(SOON * 2))
            .await
            .unwrap();
        assert_eq!(news.await.unwrap(), Err(RpcError::ended()));
        assert_eq!(asks.call("id", json!({})).await, Err(RpcError::ended()));
    }

    /// Waits until so many are.
    async fn calls_in_progress(server: &Server, count: usize) {
        let counted = async {
            while CALLS as usize - server.calls.available_permits() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(SOON, counted).await.unwrap();
    }
}
