//! `peer send`: one message, or every line of stdin.

use serde_json::{Value, json};
use tincan_protocol::limits::TEXT_MAX;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::Duration;

use super::args::{Global, Send, Until};
use super::commands::{items, text};
use super::follow::Following;
use super::output::Output;
use super::session::{Network, Session, Stay};
use crate::rpc::RpcError;
use crate::{MsgId, SendError};

/// Lines read ahead of what is sent.
const LINES_AHEAD: usize = 4096;

/// Lines sent together, at most: enough that encryption and sync are paid once for many.
const BATCH_LINES: usize = 4096;

/// And their bytes, so that one call stays within the limits of the socket and of a turn.
const BATCH_BYTES: usize = 1024 * 1024;

/// Without --wait: how long the command stays for the message to leave, so that it can say whether
/// it has, and does not take a profile offline that it runs itself.
const GRACE: Duration = Duration::from_secs(5);

pub(super) async fn run(global: &Global, args: Send, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Online, Stay::ForOneCommand).await?;
    let result = send(&mut session, &args, output).await;
    let closed = session.close().await;
    result?;
    output.flush()?;
    closed
}

async fn send(session: &mut Session, args: &Send, output: &Output) -> Result<(), RpcError> {
    let until = args.wait.unwrap_or(Until::Sent);
    let mut following = Following::begin(session, until).await?;
    let ids = if args.text == "-" {
        send_lines(session, &args.to, &mut following).await?
    } else {
        send_batch(session, &args.to, vec![args.text.clone()], &mut following).await?
    };
    let limit = if args.wait.is_some() {
        args.timeout
    } else {
        GRACE
    };
    let done = following.wait(session, limit).await?;
    report(&ids, &following, output);
    if args.wait.is_some() && !done {
        let message = format!(
            "{} of {} messages {} not {} within {}",
            following.open(),
            ids.len(),
            if following.open() == 1 { "was" } else { "were" },
            match until {
                Until::Sent => "sent",
                Until::Delivered => "delivered",
                Until::Read => "read",
            },
            humantime::format_duration(args.timeout),
        );
        let reason = match following.reason() {
            Some(reason) => Some(reason.to_owned()),
            None => waits_because(session, &args.to).await?,
        };
        let why = reason
            .map(|reason| format!("{reason}; "))
            .unwrap_or_default();
        return Err(RpcError::timeout(
            message,
            &format!("{why}they are saved and go out when there is a way; `peer status` shows it"),
        ));
    }
    Ok(())
}

/// Why the oldest message to a contact waits: what waits behind it has no reason of its own.
async fn waits_because(session: &mut Session, to: &str) -> Result<Option<String>, RpcError> {
    let status = session.call("status", json!({})).await?;
    let contact = items(&status["contacts"]).find(|contact| {
        contact["address"] == to
            || contact["name"]
                .as_str()
                .is_some_and(|name| name.eq_ignore_ascii_case(to))
    });
    Ok(contact.and_then(|contact| contact["waiting"].as_str().map(str::to_owned)))
}

/// Sends what stdin has, batch after batch, as fast as the other end of the pipe writes.
async fn send_lines(
    session: &mut Session,
    to: &str,
    following: &mut Following,
) -> Result<Vec<String>, RpcError> {
    let (sender, mut lines) = mpsc::channel::<Result<String, std::io::Error>>(LINES_AHEAD);
    let reading = tokio::spawn(async move {
        let mut stdin = BufReader::with_capacity(256 * 1024, tokio::io::stdin()).lines();
        while let Some(line) = stdin.next_line().await.transpose() {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    let mut ids = Vec::new();
    let mut rest: Option<String> = None;
    loop {
        let mut batch: Vec<String> = rest.take().into_iter().collect();
        let mut bytes: usize = batch.iter().map(String::len).sum();
        let mut bad = None;
        if batch.is_empty() {
            match lines.recv().await {
                Some(line) => bad = push(line, &mut batch, &mut bytes).err(),
                None => break,
            }
        }
        while bad.is_none() && batch.len() < BATCH_LINES && bytes < BATCH_BYTES {
            match lines.try_recv() {
                Ok(line) => bad = push(line, &mut batch, &mut bytes).err(),
                Err(_) => break,
            }
        }
        if bytes > BATCH_BYTES && batch.len() > 1 {
            rest = batch.pop();
        }
        if !batch.is_empty() {
            ids.extend(send_batch(session, to, batch, following).await?);
        }
        if let Some(error) = bad {
            // What came before it is sent, as it says.
            ids.extend(match rest.take() {
                Some(line) => send_batch(session, to, vec![line], following).await?,
                None => Vec::new(),
            });
            return Err(error);
        }
    }
    reading.abort();
    Ok(ids)
}

/// Blank lines say nothing and are left out.
fn push(
    line: Result<String, std::io::Error>,
    batch: &mut Vec<String>,
    bytes: &mut usize,
) -> Result<(), RpcError> {
    let line = line.map_err(|error| {
        RpcError::usage(
            format!("stdin: {error}"),
            "messages are lines of UTF-8; what came before is sent",
        )
    })?;
    if line.len() > TEXT_MAX {
        return Err(RpcError::usage(
            SendError::TooLong { len: line.len() },
            "split the line into several messages; what came before is sent",
        ));
    }
    if !line.trim().is_empty() {
        *bytes += line.len();
        batch.push(line);
    }
    Ok(())
}

async fn send_batch(
    session: &mut Session,
    to: &str,
    texts: Vec<String>,
    following: &mut Following,
) -> Result<Vec<String>, RpcError> {
    // Made here, so that a call whose answer does not come is not made twice.
    let ids: Vec<MsgId> = texts.iter().map(|_| MsgId::now_v7()).collect();
    let sent = session
        .call("send", json!({"to": to, "texts": texts, "ids": ids}))
        .await?;
    let ids: Vec<String> = items(&sent["ids"]).map(text).collect();
    for id in &ids {
        following.add(id.clone());
    }
    Ok(ids)
}

fn report(ids: &[String], following: &Following, output: &Output) {
    if output.json {
        for id in ids {
            let state = following.state(id);
            let reason = following.reason().filter(|_| state == "pending");
            let object =
                json!({"type": "state", "id": id, "state": state, "devices": {}, "reason": reason});
            output.print(&object, String::new);
        }
        return;
    }
    let Some(last) = ids.last() else {
        return output.say("nothing to send");
    };
    let state = following.state(last);
    let what = if ids.len() == 1 {
        "message".to_owned()
    } else {
        format!("{} messages", ids.len())
    };
    let line = match state {
        "pending" => format!("{what} saved; on the way as soon as there is one"),
        state => format!("{what} {state}"),
    };
    output.print(&Value::Null, || line);
}
