//! The JSON shapes of what the library returns.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tincan_protocol::IdentityId;

use crate::event::{Event, LoggedEvent};
use crate::message::{Contact, ContactStanding, Message, RequestFrom};
use crate::status::{LinkStatus, OutboxStatus, ServerStatus, StatusReport};

/// RFC 3339, UTC, with milliseconds.
pub(super) fn time(unix_ms: u64) -> String {
    // A contact can claim any time; beyond the year 9999 there is no RFC 3339.
    const LATEST_MS: u64 = 253_402_300_799_999;
    let at: SystemTime = UNIX_EPOCH + Duration::from_millis(unix_ms.min(LATEST_MS));
    humantime::format_rfc3339_millis(at).to_string()
}

pub(super) fn message(message: &Message) -> Value {
    json!({
        "type": "message",
        "id": message.id.to_string(),
        "conversation": message.contact,
        "address": message.identity.to_string(),
        "from": message.from,
        "outgoing": message.outgoing,
        "seq": message.seq,
        "text": message.text,
        "sent_at": time(message.sent_at_ms),
        "received_at": time(message.received_at_ms),
        "state": message.state.name(),
    })
}

pub(super) fn contact(contact: &Contact, presence: &str) -> Value {
    json!({
        "type": "contact",
        "name": contact.name,
        "address": contact.identity.to_string(),
        "presence": presence,
        "verified": false,
        "standing": standing(Some(contact.standing)),
    })
}

const fn standing(standing: Option<ContactStanding>) -> &'static str {
    match standing {
        Some(ContactStanding::Requested) => "requested",
        Some(ContactStanding::Accepted) => "accepted",
        Some(ContactStanding::Blocked) => "blocked",
        None => "asks",
    }
}

pub(super) fn request(request: &RequestFrom) -> Value {
    json!({
        "type": "request",
        "id": request.identity.to_string(),
        "name": request.name,
        "text": request.text,
        "received_at": time(request.received_at_ms),
        "help": how_to_answer(&request.identity),
    })
}

/// With the address: names of those who ask are not unique.
fn how_to_answer(who: &IdentityId) -> String {
    format!("`peer accept {who}` makes them a contact, `peer reject {who}` drops it")
}

pub(super) fn logged(logged: &LoggedEvent) -> Value {
    let mut value = event(&logged.event);
    value["cursor"] = json!(logged.cursor);
    value
}

fn event(event: &Event) -> Value {
    match event {
        Event::Message(message) => self::message(message),
        Event::State {
            identity,
            name,
            ids,
            state,
            reason,
            ..
        } => json!({
            "type": "state",
            "conversation": name,
            "address": identity.to_string(),
            "ids": ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "state": state.name(),
            "reason": reason,
        }),
        Event::Gap {
            identity,
            name,
            first,
            last,
            ..
        } => json!({
            "type": "gap", "conversation": name, "address": identity.to_string(),
            "first": first, "last": last,
        }),
        Event::Request {
            identity,
            name,
            text,
        } => json!({
            "type": "request", "id": identity.to_string(), "name": name, "text": text,
            "help": how_to_answer(identity),
        }),
        Event::Accepted { identity, name } => json!({
            "type": "accepted", "address": identity.to_string(), "name": name,
        }),
        Event::Link {
            identity,
            up,
            relayed,
            reason,
        } => json!({
            "type": "link", "address": identity.to_string(), "up": up, "relayed": relayed,
            "reason": reason,
        }),
        Event::Missed { count } => json!({"type": "missed", "count": count}),
        Event::Presence { identity, online } => json!({
            "type": "presence", "address": identity.to_string(),
            "presence": if *online { "online" } else { "offline" },
        }),
    }
}

/// With the messages that are on their way, if they were counted.
pub(super) fn status(
    report: &StatusReport,
    outbox: Option<&BTreeMap<IdentityId, OutboxStatus>>,
) -> Value {
    let contacts = report.contacts.iter().map(|contact| {
        let (link, round_trip) = match contact.link {
            LinkStatus::None => ("none", None),
            LinkStatus::Connecting => ("connecting", None),
            LinkStatus::Up {
                relayed: false,
                round_trip,
            } => ("direct", round_trip),
            LinkStatus::Up {
                relayed: true,
                round_trip,
            } => ("turn", round_trip),
        };
        let outbox =
            outbox.map(|outbox| outbox.get(&contact.identity).copied().unwrap_or_default());
        json!({
            "name": contact.name,
            "address": contact.identity.to_string(),
            "standing": standing(contact.standing),
            "presence": if contact.online { "online" } else { "offline" },
            "link": link,
            "round_trip_ms": round_trip.map(|time| (time.as_secs_f64() * 1e6).round() / 1000.0),
            "waiting": contact.waiting,
            "pending": outbox.map(|outbox| outbox.pending),
            "at_relay": outbox.map(|outbox| outbox.at_relay),
        })
    });
    json!({
        "type": "status",
        "contacts": contacts.collect::<Vec<_>>(),
        "signal_servers": report.signal_servers.iter().map(server).collect::<Vec<_>>(),
        "relays": report.relays.iter().map(server).collect::<Vec<_>>(),
        "turn": report.turn,
    })
}

fn server(server: &ServerStatus) -> Value {
    json!({
        "url": server.url.to_string(),
        "up": server.up,
        "ready": server.ready,
        "problem": server.problem,
    })
}
