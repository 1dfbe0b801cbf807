//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

/// Peer-to-peer chat that never loses a message.
#[derive(Debug, Parser)]
#[command(name = "peer", version, about, arg_required_else_help = true, after_help = EXIT_CODES)]
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

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 timed out, 4 not found, 5 refused by the other side.";

/// Where the profile is and how it is opened.
#[derive(Debug, clap::Args)]
pub(super) struct Global {
    /// Folder of the profile [default: $XDG_DATA_HOME/tincan]
    #[arg(long, global = true, env = "PEER_HOME", value_name = "DIR")]
    pub(super) home: Option<PathBuf>,
    /// File whose first line is the passphrase of this profile; with `init`, in the keyring's place
    #[arg(long, global = true, env = "PEER_PASSPHRASE_FILE", value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    /// With `init`: keep the key in a file that only you can read, without keyring and passphrase
    #[arg(long, global = true)]
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
    /// Through TURN only: contacts never learn your IP address
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
    Send(Send),
    /// Print messages as they come, and tell their senders that they were shown
    Listen(Listen),
    /// Run this profile without a face: it stays online, and other commands use it
    Daemon,
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
    /// How many people may use it. One: whoever uses it is accepted. More: you are asked each time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) uses: u32,
    /// How long it can be used
    #[arg(long, default_value = "7d", value_parser = humantime::parse_duration, value_name = "TIME")]
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
    pub(super) text: String,
    /// Wait until every message has come this far
    #[arg(long, value_enum)]
    pub(super) wait: Option<Until>,
    /// How long to wait
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration, value_name = "TIME")]
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
    /// End after this time; exit code 3 if --count was not reached
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(super) timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// Name or address of a contact
    pub(super) to: String,
    /// At most this many messages, the newest
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(super) limit: usize,
    /// Only messages before the one with this id
    #[arg(long, value_name = "ID")]
    pub(super) before: Option<String>,
}
