//! The one data channel of a link.
//!
//! It is opened in-band. A channel negotiated beforehand (id 0 on both sides) would save a round
//! trip, but in webrtc 0.21.1 a message that is read in the same burst as the end of the SCTP
//! handshake finds such a channel not yet dialed and is dropped: that would be the `Hello`.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::TransportError;

/// Its label: a channel with another name, or a second one, is not ours.
pub(super) const LABEL: &str = "tincan";

/// What happens on the channel.
#[derive(Debug)]
pub(crate) enum ChannelEvent {
    /// Frames can be sent.
    Open,
    /// One message.
    Message(Bytes),
    /// A text message, which nobody sends.
    Text,
    /// Less is in flight than [`Channel::set_low`] has set.
    Low,
    /// Closed, or the connection is gone.
    Closed,
}

/// See the module. Cloning it gives the same channel.
#[derive(Clone)]
pub(crate) struct Channel(Arc<dyn DataChannel>);

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({:?})", self.0.id())
    }
}

impl Channel {
    pub(super) fn new(channel: Arc<dyn DataChannel>) -> Self {
        Self(channel)
    }

    /// Whether the other side opened the channel as this side would have.
    pub(crate) async fn is_as_agreed(&self) -> bool {
        let channel = &self.0;
        let label = channel.label().await.is_ok_and(|label| label == LABEL);
        let ordered = channel.ordered().await.unwrap_or(false);
        let lifetime = channel.max_packet_life_time().await;
        let retransmits = channel.max_retransmits().await;
        label && ordered && matches!((lifetime, retransmits), (Ok(None), Ok(None)))
    }

    /// Hands a message over; it never waits.
    pub(crate) async fn send(&self, message: Bytes) -> Result<(), TransportError> {
        self.0
            .send(BytesMut::from(message))
            .await
            .map_err(TransportError::doing("send"))
    }

    /// Bytes handed over and not yet acknowledged.
    pub(crate) async fn in_flight(&self) -> Result<usize, TransportError> {
        self.0
            .outstanding_bytes()
            .await
            .map_err(TransportError::doing("read the send buffer"))
    }

    /// Asks for [`ChannelEvent::Low`] when at most `bytes` are in flight again.
    pub(crate) async fn set_low(&self, bytes: usize) -> Result<(), TransportError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let set = self.0.set_buffered_amount_low_threshold(bytes).await;
        set.map_err(TransportError::doing("set the send buffer's mark"))
    }

    /// The next event. Dropping the future loses nothing.
    pub(crate) async fn poll(&self) -> ChannelEvent {
        loop {
            match self.0.poll().await {
                Some(DataChannelEvent::OnOpen) => return ChannelEvent::Open,
                Some(DataChannelEvent::OnMessage(message)) if message.is_string => {
                    return ChannelEvent::Text;
                }
                Some(DataChannelEvent::OnMessage(message)) => {
                    return ChannelEvent::Message(message.data.freeze());
                }
                Some(DataChannelEvent::OnBufferedAmountLow) => return ChannelEvent::Low,
                Some(DataChannelEvent::OnClose) | None => return ChannelEvent::Closed,
                Some(_) => {}
            }
        }
    }
}
