//! The commands that are one call and its answer.

use serde_json::{Value, json};

use super::args::{Command, Global, History, Invite};
use super::output::{Output, visible};
use super::session::{Network, Session, Stay};
use super::{acquaint, qr};
use crate::rpc::RpcError;

pub(super) async fn run(
    global: &Global,
    command: Command,
    output: &Output,
) -> Result<(), RpcError> {
    let network = match command {
        Command::Id | Command::History(_) => Network::Offline,
        _ => Network::Online,
    };
    let mut session = Session::open(global, network, Stay::ForOneCommand).await?;
    let result = match command {
        Command::Id => id(&mut session, output).await,
        Command::Invite(args) => invite(&mut session, args, output).await,
        Command::Add(args) => acquaint::add(&mut session, args, output).await,
        Command::Requests => requests(&mut session, output).await,
        Command::Accept(who) => acquaint::accept(&mut session, who, output).await,
        Command::Reject(who) => acquaint::reject(&mut session, who, output).await,
        Command::Contacts => contacts(&mut session, output).await,
        Command::History(args) => history(&mut session, args, output).await,
        Command::Status => status(&mut session, output).await,
        // Have their own modules.
        Command::Init(_)
        | Command::Send(_)
        | Command::Listen(_)
        | Command::Rpc(_)
        | Command::Daemon => Ok(()),
    };
    let closed = session.close().await;
    result?;
    output.flush()?;
    closed
}

async fn id(session: &mut Session, output: &Output) -> Result<(), RpcError> {
    let id = session.call("id", json!({})).await?;
    output.print(&id, || {
        let servers: Vec<&str> = id["signal_servers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        format!(
            "{}\n  address  {}\n  device   {}\n  servers  {}\n  relay    {}",
            text(&id["name"]),
            text(&id["address"]),
            text(&id["device"]),
            servers.join(", "),
            text(&id["relay"]),
        )
    });
    Ok(())
}

async fn invite(session: &mut Session, args: Invite, output: &Output) -> Result<(), RpcError> {
    let expires_ms = u64::try_from(args.expires.as_millis()).unwrap_or(u64::MAX);
    let params = json!({"uses": args.uses, "expires_ms": expires_ms});
    let invite = session.call("invite", params).await?;
    let id = session.call("id", json!({})).await?;
    output.print(&invite, || text(&invite["link"]));
    if args.qr && !output.json {
        qr::show(&text(&invite["link"]), output)?;
    }
    // It may just have brought somebody's request, whose mailbox is not made yet.
    let relay = &id["relay"];
    let status = session
        .settle(|status| own_relay_answered(status, relay))
        .await?;
    if !own_relay_ready(&status, relay) {
        output.note(&format!(
            "note: {} cannot be reached now; the link works once this profile has been online",
            text(&id["relay"])
        ));
    }
    Ok(())
}

async fn requests(session: &mut Session, output: &Output) -> Result<(), RpcError> {
    let id = session.call("id", json!({})).await?;
    let relay = &id["relay"];
    // Where those wait who asked while this profile was not online.
    let status = session
        .settle(|status| own_relay_answered(status, relay))
        .await?;
    let requests = session.call("requests", json!({})).await?;
    for request in items(&requests) {
        output.print(request, || request_lines(request));
    }
    if items(&requests).next().is_none() {
        output.say("nobody asks");
    }
    if !own_relay_ready(&status, relay) {
        output.note(&format!(
            "note: {} cannot be reached now; a request that waits there is shown once it can",
            text(relay)
        ));
    }
    Ok(())
}

async fn contacts(session: &mut Session, output: &Output) -> Result<(), RpcError> {
    // Presence is known once the signaling server has answered.
    session.settle(servers_answered).await?;
    let contacts = session.call("contacts", json!({})).await?;
    for contact in items(&contacts) {
        output.print(contact, || {
            let standing = match contact["standing"].as_str() {
                Some("accepted") => text(&contact["presence"]),
                Some("requested") => "asked, not accepted yet".to_owned(),
                other => other.unwrap_or_default().to_owned(),
            };
            format!(
                "{}  {}  {standing}",
                text(&contact["name"]),
                text(&contact["address"])
            )
        });
    }
    if items(&contacts).next().is_none() {
        output.say("no contacts yet; `peer invite` prints a link for somebody");
    }
    Ok(())
}

async fn history(session: &mut Session, args: History, output: &Output) -> Result<(), RpcError> {
    let params = json!({"to": args.to, "limit": args.limit, "before": args.before});
    let messages = session.call("history", params).await?;
    for message in items(&messages) {
        output.print(message, || message_line(message));
    }
    Ok(())
}

async fn status(session: &mut Session, output: &Output) -> Result<(), RpcError> {
    session.settle(servers_answered).await?;
    let status = session.call("status", json!({})).await?;
    output.print(&status, || status_text(&status));
    Ok(())
}

fn status_text(status: &Value) -> String {
    let mut lines = Vec::new();
    let servers = items(&status["signal_servers"]).map(|server| ("signaling", server));
    for (kind, server) in servers.chain(relays(status).map(|relay| ("relay", relay))) {
        let state = if server["up"] == true {
            "connected".to_owned()
        } else {
            server["problem"]
                .as_str()
                .unwrap_or("connecting")
                .to_owned()
        };
        lines.push(format!("{kind:<10} {}  {state}", text(&server["url"])));
    }
    lines.push(format!("turn       {}", turn_text(status)));
    for contact in items(&status["contacts"]) {
        lines.push(format!(
            "contact    {}  {}",
            text(&contact["name"]),
            standing_text(contact)
        ));
        lines.extend(outbox_lines(contact));
    }
    lines.join("\n")
}

/// Servers are asked for TURN when there is somebody to be linked with.
fn turn_text(status: &Value) -> &'static str {
    let has_contact = items(&status["contacts"]).any(|contact| contact["standing"] == "accepted");
    if status["turn"] == true {
        "available"
    } else if !items(&status["signal_servers"]).any(|server| server["up"] == true) {
        "not known yet: no signaling server is connected"
    } else if !has_contact {
        "not known yet: it is asked for with the first contact"
    } else {
        "none offered"
    }
}

/// How far the acquaintance with a contact has come, or how they are linked.
fn standing_text(contact: &Value) -> String {
    match contact["standing"].as_str() {
        Some("accepted") => link_text(contact),
        Some("requested") => match count(contact, "pending") + count(contact, "at_relay") {
            0 => "asked, not accepted yet".to_owned(),
            all => format!(
                "asked, not accepted yet; {} until they accept",
                waits_there(all)
            ),
        },
        Some("asks") => "asks; `peer requests` shows it".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    }
}

fn link_text(contact: &Value) -> String {
    let round_trip = contact["round_trip_ms"].as_f64();
    let round_trip = round_trip.map(|ms| format!(", {ms:.1} ms"));
    let round_trip = round_trip.unwrap_or_default();
    match contact["link"].as_str() {
        Some("none") => format!("no link, {}", text(&contact["presence"])),
        Some("turn") => format!("linked through TURN{round_trip}"),
        Some("direct") => format!("linked directly{round_trip}"),
        other => other.unwrap_or_default().to_owned(),
    }
}

/// What is on its way to a contact, and why it is not there.
fn outbox_lines(contact: &Value) -> Vec<String> {
    // What waits until they accept is said with that.
    if contact["standing"] == "requested" {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if let at_relay @ 1.. = count(contact, "at_relay") {
        let is_linked = matches!(contact["link"].as_str(), Some("direct" | "turn"));
        lines.push(match (is_linked, at_relay) {
            (true, 1) => "           1 message is not confirmed yet by their device".to_owned(),
            (true, _) => {
                format!("           {at_relay} messages are not confirmed yet by their device")
            }
            (false, _) => format!(
                "           {} at their relay until they come online",
                waits_there(at_relay)
            ),
        });
    }
    if let pending @ 1.. = count(contact, "pending") {
        let why = contact["waiting"]
            .as_str()
            .unwrap_or("it is about to leave");
        lines.push(format!("           {} here: {why}", waits_there(pending)));
    }
    lines
}

fn count(contact: &Value, field: &str) -> u64 {
    contact[field].as_u64().unwrap_or_default()
}

fn waits_there(count: u64) -> String {
    match count {
        1 => "1 message waits".to_owned(),
        count => format!("{count} messages wait"),
    }
}

/// A request for people.
pub(super) fn request_lines(request: &Value) -> String {
    let name = visible(&text(&request["name"]));
    let words = match text(&request["text"]) {
        words if words.is_empty() => String::new(),
        words => format!(": {}", visible(&words)),
    };
    // By address: a name that a stranger has chosen is nothing to be typed into a shell.
    let id = text(&request["id"]);
    format!(
        "{name} asks to become your contact{words}\n  accept it, or drop it:\n    peer accept {id}\n    \
         peer reject {id}"
    )
}

/// A message for people.
pub(super) fn message_line(message: &Value) -> String {
    let state = match message["state"].as_str() {
        Some("received") | None => String::new(),
        Some(state) => format!("  [{state}]"),
    };
    let words = visible(&text(&message["text"]));
    format!(
        "{}  {}: {words}{state}",
        text(&message["sent_at"]),
        text(&message["from"])
    )
}

/// Messages that are missing, for people.
pub(super) fn gap_line(gap: &Value) -> String {
    let name = visible(&text(&gap["conversation"]));
    let (first, last) = (gap["first"].as_u64(), gap["last"].as_u64());
    let count = last.zip(first).map_or(1, |(last, first)| last - first + 1);
    let what = match count {
        1 => "a message".to_owned(),
        _ => format!("{count} messages"),
    };
    format!("({name}: {what} missing here; shown later if it can still be had)")
}

/// Own messages that were not delivered in time, for people.
pub(super) fn failure_line(state: &Value) -> String {
    let name = visible(&text(&state["conversation"]));
    let what = match items(&state["ids"]).count() {
        1 => "a message was".to_owned(),
        count => format!("{count} messages were"),
    };
    // Not the name, which others have chosen: this may be copied into a shell.
    let address = text(&state["address"]);
    format!("({name}: {what} not delivered within 14 days; `peer history {address}` shows what)")
}

/// Events that nobody has read in time, for people.
pub(super) fn missed_line(missed: &Value) -> String {
    format!(
        "({} events are gone that nobody has read in time; `peer history NAME` has every message)",
        missed["count"]
    )
}

/// One of several contacts, by name or address. Who only asks is none yet, whatever their name.
pub(super) fn contact_called<'a>(contacts: &'a Value, who: &str) -> Option<&'a Value> {
    let is_meant = |contact: &&Value| {
        let name = contact["name"].as_str();
        contact["standing"] != "asks"
            && (contact["address"] == who || name.is_some_and(|name| crate::names::same(name, who)))
    };
    items(contacts).find(is_meant)
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn relays(status: &Value) -> impl Iterator<Item = &Value> {
    items(&status["relays"])
}

/// Whether our relay has our mailboxes and key packages.
fn own_relay_ready(status: &Value, url: &Value) -> bool {
    relays(status).any(|relay| relay["url"] == *url && relay["ready"] == true)
}

/// The same, or it is known not to be there.
pub(super) fn own_relay_answered(status: &Value, url: &Value) -> bool {
    own_relay_ready(status, url)
        || relays(status).any(|relay| relay["url"] == *url && relay["problem"].is_string())
}

/// Every server is connected and what waited there has been read, or it is known not to be there.
fn servers_answered(status: &Value) -> bool {
    let all = items(&status["signal_servers"]).chain(relays(status));
    all.into_iter()
        .all(|server| server["ready"] == true || server["problem"].is_string())
}

/// Whether something waits to leave for a contact.
pub(super) fn waits(status: &Value, address: &Value) -> bool {
    items(&status["contacts"])
        .any(|contact| contact["address"] == *address && contact["waiting"].is_string())
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
