//! `peer status`: links, servers, and what waits for what, for people.

use serde_json::Value;

use super::values::{items, relays, text};

pub(super) fn status_text(status: &Value) -> String {
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
