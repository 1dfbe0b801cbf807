//! Another side that does not keep to the protocol, or is not who it should be.

use std::sync::Arc;

use bytes::Bytes;
use tincan_link::{DownReason, LinkConfig, LinkEvent, LinkHandle};
use tincan_protocol::limits::FRAME_MAX;
use tincan_protocol::link::{
    LinkError, LinkSignal, SignedBye, SignedDescription, VerifiedDescription,
};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use crate::support::raw::{RawAnswerer, add_candidate, hello, send};
use crate::support::{DEADLINE, End, Person, loopback, now_ms, number, pair, put};

/// A link that has made an offer, and the offer as the other person sees it.
async fn offering(
    config: LinkConfig,
) -> (
    LinkHandle,
    tokio::sync::mpsc::Receiver<LinkEvent>,
    VerifiedDescription,
) {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let (handle, mut events) = LinkHandle::offer(config, ann.with(&bob), Vec::new(), now_ms())
        .await
        .unwrap();
    let Some(LinkEvent::Signal(LinkSignal::Offer(offer))) = events.recv().await else {
        panic!("no offer")
    };
    let offer = bob.verify_offer(&offer, &ann);
    (handle, events, offer)
}

/// A link and a raw other side whose channel is open.
async fn facing_raw() -> (End, RawAnswerer, Arc<dyn DataChannel>) {
    facing_raw_after(|_| {}).await
}

/// The same, with something done to the link before it is answered.
async fn facing_raw_after(
    before: impl FnOnce(&LinkHandle),
) -> (End, RawAnswerer, Arc<dyn DataChannel>) {
    let (handle, events, offer) = offering(loopback()).await;
    before(&handle);
    let mut raw = RawAnswerer::new(&Person::new(2), &Person::new(1), offer, |sdp| sdp).await;
    raw.introduce(&handle).await;
    let connection = Arc::clone(&raw.connection);
    let end = End::new(handle, events, move |signal| {
        if let LinkSignal::Candidate(candidate) = signal {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move { add_candidate(&connection, candidate).await });
        }
    });
    let channel = raw.channel().await;
    (end, raw, channel)
}

/// Reads until the link has closed the channel.
async fn is_closed(channel: &Arc<dyn DataChannel>) {
    let closed = async {
        while let Some(event) = channel.poll().await {
            if matches!(event, DataChannelEvent::OnClose) {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, closed)
        .await
        .expect("the link closes");
}

async fn down_after(messages: impl FnOnce(&RawAnswerer) -> Vec<Bytes>) -> DownReason {
    let (mut end, raw, channel) = facing_raw().await;
    let messages = messages(&raw);
    for message in messages {
        send(&channel, message).await;
    }
    let reason = loop {
        match end.next().await {
            LinkEvent::Down { reason } => break reason,
            LinkEvent::Up { .. } => {}
            event => panic!("{event:?}"),
        }
    };
    is_closed(&channel).await;
    raw.connection.close().await.unwrap();
    reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_keeps_to_the_protocol_is_taken() {
    let (mut end, raw, channel) = facing_raw().await;
    send(&channel, raw.hello()).await;
    end.up().await;
    send(&channel, put(3, 8)).await;
    assert_eq!(number(&end.put().await), 3);
    raw.connection.close().await.unwrap();
    assert!(matches!(
        end.down().await,
        DownReason::ClosedByRemote { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_before_hello_ends_the_link() {
    let reason = down_after(|_| vec![put(1, 8)]).await;
    assert!(
        matches!(reason, DownReason::Misbehaved { .. }),
        "{reason:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_of_the_transcript_ends_the_link() {
    let reason = down_after(|raw| {
        let mut transcript = *raw.transcript.as_bytes();
        transcript[31] ^= 1;
        vec![hello(&transcript)]
    });
    assert_eq!(reason.await, DownReason::HelloMismatch);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_frames_above_the_limit_end_the_link() {
    let reason = down_after(|_| vec![Bytes::from_static(&[0xff; 40])]).await;
    assert!(matches!(reason, DownReason::BadFrame(_)), "{reason:?}");
    let reason = down_after(|raw| vec![raw.hello(), put(1, FRAME_MAX)]).await;
    assert!(matches!(reason, DownReason::BadFrame(_)), "{reason:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_channel_ends_the_link() {
    let (mut end, raw, channel) = facing_raw().await;
    send(&channel, raw.hello()).await;
    end.up().await;
    raw.connection
        .create_data_channel("another", None)
        .await
        .unwrap();
    assert!(matches!(end.down().await, DownReason::Misbehaved { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_message_ends_the_link() {
    let (mut end, raw, channel) = facing_raw().await;
    send(&channel, raw.hello()).await;
    end.up().await;
    channel.send_text("hello?").await.unwrap();
    assert!(matches!(end.down().await, DownReason::Misbehaved { .. }));
    raw.connection.close().await.unwrap();
}

/// The SDP with another certificate's fingerprint.
fn with_other_fingerprint(sdp: &str) -> String {
    let lines =
        sdp.split_inclusive("\r\n")
            .map(|line| match line.strip_prefix("a=fingerprint:sha-256 ") {
                Some(_) => format!("a=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":")),
                None => line.to_owned(),
            });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_a_swapped_fingerprint_gets_no_session() {
    let (handle, events, offer) = offering(loopback()).await;
    let raw = RawAnswerer::new(&Person::new(2), &Person::new(1), offer, |sdp| sdp).await;
    let sdp = with_other_fingerprint(&raw.answer.sdp);
    handle.handle_signal(LinkSignal::Answer(SignedDescription {
        sdp,
        ..raw.answer.clone()
    }));
    let mut end = End::new(handle, events, |_| {});
    assert_eq!(
        end.down().await,
        DownReason::BadAnswer(LinkError::SdpChanged)
    );
    raw.connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_other_than_the_signed_one_gets_no_session() {
    let (handle, events, offer) = offering(loopback()).await;
    let change = |sdp: String| with_other_fingerprint(&sdp);
    let mut raw = RawAnswerer::new(&Person::new(2), &Person::new(1), offer, change).await;
    raw.introduce(&handle).await;
    let connection = Arc::clone(&raw.connection);
    let mut end = End::new(handle, events, move |signal| {
        if let LinkSignal::Candidate(candidate) = signal {
            let connection = Arc::clone(&connection);
            tokio::spawn(async move { add_candidate(&connection, candidate).await });
        }
    });
    let reason = end.down().await;
    assert!(
        matches!(
            reason,
            DownReason::WrongCertificate | DownReason::ConnectTimeout | DownReason::PathLost
        ),
        "{reason:?}"
    );
    raw.connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_somebody_else_ends_the_link() {
    let (handle, events, offer) = offering(loopback()).await;
    let raw = RawAnswerer::new(&Person::new(3), &Person::new(1), offer, |sdp| sdp).await;
    handle.handle_signal(LinkSignal::Answer(raw.answer.clone()));
    let mut end = End::new(handle, events, |_| {});
    assert!(matches!(
        end.down().await,
        DownReason::BadAnswer(LinkError::Signature(_))
    ));
    raw.connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn regression_a_late_answer_to_another_offer_is_no_end_of_this_attempt() {
    let (_earlier, _events, offer) = offering(loopback()).await;
    let late = RawAnswerer::new(&Person::new(2), &Person::new(1), offer, |sdp| sdp).await;
    let answer = LinkSignal::Answer(late.answer.clone());
    let (mut end, raw, channel) = facing_raw_after(|link| link.handle_signal(answer)).await;
    send(&channel, raw.hello()).await;
    end.up().await;
    for connection in [raw.connection, late.connection] {
        connection.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_other_devices_bye_for_this_session_ends_it() {
    let (mut ann, mut bob) = pair(loopback(), loopback()).await;
    let bob_key = Person::new(2).device;
    let session = ann.handle.session();
    let other_session = tincan_protocol::LinkSessionId::from_bytes([9; 16]);
    ann.handle.handle_signal(LinkSignal::Bye(SignedBye::sign(
        session,
        &Person::new(3).device,
    )));
    ann.handle
        .handle_signal(LinkSignal::Bye(SignedBye::sign(other_session, &bob_key)));
    ann.up().await;
    bob.up().await;
    ann.handle
        .handle_signal(LinkSignal::Bye(SignedBye::sign(session, &bob_key)));
    assert!(matches!(
        ann.down().await,
        DownReason::ClosedByRemote { .. }
    ));
}
