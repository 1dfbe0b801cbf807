//! The HTTP surface: `/signal` (WebSocket), `/healthz`, `/readyz`, and the relay's routes if there
//! is one.

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
use tincan_protocol::signal::Nonce;
use tincan_relay::{ConnectionAddrs, OriginPolicy, Relay};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::socket;
use crate::clock::Clock;
use crate::config::SocketLimits;
use crate::driver::HubHandle;
use crate::hub::{HubLimits, Session};

/// Read buffer of a WebSocket, bytes. tungstenite's default is 128 KiB for each connection, idle
/// or not; signaling messages are mostly below 4 KiB.
const READ_BUFFER: usize = 4096;

/// Unsent bytes at which a WebSocket writes by itself; the rest is written on flush.
const WRITE_BUFFER: usize = 16 * 1024;

/// Largest unsent bytes of a WebSocket: what one batch of frames may need before it is flushed.
const WRITE_BUFFER_MAX: usize = 2 * SIGNAL_MESSAGE_MAX + WRITE_BUFFER;

/// What the handlers need.
#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) hub: HubHandle,
    pub(crate) hub_limits: Arc<HubLimits>,
    pub(crate) socket_limits: Arc<SocketLimits>,
    pub(crate) origins: Arc<OriginPolicy>,
    pub(crate) ready: Arc<AtomicBool>,
    pub(crate) signaling: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) abort: CancellationToken,
    pub(crate) clock: Clock,
}

/// All routes.
pub(crate) fn router(state: AppState, relay: Option<&Relay>) -> Router {
    let ready = state.ready.clone();
    let relay_readiness = relay.map(Relay::readiness);
    let readyz = move || async move {
        let relay_is_ready = relay_readiness.is_none_or(|relay| relay.is_ready());
        let is_ready = ready.load(Ordering::Acquire) && relay_is_ready;
        if is_ready {
            (StatusCode::OK, "ready\n")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
        }
    };
    let own = Router::new()
        .route("/signal", get(signal))
        .with_state(state);
    let own = own
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz));
    match relay {
        Some(relay) => own.merge(relay.router()),
        None => own,
    }
}

async fn signal(
    State(state): State<AppState>,
    ConnectInfo(addrs): ConnectInfo<ConnectionAddrs>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let Some(origin) = state.origins.accept(host, addrs.local) else {
        return (
            StatusCode::MISDIRECTED_REQUEST,
            tincan_relay::origin_policy::WRONG_ORIGIN,
        )
            .into_response();
    };
    let Ok(permit) = state.signaling.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n").into_response();
    };
    let session = Session::new(
        Nonce(rand::random()),
        origin,
        &state.hub_limits,
        state.clock.now().since_start,
    );
    let task = state.tasks.token();
    upgrade
        .max_message_size(socket::READ_MAX)
        .max_frame_size(socket::READ_MAX)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .on_upgrade(async move |websocket| {
            let _held = (permit, task);
            // Not before: an upgrade that fails would leave its place in the hub behind.
            let Some(joined) = state.hub.connect().await else {
                return;
            };
            let run = socket::run(
                websocket,
                session,
                joined,
                (*state.socket_limits).clone(),
                state.clock,
            );
            state.abort.run_until_cancelled(run).await;
        })
}
