//! HTTP for a router with WebSockets, with the bounds that a public server needs.
//!
//! Owns: accepting, the time a client has for its request's head (against clients that send a byte
//! a minute), the number of connections that are not WebSockets yet. Sends small frames at once
//! (`TCP_NODELAY`). Does not own: upgraded connections, which end with whoever took them over.

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection_addrs::ConnectionAddrs;

/// How long a client may take to send its request's head, also the next one on a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest request head, bytes. A WebSocket's upgrade has below 1 KiB.
const HEAD_MAX: usize = 16 * 1024;

/// Connections that are not WebSockets yet. Above it nobody is accepted until one ends.
const PLAIN_CONNECTIONS_MAX: usize = 1_024;

/// Pause after a failed accept: the process has run out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long requests under way may take at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves the router, with `ConnectInfo<ConnectionAddrs>` for its handlers, until `until` is done;
/// then lets requests under way finish.
pub async fn serve(listener: TcpListener, router: Router, until: impl Future<Output = ()>) {
    let (stop, _) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < PLAIN_CONNECTIONS_MAX => {
                match accepted {
                    Ok((stream, peer)) => {
                        let Ok(local) = stream.local_addr() else { continue };
                        let router = router.clone().layer(Extension(ConnectInfo(ConnectionAddrs { local, peer })));
                        connections.spawn(serve_connection(stream, router, stop.subscribe()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
    drop(listener);
    drop(stop);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(DRAIN_TIMEOUT, drained).await;
}

/// One connection until it ends or is upgraded.
async fn serve_connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<()>) {
    // Without it only small frames are slower.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => {}
        // The sender is gone: the server ends.
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
