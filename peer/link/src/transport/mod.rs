//! The only place that touches the WebRTC crate.
//!
//! [`Connection`] and [`Channel`] are what the link task sees of it; [`runtime`] and [`socket`]
//! are our side of its extension points. They say what they are there for.

mod channel;
mod connection;
mod notices;
mod runtime;
mod socket;
mod strangers;

pub(crate) use channel::{Channel, ChannelEvent};
pub(crate) use connection::Connection;
pub use connection::PATH_LOST_AFTER;
pub(crate) use notices::Notice;

/// The connection could not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing}: {source}")]
pub struct TransportError {
    doing: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl TransportError {
    /// For `map_err`.
    fn doing(doing: &'static str) -> impl FnOnce(webrtc::error::Error) -> Self {
        move |source| Self {
            doing,
            source: Box::new(source),
        }
    }
}
