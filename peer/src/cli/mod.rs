//! The command line: arguments in, JSON objects or plain lines out, exit codes as documented.
//!
//! Every command is a call of [`crate::rpc::methods`], made in this process or, if another one runs
//! the profile, over its socket: so it works the same either way.

mod acquaint;
mod args;
mod calls;
mod commands;
mod daemon;
mod follow;
mod init;
mod lines;
mod listen;
mod output;
mod qr;
mod rpc;
mod send;
mod session;
mod shell;
mod status;
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
    start_log(args.verbose);
    let output = Output::new(args.json);
    let json = args.json;
    crate::store::before_abort(move |error| {
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
    match command {
        Command::Init(init) => init::run(&global, init, output).await,
        Command::Daemon => daemon::run(&global, output).await,
        Command::Rpc(rpc) => rpc::run(&global, &rpc, output).await,
        Command::Completions(args) => shell::completions(&args, output),
        Command::Man(args) => shell::man(&args, output),
        Command::Listen(listen) => listen::run(&global, listen, output).await,
        Command::Send(send) => send::run(&global, send, output).await,
        other => commands::run(&global, other, output).await,
    }
}

/// Ctrl-C or SIGTERM, from the call on: until then they end the process at once.
fn end_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
    let [interrupt, terminate] = kinds.map(|kind| signal(kind).ok());
    async move {
        tokio::select! {
            () = next(interrupt) => {}
            () = next(terminate) => {}
        }
    }
}

/// Never, where signals cannot be had.
async fn next(signal: Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(mut signal) => drop(signal.recv().await),
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
