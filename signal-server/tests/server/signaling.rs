//! The server over real WebSockets.

use std::net::SocketAddr;
use std::time::Duration;

use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{
    ClientMessage, Nonce, Opaque, ServerMessage, SignalErrorCode, prove_login,
};
use tincan_signal_server::credentials::{TTL_S, TurnSecret};
use tincan_signal_server::{Config, Server, TurnMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::{Client, DEADLINE, address, key};

fn config() -> Config {
    let mut config = Config::loopback();
    config.turn = TurnMode::Off;
    config
}

async fn server(config: Config) -> (Server, SocketAddr) {
    let server = Server::spawn(config).await.unwrap();
    let address = server.http_addr();
    (server, address)
}

async fn get(server: SocketAddr, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let headers = if path == "/signal" {
        upgrade
    } else {
        "Connection: close"
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let len = timeout(DEADLINE, stream.read(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&answer[..len]).into_owned()
}

#[tokio::test]
async fn signals_go_both_ways() {
    let (server, address_of) = server(config()).await;
    let mut alice = Client::log_in(address_of, &[1]).await;
    let mut bob = Client::log_in(address_of, &[2, 3]).await;
    alice.signal(1, 3, b"offer").await;
    let expected = ServerMessage::Signal {
        to: address(3),
        from: address(1),
        body: Opaque(b"offer".to_vec()),
    };
    assert_eq!(bob.next().await, expected);
    bob.signal(3, 1, b"answer").await;
    let expected = ServerMessage::Signal {
        to: address(1),
        from: address(3),
        body: Opaque(b"answer".to_vec()),
    };
    assert_eq!(alice.next().await, expected);
    // An address that nobody holds: no answer at all.
    alice.signal(1, 9, b"offer").await;
    alice.expect_silence().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_login_with_a_wrong_nonce_origin_or_key_is_refused() {
    let (server, address_of) = server(config()).await;
    let mut client = Client::connect(address_of).await;
    let (nonce, origin) = (client.nonce, client.origin.clone());
    let mut foreign = prove_login(&key(1), &nonce, &origin);
    foreign.address = address(2);
    let wrong = [
        prove_login(&key(1), &Nonce([0; 32]), &origin),
        prove_login(
            &key(1),
            &nonce,
            &Origin::from_host_header("chat.example.org"),
        ),
        foreign,
    ];
    for proof in wrong {
        // One wrong proof spoils the right one beside it.
        client
            .say(&ClientMessage::Login {
                addresses: vec![client.proof(1), proof],
            })
            .await;
        client.expect_error(SignalErrorCode::Unauthorized).await;
    }
    client.signal(1, 1, b"to myself").await;
    client.expect_error(SignalErrorCode::Unauthorized).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_login_replayed_on_a_second_connection_is_refused() {
    let (server, address_of) = server(config()).await;
    let mut victim = Client::connect(address_of).await;
    let login = ClientMessage::Login {
        addresses: vec![victim.proof(1)],
    };
    victim.say(&login).await;
    assert!(matches!(victim.next().await, ServerMessage::Welcome { .. }));
    let mut attacker = Client::connect(address_of).await;
    attacker.say(&login).await;
    attacker.expect_error(SignalErrorCode::Unauthorized).await;
    victim.expect_silence().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_host_header_that_is_not_this_server_is_misdirected() {
    let (server, address_of) = server(config()).await;
    assert!(
        get(address_of, "/signal", "evil.example")
            .await
            .starts_with("HTTP/1.1 421")
    );
    assert!(
        get(address_of, "/signal", &address_of.to_string())
            .await
            .starts_with("HTTP/1.1 101")
    );
    server.shutdown().await;
}

#[tokio::test]
async fn presence_follows_login_logout_and_disconnection() {
    let (server, address_of) = server(config()).await;
    let mut watcher = Client::log_in(address_of, &[1]).await;
    let presence = |number, online| ServerMessage::Presence {
        address: address(number),
        online,
    };
    watcher.watch(2).await;
    assert_eq!(watcher.next().await, presence(2, false));
    let mut bob = Client::log_in(address_of, &[2]).await;
    assert_eq!(watcher.next().await, presence(2, true));
    bob.say(&ClientMessage::Logout {
        address: address(2),
    })
    .await;
    assert_eq!(watcher.next().await, presence(2, false));
    bob.say(&ClientMessage::Login {
        addresses: vec![bob.proof(2)],
    })
    .await;
    assert_eq!(watcher.next().await, presence(2, true));
    drop(bob);
    assert_eq!(watcher.next().await, presence(2, false));
    server.shutdown().await;
}

#[tokio::test]
async fn a_half_open_connection_goes_offline() {
    let mut config = config();
    config.sockets.ping_every = Duration::from_millis(100);
    config.sockets.silent_after = Duration::from_millis(300);
    let (server, address_of) = server(config).await;
    let silent = Client::log_in(address_of, &[2]).await;
    let mut watcher = Client::log_in(address_of, &[1]).await;
    watcher.watch(2).await;
    assert_eq!(
        watcher.next().await,
        ServerMessage::Presence {
            address: address(2),
            online: true
        }
    );
    // `silent` is open but not polled, so no ping is answered, as if its network were gone.
    assert_eq!(
        watcher.next().await,
        ServerMessage::Presence {
            address: address(2),
            online: false
        }
    );
    drop(silent);
    server.shutdown().await;
}

#[test]
fn a_dead_connection_is_noticed_within_fifteen_seconds_by_default() {
    let limits = tincan_signal_server::SocketLimits::default();
    assert!(limits.silent_after + limits.ping_every < Duration::from_secs(15));
    assert!(limits.write_stall + limits.ping_every < Duration::from_secs(15));
}

#[tokio::test]
async fn the_newest_login_displaces_the_older() {
    let (server, address_of) = server(config()).await;
    let mut old = Client::log_in(address_of, &[1, 2]).await;
    let mut new = Client::log_in(address_of, &[1]).await;
    assert_eq!(
        old.next().await,
        ServerMessage::Displaced {
            address: address(1)
        }
    );
    old.signal(2, 1, b"who is there").await;
    assert!(matches!(new.next().await, ServerMessage::Signal { .. }));
    old.signal(1, 2, b"as before").await;
    old.expect_error(SignalErrorCode::Unauthorized).await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_others_are_not_held_up() {
    let mut config = config();
    config.sockets.write_stall = Duration::from_millis(300);
    config.hub.signals = tincan_signal_server::rate::Rate::new(1000, 1000);
    let (server, address_of) = server(config).await;
    let slow = Client::log_in(address_of, &[2]).await;
    let mut alice = Client::log_in(address_of, &[1, 3]).await;
    alice.watch(2).await;
    assert_eq!(
        alice.next().await,
        ServerMessage::Presence {
            address: address(2),
            online: true
        }
    );
    let flood = async {
        let mut refused = false;
        // More than the sockets' buffers hold; the rest is refused once the queue is full.
        for _ in 0..1000 {
            alice.signal(1, 2, &[0; 20_000]).await;
            alice.signal(1, 3, b"still there").await;
            loop {
                match alice.next().await {
                    ServerMessage::Signal { .. } => break,
                    ServerMessage::Error {
                        code: SignalErrorCode::RateLimited,
                        ..
                    } => refused = true,
                    ServerMessage::Presence { online: false, .. } => return refused,
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
        panic!("the slow reader was not closed");
    };
    timeout(DEADLINE, flood).await.unwrap();
    drop(slow);
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_too_large_binary_or_no_message_ends_the_connection_with_a_reason() {
    let (server, address_of) = server(config()).await;
    let frames = [
        Message::text(" ".repeat(SIGNAL_MESSAGE_MAX + 1)),
        Message::binary(b"{}".to_vec()),
        Message::text("{}"),
        Message::text("[".repeat(SIGNAL_MESSAGE_MAX)),
    ];
    for frame in frames {
        let mut client = Client::connect(address_of).await;
        client.send(frame).await;
        client.expect_error(SignalErrorCode::BadMessage).await;
        assert_eq!(client.next_or_end().await, None);
    }
    server.shutdown().await;
}

#[tokio::test]
async fn the_largest_message_passes() {
    let (server, address_of) = server(config()).await;
    let mut alice = Client::log_in(address_of, &[1]).await;
    let overhead = tincan_protocol::signal::encode(&ClientMessage::Signal {
        to: address(1),
        from: address(1),
        body: Opaque(vec![]),
    });
    let body = vec![7; (SIGNAL_MESSAGE_MAX - overhead.unwrap().len()) / 4 * 3];
    alice.signal(1, 1, &body).await;
    assert!(
        matches!(alice.next().await, ServerMessage::Signal { body: echoed, .. } if echoed.0 == body)
    );
    server.shutdown().await;
}

#[tokio::test]
async fn too_many_signals_are_answered_with_a_wait() {
    let (server, address_of) = server(config()).await;
    let mut alice = Client::log_in(address_of, &[1]).await;
    for _ in 0..250 {
        alice.signal(1, 9, b"knock").await;
    }
    match alice.next().await {
        ServerMessage::Error {
            code: SignalErrorCode::RateLimited,
            retry_after_ms: Some(wait),
            ..
        } => assert!(wait < 1000),
        other => panic!("unexpected {other:?}"),
    }
    server.shutdown().await;
}

#[tokio::test]
async fn more_connections_than_allowed_get_status_503() {
    let mut config = config();
    config.sockets.signaling = 1;
    let (server, address_of) = server(config).await;
    let first = Client::log_in(address_of, &[1]).await;
    let refused = tokio_tungstenite::connect_async(format!("ws://{address_of}/signal")).await;
    assert!(matches!(refused, Err(tungstenite::Error::Http(answer)) if answer.status() == 503));
    drop(first);
    server.shutdown().await;
}

#[tokio::test]
async fn turn_credentials_come_with_the_welcome_and_on_request() {
    let mut config = config();
    let secret = TurnSecret::from_text("0123456789abcdef").unwrap();
    let urls = vec!["turn:192.0.2.1:3478?transport=udp".to_owned()];
    config.turn = TurnMode::External {
        urls: urls.clone(),
        secret: secret.clone(),
    };
    let (server, address_of) = server(config).await;
    let mut alice = Client::connect(address_of).await;
    alice.say(&ClientMessage::Turn).await;
    alice.expect_error(SignalErrorCode::Unauthorized).await;
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
    assert_eq!((turn.urls, turn.ttl_s), (urls, TTL_S));
    assert!(turn.username.ends_with(&format!(":{}", address(1))));
    assert_eq!(turn.credential, secret.password(&turn.username));
    alice.say(&ClientMessage::Turn).await;
    assert!(matches!(
        alice.next().await,
        ServerMessage::Turn { turn: Some(_) }
    ));
    server.shutdown().await;
}

#[tokio::test]
async fn at_shutdown_clients_are_told_and_nothing_is_accepted_any_more() {
    let (server, address_of) = server(config()).await;
    let mut alice = Client::log_in(address_of, &[1]).await;
    let mut stranger = Client::connect(address_of).await;
    let ended = tokio::spawn(server.shutdown());
    for client in [&mut alice, &mut stranger] {
        client.expect_error(SignalErrorCode::ShuttingDown).await;
        assert_eq!(client.next_or_end().await, None);
    }
    timeout(DEADLINE, ended).await.unwrap().unwrap();
    assert!(TcpStream::connect(address_of).await.is_err());
}

#[tokio::test]
async fn a_client_that_ignores_the_goodbye_does_not_hold_up_shutdown() {
    let (server, address_of) = server(config()).await;
    let _silent = Client::log_in(address_of, &[1]).await;
    timeout(Duration::from_secs(8), server.shutdown())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_dropped_server_ends_its_connections() {
    let (server, address_of) = server(config()).await;
    let mut alice = Client::log_in(address_of, &[1]).await;
    drop(server);
    assert_eq!(alice.next_or_end().await, None);
}

#[tokio::test]
async fn health_and_readiness_are_served() {
    let (server, address_of) = server(config()).await;
    for path in ["/healthz", "/readyz"] {
        assert!(
            get(address_of, path, "whatever")
                .await
                .starts_with("HTTP/1.1 200"),
            "{path}"
        );
    }
    assert!(
        get(address_of, "/nothing", "whatever")
            .await
            .starts_with("HTTP/1.1 404")
    );
    server.shutdown().await;
}
