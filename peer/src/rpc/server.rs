//! The serving end of the socket.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::error::RpcError;
use super::{LINE_MAX, methods, socket};
use crate::peer::Peer;

/// Calls of one connection that run at once; further lines are not read meanwhile.
const CALLS_AT_ONCE: usize = 32;

/// JSON-RPC's code for an error of the application (JSON-RPC 2.0, 5.1: -32000 to -32099).
const APPLICATION_ERROR: i64 = -32000;

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
        let task = tokio::spawn(accept(listener, peer));
        Ok(Self { path, task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        // Left behind, it would only make the next client wait for its refusal.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, peer: Peer) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match socket::check(&stream) {
                    Ok(()) => {
                        connections.spawn(serve(stream, peer.clone()));
                    }
                    Err(error) => tracing::warn!(%error, "socket connection refused"),
                },
                Err(error) => {
                    tracing::warn!(%error, "socket connection not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: UnixStream, peer: Peer) {
    let (reader, mut writer) = stream.into_split();
    let (answers, mut lines) = mpsc::channel::<String>(CALLS_AT_ONCE);
    let writing = async move {
        while let Some(line) = lines.recv().await {
            if writer.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    let reading = async move {
        let slots = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        let mut reader = BufReader::new(reader);
        // A client that goes away takes its calls with it.
        let mut calls = JoinSet::new();
        loop {
            let mut line = Vec::new();
            let limit = LINE_MAX as u64 + 1;
            match (&mut reader).take(limit).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if line.len() > LINE_MAX {
                let error = RpcError::usage("the line is too long", "send less at once");
                let _ = answers.send(response(Value::Null, Err(error))).await;
                break;
            }
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                break;
            };
            while calls.try_join_next().is_some() {}
            let (peer, answers) = (peer.clone(), answers.clone());
            calls.spawn(async move {
                let answer = answer(&peer, &line).await;
                drop(slot);
                let _ = answers.send(answer).await;
            });
        }
        while calls.join_next().await.is_some() {}
    };
    tokio::join!(reading, writing);
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

async fn answer(peer: &Peer, line: &[u8]) -> String {
    match serde_json::from_slice::<Request>(line) {
        Ok(request) => {
            let result = methods::call(peer, &request.method, request.params).await;
            response(request.id, result)
        }
        Err(error) => {
            let error = RpcError::usage(
                format!("not a JSON-RPC request: {error}"),
                r#"one line each: {"jsonrpc":"2.0","id":1,"method":"id","params":{}}"#,
            );
            response(Value::Null, Err(error))
        }
    }
}

fn response(id: Value, result: Result<Value, RpcError>) -> String {
    let value = match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": {
            "code": APPLICATION_ERROR, "message": error.message,
            "data": {"code": error.code, "help": error.help},
        }}),
    };
    format!("{value}\n")
}
