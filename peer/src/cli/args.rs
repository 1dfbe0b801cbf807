//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::MsgId;

/// Peer-to-peer chat that never loses a message.
#[derive(Debug, Parser)]
#[command(name = "peer", version, arg_required_else_help = true)]
#[command(after_help = SHORT_HELP, after_long_help = LONG_HELP)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    /// Print JSON objects, one a line, and nothing else on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Log to stderr: -v what happens, -vv details
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

const SHORT_HELP: &str = "\
TIME is a number with its unit, like 500ms, 30s, 5m, 12h or 7d, or several of them: 1h30m.
Exit codes: 0 done, 1 failed, 2 wrong use, 3 timed out, 4 not found, 5 refused by the other side.
`peer --help` also says what --json prints.";

const SEND_HELP: &str = "\
Without --wait it stays at most 5s, to see whether the message leaves; the exit code is 0 either way.
A message that cannot leave is saved and goes out later.";

const RPC_HELP: &str = "\
One JSON object a line in both directions; answers come in any order. It ends with its stdin.
The methods are the commands, with parameters by name: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"id\",\"params\":{}}
News comes by `events.next`: call it again and again with the cursor that it answers.";

const LONG_HELP: &str = "\
TIME is a number with its unit, like 500ms, 30s, 5m, 12h or 7d, or several of them: 1h30m.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 timed out, 4 not found, 5 refused by the other side.

With --json every line on stdout is an object whose \"type\" says what it is. Times are RFC 3339 in UTC,
durations milliseconds. Fields may be added; those named here stay.
  id        init, id            address, name; id: device, signal_servers, relay; init: phrase
  invite    invite              link, uses, expires_at
  contact   contacts, add,      name, address, standing (requested, accepted, blocked), presence
            accept
  request   requests, listen    id (the address for accept and reject), name, text
  rejected  reject              id
  message   history, listen     id, conversation (name), address, from, outgoing, seq, text, sent_at,
                                received_at, state
  state     send                id, state (pending, sent, delivered, read), reason
            listen              ids, state (failed), conversation, address
  missed    listen              count (of events that nobody has read in time; see history)
  gap       listen              first, last (seqs that are missing), conversation, address
  status    status              contacts (name, link, presence, waiting, pending, at_relay),
                                signal_servers, relays, turn, process
  ready     daemon              address
  error     all, at last        code (failed, usage, timeout, not_found, refused, ended), message, help";

/// Where the profile is and how it is opened.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Global {
    /// Folder of the profile [default: $XDG_DATA_HOME/tincan]
    #[arg(long, global = true, env = "PEER_HOME", value_name = "DIR", value_parser = folder())]
    pub(super) home: Option<PathBuf>,
    /// File whose first line is the passphrase of this profile; with `init`, in the keyring's place
    #[arg(long, global = true, env = "PEER_PASSPHRASE_FILE", value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// With `init`: keep the key in a file that only you can read, without keyring and passphrase
    #[arg(long, global = true, conflicts_with = "passphrase_file")]
    pub(super) no_keyring: bool,
    /// Which network paths direct links may use
    #[arg(long, global = true, env = "PEER_ICE", value_enum, default_value_t = Ice::All)]
    pub(super) ice: Ice,
}

/// Network paths of direct links.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Ice {
    /// The best one that works
    All,
    /// Through TURN only: contacts do not see your IP address, but servers that they name do
    Relay,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a profile: an identity with its 24 words
    Init(Init),
    /// Show your address, name, device and servers
    Id,
    /// Print a link with which somebody becomes your contact
    Invite(Invite),
    /// Ask the owner of an invite link to become your contact
    Add(Add),
    /// List who asks to become your contact
    Requests,
    /// Accept a request
    Accept(Who),
    /// Drop a request; its sender is not told
    Reject(Who),
    /// List your contacts
    Contacts,
    /// Send a message
    #[command(after_help = SEND_HELP)]
    Send(Send),
    /// Print messages as they come, and tell their senders that they were shown
    Listen(Listen),
    /// Run this profile without a face: it stays online, and other commands use it
    Daemon,
    /// Answer JSON-RPC 2.0 on stdin and stdout, for programs
    #[command(after_help = RPC_HELP)]
    Rpc(Rpc),
    /// Print a conversation
    History(History),
    /// Show links, servers, and what waits for what
    Status,
}

#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// What you call yourself [default: your login name]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Signaling server, up to three
    #[arg(long, value_name = "URL", required = true)]
    pub(super) server: Vec<String>,
    /// Relay [default: the first signaling server]
    #[arg(long, value_name = "URL")]
    pub(super) relay: Option<String>,
    /// Restore an identity from its 24 words, read from stdin
    #[arg(long)]
    pub(super) restore: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Invite {
    /// How many people may use it. One: the first who uses it is accepted. More: you are asked each time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) uses: u32,
    /// How long it can be used, like 12h or 7d
    #[arg(long, default_value = "7d", value_parser = time, allow_hyphen_values = true, value_name = "TIME")]
    pub(super) expires: Duration,
    /// Show it as a QR code too
    #[arg(long)]
    pub(super) qr: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// The link, from "tincan:" to its end
    pub(super) link: String,
    /// What you want to call them [default: what they call themselves]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A few words so that they know who you are
    #[arg(long, value_name = "TEXT")]
    pub(super) message: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Who {
    /// Name or address, as `peer requests` shows it
    pub(super) id: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// Name or address of a contact
    pub(super) to: String,
    /// The message; "-" reads lines from stdin, each a message
    #[arg(value_parser = some_text)]
    pub(super) text: String,
    /// Wait until every message has come this far
    #[arg(long, value_enum)]
    pub(super) wait: Option<Until>,
    /// How long to wait, like 30s or 5m
    #[arg(long, default_value = "30s", value_parser = time, allow_hyphen_values = true, value_name = "TIME")]
    pub(super) timeout: Duration,
}

/// How far a message shall have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Until {
    /// At the contact's device or relay
    Sent,
    /// Stored by the contact's device
    Delivered,
    /// Shown to the contact
    Read,
}

#[derive(Debug, clap::Args)]
pub(super) struct Listen {
    /// Only messages of this contact
    #[arg(long, value_name = "NAME")]
    pub(super) from: Option<String>,
    /// End after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// End after this time, like 30s or 5m; exit code 3 if --count was not reached
    #[arg(long, value_parser = time, allow_hyphen_values = true, value_name = "TIME")]
    pub(super) timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rpc {
    /// Print the methods as an OpenRPC document instead
    #[arg(long)]
    pub(super) schema: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// Name or address of a contact
    pub(super) to: String,
    /// At most this many messages, the newest
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: u32,
    /// Only messages before the one with this id
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(super) before: Option<MsgId>,
}

/// clap's own words for an empty one say nothing of the variable that it may come from.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|folder| {
        if folder.is_empty() {
            return Err(
                "the folder has no name; give one, or unset PEER_HOME for the standard folder",
            );
        }
        Ok(PathBuf::from(folder))
    })
}

/// A time that passes.
fn time(text: &str) -> Result<Duration, String> {
    let example = "give a number with its unit, like 500ms, 30s, 5m, 12h or 7d";
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err("a time is longer than zero".to_owned()),
        Ok(time) => Ok(time),
        Err(_) if text.starts_with('-') => Err(format!("a time is not negative; {example}")),
        Err(_) => Err(example.to_owned()),
    }
}

fn message_id(text: &str) -> Result<MsgId, String> {
    text.parse()
        .map_err(|_| "this is no message id; `peer history NAME --json` shows them".to_owned())
}

fn some_text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("the message is empty".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_positive_and_have_a_unit() {
        assert_eq!(time("1h30m"), Ok(Duration::from_secs(5400)));
        for (wrong, why) in [
            ("0s", "longer than zero"),
            ("-5s", "not negative"),
            ("30", "unit"),
            ("soon", "unit"),
        ] {
            assert!(
                time(wrong).is_err_and(|error| error.contains(why)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }
}
