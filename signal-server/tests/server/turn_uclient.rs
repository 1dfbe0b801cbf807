//! The embedded TURN server driven by coturn's own client, echoing through coturn's own peer.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use tincan_signal_server::credentials::TurnSecret;
use tincan_signal_server::{Config, EmbeddedTurn, Server, TurnMode};
use tokio::net::UdpSocket;
use tokio::process::Child;
use tokio::time::timeout;

use crate::support::coturn::{SECRET, coturn, credentials, lost_nothing, uclient};

struct World {
    server: Server,
    turn: SocketAddr,
    /// coturn's echo, killed when dropped.
    _peer: Child,
    peer: SocketAddr,
}

impl World {
    async fn new(allow_loopback: bool) -> Self {
        let secret = TurnSecret::from_text(SECRET).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut turn = EmbeddedTurn::new(any);
        turn.allow_loopback = allow_loopback;
        let mut config = Config::new(any);
        config.turn = TurnMode::Embedded { turn, secret };
        let server = Server::spawn(config).await.unwrap();
        let turn = server.turn_addr().unwrap();
        let (echo, peer) = echo().await;
        Self {
            server,
            turn,
            _peer: echo,
            peer,
        }
    }

    async fn run(&self, user: &str, password: &str, options: &[&str]) -> (bool, String) {
        let peer_port = self.peer.port().to_string();
        let options = [&["-e", "127.0.0.1", "-r", &peer_port], options].concat();
        uclient(self.turn, user, password, &options).await
    }
}

/// coturn's echo on a free port, once it answers.
async fn echo() -> (Child, SocketAddr) {
    let probe = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let child = coturn("turnutils_peer")
        .args(["-L", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for _ in 0..200 {
        let _ = probe.send_to(b"there?", peer).await;
        if timeout(Duration::from_millis(50), probe.recv(&mut [0; 16]))
            .await
            .is_ok_and(|echoed| echoed.is_ok())
        {
            return (child, peer);
        }
    }
    panic!("turnutils_peer does not answer");
}

#[tokio::test]
async fn coturns_client_gets_every_packet_back() {
    let world = World::new(true).await;
    // Channels; Send indications; between two relays; with channel padding and extra requests.
    for (number, options) in [&[][..], &["-s"], &["-y"], &["-y", "-s"], &["-D", "-G"]]
        .into_iter()
        .enumerate()
    {
        let (user, password) = credentials(&format!("user{number}"), 600);
        let (success, said) = world.run(&user, &password, options).await;
        assert!(success && lost_nothing(&said), "{options:?}: {said}");
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn coturns_client_gets_nothing_with_wrong_or_outdated_credentials() {
    let world = World::new(true).await;
    let (user, password) = credentials("alice", 600);
    let (expired, expired_password) = credentials("alice", -1);
    let (endless, endless_password) = credentials("alice", 3 * 3600);
    let table = [
        ("wrong password", user.as_str(), "wrong"),
        (
            "another user's password",
            "9999999999:bob",
            password.as_str(),
        ),
        ("no expiry", "alice", password.as_str()),
        ("expired", expired.as_str(), expired_password.as_str()),
        (
            "good for too long",
            endless.as_str(),
            endless_password.as_str(),
        ),
    ];
    for (what, user, password) in table {
        let (success, said) = world.run(user, password, &[]).await;
        assert!(
            !success && said.contains("Cannot complete Allocation"),
            "{what}: {said}"
        );
    }
    let (success, said) = world.run(&user, &password, &[]).await;
    assert!(success && lost_nothing(&said), "{said}");
    world.server.shutdown().await;
}

#[tokio::test]
async fn coturns_client_is_forbidden_to_reach_inner_addresses() {
    let world = World::new(false).await;
    for (number, peer) in ["10.0.0.1", "169.254.169.254", "127.0.0.1"]
        .into_iter()
        .enumerate()
    {
        let (user, password) = credentials(&format!("user{number}"), 600);
        let (success, said) = world.run(&user, &password, &["-e", peer]).await;
        assert!(!success && said.contains("403"), "{peer}: {said}");
    }
    world.server.shutdown().await;
}
