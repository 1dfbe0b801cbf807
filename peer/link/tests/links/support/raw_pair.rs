//! Two plain peer connections with a data channel between them: what the WebRTC crate does without
//! a link on top.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tincan_link::IceServer;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceServer, RTCIceTransportPolicy, RTCPeerConnectionIceEvent, SettingEngineBuilder,
};
use webrtc::runtime::Runtime;

/// A connection and what its handler hears.
struct Half {
    connection: Arc<dyn PeerConnection>,
    candidates: mpsc::UnboundedReceiver<webrtc::peer_connection::RTCIceCandidate>,
    channels: mpsc::UnboundedReceiver<Arc<dyn DataChannel>>,
}

struct Handler {
    candidates: mpsc::UnboundedSender<webrtc::peer_connection::RTCIceCandidate>,
    channels: mpsc::UnboundedSender<Arc<dyn DataChannel>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let _ = self.candidates.send(event.candidate);
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.channels.send(channel);
    }
}

impl Half {
    async fn open(turn: Option<&IceServer>, runtime: Arc<dyn Runtime>, window: usize) -> Self {
        let (candidates_out, candidates) = mpsc::unbounded_channel();
        let (channels_out, channels) = mpsc::unbounded_channel();
        let mut configuration = RTCConfigurationBuilder::new();
        if let Some(IceServer {
            urls,
            username,
            credential,
        }) = turn.cloned()
        {
            configuration = configuration
                .with_ice_servers(vec![RTCIceServer {
                    urls,
                    username,
                    credential,
                }])
                .with_ice_transport_policy(RTCIceTransportPolicy::Relay);
        }
        let settings = SettingEngineBuilder::new()
            .with_include_loopback_candidate(true)
            .with_relay_acceptance_min_wait(Some(Duration::ZERO));
        let connection = PeerConnectionBuilder::new()
            .with_configuration(configuration.build())
            .with_setting_engine(settings.build())
            .with_runtime(runtime)
            .with_handler(Arc::new(Handler {
                candidates: candidates_out,
                channels: channels_out,
            }))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .with_data_channel_send_buffer_limit(window)
            .build()
            .await
            .unwrap();
        Self {
            connection: Arc::new(connection),
            candidates,
            channels,
        }
    }
}

/// See the module.
pub(crate) struct RawPair {
    pub(crate) ends: [RawEnd; 2],
    connections: [Arc<dyn PeerConnection>; 2],
}

/// One side's channel.
#[derive(Clone)]
pub(crate) struct RawEnd(Arc<dyn DataChannel>);

impl RawEnd {
    pub(crate) async fn send(&self, message: Bytes) {
        self.0.send(BytesMut::from(message)).await.unwrap();
    }

    pub(crate) async fn receive(&self) -> Bytes {
        loop {
            match self.0.poll().await.expect("the channel lives") {
                DataChannelEvent::OnMessage(message) => return message.data.freeze(),
                DataChannelEvent::OnClose => panic!("channel closed"),
                _ => {}
            }
        }
    }

    async fn opened(&self) {
        while !matches!(
            self.0.poll().await.expect("the channel lives"),
            DataChannelEvent::OnOpen
        ) {}
    }
}

impl RawPair {
    /// Connects over loopback, through `turn` alone if it is given; each side has its own
    /// runtime, and `window` bytes may be in flight (0: as many as SCTP likes).
    pub(crate) async fn connect(
        turn: Option<&IceServer>,
        [ann, bob]: [Arc<dyn Runtime>; 2],
        window: usize,
    ) -> Self {
        let mut ann = Half::open(turn, ann, window).await;
        let mut bob = Half::open(turn, bob, window).await;
        let channel = ann
            .connection
            .create_data_channel("raw", None)
            .await
            .unwrap();
        let offer = ann.connection.create_offer(None).await.unwrap();
        ann.connection
            .set_local_description(offer.clone())
            .await
            .unwrap();
        bob.connection.set_remote_description(offer).await.unwrap();
        let answer = bob.connection.create_answer(None).await.unwrap();
        bob.connection
            .set_local_description(answer.clone())
            .await
            .unwrap();
        ann.connection.set_remote_description(answer).await.unwrap();
        for (from, to) in [
            (&mut ann.candidates, &bob.connection),
            (&mut bob.candidates, &ann.connection),
        ] {
            let candidate = from.recv().await.unwrap().to_json().unwrap();
            to.add_ice_candidate(candidate).await.unwrap();
        }
        let ends = [RawEnd(channel), RawEnd(bob.channels.recv().await.unwrap())];
        for end in &ends {
            end.opened().await;
        }
        Self {
            ends,
            connections: [ann.connection, bob.connection],
        }
    }

    pub(crate) async fn close(self) {
        for connection in self.connections {
            connection.close().await.unwrap();
        }
    }

    /// The times of `rounds` round trips of a small message, sorted.
    pub(crate) async fn round_trips(&self, rounds: usize) -> Vec<Duration> {
        let [ann, bob] = &self.ends;
        let mut times = Vec::new();
        for _ in 0..rounds {
            let sent = Instant::now();
            ann.send(Bytes::from_static(&[7; 200])).await;
            bob.send(bob.receive().await).await;
            ann.receive().await;
            times.push(sent.elapsed());
        }
        times.sort();
        times
    }
}
