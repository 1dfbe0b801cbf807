//! The other side without our code: a plain peer connection whose descriptions are signed as they
//! should be, and which then says what it likes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tincan_link::LinkHandle;
use tincan_protocol::link::{
    LinkSignal, Role, SignedCandidate, SignedDescription, Statement, Transcript,
    VerifiedDescription, sdp,
};
use tincan_protocol::wire::{Frame, Hello, PeerFrame, peer_frame::Kind};
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceCandidateInit,
    RTCPeerConnectionIceEvent, RTCSessionDescription,
};

use super::{Person, now_ms};

struct Handler {
    candidates: mpsc::UnboundedSender<String>,
    channels: mpsc::UnboundedSender<Arc<dyn DataChannel>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let _ = self
            .candidates
            .send(event.candidate.to_json().unwrap().candidate);
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.channels.send(channel);
    }
}

/// Answers an offer.
pub(crate) struct RawAnswerer {
    pub(crate) connection: Arc<dyn PeerConnection>,
    pub(crate) transcript: Transcript,
    pub(crate) answer: SignedDescription,
    candidates: mpsc::UnboundedReceiver<String>,
    channels: mpsc::UnboundedReceiver<Arc<dyn DataChannel>>,
    me: Person,
}

impl RawAnswerer {
    /// `change` may spoil the SDP before it is signed.
    pub(crate) async fn new(
        me: &Person,
        to: &Person,
        offer: VerifiedDescription,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let (candidates_out, candidates) = mpsc::unbounded_channel();
        let (channels_out, channels) = mpsc::unbounded_channel();
        let handler = Handler {
            candidates: candidates_out,
            channels: channels_out,
        };
        let connection = PeerConnectionBuilder::new()
            .with_handler(Arc::new(handler))
            .with_udp_addrs(vec!["127.0.0.1:0"])
            .build()
            .await
            .unwrap();
        connection
            .set_remote_description(RTCSessionDescription::offer(offer.sdp).unwrap())
            .await
            .unwrap();
        let answer = connection.create_answer(None).await.unwrap();
        let sdp = change(answer.sdp.clone());
        connection.set_local_description(answer).await.unwrap();
        let statement = statement(me, to, &offer.statement, &sdp);
        let transcript = Transcript::of(&offer.statement, &statement);
        let answer = SignedDescription::sign(&statement, sdp, &me.cert(), &me.device);
        Self {
            connection: Arc::new(connection),
            transcript,
            answer,
            candidates,
            channels,
            me: me.clone(),
        }
    }

    /// Sends the answer and the first candidate to the link, which is enough on loopback.
    pub(crate) async fn introduce(&mut self, to: &LinkHandle) {
        to.handle_signal(LinkSignal::Answer(self.answer.clone()));
        let line = self.candidates.recv().await.unwrap();
        to.handle_signal(LinkSignal::Candidate(SignedCandidate::sign(
            to.session(),
            0,
            line,
            &self.me.device,
        )));
    }

    /// The open channel.
    pub(crate) async fn channel(&mut self) -> Arc<dyn DataChannel> {
        let channel = self.channels.recv().await.unwrap();
        loop {
            match channel.poll().await {
                Some(DataChannelEvent::OnOpen) => return channel,
                Some(_) => {}
                None => panic!("channel never opened"),
            }
        }
    }

    pub(crate) fn hello(&self) -> Bytes {
        hello(self.transcript.as_bytes())
    }
}

pub(crate) fn hello(transcript: &[u8; 32]) -> Bytes {
    let hello = Hello {
        transcript: transcript.to_vec(),
        proto_major: 1,
        ..Hello::default()
    };
    PeerFrame::from(Kind::Hello(hello)).write()
}

pub(crate) async fn send(channel: &Arc<dyn DataChannel>, frame: Bytes) {
    channel.send(BytesMut::from(frame)).await.unwrap();
}

pub(crate) async fn add_candidate(
    connection: &Arc<dyn PeerConnection>,
    candidate: SignedCandidate,
) {
    let candidate = RTCIceCandidateInit {
        candidate: candidate.candidate,
        ..RTCIceCandidateInit::default()
    };
    let _ = connection.add_ice_candidate(candidate).await;
}

fn statement(me: &Person, to: &Person, offer: &Statement, sdp: &str) -> Statement {
    let ((from_identity, from_device), (to_identity, to_device)) = (me.ids(), to.ids());
    Statement {
        session: offer.session,
        role: Role::Answer,
        from_identity,
        from_device,
        to_identity,
        to_device,
        nonce: [8; 32],
        issued_ms: now_ms(),
        proto_major: 1,
        proto_minor: 0,
        fingerprint: sdp::fingerprint(sdp).unwrap(),
        sdp_sha256: Sha256::digest(sdp.as_bytes()).into(),
        bind: Sha256::digest(offer.encode()).into(),
    }
}
