//! From the command line to a running relay, and in order out of it again.

use anyhow::{Context, anyhow};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tincan_relay::{Readiness, Relay, RelayConfig, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Cli;
use crate::output;

/// The default port, chosen next to the signaling server's 8443.
const PORT: u16 = 8_444;

/// Name of the database in its folder.
const DATABASE: &str = "relay.redb";

pub(crate) async fn run(cli: Cli) -> anyhow::Result<()> {
    // Before anything else: a signal that comes early ends it in order as well.
    let terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let interrupted = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let listener = listen(&cli).await?;
    let address = listener
        .local_addr()
        .context("cannot tell the listener's address")?;
    let (folder, _temporary) = data_folder(&cli)?;
    let mut config = RelayConfig::new(folder.join(DATABASE));
    config.public_url = cli.public_url;
    let relay = Relay::open(config)?;
    let router = relay.router().merge(health(relay.readiness()));
    output::listening(address);
    serve(listener, router, either(terminated, interrupted)).await;
    relay.shutdown().await;
    Ok(())
}

async fn listen(cli: &Cli) -> anyhow::Result<TcpListener> {
    let default = if cli.dev {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    } else {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT))
    };
    let address = cli.listen.unwrap_or(default);
    TcpListener::bind(address).await.map_err(|error| {
        anyhow!("cannot listen on {address}: {error}; choose another address with --listen")
    })
}

/// The folder, and what removes it in the end if it is a temporary one.
fn data_folder(cli: &Cli) -> anyhow::Result<(PathBuf, Option<TempDir>)> {
    if cli.dev && cli.data.is_none() {
        let temporary = tempfile::tempdir().map_err(|error| {
            anyhow!("cannot make a temporary folder: {error}; name one with --data")
        })?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    }
    let folder = cli
        .data
        .clone()
        .unwrap_or_else(|| PathBuf::from("relay-data"));
    make_folder(&folder).map_err(|error| {
        let folder = folder.display();
        anyhow!("cannot make the data folder {folder}: {error}; name another one with --data")
    })?;
    Ok((folder, None))
}

/// Makes a folder that only its owner may enter.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn health(readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: the store does not work, or the relay is shutting down\n",
        )
    }
}

async fn either(mut one: Signal, mut other: Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
