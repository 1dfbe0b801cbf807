//! `signal-server`: signaling, embedded TURN and, if wanted, a relay, from the command line.

mod args;
mod files;
mod output;

use anyhow::Context;
use clap::Parser;
use std::process::ExitCode;
use tincan_signal_server::Server;
use tokio::signal::unix::{SignalKind, signal};

use self::args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    output::start_log(args.verbose);
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say_error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    files::raise_limit();
    // Removes its folder when it goes.
    let temporary = args
        .temporary_data()
        .context("cannot make a temporary folder; set TMPDIR to one that can be written")?;
    let mut server = Server::spawn(args.config(temporary.as_ref())?).await?;
    output::announce(args, &server)?;
    let ended = tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        () = server.join() => Err(anyhow::anyhow!("the server stopped accepting connections; see its log, and start it again")),
    };
    server.shutdown().await;
    ended
}
