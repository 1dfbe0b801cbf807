//! What a connection tells the link outside of its data channel.

use std::sync::Arc;

use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCPeerConnectionIceEvent, RTCPeerConnectionState,
};

use super::channel::Channel;

/// One notice, in order.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A candidate of this side was gathered: the candidate line.
    Candidate(String),
    /// The other side opened a channel.
    Channel(Channel),
    /// The path is gone for longer than ICE tolerates, or never came about.
    PathLost,
}

/// Passes notices on. It runs inside the connection's driver and so must never wait: what finds no
/// room is dropped (a candidate too many, or a channel after one that already ends the link).
pub(super) struct Notifier {
    notices: mpsc::Sender<Notice>,
}

impl Notifier {
    pub(super) fn new(notices: mpsc::Sender<Notice>) -> Self {
        Self { notices }
    }

    fn notify(&self, notice: Notice) {
        if let Err(error) = self.notices.try_send(notice) {
            tracing::debug!(%error, "notice of the connection dropped");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Notifier {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(init) => self.notify(Notice::Candidate(init.candidate)),
            Err(error) => tracing::debug!(%error, "gathered candidate cannot be written"),
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.notify(Notice::Channel(Channel::new(channel)));
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        tracing::debug!(%state, "connection");
        if matches!(
            state,
            RTCPeerConnectionState::Disconnected | RTCPeerConnectionState::Failed
        ) {
            self.notify(Notice::PathLost);
        }
    }
}
