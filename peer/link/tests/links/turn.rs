//! Links through a real TURN server. Times are printed and not asserted.

use std::time::Instant;

use tincan_link::{IcePolicy, LinkConfig, LinkEvent};
use tincan_protocol::link::LinkSignal;

use crate::support::coturn::Coturn;
use crate::support::{Person, connected, loopback, now_ms, number, put};

fn relay_only(coturn: &Coturn) -> LinkConfig {
    let mut config = loopback();
    config.ice_servers = vec![coturn.ice_server()];
    config.policy = IcePolicy::RelayOnly;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn two_links_meet_at_the_relay() {
    let coturn = Coturn::start();
    let began = Instant::now();
    let (mut ann, mut bob) = connected(relay_only(&coturn), relay_only(&coturn)).await;
    println!("up after {:?}", began.elapsed());
    ann.relayed().await;
    bob.relayed().await;
    let mut times = Vec::new();
    for n in 0..200 {
        let sent = Instant::now();
        ann.handle.send(put(n, 200)).await.unwrap();
        assert_eq!(number(&bob.put().await), n);
        bob.handle.send(put(n, 200)).await.unwrap();
        assert_eq!(number(&ann.put().await), n);
        times.push(sent.elapsed());
    }
    times.sort();
    println!("round trip p50 {:?} p99 {:?}", times[100], times[198]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_frames_pass_the_relay_in_order() {
    let coturn = Coturn::start();
    let (ann, mut bob) = connected(relay_only(&coturn), relay_only(&coturn)).await;
    let began = Instant::now();
    let handle = ann.handle.clone();
    let sender = tokio::spawn(async move {
        for n in 0..200 {
            handle.send(put(n, 56 * 1024)).await.unwrap();
        }
    });
    for n in 0..200 {
        assert_eq!(number(&bob.put().await), n);
    }
    sender.await.unwrap();
    println!(
        "{:.1} MB/s",
        200.0 * 57_344.0 / began.elapsed().as_secs_f64() / 1e6
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_side_behind_the_relay_is_enough() {
    let coturn = Coturn::start();
    let mut open = loopback();
    open.ice_servers = vec![coturn.ice_server()];
    let (ann, mut bob) = connected(relay_only(&coturn), open).await;
    ann.relayed().await;
    bob.relayed().await;
    ann.handle.send(put(1, 100)).await.unwrap();
    assert_eq!(number(&bob.put().await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_path_is_preferred_where_there_is_one() {
    let coturn = Coturn::start();
    let mut config = loopback();
    config.ice_servers = vec![coturn.ice_server()];
    let (ann, _bob) = connected(config.clone(), config).await;
    assert_eq!(ann.handle.stats().relayed, Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_only_tells_no_address_of_this_machine() {
    let coturn = Coturn::start();
    let (ann, bob) = (Person::new(1), Person::new(2));
    let start =
        tincan_link::LinkHandle::offer(relay_only(&coturn), ann.with(&bob), Vec::new(), now_ms());
    let (_handle, mut events) = start.await.unwrap();
    let Some(LinkEvent::Signal(LinkSignal::Offer(offer))) = events.recv().await else {
        panic!("no offer")
    };
    assert!(!offer.sdp.contains("candidate"), "{}", offer.sdp);
    let Some(LinkEvent::Signal(LinkSignal::Candidate(candidate))) = events.recv().await else {
        panic!("no candidate")
    };
    let line = candidate.candidate;
    assert!(
        line.contains("typ relay") && line.ends_with("raddr 0.0.0.0 rport 0"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_held_open_do_not_hinder_the_next() {
    let coturn = Coturn::start();
    let mut held = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        held.push(connected(relay_only(&coturn), relay_only(&coturn)).await);
        println!("up after {:?}", began.elapsed());
    }
    for (ann, _) in &held {
        ann.relayed().await;
    }
}
