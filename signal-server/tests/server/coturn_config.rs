//! The coturn configuration in `turn-config/`, with the real coturn: it accepts what this server
//! issues and refuses the same peers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tincan_protocol::signal::{ClientMessage, ServerMessage};
use tincan_signal_server::credentials::TurnSecret;
use tincan_signal_server::{Config, Server, TurnMode};
use tokio::net::UdpSocket;
use tokio::process::Child;
use tokio::time::timeout;

use crate::support::Client;
use crate::support::coturn::{SECRET, coturn, credentials, lost_nothing, uclient};

/// A coturn with the configuration of `turn-config/`: only what it says must be changed is
/// changed, files and ports are the test's own, and its own address, which is a loopback one here,
/// may be relayed to.
struct Coturn {
    address: SocketAddr,
    _process: Child,
    _folder: TempDir,
}

impl Coturn {
    /// Somebody else may take the port before coturn does.
    async fn start() -> Self {
        for _ in 0..3 {
            if let Some(coturn) = Self::try_start().await {
                return coturn;
            }
        }
        panic!("coturn does not answer");
    }

    async fn try_start() -> Option<Self> {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../turn-config/turnserver.conf");
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut config = std::fs::read_to_string(template).unwrap();
        let at = |file: &str| folder.path().join(file).display().to_string();
        for (from, to) in [
            ("192.0.2.10", "127.0.0.1"),
            (
                "static-auth-secret=CHANGE-ME",
                &format!("static-auth-secret={SECRET}"),
            ),
            ("listening-port=3478", &format!("listening-port={port}")),
            ("\nsyslog", &format!("\nlog-file={}", at("log"))),
        ] {
            assert!(config.contains(from), "{from} is not in the configuration");
            config = config.replace(from, to);
        }
        config += &format!(
            "allow-loopback-peers\nallowed-peer-ip=127.0.0.1\npidfile={}\nuserdb={}\n",
            at("pid"),
            at("db")
        );
        std::fs::write(at("conf"), config).unwrap();
        let process = coturn("turnserver")
            .args(["-c", &at("conf")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let process = process.unwrap();
        answers(address).await.then_some(Self {
            address,
            _process: process,
            _folder: folder,
        })
    }
}

/// Whether it answers a Binding request, in the end.
async fn answers(stun: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut request = [0; 20];
    request[1] = 1;
    request[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    for _ in 0..100 {
        let _ = socket.send_to(&request, stun).await;
        if timeout(Duration::from_millis(100), socket.recv(&mut [0; 256]))
            .await
            .is_ok_and(|answer| answer.is_ok())
        {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn coturn_accepts_what_the_server_issues() {
    let coturn = Coturn::start().await;
    let mut config = Config::loopback();
    let urls = vec![format!("turn:{}?transport=udp", coturn.address)];
    config.turn = TurnMode::External {
        urls,
        secret: TurnSecret::from_text(SECRET).unwrap(),
    };
    let server = Server::spawn(config).await.unwrap();
    let mut alice = Client::connect(server.http_addr()).await;
    alice
        .say(&ClientMessage::Login {
            addresses: vec![alice.proof(1)],
        })
        .await;
    let ServerMessage::Welcome {
        turn: Some(turn), ..
    } = alice.next().await
    else {
        panic!("no credentials")
    };
    // The clients talk to each other, relay to relay.
    let (success, said) = uclient(coturn.address, &turn.username, &turn.credential, &["-y"]).await;
    assert!(success && lost_nothing(&said), "{said}");
    let (success, said) = uclient(coturn.address, &turn.username, "wrong", &["-y"]).await;
    assert!(!success, "{said}");
    server.shutdown().await;
}

#[tokio::test]
async fn coturn_refuses_inner_addresses() {
    let coturn = Coturn::start().await;
    let special = [
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "198.51.100.1",
        "0.0.0.1",
    ];
    for (number, peer) in special.into_iter().enumerate() {
        let (user, password) = credentials(&format!("user{number}"), 600);
        let (success, said) =
            uclient(coturn.address, &user, &password, &["-e", peer, "-n", "1"]).await;
        assert!(!success && said.contains("403"), "{peer}: {said}");
    }
}

#[test]
fn no_denied_ipv6_range_begins_with_zeros() {
    // coturn 4.6.1 takes such a range for one without a lower end, and denies all of IPv4.
    let config = include_str!("../../../turn-config/turnserver.conf");
    assert!(
        !config
            .lines()
            .any(|line| line.starts_with("denied-peer-ip=::-") || line == "denied-peer-ip=::")
    );
}
