//! The calling end: through the socket, or straight into a peer of this process.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

use super::error::RpcError;
use super::method::Entry;
use super::methods::find;
use super::{LINE_MAX, methods, socket};
use crate::home::Home;
use crate::peer::Peer;

/// A process that has just taken the lock needs a moment until it serves its socket.
pub(crate) const SERVING_SOON: Duration = Duration::from_secs(10);

/// How often it is looked for meanwhile.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// An answer takes as long as the call is to wait for news, and no more than this beside it. Chosen: far above
/// a commit on a busy disk.
const ANSWER: Duration = Duration::from_secs(60);

/// The same for calls that do nothing but wait: somebody has said how long they will.
const ANSWER_WAITING: Duration = Duration::from_secs(5);

/// The same for calls that read everything there is. Chosen: ten gigabytes on a slow disk.
const ANSWER_LONG: Duration = Duration::from_secs(3600);

/// Why another process's socket cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("this profile is in use by another process that does not answer on its socket")]
pub struct ConnectError;

/// Calls methods, wherever the profile runs.
#[derive(Debug)]
pub enum Client {
    /// In this process.
    Local(Peer),
    /// In another one.
    Remote(RemoteClient),
}

/// A connection to another process's socket.
#[derive(Debug)]
pub struct RemoteClient {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    next_id: u64,
}

impl Client {
    /// Connects to the process that runs this profile, and makes sure that it answers: one that is
    /// stopped takes connections too.
    ///
    /// # Errors
    /// [`ConnectError`] if its socket does not answer.
    pub async fn connect(home: &Home) -> Result<Self, ConnectError> {
        let deadline = Instant::now() + SERVING_SOON;
        loop {
            if let Some(client) = Self::try_connect(home, deadline).await? {
                return Ok(client);
            }
            if Instant::now() >= deadline {
                return Err(ConnectError);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// One attempt. `None`: nobody serves the socket, or whoever does is about to end.
    ///
    /// # Errors
    /// [`ConnectError`] if somebody serves it and gives no answer until the deadline.
    pub(crate) async fn try_connect(
        home: &Home,
        deadline: Instant,
    ) -> Result<Option<Self>, ConnectError> {
        let Ok(stream) = socket::connect(home).await else {
            return Ok(None);
        };
        let mut client = RemoteClient::new(stream);
        let answer = tokio::time::timeout_at(deadline, client.call("id", json!({}))).await;
        match answer.map_err(|_| ConnectError)? {
            Ok(_) => Ok(Some(Self::Remote(client))),
            Err(_) => Ok(None),
        }
    }

    /// Calls a method and waits for its answer.
    ///
    /// # Errors
    /// [`RpcError`]; [`RpcError::ended`] if the other process ends before it has answered.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        match self {
            Self::Local(peer) => methods::call(peer, method, params).await,
            Self::Remote(client) => client.call(method, params).await,
        }
    }
}

impl RemoteClient {
    fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            reader: BufReader::new(reader),
            writer,
            next_id: 1,
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        let limit = match params["timeout_ms"].as_u64() {
            Some(wait) => Duration::from_millis(wait).saturating_add(ANSWER_WAITING),
            None if find(method).is_some_and(Entry::is_long) => ANSWER_LONG,
            None => ANSWER,
        };
        match tokio::time::timeout(limit, self.answer_to(method, params)).await {
            Ok(answer) => answer,
            // It may be stopped, or its disk.
            Err(_) => Err(RpcError::timeout(
                "the process that runs this profile does not answer any more",
                "end that process, and look with `peer history` or `peer status` what it has done",
            )),
        }
    }

    async fn answer_to(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        let id = self.next_id;
        self.next_id += 1;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let line = format!("{request}\n");
        if line.len() > LINE_MAX {
            return Err(RpcError::usage(
                "the request is too long",
                "send less at once",
            ));
        }
        self.writer
            .write_all(line.as_bytes())
            .await
            .map_err(|_| RpcError::ended())?;
        let mut line = String::new();
        loop {
            line.clear();
            if self
                .reader
                .read_line(&mut line)
                .await
                .map_err(|_| RpcError::ended())?
                == 0
            {
                return Err(RpcError::ended());
            }
            let mut answer: Value = serde_json::from_str(&line).map_err(|_| RpcError::ended())?;
            if answer["id"] != id && !answer["id"].is_null() {
                continue;
            }
            if answer["error"].is_object() {
                return Err(error(&answer["error"]));
            }
            return Ok(answer["result"].take());
        }
    }
}

fn error(value: &Value) -> RpcError {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    RpcError {
        code: text(&value["data"]["code"]),
        message: text(&value["message"]),
        help: text(&value["data"]["help"]),
    }
}
