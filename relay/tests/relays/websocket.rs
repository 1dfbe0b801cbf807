//! The relay over real sockets.

use std::collections::HashSet;
use std::time::Duration;

use tincan_protocol::ids::EnvelopeId;
use tincan_protocol::limits::{HANDSHAKE_MAX, RELAY_MESSAGE_MAX};
use tincan_protocol::origin::{Origin, ServerUrl};
use tincan_protocol::relay_auth;
use tincan_protocol::wire::relay_reply::Kind as Reply;
use tincan_protocol::wire::relay_request::Kind as Request;
use tincan_protocol::wire::{self, QueueKind, RelayErrorCode};
use tincan_relay::{Relay, RelayConfig, RelayLimits};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::client::*;
use crate::support::disk::Disk;
use crate::support::{TOKEN, WRONG_TOKEN};

async fn server() -> Server {
    server_with(RelayLimits::default()).await
}

async fn server_with(limits: RelayLimits) -> Server {
    Server::on(Disk::default().open(limits.clone()).unwrap(), limits).await
}

#[tokio::test]
async fn an_envelope_waits_for_its_reader_and_goes_with_the_ack() {
    let server = server().await;
    let (mut reader, mut sender) = (server.client().await, server.client().await);
    reader.create(&key(1), QueueKind::Mailbox).await;
    let Reply::Deposited(deposited) = sender.ask(deposit(&key(1), "hello")).await else {
        panic!("not deposited");
    };
    assert_eq!(deposited.env_id, EnvelopeId::of(b"hello").to_vec());
    assert!(matches!(
        reader.ask(subscribe(&key(1), 0)).await,
        Reply::Done(_)
    ));
    assert_eq!(reader.delivery().await, (1, b"hello".to_vec()));
    reader.drained().await;
    sender.ask(deposit(&key(1), "live")).await;
    assert_eq!(reader.delivery().await, (2, b"live".to_vec()));
    assert!(matches!(reader.ask(ack(&key(1), 1)).await, Reply::Done(_)));
    assert!(matches!(
        reader.ask(subscribe(&key(1), 0)).await,
        Reply::Done(_)
    ));
    assert_eq!(reader.delivery().await, (2, b"live".to_vec()));
    reader.drained().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_wrong_key_nonce_or_origin_reads_nothing() {
    let server = server().await;
    let mut owner = server.client().await;
    owner.create(&key(1), QueueKind::Mailbox).await;
    owner.ask(deposit(&key(1), "secret")).await;
    let mut other = server.client().await;
    let good = other.proof(&key(1));
    let wrong_key = wire::KeyProof {
        key: key(2).queue().to_vec(),
        ..good.clone()
    };
    let origin = Origin::from_host_header(&server.address.to_string());
    let elsewhere = Origin::from_host_header("127.0.0.1:1");
    let signature = relay_auth::prove(&key(1), &[0; 32], &origin).to_vec();
    let wrong_nonce = wire::KeyProof {
        signature,
        ..good.clone()
    };
    for proof in [wrong_key, wrong_nonce] {
        let reply = other
            .ask(Request::Auth(wire::Auth {
                proofs: vec![proof],
            }))
            .await;
        assert_eq!(error_code(&reply), Some(RelayErrorCode::Unauthorized));
        let reply = other.ask(subscribe(&key(1), 0)).await;
        assert_eq!(error_code(&reply), Some(RelayErrorCode::Unauthorized));
    }
    let signature = relay_auth::prove(&key(1), &[0; 32], &elsewhere).to_vec();
    let proofs = vec![wire::KeyProof { signature, ..good }];
    let reply = other.ask(Request::Auth(wire::Auth { proofs })).await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::Unauthorized));
    assert_eq!(other.close_code().await, Some(1008));
    server.shutdown().await;
}

#[tokio::test]
async fn a_proof_is_worth_nothing_on_another_connection() {
    let server = server().await;
    let (first, mut second) = (server.client().await, server.client().await);
    let stolen = first.proof(&key(1));
    let reply = second
        .ask(Request::Auth(wire::Auth {
            proofs: vec![stolen],
        }))
        .await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::Unauthorized));
    server.shutdown().await;
}

#[tokio::test]
async fn a_host_that_is_not_its_own_is_misdirected() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = RelayConfig::new(folder.path().join("relay.redb"));
    config.public_url = Some(ServerUrl::parse("https://relay.example.org").unwrap());
    let server = Server::open(config).await;
    let Err(tungstenite::Error::Http(response)) = Client::connect(server.address).await else {
        panic!("it was let in");
    };
    assert_eq!(response.status(), 421);
    let text = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
    assert!(text.contains("--public-url"), "{text}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_depositor_cannot_tell_a_wrong_token_from_a_missing_queue() {
    let server = server().await;
    let (mut owner, mut sender) = (server.client().await, server.client().await);
    owner.create(&key(1), QueueKind::Mailbox).await;
    let wrong_token = Request::Deposit(wire::Deposit {
        queue: key(1).queue().to_vec().into(),
        write_token: WRONG_TOKEN.to_vec().into(),
        envelope: "x".into(),
    });
    let wrong = sender.ask(wrong_token).await;
    let missing = sender.ask(deposit(&key(2), "x")).await;
    assert_eq!(error_code(&wrong), Some(RelayErrorCode::Unauthorized));
    assert_eq!(wrong, missing);
    let reply = owner.ask(subscribe(&key(2), 0)).await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::Unauthorized));
    owner.auth(&key(2)).await;
    let reply = owner.ask(subscribe(&key(2), 0)).await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::NoSuchQueue));
    server.shutdown().await;
}

#[tokio::test]
async fn a_full_queue_is_said_to_the_sender_and_has_room_after_an_ack() {
    let mut limits = RelayLimits::default();
    limits.mailbox_envelopes = 2;
    let server = server_with(limits).await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    for envelope in ["a", "b"] {
        assert!(matches!(
            client.ask(deposit(&key(1), envelope)).await,
            Reply::Deposited(_)
        ));
    }
    let reply = client.ask(deposit(&key(1), "c")).await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::QueueFull));
    client.ask(ack(&key(1), 1)).await;
    assert!(matches!(
        client.ask(deposit(&key(1), "c")).await,
        Reply::Deposited(_)
    ));
    server.shutdown().await;
}

#[tokio::test]
async fn a_pipeline_of_deposits_shares_its_syncs() {
    let disk = Disk::default();
    let limits = RelayLimits::default();
    let server = Server::on(disk.open(limits.clone()).unwrap(), limits).await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    let before = disk.syncs();
    let mut waiting = HashSet::new();
    for number in 0..600_u16 {
        waiting.insert(
            client
                .send(deposit(&key(1), number.to_be_bytes().to_vec()))
                .await,
        );
    }
    while !waiting.is_empty() {
        let reply = client.receive().await;
        assert!(matches!(reply.kind, Some(Reply::Deposited(_))), "{reply:?}");
        assert!(waiting.remove(&reply.id));
    }
    let syncs = disk.syncs() - before;
    assert!(syncs < 600, "{syncs} syncs for 600 deposits");
    server.shutdown().await;
}

#[tokio::test]
async fn one_of_many_concurrent_appends_wins() {
    let server = server().await;
    let mut owner = server.client().await;
    owner.create(&key(1), QueueKind::Log).await;
    for round in 0..5_u64 {
        let mut racers = JoinSet::new();
        for number in 0..8_u8 {
            let mut client = server.client().await;
            racers.spawn(async move {
                client
                    .ask(append(&key(1), round, vec![number, 1, round as u8]))
                    .await
            });
        }
        let replies = racers.join_all().await;
        let won = replies
            .iter()
            .filter(|reply| matches!(reply, Reply::Appended(a) if a.index == round + 1));
        let lost = replies
            .iter()
            .filter(|reply| matches!(reply, Reply::Conflict(c) if c.last_index == round + 1));
        assert_eq!((won.count(), lost.count()), (1, 7), "{replies:?}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn every_member_follows_the_log() {
    let server = server().await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.create(&key(1), QueueKind::Log).await;
    two.auth(&key(1)).await;
    for member in [&mut one, &mut two] {
        assert!(matches!(
            member.ask(subscribe(&key(1), 0)).await,
            Reply::Done(_)
        ));
        member.drained().await;
    }
    one.ask(append(&key(1), 0, "commit")).await;
    for member in [&mut one, &mut two] {
        assert_eq!(member.delivery().await, (1, b"commit".to_vec()));
        assert!(matches!(member.ask(ack(&key(1), 1)).await, Reply::Done(_)));
    }
    server.shutdown().await;
}

#[tokio::test]
async fn concurrent_takers_get_each_key_package_once() {
    let server = server().await;
    let mut owner = server.client().await;
    owner.auth(&key(1)).await;
    let publish = Request::KeyPackagePublish(wire::KeyPackagePublish {
        owner: key(1).queue().to_vec(),
        token_hash: TOKEN.hash().to_vec(),
        packages: (1..=10).map(|number| vec![number]).collect(),
        last_resort: vec![99],
    });
    let Reply::KeyPackageStock(stock) = owner.ask(publish).await else {
        panic!("no stock")
    };
    assert_eq!((stock.single_use, stock.last_resort), (10, true));
    let mut takers = JoinSet::new();
    for _ in 0..15 {
        let mut client = server.client().await;
        let take = wire::KeyPackageTake {
            owner: key(1).queue().to_vec(),
            token: TOKEN.to_vec(),
        };
        takers.spawn(async move { client.ask(Request::KeyPackageTake(take)).await });
    }
    let mut taken: Vec<u8> = Vec::new();
    for reply in takers.join_all().await {
        let Reply::KeyPackage(package) = reply else {
            panic!("{reply:?}")
        };
        taken.extend(package.package);
    }
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99, 99, 99, 99, 99]);
    server.shutdown().await;
}

#[tokio::test]
async fn the_newest_reader_of_a_mailbox_wins_and_the_older_one_is_told() {
    let server = server().await;
    let (mut older, mut newer) = (server.client().await, server.client().await);
    older.create(&key(1), QueueKind::Mailbox).await;
    newer.auth(&key(1)).await;
    let subscription = older.send(subscribe(&key(1), 0)).await;
    assert!(matches!(older.answer(subscription).await, Reply::Done(_)));
    older.drained().await;
    newer.ask(subscribe(&key(1), 0)).await;
    newer.drained().await;
    assert!(error_code(&older.answer(subscription).await).is_some());
    older.ask(deposit(&key(1), "x")).await;
    assert_eq!(newer.delivery().await, (1, b"x".to_vec()));
    server.shutdown().await;
}

#[tokio::test]
async fn a_deleted_queue_ends_its_subscription_and_takes_nothing_more() {
    let server = server().await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    let subscription = client.send(subscribe(&key(1), 0)).await;
    client.answer(subscription).await;
    client.drained().await;
    let delete = Request::QueueDelete(wire::QueueDelete {
        queue: key(1).queue().to_vec(),
    });
    assert!(matches!(client.ask(delete.clone()).await, Reply::Done(_)));
    let told = client.answer(subscription).await;
    assert_eq!(error_code(&told), Some(RelayErrorCode::NoSuchQueue));
    assert!(matches!(client.ask(delete).await, Reply::Done(_)));
    let reply = client.ask(deposit(&key(1), "x")).await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::Unauthorized));
    server.shutdown().await;
}

#[tokio::test]
async fn the_window_holds_deliveries_back_until_they_are_acknowledged() {
    let mut limits = RelayLimits::default();
    limits.window_envelopes = 4;
    let server = server_with(limits).await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    for number in 1..=10_u8 {
        client.ask(deposit(&key(1), [number])).await;
    }
    client.ask(subscribe(&key(1), 0)).await;
    for index in 1..=10_u64 {
        assert_eq!(client.delivery().await.0, index);
        if index == 4 {
            // An answer that comes before the fifth delivery: the window is shut.
            let reply = client.ask(deposit(&key(1), [1])).await;
            assert!(matches!(reply, Reply::Deposited(_)));
        }
        if index % 4 == 0 {
            let id = client.send(ack(&key(1), index)).await;
            assert!(matches!(client.answer(id).await, Reply::Done(_)));
        }
    }
    client.drained().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_costs_a_bounded_amount_and_others_go_on() {
    let mut limits = RelayLimits::default();
    limits.outbound_bytes = 256 * 1024;
    let server = server_with(limits).await;
    let (mut slow, mut other) = (server.client().await, server.client().await);
    // Forty mailboxes of 1 MiB each, read by one connection that does not read its socket.
    for seed in 1..=40_u8 {
        slow.create(&key(seed), QueueKind::Mailbox).await;
        for part in 0..4_u8 {
            let envelope = [vec![seed, part], vec![0; 250 * 1024]].concat();
            assert!(matches!(
                other.ask(deposit(&key(seed), envelope)).await,
                Reply::Deposited(_)
            ));
        }
    }
    for seed in 1..=40_u8 {
        slow.send(subscribe(&key(seed), 0)).await;
    }
    other.create(&key(100), QueueKind::Mailbox).await;
    other.ask(deposit(&key(100), "quick")).await;
    other.ask(subscribe(&key(100), 0)).await;
    assert_eq!(other.delivery().await.1, b"quick");
    // Once it reads, everything comes.
    let mut delivered = 0;
    let mut drained = 0;
    while drained < 40 {
        match slow.receive().await.kind {
            Some(Reply::Deliver(_)) => delivered += 1,
            Some(Reply::Drained(_)) => drained += 1,
            Some(Reply::Done(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(delivered, 160);
    server.shutdown().await;
}

#[tokio::test]
async fn a_reader_that_goes_on_taking_nothing_is_sent_away() {
    let mut limits = RelayLimits::default();
    limits.outbound_bytes = 32 << 20;
    limits.write_timeout = Duration::from_millis(300);
    let server = server_with(limits).await;
    let mut slow = server.client().await;
    // More than the socket's buffers on both sides take.
    for seed in 1..=40_u8 {
        slow.create(&key(seed), QueueKind::Mailbox).await;
        let reply = slow
            .ask(deposit(&key(seed), vec![seed; HANDSHAKE_MAX]))
            .await;
        assert!(matches!(reply, Reply::Deposited(_)));
    }
    for seed in 1..=40_u8 {
        slow.send(subscribe(&key(seed), 0)).await;
    }
    let freed = async {
        while server.relay.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, freed).await.unwrap();
    server.shutdown().await;
}

#[tokio::test]
async fn the_largest_envelope_goes_through_and_a_larger_one_does_not() {
    let server = server().await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    let reply = client.ask(deposit(&key(1), vec![1; HANDSHAKE_MAX])).await;
    assert!(matches!(reply, Reply::Deposited(_)));
    let reply = client
        .ask(deposit(&key(1), vec![1; HANDSHAKE_MAX + 1]))
        .await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::TooLarge));
    client.ask(subscribe(&key(1), 0)).await;
    assert_eq!(client.delivery().await.1.len(), HANDSHAKE_MAX);
    server.shutdown().await;
}

#[tokio::test]
async fn a_frame_above_the_limit_ends_the_connection_unparsed() {
    let server = server().await;
    let mut client = server.client().await;
    // The relay may end the connection while the frame is still being written.
    let frame = Message::Binary(vec![0; RELAY_MESSAGE_MAX + 1].into());
    client.try_send(frame).await;
    assert!(client.has_ended().await);
    server.shutdown().await;
}

#[tokio::test]
async fn text_and_garbage_end_the_connection_with_a_reason() {
    let server = server().await;
    let mut client = server.client().await;
    client.send_message(Message::text("hello")).await;
    assert_eq!(client.close_code().await, Some(1003));
    let mut client = server.client().await;
    client
        .send_message(Message::Binary(vec![0xff; 10].into()))
        .await;
    let reply = client.receive().await.kind.unwrap();
    assert_eq!(error_code(&reply), Some(RelayErrorCode::BadRequest));
    assert_eq!(client.close_code().await, Some(1008));
    server.shutdown().await;
}

#[tokio::test]
async fn above_the_limit_of_connections_new_ones_are_refused() {
    let mut limits = RelayLimits::default();
    limits.connections = 1;
    let server = server_with(limits).await;
    let _first = server.client().await;
    let Err(tungstenite::Error::Http(response)) = Client::connect(server.address).await else {
        panic!("it was let in");
    };
    assert_eq!(response.status(), 503);
    server.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_says_going_away_and_closes_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let config = RelayConfig::new(folder.path().join("relay.redb"));
    let server = Server::open(config.clone()).await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    assert!(matches!(
        client.ask(deposit(&key(1), "kept")).await,
        Reply::Deposited(_)
    ));
    assert!(server.relay.ready());
    let (code, ()) = tokio::join!(client.close_code(), server.shutdown());
    assert_eq!(code, Some(1001));
    let server = Server::open(config).await;
    let mut client = server.client().await;
    client.auth(&key(1)).await;
    client.ask(subscribe(&key(1), 0)).await;
    assert_eq!(client.delivery().await, (1, b"kept".to_vec()));
    server.shutdown().await;
}

#[tokio::test]
async fn a_dropped_relay_lets_go_of_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let config = RelayConfig::new(folder.path().join("relay.redb"));
    let server = Server::open(config.clone()).await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    assert!(matches!(
        client.ask(deposit(&key(1), "kept")).await,
        Reply::Deposited(_)
    ));
    drop(server);
    assert_eq!(client.close_code().await, Some(1001));
    let reopened = timeout(DEADLINE, async {
        loop {
            match Relay::open(config.clone()) {
                Ok(relay) => break relay,
                Err(tincan_relay::OpenError::Locked { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    });
    reopened.await.unwrap().shutdown().await;
}

#[tokio::test]
async fn a_store_that_fails_is_said_and_works_again_later() {
    let disk = Disk::default();
    let limits = RelayLimits::default();
    let server = Server::on(disk.open(limits.clone()).unwrap(), limits).await;
    let mut client = server.client().await;
    client.create(&key(1), QueueKind::Mailbox).await;
    disk.break_after(Some(0));
    let reply = client.ask(deposit(&key(1), "a")).await;
    assert_eq!(error_code(&reply), Some(RelayErrorCode::Unavailable));
    assert!(!server.relay.ready());
    disk.break_after(None);
    assert!(matches!(
        client.ask(deposit(&key(1), "a")).await,
        Reply::Deposited(_)
    ));
    assert!(server.relay.ready());
    client.ask(subscribe(&key(1), 0)).await;
    assert_eq!(client.delivery().await, (1, b"a".to_vec()));
    server.shutdown().await;
}

/// Memory of this process, bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// The answers waited in memory for somebody who did not read them: 130 MB a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regression_pings_of_who_reads_nothing_do_not_fill_the_memory() {
    const ROOM: usize = 48 * 1024 * 1024;
    let server = server().await;
    let mut client = server.client().await;
    // Masked with zeros, and as large as a ping may be.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[7; 125]].concat();
    let pings = ping.repeat(1_000);
    let before = resident();
    for _ in 0..2_000 {
        if !client.write_raw(&pings).await {
            break;
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < ROOM, "{grown} bytes more");
    drop(client);
    server.shutdown().await;
}
