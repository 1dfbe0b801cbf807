//! What happened, in lines for people.

use serde_json::Value;

use super::output::visible;
use super::values::{items, local_time, text};

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

/// Something that has a place in a conversation, for people.
pub(super) fn history_line(item: &Value) -> String {
    match item["type"].as_str() {
        Some("timer") => timer_line(item),
        _ => message_line(item),
    }
}

/// A message for people, with everything that was said about it.
pub(super) fn message_line(message: &Value) -> String {
    format!(
        "{}  {}",
        local_time(&message["sent_at"]),
        message_said(message)
    )
}

/// What was said or noticed, without its time.
pub(super) fn said(item: &Value) -> String {
    match item["type"].as_str() {
        Some("timer") => timer_said(item),
        _ => message_said(item),
    }
}

fn message_said(message: &Value) -> String {
    let mut line = format!("{}: ", text(&message["from"]));
    if message["forwarded"] == true {
        line += "(forwarded) ";
    }
    if message["reply_to"].is_object() {
        line += &quote(&message["reply_to"]);
    }
    if message["deleted"] == true {
        line += "(deleted)";
    } else {
        line += &visible(&text(&message["text"]));
    }
    if message["edited"] == true {
        line += "  (edited)";
    }
    for sign in items(&message["reactions"]) {
        let emoji = visible(&text(&sign["emoji"]));
        line += &format!("  [{emoji} {}]", text(&sign["from"]));
    }
    match message["state"].as_str() {
        Some("received") | None => line,
        Some(state) => format!("{line}  [{state}]"),
    }
}

/// The message that is answered.
fn quote(quote: &Value) -> String {
    /// Characters of it in a line.
    const QUOTED: usize = 40;
    let Some(from) = quote["from"].as_str() else {
        return "(answers a message that is not here) ".to_owned();
    };
    let Some(said) = quote["text"].as_str() else {
        return format!("(to {from}: deleted) ");
    };
    let said = visible(said).replace("\n    ", " ");
    let beginning: String = said.chars().take(QUOTED).collect();
    let more = if beginning.len() < said.len() {
        "..."
    } else {
        ""
    };
    format!("(to {from}: {beginning}{more}) ")
}

/// How long messages stay from now on, for people.
pub(super) fn timer_line(timer: &Value) -> String {
    format!("{}  {}", local_time(&timer["sent_at"]), timer_said(timer))
}

fn timer_said(timer: &Value) -> String {
    let from = text(&timer["from"]);
    match timer["expires_s"].as_u64().unwrap_or_default() {
        0 => format!("({from}: messages stay from now on)"),
        seconds => {
            let time = humantime::format_duration(std::time::Duration::from_secs(seconds));
            format!("({from}: messages disappear {time} after they were shown, from now on)")
        }
    }
}

/// What was done with a message, for people.
pub(super) fn changed_line(changed: &Value) -> String {
    let message = &changed["message"];
    let name = visible(&text(&changed["conversation"]));
    match changed["change"].as_str() {
        // It was more than that since.
        _ if message.is_null() => format!("({name}: a message has disappeared)"),
        Some("edited") => format!("{}  (was edited)", message_line(message)),
        Some("reaction") => format!("{}  (reaction)", message_line(message)),
        Some("deleted") => format!(
            "({name}: a message of {} was deleted)",
            text(&message["from"])
        ),
        _ => format!("({name}: a message has disappeared)"),
    }
}

/// Somebody became a contact, for people.
/// By address: a name that others have chosen is nothing to be copied into a shell.
pub(super) fn device_line(changed: &Value) -> String {
    format!(
        "({} was verified, and uses another device since: nothing goes there until you have compared the number again: \
         peer verify {})",
        visible(&text(&changed["name"])),
        text(&changed["address"])
    )
}

pub(super) fn accepted_line(accepted: &Value) -> String {
    format!(
        "({} is your contact now)",
        visible(&text(&accepted["name"]))
    )
}

/// A contact for people.
pub(super) fn contact_line(contact: &Value) -> String {
    let standing = match contact["standing"].as_str() {
        Some("accepted") => text(&contact["presence"]),
        Some("requested") => "asked, not accepted yet".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    };
    let mut line = format!(
        "{}  {}  {standing}",
        text(&contact["name"]),
        text(&contact["address"])
    );
    match contact["unread"].as_u64() {
        Some(0) | None => {}
        Some(unread) => line += &format!(", {unread} unread"),
    }
    match contact["verification"].as_str() {
        Some("verified") => line += ", verified",
        Some("changed") => line += ", verified with another device",
        _ => {}
    }
    if contact["muted"] == true {
        line += ", muted";
    }
    line
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
