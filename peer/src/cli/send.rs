//! `peer send`: one message, or every line of stdin.

use serde_json::{Value, json};
use tincan_protocol::limits::TEXT_MAX;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::Duration;

use super::args::{Global, Send, Until};
use super::follow::Following;
use super::output::Output;
use super::session::{Network, Session, Stay};
use super::values::{contact_called, items, own_relay_answered, text};
use crate::MsgId;
use crate::rpc::RpcError;

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
    let mut ids = Vec::new();
    let handed_over = if args.text == "-" {
        send_lines(session, args, &mut following, &mut ids).await
    } else {
        let texts = vec![args.text.clone()];
        send_batch(session, args, texts, &mut following, &mut ids).await
    };
    if ids.is_empty() && handed_over.is_err() {
        return handed_over;
    }
    let limit = match args.wait {
        Some(_) => args.timeout,
        None => grace(session, &args.to).await?,
    };
    let done = following.wait(session, limit).await?;
    let to = if following.open() > 0 {
        contact(session, &args.to).await?
    } else {
        Value::Null
    };
    report(&ids, &following, &to, output);
    // What came before a bad line has been told of.
    handed_over?;
    if args.wait.is_some() && !done {
        return Err(not_in_time(&ids, &following, &to, args, until));
    }
    Ok(())
}

/// How long a command without --wait stays. Nothing leaves to somebody who has not accepted; whether
/// they have is known once the own relay has answered.
async fn grace(session: &mut Session, to: &str) -> Result<Duration, RpcError> {
    if contact(session, to).await?["standing"] != "requested" {
        return Ok(GRACE);
    }
    let relay = session.call("id", json!({})).await?["relay"].take();
    session
        .settle(|status| own_relay_answered(status, &relay))
        .await?;
    let has_accepted = contact(session, to).await?["standing"] == "accepted";
    Ok(if has_accepted { GRACE } else { Duration::ZERO })
}

fn not_in_time(
    ids: &[String],
    following: &Following,
    to: &Value,
    args: &Send,
    until: Until,
) -> RpcError {
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
    let why = reason(following, to).map(|reason| format!("{reason}; "));
    RpcError::timeout(
        message,
        &format!(
            "{}they are saved and go out when there is a way; `peer status` shows it",
            why.unwrap_or_default()
        ),
    )
}

/// Why the last message waits, or the oldest one to this contact: what waits behind that one has no
/// reason of its own.
fn reason<'a>(following: &'a Following, to: &'a Value) -> Option<&'a str> {
    if to["standing"] == "requested" {
        return Some("the contact has not accepted yet");
    }
    following.reason().or_else(|| to["waiting"].as_str())
}

/// The contact as `status` has it.
async fn contact(session: &mut Session, to: &str) -> Result<Value, RpcError> {
    let status = session.call("status", json!({"outbox": false})).await?;
    let contact = contact_called(&status["contacts"], to);
    Ok(contact.cloned().unwrap_or_default())
}

/// Sends what stdin has, batch after batch, as fast as the other end of the pipe writes. What came
/// before an error is in `ids`.
async fn send_lines(
    session: &mut Session,
    args: &Send,
    following: &mut Following,
    ids: &mut Vec<String>,
) -> Result<(), RpcError> {
    let (sender, mut lines) = mpsc::channel(LINES_AHEAD);
    let reading = tokio::spawn(read_lines(sender));
    let mut rest = None;
    let mut bad = None;
    while bad.is_none() {
        let first = match rest.take() {
            Some(line) => Some(Ok(line)),
            None => lines.recv().await,
        };
        let Some(first) = first else { break };
        let mut batch = Vec::new();
        bad = fill(first, &mut lines, &mut batch, &mut rest).err();
        if !batch.is_empty() {
            let sent = send_batch(session, args, batch, following, ids).await;
            // Whoever repeats the command would send the first ones twice.
            sent.map_err(|error| match ids.len() {
                0 => error,
                saved => error.with_help(&format!(
                    "the first {saved} messages are saved: give it only the lines after them again"
                )),
            })?;
        }
    }
    reading.abort();
    bad.map_or(Ok(()), Err)
}

/// Takes the lines that are there, as far as they fit; one that does not fit any more is the rest.
fn fill(
    first: Line,
    lines: &mut mpsc::Receiver<Line>,
    batch: &mut Vec<String>,
    rest: &mut Option<String>,
) -> Result<(), RpcError> {
    let mut bytes = 0;
    let mut next = Some(first);
    while let Some(line) = next {
        let line = line?;
        bytes += line.len();
        if bytes > BATCH_BYTES && !batch.is_empty() {
            *rest = Some(line);
            break;
        }
        batch.push(line);
        next = if batch.len() < BATCH_LINES {
            lines.try_recv().ok()
        } else {
            None
        };
    }
    Ok(())
}

/// A line to be sent, or why it cannot be.
type Line = Result<String, RpcError>;

/// Reads stdin until its end or its first bad line. Blank lines say nothing and are left out.
async fn read_lines(sender: mpsc::Sender<Line>) {
    let mut stdin = BufReader::with_capacity(256 * 1024, tokio::io::stdin());
    for number in 1u64.. {
        let line = match next_line(&mut stdin, number).await {
            Ok(None) => return,
            Ok(Some(line)) if line.trim().is_empty() => continue,
            Ok(Some(line)) => Ok(line),
            Err(error) => Err(error),
        };
        let is_bad = line.is_err();
        if sender.send(line).await.is_err() || is_bad {
            return;
        }
    }
}

/// One line without its end; `None` at the end of stdin. Of one that is too long no more is read than
/// it takes to see that.
async fn next_line(
    stdin: &mut (impl AsyncBufRead + Unpin),
    number: u64,
) -> Result<Option<String>, RpcError> {
    let mut line = Vec::new();
    let most = u64::try_from(TEXT_MAX + "\r\n".len()).unwrap_or(u64::MAX);
    let read = stdin.take(most).read_until(b'\n', &mut line).await;
    let read = read.map_err(|error| {
        RpcError::failed(
            format!("line {number} of stdin cannot be read: {error}"),
            "give it a stdin that can be read; what came before is sent",
        )
    })?;
    if read == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    if line.len() > TEXT_MAX {
        return Err(RpcError::usage(
            format!("line {number} of stdin is longer than the {TEXT_MAX} bytes that are allowed"),
            "split the line into several messages; what came before is sent",
        ));
    }
    let line = String::from_utf8(line).map_err(|_| {
        RpcError::usage(
            format!("line {number} of stdin is not UTF-8"),
            "messages are lines of UTF-8; what came before is sent",
        )
    })?;
    Ok(Some(line))
}

async fn send_batch(
    session: &mut Session,
    args: &Send,
    texts: Vec<String>,
    following: &mut Following,
    ids: &mut Vec<String>,
) -> Result<(), RpcError> {
    // Made here, so that nothing is sent twice if the answer to a call does not come, and it is made again.
    let new: Vec<MsgId> = texts.iter().map(|_| MsgId::now_v7()).collect();
    let params = json!({
        "to": args.to, "texts": texts, "ids": new, "reply_to": args.reply_to,
    });
    let sent = session.call("send", params).await?;
    for id in items(&sent["ids"]).map(text) {
        following.add(id.clone());
        ids.push(id);
    }
    Ok(())
}

fn report(ids: &[String], following: &Following, to: &Value, output: &Output) {
    if output.json {
        for id in ids {
            let state = following.state(id);
            let reason = reason(following, to).filter(|_| state == "pending");
            let object =
                json!({"type": "state", "id": id, "state": state, "devices": {}, "reason": reason});
            output.print(&object, String::new);
        }
        return;
    }
    let Some(last) = ids.last() else {
        return output.say("nothing to send");
    };
    output.say(&match following.state(last) {
        "pending" => saved(ids.len(), to),
        state if ids.len() == 1 => format!("message {state}"),
        state => format!("{} messages {state}", ids.len()),
    });
}

/// What becomes of messages that have not left.
fn saved(count: usize, to: &Value) -> String {
    let what = match count {
        1 => "message saved; it goes out".to_owned(),
        _ => format!("{count} messages saved; they go out"),
    };
    let name = text(&to["name"]);
    if to["standing"] == "requested" {
        format!("{what} when {name} accepts")
    } else {
        format!("{what} when {name} or their relay can be reached")
    }
}
