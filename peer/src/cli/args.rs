//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use tincan_protocol::limits::EXPIRES_MAX_S;

use crate::MsgId;

/// Peer-to-peer chat that never loses a message.
#[derive(Debug, Parser)]
#[command(name = "peer", version)]
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
    /// Without one, the terminal interface.
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

const SHORT_HELP: &str = "\
TIME is a number with its unit, like 500ms, 30s, 5m, 12h or 7d, or several of them: 1h30m.
Exit codes: 0 done, 1 failed, 2 wrong use, 3 timed out, 4 not found, 5 refused by the other side.
`peer --help` also says what --json prints.";

const SEND_HELP: &str = "\
Without --wait it stays at most 5s, to see whether the message leaves; the exit code is 0 either way.
A message that cannot leave is saved and goes out later.";

const CHAT_HELP: &str = "\
With --plain, the last 20 messages are printed, and others as they come, each with a number. A line that is typed is a
message; /reply #12 TEXT answers one, /react #12 EMOJI reacts to it, /help shows the other commands. It ends with Ctrl-D.";

const VERIFY_HELP: &str = "\
Both of you see the same 60 digits, unless somebody is in between. Compare them over another way: in person, on
the phone. Then `peer verify NAME --confirm`; or give the digits that the contact has sent or shows as a QR code,
and they are compared for you.";

const COMPLETIONS_HELP: &str = "\
bash: peer completions bash > ~/.local/share/bash-completion/completions/peer
zsh:  peer completions zsh > _peer, in a folder of $fpath
fish: peer completions fish > ~/.config/fish/completions/peer.fish";

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
  contact   contacts, add,      name, address, standing (requested, accepted, blocked), presence,
            accept, rename,     verified, verification (unverified, verified, changed), unread,
            block, mute, ...    muted, muted_until, expires_s
  verification  verify          name, address, safety_number, verification
  done      edit, delete, ...   (it was done)
  request   requests, listen    id (the address for accept and reject), name, text
  rejected  reject              id
  message   history, listen     id, conversation (name), address, from, outgoing, seq, text, sent_at,
                                received_at, state, edited, deleted, forwarded, reply_to, reactions,
                                expires_s
  timer     history, listen     from, expires_s (how long messages stay from now on; 0: for ever)
  changed   listen              id, change (edited, deleted, reaction, removed), message
  state     send                id, state (pending, sent, delivered, read), reason
            listen              ids, state (failed), conversation, address
  contact_changed  listen       name, address, verification (changed: they have another device)
  missed    listen              count (of events that nobody has read in time; see history)
  gap       listen              first, last (seqs that are missing), conversation, address
  backup    backup              file, bytes, contacts, messages
  status    status              contacts (name, link, presence, waiting, pending, at_relay),
                                signal_servers, relays, turn, process
  ready     daemon              address
  error     all, at last        code (failed, usage, timeout, not_found, refused, ended), message, help";

/// Where the profile is and how it is opened.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Folder of the profile [default: $XDG_DATA_HOME/tincan]
    #[arg(long, global = true, env = "PEER_HOME", value_name = "DIR", value_parser = folder())]
    pub(super) home: Option<PathBuf>,
    /// File whose first line is the passphrase of this profile; with `init` and `backup import`, in the keyring's
    /// place
    #[arg(long, global = true, env = "PEER_PASSPHRASE_FILE", value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// With `init` and `backup import`: keep the key in a file that only you can read, without keyring and passphrase
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
    /// Show a contact's safety number, or say that you have compared it
    #[command(after_help = VERIFY_HELP)]
    Verify(Verify),
    /// Call a contact something else; they do not see it
    Rename(Rename),
    /// Let nothing of somebody arrive any more; they are not told
    Block(Contact),
    /// Make somebody who was blocked a contact again
    Unblock(Contact),
    /// Forget a contact and everything that was said; they are not told
    Remove(Contact),
    /// Let nothing call attention to a contact's messages
    Mute(Mute),
    /// End that
    Unmute(Contact),
    /// Let messages of a conversation disappear on both sides
    Disappear(Disappear),
    /// Send a message
    #[command(after_help = SEND_HELP)]
    Send(Send),
    /// Give a message of yours another text
    Edit(Edit),
    /// Take a message of yours back on both sides, or any out of your own history
    Delete(Delete),
    /// Say something about a message in one emoji
    React(React),
    /// Pass a message on to another contact
    Forward(Forward),
    /// Talk with a contact: in the terminal interface, or line by line
    #[command(after_help = CHAT_HELP)]
    Chat(Chat),
    /// Print messages as they come, and tell their senders that they were shown
    Listen(Listen),
    /// Run this profile without a face: it stays online, and other commands use it
    Daemon,
    /// Answer JSON-RPC 2.0 on stdin and stdout, for programs
    #[command(after_help = RPC_HELP)]
    Rpc(Rpc),
    /// Print a conversation
    History(History),
    /// Write a conversation as text, JSON or HTML
    Export(Export),
    /// Write everything into one file, or make a profile of it on another device
    #[command(subcommand)]
    Backup(Backup),
    /// Show links, servers, and what waits for what
    Status,
    /// Print what lets a shell complete these commands
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(Completions),
    /// Print the manual page, or write those of all commands into a folder
    Man(Man),
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
    /// Ask once more although they are your contact: they have removed you, or lost what they had
    #[arg(long)]
    pub(super) again: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Who {
    /// Name or address, as `peer requests` shows it
    pub(super) id: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Contact {
    /// Name or address of a contact
    pub(super) name: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Name or address of a contact
    pub(super) name: String,
    /// The digits that the contact sees
    #[arg(conflicts_with_all = ["confirm", "revoke"])]
    pub(super) number: Vec<String>,
    /// You have compared the digits, and they are the same
    #[arg(long)]
    pub(super) confirm: bool,
    /// The contact is not verified any more
    #[arg(long, conflicts_with = "confirm")]
    pub(super) revoke: bool,
    /// Show the digits as a QR code too
    #[arg(long)]
    pub(super) qr: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rename {
    /// Name or address of a contact
    pub(super) name: String,
    /// What they are called from now on
    pub(super) to: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Mute {
    /// Name or address of a contact
    pub(super) name: String,
    /// For how long, like 8h or 7d [default: for ever]
    #[arg(long = "for", value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    pub(super) time: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Disappear {
    /// Name or address of a contact
    pub(super) name: String,
    /// How long after it was shown, like 1h or 7d, at most 365d; "off": messages stay
    #[arg(value_parser = seconds, allow_hyphen_values = true, value_name = "TIME")]
    pub(super) after: u32,
}

#[derive(Debug, clap::Args)]
pub(super) struct Edit {
    /// Name or address of a contact
    pub(super) to: String,
    /// The message, as `peer history NAME --ids` shows it
    #[arg(value_parser = message_id)]
    pub(super) id: MsgId,
    /// What it says from now on
    #[arg(value_parser = some_text)]
    pub(super) text: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// Name or address of a contact
    pub(super) to: String,
    /// The message, as `peer history NAME --ids` shows it
    #[arg(value_parser = message_id)]
    pub(super) id: MsgId,
    /// Only here, and whoever has written it; the other side keeps it
    #[arg(long)]
    pub(super) here: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct React {
    /// Name or address of a contact
    pub(super) to: String,
    /// The message, as `peer history NAME --ids` shows it
    #[arg(value_parser = message_id)]
    pub(super) id: MsgId,
    /// The emoji; without one, yours is taken back
    #[arg(default_value = "", hide_default_value = true)]
    pub(super) emoji: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Forward {
    /// The contact with whom it was written
    pub(super) from: String,
    /// The message, as `peer history NAME --ids` shows it
    #[arg(value_parser = message_id)]
    pub(super) id: MsgId,
    /// The contact who is to get it
    pub(super) to: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Send {
    /// Name or address of a contact
    pub(super) to: String,
    /// The message; "-" reads lines from stdin, each a message
    #[arg(value_parser = some_text)]
    pub(super) text: String,
    /// The message that it answers, as `peer history NAME --ids` shows it
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(super) reply_to: Option<MsgId>,
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
pub(super) struct Chat {
    /// Name or address of a contact
    pub(super) to: String,
    /// Line by line, for screen readers and pipes
    #[arg(long)]
    pub(super) plain: bool,
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
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Folder for the pages of all commands
    #[arg(value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
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
    /// Show each message's id, for edit, delete, react, forward and --reply-to
    #[arg(long)]
    pub(super) ids: bool,
}

/// Everything in one file.
#[derive(Debug, Subcommand)]
pub(super) enum Backup {
    /// Write identity, contacts and all that was said into a file that is not there yet, under a passphrase
    Export(BackupFile),
    /// Make a profile of such a file: another device, with which your contacts go on. Like `init`, it takes
    /// --no-keyring or --passphrase-file for the key of the new profile
    Import(BackupFile),
}

#[derive(Debug, clap::Args)]
pub(super) struct BackupFile {
    /// The file
    pub(super) file: PathBuf,
    /// File whose first line is the passphrase of the backup [default: it is asked for]
    #[arg(long, value_name = "FILE")]
    pub(super) with: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Name or address of a contact
    pub(super) to: String,
    /// The file, which must not be there yet [default: stdout]
    pub(super) file: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// How a conversation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A line for each message
    Text,
    /// One document, with the objects of `history --json`
    Json,
    /// One page for a browser
    Html,
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

/// How long messages stay.
fn seconds(text: &str) -> Result<u32, String> {
    if text == "off" {
        return Ok(0);
    }
    let time = time(text).map_err(|error| format!("{error}, or \"off\""))?;
    let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    match seconds {
        0 => Err("at least one second".to_owned()),
        EXPIRES_TOO_LONG.. => Err("at most 365d".to_owned()),
        seconds => Ok(seconds),
    }
}

const EXPIRES_TOO_LONG: u32 = EXPIRES_MAX_S + 1;

fn message_id(text: &str) -> Result<MsgId, String> {
    text.parse()
        .map_err(|_| "this is no message id; `peer history NAME --ids` shows them".to_owned())
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
