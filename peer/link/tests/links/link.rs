//! Two links over real sockets.

use std::time::Duration;

use tincan_link::{DownReason, LinkEvent, LinkHandle, LinkStartError, TrySendError};
use tincan_protocol::limits::FRAME_MAX;

use crate::support::{
    DEADLINE, End, Person, connected, loopback, now_ms, number, pair, passing, put,
};

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_frames_each_way_arrive_in_order() {
    const FRAMES: u64 = 10_000;
    let (ann, bob) = connected(loopback(), loopback()).await;
    let sender = |handle: LinkHandle| async move {
        for n in 0..FRAMES {
            handle.send(put(n, 200)).await.unwrap();
        }
    };
    let senders = [
        tokio::spawn(sender(ann.handle.clone())),
        tokio::spawn(sender(bob.handle.clone())),
    ];
    let mut readers = Vec::new();
    for mut end in [ann, bob] {
        readers.push(tokio::spawn(async move {
            for n in 0..FRAMES {
                assert_eq!(number(&end.put().await), n);
            }
            end
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let mut ends = Vec::new();
    for reader in readers {
        ends.push(reader.await.unwrap());
    }
    // Only when both have read everything has everything been sent.
    for end in ends {
        let stats = end.handle.stats();
        assert_eq!((stats.sent_frames, stats.received_frames), (FRAMES, FRAMES));
        assert_eq!(stats.relayed, Some(false));
        assert!(stats.round_trip.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_the_largest_size_arrive() {
    let (ann, mut bob) = connected(loopback(), loopback()).await;
    let frame = put(1, FRAME_MAX - 8);
    assert!(
        frame.len() > FRAME_MAX - 8 && frame.len() <= FRAME_MAX,
        "{}",
        frame.len()
    );
    for _ in 0..50 {
        ann.handle.send(frame.clone()).await.unwrap();
        assert_eq!(bob.put().await.len(), FRAME_MAX - 8);
    }
    let over = put(1, FRAME_MAX);
    assert_eq!(
        ann.handle.try_send(over.clone()),
        Err(TrySendError::TooLarge { len: over.len() })
    );
    assert!(ann.handle.send(over).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_queued_before_the_link_is_up_leave_when_it_is() {
    let (mut ann, mut bob) = pair(loopback(), loopback()).await;
    ann.handle.send(put(7, 8)).await.unwrap();
    ann.up().await;
    bob.up().await;
    assert_eq!(number(&bob.put().await), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_stops_the_sender_and_loses_nothing() {
    let (ann, mut bob) = connected(loopback(), loopback()).await;
    let handle = ann.handle.clone();
    // Sends until nothing has moved for a while.
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(2), handle.send(put(sent, 16 * 1024)))
        .await
        .is_ok()
    {
        sent += 1;
    }
    let (here, there) = (ann.handle.stats(), bob.handle.stats());
    println!("stalled after {sent} frames: {here:?} {there:?}");
    // Two queues of 256 messages and a receive buffer of 1 MiB in the WebRTC crate, and ours.
    assert!(sent < 1_000, "{sent} frames were taken");
    assert!(
        there.received_frames <= 66,
        "{} frames wait for the reader",
        there.received_frames
    );
    assert!(here.in_flight <= here.window + 16 * 1024 + 64);
    for n in 0..sent {
        assert_eq!(number(&bob.put().await), n);
    }
    // And it goes on.
    handle.send(put(sent, 8)).await.unwrap();
    assert_eq!(number(&bob.put().await), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_link_is_down_on_both_sides_at_once() {
    let (mut ann, mut bob) = connected(loopback(), loopback()).await;
    ann.handle.send(put(1, 8)).await.unwrap();
    ann.handle.close("going home");
    assert_eq!(
        ann.down().await,
        DownReason::ClosedHere {
            reason: "going home".into()
        }
    );
    // What was queued before the end has arrived before it.
    assert_eq!(number(&bob.put().await), 1);
    assert_eq!(
        bob.down().await,
        DownReason::ClosedByRemote {
            reason: "going home".into()
        }
    );
    assert!(ann.is_over().await && bob.is_over().await);
    assert!(ann.handle.send(put(2, 8)).await.is_err());
    assert!(matches!(
        bob.handle.try_send(put(2, 8)),
        Err(TrySendError::Closed(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_may_close_at_the_same_time() {
    let (mut ann, mut bob) = connected(loopback(), loopback()).await;
    ann.handle.close("a");
    bob.handle.close("b");
    ann.down().await;
    bob.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_nobody_reads_any_more_ends() {
    let (ann, mut bob) = connected(loopback(), loopback()).await;
    drop(ann.events);
    assert!(matches!(
        bob.down().await,
        DownReason::ClosedByRemote { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_taken_back_ends_the_answering_side() {
    let (mut ann, mut bob) = pair(loopback(), loopback()).await;
    ann.handle.close("changed my mind");
    let reason = ann.down().await;
    assert!(
        matches!(reason, DownReason::ClosedHere { .. }),
        "{reason:?}"
    );
    loop {
        match bob.next().await {
            LinkEvent::Up { .. } => {}
            LinkEvent::Down { reason } => {
                assert!(
                    matches!(reason, DownReason::ClosedByRemote { .. }),
                    "{reason:?}"
                );
                break;
            }
            event => panic!("{event:?}"),
        }
    }
}

#[test]
fn a_killed_peer_is_noticed_by_the_heartbeat() {
    let here = tokio::runtime::Runtime::new().unwrap();
    let there = tokio::runtime::Runtime::new().unwrap();
    here.block_on(async {
        let (ann, bob) = (Person::new(1), Person::new(2));
        let mut config = loopback();
        config.heartbeat = Duration::from_millis(500);
        let (ann_handle, mut ann_events) =
            LinkHandle::offer(config.clone(), ann.with(&bob), Vec::new(), now_ms())
                .await
                .unwrap();
        let Some(LinkEvent::Signal(tincan_protocol::link::LinkSignal::Offer(offer))) =
            ann_events.recv().await
        else {
            panic!("no offer")
        };
        let offer = bob.verify_offer(&offer, &ann);
        let parties = bob.with(&ann);
        let answer = LinkHandle::answer(config, parties, Vec::new(), offer, now_ms());
        let (bob_handle, bob_events) = there.spawn(answer).await.unwrap().unwrap();
        let (to_ann, to_bob) = (ann_handle.clone(), bob_handle.clone());
        let mut ann = End::new(ann_handle, ann_events, passing(to_bob));
        let mut bob = End::new(bob_handle, bob_events, passing(to_ann));
        ann.up().await;
        bob.up().await;
        // Every task and socket of the other side is gone, and it has said nothing.
        there.shutdown_background();
        assert_eq!(ann.down().await, DownReason::Silent);
        assert!(ann.is_over().await);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_address_that_cannot_be_read_is_said_at_the_start() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let mut config = loopback();
    config.ice_servers = vec![tincan_link::IceServer {
        urls: vec!["turn:".into()],
        ..Default::default()
    }];
    let result = LinkHandle::offer(config, ann.with(&bob), Vec::new(), now_ms()).await;
    assert!(
        matches!(result, Err(LinkStartError::Transport(_))),
        "{:?}",
        result.err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parties_that_do_not_fit_start_nothing() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let mut parties = ann.with(&bob);
    parties.cert = bob.cert();
    let result = LinkHandle::offer(loopback(), parties, Vec::new(), now_ms()).await;
    assert!(matches!(result, Err(LinkStartError::Parties)));
    let result = LinkHandle::offer(loopback(), ann.with(&ann), Vec::new(), now_ms()).await;
    assert!(matches!(result, Err(LinkStartError::Parties)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_stops_waiting_for_the_start_leaves_nothing() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let tasks = tokio::runtime::Handle::current().metrics();
    let before = tasks.num_alive_tasks();
    for _ in 0..20 {
        let start = LinkHandle::offer(loopback(), ann.with(&bob), Vec::new(), now_ms());
        let _ = tokio::time::timeout(Duration::ZERO, start).await;
    }
    let all_gone = async {
        while tasks.num_alive_tasks() > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, all_gone)
        .await
        .expect("no task is left");
}
