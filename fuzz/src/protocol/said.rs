//! Envelopes, payloads and contents.

use bytes::Bytes;
use tincan_protocol::EnvelopeId;
use tincan_protocol::content::{Body, Content, Reach};
use tincan_protocol::envelope::{Envelope, Payload};
use tincan_protocol::limits::{
    ENVELOPE_MAX, EXPIRES_MAX_S, HANDSHAKE_MAX, NAME_MAX, PAYLOAD_CONTENTS_MAX, REACTION_MAX,
    RECEIPT_RANGES_MAX, REQUEST_TEXT_MAX, RESEND_MAX, SIGNAL_SERVERS_MAX, TEXT_MAX,
};

use super::check_url;
use crate::bounded::bounded;

/// A content.
pub fn content(data: &[u8]) {
    let Ok(content) = bounded(data.len(), || Content::decode(data)) else {
        return;
    };
    check_body(&content.body);
    assert_ne!(content.seq, u64::MAX, "the last number is never given out");
    if content.body != Body::Unknown {
        assert_eq!(content.body.is_sequenced(), content.seq != 0);
    }
    let again = content.encode();
    let reread = Content::decode(&again).unwrap();
    assert_eq!(reread, content);
    assert_eq!(reread.encode(), again, "written in two ways");
}

fn check_body(body: &Body) {
    match body {
        Body::Text(text) => {
            assert!(text.text.len() <= TEXT_MAX && text.expires_s <= EXPIRES_MAX_S);
        }
        Body::Edit(edit) => assert!(edit.text.len() <= TEXT_MAX),
        Body::Reaction(reaction) => assert!(reaction.emoji.len() <= REACTION_MAX),
        Body::Timer(timer) => assert!(timer.expires_s <= EXPIRES_MAX_S),
        Body::Receipt(receipt) => {
            for ack in &receipt.acks {
                assert!(ack.received.range_count() <= RECEIPT_RANGES_MAX);
                assert!(!ack.received.contains(ack.received.cumulative() + 1));
                assert!(ack.received.highest() < u64::MAX);
            }
            assert!(receipt.stored_up_to < u64::MAX);
        }
        Body::Resend(resend) => {
            assert!(resend.env_ids.len() <= RESEND_MAX && resend.ranges.len() <= RESEND_MAX);
            let mut ranges = resend.ranges.iter();
            assert!(ranges.all(|&(first, last)| 0 < first && first <= last && last < u64::MAX));
        }
        Body::Reach(reach) => check_reach(reach),
        Body::ContactRequest(request) => {
            assert!(request.name.len() <= NAME_MAX && request.text.len() <= REQUEST_TEXT_MAX);
            check_reach(&request.reach);
        }
        Body::ContactAccept(accept) => {
            assert!(accept.name.len() <= NAME_MAX);
            check_reach(&accept.reach);
        }
        _ => {}
    }
}

fn check_reach(reach: &Reach) {
    assert!(reach.signal_servers.len() <= SIGNAL_SERVERS_MAX);
    reach
        .signal_servers
        .iter()
        .chain([&reach.relay])
        .for_each(check_url);
}

/// A list of contents.
pub fn payload(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(payload) = bounded(data.len(), || Payload::decode(bytes)) else {
        return;
    };
    assert!(payload.contents.len() <= PAYLOAD_CONTENTS_MAX);
    let again = payload.clone().encode();
    assert!(again.len() <= data.len());
    assert_eq!(Payload::decode(again.into()), Ok(payload));
}

/// An envelope.
pub fn envelope(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(envelope) = bounded(data.len(), || Envelope::decode(bytes)) else {
        return;
    };
    let max = match &envelope {
        Envelope::Message(_) => ENVELOPE_MAX,
        _ => HANDSHAKE_MAX,
    };
    assert!(data.len() <= max);
    let again = envelope.clone().encode();
    assert!(again.len() <= data.len());
    assert_eq!(Envelope::decode(again.clone()), Ok(envelope.clone()));
    assert_eq!(EnvelopeId::of(&envelope.encode()), EnvelopeId::of(&again));
}
