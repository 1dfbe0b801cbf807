//! The commands that are one call: what is called, and what its answer says to people.

use serde_json::{Value, json};

use super::args::{
    Command, Contact, Delete, Disappear, Edit, Forward, Mute, React, Rename, Verify,
};
use super::values::{local_time, text};
use crate::MsgId;

/// One call.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) params: Value,
    /// The contact for whom something leaves then.
    pub(crate) leaves_to: Option<String>,
    /// The answer, for people.
    pub(crate) line: fn(&Value) -> String,
}

impl Command {
    /// The call that this command is, if it is one.
    pub(super) fn call(&self) -> Option<Call> {
        let call = match self {
            Self::Id => quiet("id", json!({}), id_text),
            Self::Verify(args) => verify(args),
            Self::Rename(Rename { name, to }) => {
                quiet("rename", json!({"name": name, "to": to}), |contact| {
                    format!("they are called {} from now on", text(&contact["name"]))
                })
            }
            Self::Block(Contact { name }) => quiet("block", json!({"name": name}), |contact| {
                let name = text(&contact["name"]);
                format!("{name} is blocked: nothing of theirs arrives any more")
            }),
            Self::Unblock(Contact { name }) => Call {
                leaves_to: Some(name.clone()),
                ..quiet("unblock", json!({"name": name}), |_| {
                    "unblocked; somebody who had only asked can ask again".to_owned()
                })
            },
            Self::Remove(Contact { name }) => quiet("remove", json!({"name": name}), |_| {
                "removed, with everything that was said".to_owned()
            }),
            Self::Mute(Mute { name, time }) => {
                let for_ms = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                quiet("mute", json!({"name": name, "for_ms": for_ms}), mute_line)
            }
            Self::Unmute(Contact { name }) => quiet("unmute", json!({"name": name}), mute_line),
            Self::Disappear(Disappear { name, after }) => Call {
                leaves_to: Some(name.clone()),
                ..quiet(
                    "disappear",
                    json!({"name": name, "after_s": after}),
                    timer_line,
                )
            },
            Self::Edit(Edit {
                to,
                id,
                text: words,
            }) => leaving(
                to,
                "edit",
                json!({"to": to, "id": id, "text": words}),
                |_| "edited".to_owned(),
            ),
            Self::Delete(Delete { to, id, here }) => {
                let line = if *here {
                    |_: &Value| "taken out of your history; the other side keeps it".to_owned()
                } else {
                    |_: &Value| {
                        "taken back; it goes on the other side once they hear of it".to_owned()
                    }
                };
                leaving(
                    to,
                    "delete",
                    json!({"to": to, "id": id, "here": here}),
                    line,
                )
            }
            Self::React(React { to, id, emoji }) => {
                let line = if emoji.is_empty() {
                    |_: &Value| "reaction taken back".to_owned()
                } else {
                    |_: &Value| "reaction sent".to_owned()
                };
                leaving(
                    to,
                    "react",
                    json!({"to": to, "id": id, "emoji": emoji}),
                    line,
                )
            }
            Self::Forward(Forward { from, id, to }) => {
                let copy = MsgId::now_v7();
                let params = json!({"from": from, "id": id, "to": to, "copy": copy});
                leaving(to, "forward", params, |_| "forwarded".to_owned())
            }
            _ => return None,
        };
        Some(call)
    }
}

const fn quiet(method: &'static str, params: Value, line: fn(&Value) -> String) -> Call {
    Call {
        method,
        params,
        leaves_to: None,
        line,
    }
}

fn leaving(to: &str, method: &'static str, params: Value, line: fn(&Value) -> String) -> Call {
    Call {
        leaves_to: Some(to.to_owned()),
        ..quiet(method, params, line)
    }
}

fn verify(args: &Verify) -> Call {
    let number = (!args.number.is_empty()).then(|| args.number.join(" "));
    let confirmed = match (args.confirm, args.revoke) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        (false, false) => None,
    };
    let params = json!({"name": args.name, "number": number, "confirmed": confirmed});
    quiet("verify", params, verification_text)
}

fn id_text(id: &Value) -> String {
    let servers = super::values::items(&id["signal_servers"]).map(text);
    format!(
        "{}\n  address  {}\n  device   {}\n  servers  {}\n  relay    {}",
        text(&id["name"]),
        text(&id["address"]),
        text(&id["device"]),
        servers.collect::<Vec<_>>().join(", "),
        text(&id["relay"]),
    )
}

/// Four groups a line, as they are read aloud.
fn verification_text(verification: &Value) -> String {
    let number = text(&verification["safety_number"]);
    let groups: Vec<&str> = number.split(' ').collect();
    let lines = groups
        .chunks(4)
        .map(|line| format!("    {}\n", line.join(" ")));
    let (name, address) = (text(&verification["name"]), text(&verification["address"]));
    // By address: a name that others have chosen is nothing to be copied into a shell.
    let state = match verification["verification"].as_str() {
        Some("verified") => format!("{name} is verified."),
        Some("changed") => format!(
            "{name} was verified, and uses another device since. Ask them whether that is so, compare, and then:\n  \
             peer verify {address} --confirm"
        ),
        _ => format!(
            "{name} is not verified. Compare these digits over another way; if both see the same:\n  \
             peer verify {address} --confirm"
        ),
    };
    format!(
        "safety number with {name}\n\n{}\n{state}",
        lines.collect::<String>()
    )
}

fn mute_line(contact: &Value) -> String {
    let name = text(&contact["name"]);
    match (contact["muted"].as_bool(), contact["muted_until"].as_str()) {
        (Some(true), Some(_)) => {
            format!(
                "{name} is muted until {}",
                local_time(&contact["muted_until"])
            )
        }
        (Some(true), None) => format!("{name} is muted"),
        _ => format!("{name} is not muted"),
    }
}

fn timer_line(contact: &Value) -> String {
    let name = text(&contact["name"]);
    match contact["expires_s"].as_u64().unwrap_or_default() {
        0 => format!("messages with {name} stay from now on"),
        seconds => {
            let time = std::time::Duration::from_secs(seconds);
            format!(
                "messages with {name} disappear {} after they were shown, from now on",
                humantime::format_duration(time)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::Args;
    use super::*;

    fn call(typed: &[&str]) -> Option<Call> {
        let args = Args::try_parse_from(std::iter::once(&"peer").chain(typed)).unwrap();
        args.command?.call()
    }

    #[test]
    fn every_call_names_a_method_and_the_right_parameters() {
        let id = "01900000-0000-7000-8000-000000000001";
        for typed in [
            &["id"][..],
            &["verify", "bob"],
            &["verify", "bob", "12345", "67890"],
            &["verify", "bob", "--confirm"],
            &["rename", "bob", "rob"],
            &["block", "bob"],
            &["unblock", "bob"],
            &["remove", "bob"],
            &["mute", "bob", "--for", "8h"],
            &["unmute", "bob"],
            &["disappear", "bob", "1h"],
            &["edit", "bob", id, "hello"],
            &["delete", "bob", id, "--here"],
            &["react", "bob", id, "x"],
            &["forward", "bob", id, "carol"],
        ] {
            let call = call(typed).unwrap();
            assert_eq!(call.method, typed[0]);
            let document = crate::rpc::document();
            let methods = document["methods"].as_array().unwrap();
            let method = methods
                .iter()
                .find(|one| one["name"] == call.method)
                .unwrap();
            let names: Vec<&Value> = method["params"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| &one["name"])
                .collect();
            for name in call.params.as_object().unwrap().keys() {
                assert!(names.contains(&&json!(name)), "{typed:?}: {name}");
            }
        }
        assert!(call(&["status"]).is_none());
    }

    #[test]
    fn a_safety_number_is_shown_in_lines_that_can_be_read_aloud() {
        let number = (10..22)
            .map(|n| format!("{n}345"))
            .collect::<Vec<_>>()
            .join(" ");
        let text = verification_text(&json!({
            "name": "bob", "address": "tin1bob", "safety_number": number, "verification": "unverified",
        }));
        assert!(
            text.contains("\n    10345 11345 12345 13345\n    14345"),
            "{text}"
        );
        assert!(text.contains("peer verify tin1bob --confirm"), "{text}");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let line = |seconds: u64| timer_line(&json!({"name": "bob", "expires_s": seconds}));
        assert!(line(0).contains("stay"));
        assert!(line(90_000).contains("1day 1h"), "{}", line(90_000));
    }
}
