//! Commands that are typed into a conversation, after a slash: those of the command line, without the contact and the
//! message that they are about, because these are on the screen.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory as _, Parser as _};
use serde_json::{Value, json};

use super::acquaint::add_params;
use super::args::{Args, Command, Invite};
use super::calls::Call;
use super::lines::{contact_line, request_lines};
use super::status::status_text;
use super::values::{items, text};
use crate::MsgId;

/// Those that make sense inside a conversation. Each is a command of the command line.
const NAMES: &[&str] = &[
    "accept",
    "add",
    "block",
    "contacts",
    "delete",
    "disappear",
    "edit",
    "forward",
    "id",
    "invite",
    "mute",
    "react",
    "reject",
    "remove",
    "rename",
    "requests",
    "status",
    "unblock",
    "unmute",
    "verify",
];

/// What a command is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    /// Address of the contact whose conversation is open.
    pub(crate) contact: Option<&'a str>,
    /// The message that is selected, or the last one.
    pub(crate) message: Option<MsgId>,
}

/// A command that can be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    /// What comes after it.
    pub(crate) takes: String,
    pub(crate) does: String,
}

/// All of them that begin like this.
pub(crate) fn completions(beginning: &str) -> Vec<Known> {
    let root = Args::command();
    let known = root.get_subcommands().filter_map(|command| {
        let name = command.get_name();
        if !NAMES.contains(&name) || !name.starts_with(beginning) {
            return None;
        }
        let takes = typed_args(command).map(|arg| {
            let value = arg.get_value_names().and_then(|names| names.first());
            value.map_or(String::new(), |value| format!("<{}>", value.to_lowercase()))
        });
        Some(Known {
            name: name.to_owned(),
            takes: takes.collect::<Vec<_>>().join(" "),
            does: command
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default(),
        })
    });
    known.collect()
}

/// The call that a line means, which begins after its slash.
///
/// # Errors
/// What is wrong with it, for people.
pub(crate) fn call(line: &str, about: About<'_>) -> Result<Call, String> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let root = Args::command();
    let command = root
        .get_subcommands()
        .find(|command| command.get_name() == name && NAMES.contains(&name))
        .ok_or_else(|| {
            format!(
                "there is no command /{name}; /help shows them, and // begins a text with a slash"
            )
        })?;
    let mut words = vec!["peer".to_owned(), name.to_owned()];
    let is_plain = !command.get_arguments().any(is_option);
    if is_plain {
        // All the rest is one text, whatever it looks like.
        words.push("--".to_owned());
    }
    words.extend(filled(command, about)?);
    if !is_plain {
        let split = shlex::split(rest);
        words.extend(split.ok_or("a quotation mark is not closed")?);
    } else if !rest.is_empty() {
        words.push(rest.to_owned());
    }
    let args = Args::try_parse_from(words).map_err(|error| reason(name, &error))?;
    let call = args.command.and_then(|command| call_of(&command));
    call.ok_or_else(|| format!("/{name} is not possible here"))
}

/// The contact and the message that a command is about.
fn filled(command: &clap::Command, about: About<'_>) -> Result<Vec<String>, String> {
    let mut filled = Vec::new();
    for (at, arg) in command.get_positionals().enumerate() {
        match open(command, at, arg) {
            Open::Contact => {
                let contact = about.contact;
                filled.push(contact.ok_or("no conversation is open")?.to_owned());
            }
            Open::Message => {
                let message = about.message;
                let message = message.ok_or("select a message first (Ctrl-Up)")?;
                filled.push(message.to_string());
            }
            Open::Typed => break,
        }
    }
    Ok(filled)
}

/// Where the value of a positional argument comes from.
enum Open {
    /// It is the contact whose conversation is open.
    Contact,
    /// It is the message that is selected.
    Message,
    Typed,
}

fn open(command: &clap::Command, at: usize, arg: &clap::Arg) -> Open {
    let is_of_requests = matches!(command.get_name(), "accept" | "reject");
    match (arg.get_id().as_str(), at) {
        ("name" | "to" | "from", 0) => Open::Contact,
        ("id", _) if !is_of_requests => Open::Message,
        _ => Open::Typed,
    }
}

fn is_option(arg: &clap::Arg) -> bool {
    let is_help = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    !arg.is_positional() && !is_help && !arg.is_global_set()
}

/// A call for each of them: what it answers is said in one line, or on a page of its own.
fn call_of(command: &Command) -> Option<Call> {
    let call = |method, params, line| Call {
        method,
        params,
        leaves_to: None,
        line,
    };
    Some(match command {
        Command::Invite(Invite { uses, expires, .. }) => {
            let expires_ms = u64::try_from(expires.as_millis()).unwrap_or(u64::MAX);
            let params = json!({"uses": uses, "expires_ms": expires_ms});
            call("invite", params, |invite| text(&invite["link"]))
        }
        Command::Add(add) => call("add", add_params(add), |contact| {
            let name = text(&contact["name"]);
            format!("{name} has been asked; what you send meanwhile waits until they accept")
        }),
        Command::Accept(who) => call("accept", json!({"id": who.id}), |contact| {
            format!("{} is your contact now", text(&contact["name"]))
        }),
        Command::Reject(who) => call("reject", json!({"id": who.id}), |_| {
            "request dropped".to_owned()
        }),
        Command::Contacts => call("contacts", json!({}), |all| lines(all, contact_line)),
        Command::Requests => call("requests", json!({}), |all| lines(all, request_lines)),
        Command::Status => call("status", json!({}), status_text),
        other => return other.call(),
    })
}

fn lines(all: &Value, line: fn(&Value) -> String) -> String {
    let lines: Vec<String> = items(all).map(line).collect();
    if lines.is_empty() {
        return "nobody".to_owned();
    }
    lines.join("\n")
}

/// What is wrong, in one line; help is a page.
fn reason(name: &str, error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelp {
        return error.to_string();
    }
    if error.kind() == ErrorKind::MissingRequiredArgument {
        let known = completions(name);
        let known = known.iter().find(|known| known.name == name);
        let takes = known.map_or("", |known| known.takes.as_str());
        return format!("write it like /{name} {takes}");
    }
    if let (Some(ContextValue::String(value)), Some(source)) = (
        error.get(ContextKind::InvalidValue),
        std::error::Error::source(error),
    ) {
        return format!("{value:?}: {source}");
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

/// The positional arguments that are typed.
fn typed_args(command: &clap::Command) -> impl Iterator<Item = &clap::Arg> {
    let positionals = command.get_positionals().enumerate();
    let typed = positionals.filter(|(at, arg)| matches!(open(command, *at, arg), Open::Typed));
    typed.map(|(_, arg)| arg)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: &str = "tin1bob";

    fn about(message: Option<MsgId>) -> About<'static> {
        About {
            contact: Some(BOB),
            message,
        }
    }

    #[test]
    fn a_command_is_about_what_is_on_the_screen() {
        let id = MsgId::now_v7();
        let calls = [
            (
                "react \u{1f44d}",
                "react",
                json!({"to": BOB, "id": id, "emoji": "\u{1f44d}"}),
            ),
            (
                "edit it's --me \"now",
                "edit",
                json!({"to": BOB, "id": id, "text": "it's --me \"now"}),
            ),
            (
                "rename Bob Smith",
                "rename",
                json!({"name": BOB, "to": "Bob Smith"}),
            ),
            (
                "mute --for 8h",
                "mute",
                json!({"name": BOB, "for_ms": 28_800_000}),
            ),
            (
                "delete --here",
                "delete",
                json!({"to": BOB, "id": id, "here": true}),
            ),
            ("forward carol", "forward", Value::Null),
            (
                "disappear 1h",
                "disappear",
                json!({"name": BOB, "after_s": 3600}),
            ),
            ("accept dave", "accept", json!({"id": "dave"})),
            (
                "add tincan:abc --name \"Bob Smith\"",
                "add",
                json!({"link": "tincan:abc", "name": "Bob Smith", "message": null, "again": false}),
            ),
            ("status", "status", json!({})),
        ];
        for (line, method, params) in calls {
            let call = call(line, about(Some(id))).unwrap();
            assert_eq!(call.method, method, "{line}");
            if !params.is_null() {
                assert_eq!(call.params, params, "{line}");
            }
        }
    }

    #[test]
    fn what_is_no_command_is_an_error_that_says_what_to_do() {
        let wrong = |line: &str, about: About<'_>| call(line, about).err().unwrap_or_default();
        assert!(wrong("usr/bin", about(None)).contains("no command /usr/bin"));
        assert!(wrong("init", about(None)).contains("no command"));
        assert!(wrong("daemon", about(None)).contains("no command"));
        assert_eq!(
            wrong("edit hello", about(None)),
            "select a message first (Ctrl-Up)"
        );
        assert_eq!(wrong("mute", About::default()), "no conversation is open");
        assert_eq!(wrong("rename", about(None)), "write it like /rename <to>");
        assert!(
            wrong("disappear soon", about(None)).contains("unit"),
            "{}",
            wrong("disappear soon", about(None))
        );
        assert!(wrong("mute --loud", about(None)).contains("--loud"));
        assert!(wrong("add 'x", about(None)).contains("quotation"));
    }

    #[test]
    fn completions_come_from_the_registry() {
        let all = completions("");
        assert_eq!(all.len(), NAMES.len());
        let names: Vec<String> = completions("re")
            .into_iter()
            .map(|known| known.name)
            .collect();
        for name in ["requests", "reject", "rename", "remove", "react"] {
            assert!(names.iter().any(|known| known == name), "{names:?}");
        }
        let edit = &completions("edit")[0];
        assert_eq!(edit.takes, "<text>");
        assert!(!edit.does.is_empty());
    }
}
