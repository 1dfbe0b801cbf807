//! A running server: everything it started, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tincan_relay::{OpenError, OriginPolicy, Relay};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{Config, TurnMode};
use crate::credentials::{Issuer, TurnSecret};
use crate::driver::HubHandle;
use crate::http::{AppState, router};
use crate::hub::Hub;
use crate::turn::{EmbeddedTurn, Turn, TurnError};

/// How long connections get to take their last messages. Below the ten seconds that supervisors
/// commonly wait before they kill.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}; stop what listens there, or choose another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// TURN does not start.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// The relay's data cannot be opened.
    #[error("cannot open the relay's data")]
    Relay(#[from] OpenError),
}

/// A running server. Dropping it stops it without telling anybody; see [`Server::shutdown`].
#[derive(Debug)]
pub struct Server {
    http: SocketAddr,
    hub: HubHandle,
    turn: Option<Turn>,
    relay: Option<Relay>,
    ready: Arc<AtomicBool>,
    /// No new connections and requests.
    stop: CancellationToken,
    /// No connections at all.
    abort: CancellationToken,
    tasks: TaskTracker,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Binds, opens and starts everything; when it returns, connections are accepted.
    ///
    /// # Errors
    /// [`SpawnError`] says what could not be bound or opened; nothing is left running then.
    pub async fn spawn(config: Config) -> Result<Self, SpawnError> {
        let clock = Clock::start();
        let listen_error = |source| SpawnError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(listen_error)?;
        let http = listener.local_addr().map_err(listen_error)?;
        let (turn, issuer) = start_turn(config.turn, clock)?;
        let relay = config.relay.map(Relay::open).transpose()?;
        let hub = HubHandle::spawn(Hub::new(config.hub.clone(), issuer), clock);
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let (tasks, ready) = (TaskTracker::new(), Arc::new(AtomicBool::new(true)));
        let sockets = Arc::new(config.sockets);
        let state = AppState {
            hub: hub.clone(),
            hub_limits: Arc::new(config.hub),
            socket_limits: sockets.clone(),
            origins: Arc::new(OriginPolicy::new(config.public_url)),
            ready: ready.clone(),
            signaling: Arc::new(Semaphore::new(sockets.signaling)),
            tasks: tasks.clone(),
            abort: abort.clone(),
            clock,
        };
        let router = router(state, relay.as_ref());
        let accepting = tokio::spawn(tincan_relay::serve(
            listener,
            router,
            stop.clone().cancelled_owned(),
        ));
        Ok(Self {
            http,
            hub,
            turn,
            relay,
            ready,
            stop,
            abort,
            tasks,
            accepting,
        })
    }

    /// Where HTTP is accepted, with the real port.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// Where clients reach the embedded TURN server, if there is one.
    #[must_use]
    pub fn turn_addr(&self) -> Option<SocketAddr> {
        self.turn.as_ref().map(Turn::public_addr)
    }

    /// Waits until the server accepts no more connections, which is not before
    /// [`Server::shutdown`] unless something is badly wrong.
    pub async fn join(&mut self) {
        let _ = (&mut self.accepting).await;
    }

    /// Stops: unready, no new connections, clients told and closed, everything ended.
    pub async fn shutdown(mut self) {
        self.ready.store(false, Ordering::Release);
        self.hub.shut_down().await;
        self.stop.cancel();
        self.tasks.close();
        let relay = self.relay.take();
        let relay = async {
            if let Some(relay) = relay {
                relay.shutdown().await
            }
        };
        let drained = async { tokio::join!(relay, self.tasks.wait(), &mut self.accepting) };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("{} connections did not end in time", self.tasks.len());
        }
        if let Some(turn) = self.turn.take() {
            let _ = tokio::task::spawn_blocking(move || turn.stop()).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.abort.cancel();
    }
}

fn start_turn(mode: TurnMode, clock: Clock) -> Result<(Option<Turn>, Option<Issuer>), TurnError> {
    match mode {
        TurnMode::Off => Ok((None, None)),
        TurnMode::External { urls, secret } => Ok((None, Some(Issuer::new(secret, urls)))),
        TurnMode::Embedded { turn, secret } => start_embedded(&turn, secret, clock),
    }
}

fn start_embedded(
    config: &EmbeddedTurn,
    secret: TurnSecret,
    clock: Clock,
) -> Result<(Option<Turn>, Option<Issuer>), TurnError> {
    let turn = Turn::start(config, secret.clone(), clock)?;
    // Displayed with brackets around IPv6, as the URLs want it.
    let address = turn.public_addr();
    let urls = vec![
        format!("stun:{address}"),
        format!("turn:{address}?transport=udp"),
    ];
    Ok((Some(turn), Some(Issuer::new(secret, urls))))
}
