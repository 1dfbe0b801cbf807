//! Two devices in one process, and what passes their signals on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failed test"
)]

pub(crate) mod coturn;
pub(crate) mod raw;
pub(crate) mod raw_pair;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tincan_link::{DownReason, LinkConfig, LinkEvent, LinkHandle, Parties};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::{DeviceKey, IdentityKey};
use tincan_protocol::link::{
    Expected, LinkSignal, SeenSessions, SignedDescription, VerifiedDescription, verify,
};
use tincan_protocol::wire::{Frame, PeerFrame, Put, peer_frame::Kind};
use tincan_protocol::{DeviceId, IdentityId};
use tokio::sync::mpsc;

/// Nothing here takes this long, also on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) identity: IdentityKey,
    pub(crate) device: DeviceKey,
}

impl Person {
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            identity: IdentityKey::from_seed(&[seed; 32]),
            device: DeviceKey::from_seed(&[seed + 100; 32]),
        }
    }

    pub(crate) fn ids(&self) -> (IdentityId, DeviceId) {
        (self.identity.identity(), self.device.device())
    }

    pub(crate) fn cert(&self) -> DeviceCert {
        DeviceCert::issue(&self.identity, self.device.device(), now_ms() - 1_000)
    }

    pub(crate) fn with(&self, other: &Self) -> Parties {
        Parties {
            identity: self.identity.identity(),
            cert: self.cert(),
            key: self.device.clone(),
            remote: other.ids(),
        }
    }

    pub(crate) fn verify_offer(
        &self,
        offer: &SignedDescription,
        from: &Self,
    ) -> VerifiedDescription {
        let expected = Expected {
            me: self.ids(),
            from: from.ids(),
            now_ms: now_ms(),
            offer: None,
        };
        verify(offer, &expected, &mut SeenSessions::default()).unwrap()
    }
}

pub(crate) fn loopback() -> LinkConfig {
    // What `RUST_LOG` asks for, of this crate and of the WebRTC one.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env());
    let _ = logs.with_test_writer().try_init();
    let mut config = LinkConfig::default();
    config.loopback = true;
    config
}

/// One end of a link whose signals are passed on by a task.
pub(crate) struct End {
    pub(crate) handle: LinkHandle,
    /// Without the signals.
    pub(crate) events: mpsc::Receiver<LinkEvent>,
}

impl End {
    /// Everything but signals, which go where `deliver` brings them.
    pub(crate) fn new(
        handle: LinkHandle,
        mut all: mpsc::Receiver<LinkEvent>,
        mut deliver: impl FnMut(LinkSignal) + Send + 'static,
    ) -> Self {
        // One event at a time, so that a test that does not read stops the link.
        let (out, events) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = all.recv() => event,
                    // A test that drops its events drops the link's.
                    () = out.closed() => None,
                };
                match event {
                    Some(LinkEvent::Signal(signal)) => deliver(signal),
                    Some(event) => {
                        let _ = out.send(event).await;
                    }
                    None => return,
                }
            }
        });
        Self { handle, events }
    }

    pub(crate) async fn next(&mut self) -> LinkEvent {
        tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("an event")
    }

    pub(crate) async fn up(&mut self) -> bool {
        match self.next().await {
            LinkEvent::Up { relayed, .. } => relayed,
            event => panic!("{event:?}"),
        }
    }

    pub(crate) async fn put(&mut self) -> Bytes {
        match self.next().await {
            LinkEvent::Frame(PeerFrame {
                kind: Some(Kind::Put(put)),
            }) => put.envelope,
            event => panic!("{event:?}"),
        }
    }

    /// Waits until the link knows that its path is relayed: the candidate that says so may come
    /// after the link is up.
    pub(crate) async fn relayed(&self) {
        let known = async {
            while self.handle.stats().relayed != Some(true) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, known)
            .await
            .expect("a relayed path");
    }

    /// The reason of the end; frames before it are skipped.
    pub(crate) async fn down(&mut self) -> DownReason {
        loop {
            match self.next().await {
                LinkEvent::Down { reason } => break reason,
                LinkEvent::Frame(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// Down is the last event.
    pub(crate) async fn is_over(&mut self) -> bool {
        tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .expect("an end in time")
            .is_none()
    }
}

/// A link as its caller gets it.
pub(crate) type Plain = (LinkHandle, mpsc::Receiver<LinkEvent>);

/// An offering and an answering link; nobody passes their signals on.
pub(crate) async fn strangers(ann_config: LinkConfig, bob_config: LinkConfig) -> (Plain, Plain) {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let (ann_handle, mut ann_events) =
        LinkHandle::offer(ann_config, ann.with(&bob), Vec::new(), now_ms())
            .await
            .unwrap();
    let Some(LinkEvent::Signal(LinkSignal::Offer(offer))) = ann_events.recv().await else {
        panic!("no offer")
    };
    let offer = bob.verify_offer(&offer, &ann);
    let answer = LinkHandle::answer(bob_config, bob.with(&ann), Vec::new(), offer, now_ms());
    ((ann_handle, ann_events), answer.await.unwrap())
}

/// Two links that exchange signals; not yet up.
pub(crate) async fn pair(ann_config: LinkConfig, bob_config: LinkConfig) -> (End, End) {
    let ((ann, ann_events), (bob, bob_events)) = strangers(ann_config, bob_config).await;
    let (to_ann, to_bob) = (passing(ann.clone()), passing(bob.clone()));
    (
        End::new(ann, ann_events, to_bob),
        End::new(bob, bob_events, to_ann),
    )
}

/// Through the JSON, as the signaling server would.
pub(crate) fn passing(to: LinkHandle) -> impl FnMut(LinkSignal) + Send + 'static {
    move |signal| to.handle_signal(LinkSignal::decode(&signal.encode().unwrap()).unwrap())
}

pub(crate) async fn connected(ann: LinkConfig, bob: LinkConfig) -> (End, End) {
    let (mut ann, mut bob) = pair(ann, bob).await;
    ann.up().await;
    bob.up().await;
    (ann, bob)
}

/// A `Put` whose envelope begins with a number.
pub(crate) fn put(number: u64, len: usize) -> Bytes {
    let mut envelope = number.to_be_bytes().to_vec();
    envelope.resize(len.max(8), 0x5a);
    PeerFrame::from(Kind::Put(Put {
        envelope: envelope.into(),
    }))
    .write()
}

pub(crate) fn number(envelope: &[u8]) -> u64 {
    u64::from_be_bytes(envelope[..8].try_into().unwrap())
}
