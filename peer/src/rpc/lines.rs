//! JSON-RPC 2.0 over a stream of bytes: one object a line in both directions, answers in any order.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::LINE_MAX;
use super::error::RpcError;
use super::method::Entry;
use super::methods;

/// Calls of one stream that run at once; further lines are not read meanwhile.
pub(crate) const CALLS_AT_ONCE: usize = 32;

/// The code of an error of ours (JSON-RPC 2.0, 5.1: -32000 to -32099); its `data` says more.
pub(super) const APPLICATION_ERROR: i64 = -32000;

/// The line is no request (JSON-RPC 2.0, 5.1).
const PARSE_ERROR: i64 = -32700;

/// There is no such method (JSON-RPC 2.0, 5.1).
const NO_METHOD: i64 = -32601;

/// Answers calls.
pub(crate) trait Answering: Clone + Send + Sync + 'static {
    /// Lives from before the call until its answer has been written.
    type Call: Send;

    /// Takes note of a call.
    fn begin(&self) -> Self::Call;

    /// Does it.
    fn call(
        &self,
        method: &str,
        params: Value,
    ) -> impl Future<Output = Result<Value, RpcError>> + Send;
}

/// Answers what comes until no more does, or until `end`. Then everything that was asked is answered; whoever
/// only waits for news is sent away.
pub(crate) async fn serve(
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    answering: impl Answering,
    end: impl Future<Output = ()>,
) {
    let (answers, mut lines) = mpsc::channel::<Answer<_>>(CALLS_AT_ONCE);
    let writing = async move {
        while let Some(answer) = lines.recv().await {
            let written = writer.write_all(answer.line.as_bytes()).await;
            if written.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
    };
    let reading = async move {
        let slots = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        let mut reader = BufReader::new(reader);
        let mut calls = JoinSet::new();
        let (ended, ending) = watch::channel(());
        tokio::pin!(end);
        loop {
            let mut line = Vec::new();
            let limit = LINE_MAX as u64 + 1;
            let mut limited = (&mut reader).take(limit);
            let read = tokio::select! {
                read = limited.read_until(b'\n', &mut line) => read,
                () = &mut end => break,
            };
            if matches!(read, Ok(0) | Err(_)) {
                break;
            }
            if line.len() > LINE_MAX {
                let error = RpcError::usage("the line is too long", "send less at once");
                let (line, _call) = (refusal(PARSE_ERROR, &Value::Null, &error), None);
                let _ = answers.send(Answer { line, _call }).await;
                break;
            }
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                break;
            };
            while calls.try_join_next().is_some() {}
            let (answering, answers) = (answering.clone(), answers.clone());
            let ending = ending.clone();
            calls.spawn(async move {
                let call = answering.begin();
                let line = answer(&answering, &line, ending).await;
                drop(slot);
                let _call = Some(call);
                let _ = answers.send(Answer { line, _call }).await;
            });
        }
        drop(ended);
        while calls.join_next().await.is_some() {}
    };
    tokio::join!(reading, writing);
}

/// A line for the caller.
struct Answer<C> {
    line: String,
    _call: Option<C>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Value,
}

async fn answer(
    answering: &impl Answering,
    line: &[u8],
    mut ending: watch::Receiver<()>,
) -> String {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            let error = RpcError::usage(
                format!("not a JSON-RPC request: {error}"),
                r#"one line each: {"jsonrpc":"2.0","id":1,"method":"id","params":{}}"#,
            );
            return refusal(PARSE_ERROR, &Value::Null, &error);
        }
    };
    let Request { id, method, params } = request;
    let known = methods::find(&method);
    let result = tokio::select! {
        result = answering.call(&method, params) => result,
        // An error says that there is nobody left who could say otherwise.
        _ = ending.changed(), if known.is_some_and(Entry::waits) => Err(RpcError::ended()),
    };
    match (result, known) {
        (Ok(result), _) => {
            format!(
                "{}\n",
                json!({"jsonrpc": "2.0", "id": id, "result": result})
            )
        }
        (Err(error), Some(_)) => refusal(APPLICATION_ERROR, &id, &error),
        (Err(error), None) => refusal(NO_METHOD, &id, &error),
    }
}

fn refusal(code: i64, id: &Value, error: &RpcError) -> String {
    let answer = json!({"jsonrpc": "2.0", "id": id, "error": {
        "code": code,
        "message": error.message,
        "data": {"code": error.code, "message": error.message, "help": error.help},
    }});
    format!("{answer}\n")
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[derive(Clone)]
    struct Echo;

    impl Answering for Echo {
        type Call = ();

        fn begin(&self) {}

        async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
            match method {
                "id" => Ok(params),
                "events.next" => pending().await,
                _ => Err(RpcError::usage(
                    "there is no such method",
                    "ask for another",
                )),
            }
        }
    }

    async fn answers_to(lines: &str) -> Vec<Value> {
        let mut written = Vec::new();
        serve(lines.as_bytes(), &mut written, Echo, pending()).await;
        let written = String::from_utf8(written).unwrap();
        written
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[tokio::test]
    async fn every_line_is_answered_with_its_own_id() {
        let mut answers = answers_to(
            "{\"id\":1,\"method\":\"id\",\"params\":{\"a\":1}}\n{\"id\":\"x\",\"method\":\"id\",\"params\":2}\n",
        )
        .await;
        answers.sort_by_key(|answer| answer["id"].is_string());
        assert_eq!(
            answers[0],
            json!({"jsonrpc": "2.0", "id": 1, "result": {"a": 1}})
        );
        assert_eq!(
            answers[1],
            json!({"jsonrpc": "2.0", "id": "x", "result": 2})
        );
    }

    #[tokio::test]
    async fn errors_have_the_codes_of_json_rpc() {
        for (line, code) in [
            ("nonsense\n", PARSE_ERROR),
            ("{\"id\":1}\n", PARSE_ERROR),
            ("{\"id\":1,\"method\":\"nothing\"}\n", NO_METHOD),
        ] {
            let answers = answers_to(line).await;
            assert_eq!(answers.len(), 1);
            assert_eq!(answers[0]["error"]["code"], code, "{line}");
            assert_eq!(answers[0]["error"]["data"]["code"], "usage", "{line}");
        }
    }

    /// Its process, and the descriptors of its connection, stayed as long as it had wanted to wait.
    #[tokio::test]
    async fn regression_who_is_gone_waits_for_no_news() {
        let answers = answers_to("{\"id\":7,\"method\":\"events.next\"}\n").await;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0]["error"]["data"]["code"], "ended");
    }

    #[tokio::test]
    async fn it_ends_while_nobody_says_anything() {
        let (silent, _keeps_it_open) = tokio::io::duplex(64);
        let mut written = Vec::new();
        serve(silent, &mut written, Echo, std::future::ready(())).await;
        assert!(written.is_empty());
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_ends_it_with_a_word() {
        let answers = answers_to(&"x".repeat(LINE_MAX + 1)).await;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0]["error"]["message"], "the line is too long");
    }
}
