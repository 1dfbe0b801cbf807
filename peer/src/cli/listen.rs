//! `peer listen`: messages as they come.
//!
//! Its place in the journal is kept under a name of its own, so that what came while nobody listened
//! is printed first. A message counts as shown when its line has been written; if the program is
//! killed between the two, the line is printed again next time.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::args::{Global, Listen};
use super::commands::{items, message_line, text};
use super::output::Output;
use super::session::{Network, Session};
use crate::rpc::RpcError;

/// How long one call waits for news.
const WAIT: Duration = Duration::from_secs(60);

pub(super) async fn run(global: &Global, args: Listen, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Online).await?;
    let result = tokio::select! {
        result = listen(&mut session, &args, output) => result,
        () = super::end_signal() => Ok(()),
    };
    let closed = session.close().await;
    result.and(closed)
}

async fn listen(session: &mut Session, args: &Listen, output: &Output) -> Result<(), RpcError> {
    let deadline = args.timeout.map(|limit| Instant::now() + limit);
    let from = match &args.from {
        Some(name) => Some(contact(session, name).await?),
        None => None,
    };
    let place = from.as_ref().map_or("listen".to_owned(), |from| {
        format!("listen/{}", from.address)
    });
    let stored = session.call("cursor.get", json!({"name": place})).await?;
    let mut cursor = stored["cursor"].as_u64().unwrap_or_default();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let wait = match deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(WAIT),
            None => WAIT,
        };
        if wait.is_zero() {
            return ended(args, left);
        }
        let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let next = session
            .call(
                "events.next",
                json!({"after": cursor, "timeout_ms": timeout_ms}),
            )
            .await?;
        let end = next["cursor"].as_u64().unwrap_or(cursor);
        let reached = print(&next, from.as_ref(), &mut left, output)?;
        // The last one printed, if there is to be no more; else everything that was looked at.
        let reached = if left == 0 { reached } else { end };
        if reached > cursor {
            session
                .call("cursor.set", json!({"name": place, "cursor": reached}))
                .await?;
            mark_read(session, &next, from.as_ref(), reached).await?;
            cursor = reached;
        }
    }
    Ok(())
}

/// Prints messages until enough were printed; returns the cursor of the last one.
fn print(
    next: &Value,
    from: Option<&Contact>,
    left: &mut u64,
    output: &Output,
) -> Result<u64, RpcError> {
    let mut reached = 0;
    for event in items(&next["events"]).filter(|event| is_wanted(event, from)) {
        if *left == 0 {
            break;
        }
        let mut message = event.clone();
        reached = event["cursor"].as_u64().unwrap_or_default();
        if let Some(object) = message.as_object_mut() {
            object.remove("cursor");
        }
        output.print(&message, || message_line(&message));
        *left -= 1;
    }
    output.flush()?;
    Ok(reached)
}

/// Tells the senders what has been shown.
async fn mark_read(
    session: &mut Session,
    next: &Value,
    from: Option<&Contact>,
    reached: u64,
) -> Result<(), RpcError> {
    let mut shown: BTreeMap<String, u64> = BTreeMap::new();
    let printed = items(&next["events"])
        .filter(|event| is_wanted(event, from) && event["cursor"].as_u64() <= Some(reached));
    for event in printed {
        let seq = shown.entry(text(&event["conversation"])).or_default();
        *seq = (*seq).max(event["seq"].as_u64().unwrap_or_default());
    }
    for (contact, seq) in shown {
        session
            .call("read", json!({"from": contact, "seq": seq}))
            .await?;
    }
    Ok(())
}

struct Contact {
    name: String,
    address: String,
}

async fn contact(session: &mut Session, name: &str) -> Result<Contact, RpcError> {
    let contacts = session.call("contacts", json!({})).await?;
    let found = items(&contacts).find(|contact| {
        contact["address"] == name
            || contact["name"]
                .as_str()
                .is_some_and(|known| known.eq_ignore_ascii_case(name))
    });
    let found = found.ok_or_else(|| RpcError::from(crate::ReadError::UnknownContact))?;
    Ok(Contact {
        name: text(&found["name"]),
        address: text(&found["address"]),
    })
}

fn is_wanted(event: &Value, from: Option<&Contact>) -> bool {
    event["type"] == "message" && from.is_none_or(|from| event["conversation"] == from.name)
}

fn ended(args: &Listen, left: u64) -> Result<(), RpcError> {
    match args.count {
        Some(count) => {
            let message = format!("{} of {count} messages came in time", count - left);
            Err(RpcError::timeout(
                message,
                "what came is printed; the rest will be next time",
            ))
        }
        None => Ok(()),
    }
}
