//! Reading the JSON objects that calls answer with.

use serde_json::Value;

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

pub(super) fn relays(status: &Value) -> impl Iterator<Item = &Value> {
    items(&status["relays"])
}

/// Whether our relay has our mailboxes and key packages.
pub(super) fn own_relay_ready(status: &Value, url: &Value) -> bool {
    relays(status).any(|relay| relay["url"] == *url && relay["ready"] == true)
}

/// The same, or it is known not to be there.
pub(super) fn own_relay_answered(status: &Value, url: &Value) -> bool {
    own_relay_ready(status, url)
        || relays(status).any(|relay| relay["url"] == *url && relay["problem"].is_string())
}

/// Every server is connected and what waited there has been read, or it is known not to be there.
pub(super) fn servers_answered(status: &Value) -> bool {
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

/// A time as a clock on the wall shows it.
pub(super) fn local_time(rfc3339: &Value) -> String {
    let at = text(rfc3339);
    let Ok(moment) = at.parse::<jiff::Timestamp>() else {
        return at;
    };
    let zoned = moment.to_zoned(jiff::tz::TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
