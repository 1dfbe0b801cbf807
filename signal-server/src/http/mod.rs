//! HTTP and WebSocket: the routes, and one task for each signaling connection.

mod routes;
mod socket;

pub(crate) use self::routes::{AppState, router};
