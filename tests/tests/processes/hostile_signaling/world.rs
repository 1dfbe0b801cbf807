//! Two peers whose signaling server is hostile and whose relay is not.

use std::time::Duration;

use e2e::{Daemon, Journal, Profile, RelayServer, States, acquaint, ids, link_of, wait_for_link};
use serde_json::json;
use tempfile::TempDir;
use tincan_protocol::SignalAddress;
use tokio::time::Instant;

use super::server::{HostileServer, Knock};

/// Nothing here takes this long, also on a busy machine: an attempt without an answer ends after
/// 20 s, and the wait after it is short at first.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// See the module.
pub(crate) struct World {
    pub(crate) server: HostileServer,
    ann: Profile,
    bob: Profile,
    _relay: RelayServer,
    _folder: TempDir,
}

/// A running peer.
pub(crate) struct Side {
    pub(crate) daemon: Daemon,
    /// Its address for the other side, and the other way round.
    pub(crate) address: SignalAddress,
    pub(crate) other: SignalAddress,
    contact: &'static str,
    told: Journal,
}

/// Both running.
pub(crate) struct Pair {
    pub(crate) ann: Side,
    pub(crate) bob: Side,
}

impl World {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = HostileServer::start().await;
        let relay = RelayServer::start(&folder.path().join("relay")).unwrap();
        let profile = |name| {
            let home = folder.path().join(name);
            Profile::init(&home, name, &server.url(), relay.url()).unwrap()
        };
        let (ann, bob) = (profile("ann"), profile("bob"));
        acquaint(&ann, &bob).unwrap();
        Self {
            server,
            ann,
            bob,
            _relay: relay,
            _folder: folder,
        }
    }

    /// Starts both.
    pub(crate) async fn pair(&self) -> Pair {
        self.server.nobody_there(LIMIT).await;
        let a = self.ann.daemon().await.unwrap();
        let ann = self.server.somebody_besides(None, LIMIT).await;
        let b = self.bob.daemon().await.unwrap();
        let bob = self.server.somebody_besides(Some(ann), LIMIT).await;
        Pair {
            ann: Side::new(a, ann, bob, "bob").await,
            bob: Side::new(b, bob, ann, "ann").await,
        }
    }

    /// Waits until a peer has read all that it was told so far: news of its contact come after it.
    pub(crate) async fn has_read_all(&self, side: &mut Side) {
        let status = side.daemon.call("status", json!({})).await.unwrap();
        let was_online = status["contacts"][0]["presence"] == "online";
        let mut told = Journal::from_now(&side.daemon).await.unwrap();
        for online in [!was_online, was_online] {
            self.server.claim(side.other, online);
            let presence = if online { "online" } else { "offline" };
            told.until("presence", LIMIT, |event| event["presence"] == presence)
                .await
                .unwrap();
        }
    }

    /// Waits until both have offered a session.
    pub(crate) async fn both_have_offered(&self, pair: &Pair) {
        for from in [pair.ann.address, pair.bob.address] {
            let offered = |knock: &Knock| knock.from == from && is_description(knock);
            self.server.knock_after(0, LIMIT, offered).await;
        }
    }
}

impl Side {
    async fn new(
        daemon: Daemon,
        address: SignalAddress,
        other: SignalAddress,
        contact: &'static str,
    ) -> Self {
        Self {
            told: Journal::from_now(&daemon).await.unwrap(),
            daemon,
            address,
            other,
            contact,
        }
    }

    /// How often a link came up since the last time this was asked.
    pub(crate) async fn links_made(&mut self) -> usize {
        let last = Journal::from_now(&self.daemon).await.unwrap().cursor();
        let mut links = 0;
        if self.told.cursor() < last {
            let all = self.told.until("all events", LIMIT, |event| {
                links += usize::from(event["type"] == "link" && event["up"] == true);
                event["cursor"].as_u64() >= Some(last)
            });
            all.await.unwrap();
        }
        links
    }

    /// Waits for a direct link.
    pub(crate) async fn linked(&mut self) {
        wait_for_link(&mut self.daemon, self.contact, "direct", LIMIT)
            .await
            .unwrap();
    }

    /// Waits until there is no link, nor an attempt to make one.
    pub(crate) async fn unlinked(&mut self) {
        let deadline = Instant::now() + LIMIT;
        while link_of(&mut self.daemon, self.contact).await.unwrap() != "none" {
            assert!(Instant::now() < deadline, "there is a link still");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends a message and waits until it is delivered; everything is there once and in order.
    async fn tell(&mut self, to: &mut Self) {
        let before = to.daemon.received(to.contact).await.unwrap().len();
        let texts: Vec<String> = (0..=before).map(|n| format!("message {n}")).collect();
        let mut told = Journal::from_now(&self.daemon).await.unwrap();
        let params = json!({"to": self.contact, "texts": [texts[before]]});
        let ids = ids(&self.daemon.call("send", params).await.unwrap()).unwrap();
        let mut states = States::default();
        let delivered = told.until("delivery", LIMIT, |event| {
            states.note(event);
            states.all_reached(&ids, "delivered")
        });
        delivered.await.unwrap();
        assert_eq!(to.daemon.received(to.contact).await.unwrap(), texts);
    }

    /// How often its log says that a signal was not sealed for it.
    pub(crate) fn unreadable(&self) -> usize {
        let log = self.daemon.profile().home().join("daemon.log");
        let log = std::fs::read_to_string(log).unwrap();
        log.matches("signal cannot be opened or read").count()
    }

    pub(crate) fn end(mut self) {
        assert_eq!(self.daemon.process.terminate().unwrap(), Some(0));
    }
}

impl Pair {
    /// A message each way.
    pub(crate) async fn talk(&mut self) {
        self.ann.tell(&mut self.bob).await;
        self.bob.tell(&mut self.ann).await;
    }

    pub(crate) async fn links_made(&mut self) -> usize {
        self.ann.links_made().await + self.bob.links_made().await
    }

    pub(crate) async fn linked(&mut self) {
        self.ann.linked().await;
        self.bob.linked().await;
    }

    pub(crate) fn end(self) {
        self.ann.end();
        self.bob.end();
    }
}

/// Offers and answers carry an SDP with its signature and certificate; candidates and byes do not.
pub(crate) fn is_description(knock: &Knock) -> bool {
    knock.body.len() > 800
}
