//! The command line: arguments in, JSON objects or plain lines out, exit codes as documented.
//!
//! Every command is a call of [`crate::rpc::methods`], made in this process or, if another one runs
//! the profile, over its socket: so it works the same either way.

mod acquaint;
pub(crate) mod args;
mod backup;
mod calls;
mod chat;
mod commands;
mod daemon;
mod export;
mod follow;
pub(crate) mod init;
mod lines;
mod listen;
mod output;
pub(crate) mod qr;
mod rpc;
mod send;
pub(crate) mod session;
pub(crate) mod sessions;
mod shell;
mod status;
pub(crate) mod typed;
mod usage;
mod values;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::rpc::RpcError;
use args::{Args, Command};
use output::Output;

/// Runs the program.
pub async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::refuse(error),
    };
    let is_interface = match &args.command {
        None => true,
        Some(Command::Chat(chat)) => !chat.plain,
        Some(_) => false,
    };
    if is_interface && (args.json || !interface::is_possible()) {
        return usage::no_interface(args.command.is_none(), args.json);
    }
    // It would be written over what is drawn.
    if !(is_interface && std::io::stderr().is_terminal()) {
        start_log(args.verbose);
    }
    let output = Output::new(args.json);
    let json = args.json;
    crate::store::before_abort(move |error| {
        interface::give_back();
        let error = RpcError::from(error);
        Output::new(json).error(&error);
        std::process::exit(i32::from(error.exit_code()));
    });
    match run(args, &output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if output.is_abandoned() => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(args: Args, output: &Output) -> Result<(), RpcError> {
    let Args {
        global, command, ..
    } = args;
    let Some(command) = command else {
        return interface::run(&global, None).await;
    };
    match command {
        Command::Init(init) => init::run(&global, init, output).await,
        Command::Daemon => daemon::run(&global, output).await,
        Command::Rpc(rpc) => rpc::run(&global, &rpc, output).await,
        Command::Completions(args) => shell::completions(&args, output),
        Command::Man(args) => shell::man(&args, output),
        Command::Chat(chat) if chat.plain => chat::run(&global, &chat, output).await,
        Command::Chat(chat) => interface::run(&global, Some(&chat.to)).await,
        Command::Backup(backup) => backup::run(&global, &backup, output).await,
        Command::Export(export) => export::run(&global, &export, output).await,
        Command::Listen(listen) => listen::run(&global, listen, output).await,
        Command::Send(send) => send::run(&global, send, output).await,
        other => commands::run(&global, other, output).await,
    }
}

#[cfg(feature = "tui")]
use crate::tui as interface;

/// What stands in the terminal interface's place where it was not built.
#[cfg(not(feature = "tui"))]
mod interface {
    use super::args::Global;
    use crate::rpc::RpcError;

    pub(super) const fn is_possible() -> bool {
        false
    }

    pub(super) const fn give_back() {}

    pub(super) async fn run(_: &Global, _: Option<&str>) -> Result<(), RpcError> {
        Err(RpcError::usage(
            "this program was built without its terminal interface",
            "give a command; `peer --help` shows them",
        ))
    }
}

/// Ctrl-C or SIGTERM, from the call on: until then they end the process at once.
pub(crate) fn end_signal() -> impl Future<Output = ()> {
    let mut signals = EndSignals::begin(false);
    async move { signals.next().await }
}

/// What ends the process, from the call on, as often as somebody wants it: Ctrl-C, SIGTERM, and for what lives on a
/// terminal also that it goes away (`nohup` is there for the others).
pub(crate) struct EndSignals([Option<tokio::signal::unix::Signal>; 3]);

impl EndSignals {
    pub(crate) fn begin(on_terminal: bool) -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = on_terminal.then(SignalKind::hangup);
        let kinds = [
            Some(SignalKind::interrupt()),
            Some(SignalKind::terminate()),
            hangup,
        ];
        Self(kinds.map(|kind| signal(kind?).ok()))
    }

    /// The next one. Never, where signals cannot be had.
    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            () = next(interrupt) => {}
            () = next(terminate) => {}
            () = next(hangup) => {}
        }
    }
}

async fn next(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// The log goes to stderr: warnings, or more with `-v`. The libraries below say a lot that only
/// their authors understand.
fn start_log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let own = match verbose {
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let libraries = if verbose > 2 { "info" } else { "off" };
    let default = format!(
        "{libraries},tincan_peer={own},tincan_core={own},tincan_link={own},tincan_mls={own}"
    );
    let filter = EnvFilter::try_from_env("PEER_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // It would say on stderr that stderr cannot be written, and panic because it cannot: a log on
        // a full disk must not end the program.
        .log_internal_errors(false)
        .init();
}
