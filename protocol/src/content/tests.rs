use proptest::prelude::*;

use super::*;
use crate::ack::SeqSet;
use crate::ids::{DeviceId, EnvelopeId, QueueId, SignalAddress, WriteToken};
use crate::limits::{EXPIRES_MAX_S, REACTION_MAX, TEXT_MAX};
use crate::origin::ServerUrl;

fn content(seq: u64, body: Body) -> Content {
    Content {
        msg_id: MsgId::from_u128(1),
        seq,
        hlc: Hlc::from_u64(2),
        body,
    }
}

fn reach() -> Reach {
    Reach {
        relay: ServerUrl::parse("https://relay.example.org").unwrap(),
        queue: QueueId::from_bytes([1; 32]),
        write_token: WriteToken::from_bytes([2; 16]),
        signal_servers: vec![ServerUrl::parse("https://chat.example.org").unwrap()],
        signal_address: SignalAddress::from_bytes([3; 32]),
        key_packages: Some(KeyPackagesAt {
            owner: QueueId::from_bytes([6; 32]),
            token: WriteToken::from_bytes([7; 16]),
        }),
    }
}

fn deletion() -> Deletion {
    Deletion {
        of: MessageRef {
            author: DeviceId::from_bytes([9; 32]),
            msg_id: MsgId::from_u128(7),
        },
    }
}

/// A contact could have sent it to a program that did not look at it, and that could not be opened any more
/// once it was a version that does.
#[test]
fn regression_what_an_earlier_version_kept_unread_does_not_keep_a_profile_from_opening() {
    let broken = wire::Content {
        v: CONTENT_VERSION,
        msg_id: vec![1; 16],
        seq: 3,
        hlc: 7,
        body: Some(wire::content::Body::Deletion(wire::Deletion { of: None })),
        ..wire::Content::default()
    };
    let bytes = broken.encode_to_vec();
    Content::decode(&bytes).unwrap_err();
    let kept = Content::decode_kept(&bytes).unwrap();
    assert_eq!((kept.seq, kept.body), (3, Body::Unknown));
    let good = content(4, Body::Deletion(deletion()));
    assert_eq!(Content::decode_kept(&good.encode()), Ok(good));
    Content::decode_kept(b"\xff").unwrap_err();
}

#[test]
fn a_text_is_pinned() {
    assert_eq!(
        hex::encode(content(3, Body::text("hi")).encode()),
        "0801121000000000000000000000000000000001180320028201040a026869"
    );
}

#[test]
fn every_kind_round_trips() {
    let received = SeqSet::up_to(4);
    let ack = DeviceAck {
        device: DeviceId::from_bytes([9; 32]),
        received,
        read_up_to: 2,
    };
    let resend = Resend {
        env_ids: vec![EnvelopeId::of(b"e")],
        ranges: vec![(3, 5)],
    };
    let request = ContactRequest {
        name: "Ann".into(),
        text: "it's me".into(),
        reach: reach(),
    };
    let of = MessageRef {
        author: DeviceId::from_bytes([9; 32]),
        msg_id: MsgId::from_u128(7),
    };
    let reply = Text {
        text: "and you?".into(),
        reply_to: Some(of),
        forwarded: true,
        expires_s: 60,
    };
    for (seq, body) in [
        (1, Body::text("hi")),
        (
            0,
            Body::Receipt(Receipt {
                acks: vec![ack],
                stored_up_to: 7,
                delivered_up_to: 5,
                read_up_to: 3,
            }),
        ),
        (0, Body::Resend(resend)),
        (2, Body::Reach(reach())),
        (0, Body::ContactRequest(request)),
        (
            4,
            Body::ContactAccept(ContactAccept {
                name: "Bob".into(),
                reach: reach(),
            }),
        ),
        (5, Body::Text(reply)),
        (
            6,
            Body::Edit(Edit {
                of,
                text: "hello".into(),
            }),
        ),
        (7, Body::Deletion(Deletion { of })),
        (
            8,
            Body::Reaction(Reaction {
                to: of,
                emoji: "\u{1f44d}".into(),
            }),
        ),
        (9, Body::Timer(Timer { expires_s: 60 })),
    ] {
        let content = content(seq, body);
        assert_eq!(Content::decode(&content.encode()), Ok(content));
    }
}

#[test]
fn a_kind_of_the_future_is_kept_as_unknown() {
    let mut bytes = content(7, Body::Unknown).encode().to_vec();
    bytes.extend_from_slice(&[0xfa, 0x07, 0x01, 0x00]); // field 127, one byte
    let read = Content::decode(&bytes).unwrap();
    assert_eq!((read.seq, read.body), (7, Body::Unknown));
}

#[test]
fn what_the_other_program_must_learn_outlasts_its_time() {
    let accept = ContactAccept {
        name: "Bob".into(),
        reach: reach(),
    };
    for body in [
        Body::Reach(reach()),
        Body::ContactAccept(accept),
        Body::Deletion(deletion()),
    ] {
        assert!(body.outlasts_expiry(), "{body:?}");
    }
    for body in [Body::text("hi"), Body::Unknown] {
        assert!(!body.outlasts_expiry(), "{body:?}");
    }
}

#[test]
fn messages_disappear_within_a_year_whatever_is_said() {
    let timer = content(
        1,
        Body::Timer(Timer {
            expires_s: u32::MAX,
        }),
    );
    let longest = Timer {
        expires_s: EXPIRES_MAX_S,
    };
    assert_eq!(
        Content::decode(&timer.encode()).unwrap().body,
        Body::Timer(longest)
    );
    let text = Text {
        expires_s: u32::MAX,
        ..Text::from("hi")
    };
    let text = content(1, Body::Text(text));
    let Body::Text(text) = Content::decode(&text.encode()).unwrap().body else {
        panic!("no text any more");
    };
    assert_eq!(text.expires_s, EXPIRES_MAX_S);
}

#[test]
fn what_is_done_with_a_message_names_one() {
    let edit = wire::Edit {
        of: None,
        text: "hello".into(),
    };
    let missing = ContentError::Missing { field: "message" };
    assert_eq!(Edit::from_wire(edit), Err(missing));
    let of = wire::MessageRef {
        author: vec![1; 32],
        msg_id: vec![1; 15],
    };
    let deletion = wire::Deletion { of: Some(of) };
    let error = Deletion::from_wire(deletion).unwrap_err();
    assert!(error.to_string().contains("message id"), "{error}");
}

#[test]
fn a_reaction_is_a_sign_and_no_letter() {
    let of = MessageRef {
        author: DeviceId::from_bytes([1; 32]),
        msg_id: MsgId::from_u128(1),
    };
    let with = |len: usize| Reaction {
        to: of,
        emoji: "x".repeat(len),
    };
    let longest = with(REACTION_MAX);
    assert_eq!(Reaction::from_wire(longest.to_wire()), Ok(longest));
    let error = Reaction::from_wire(with(REACTION_MAX + 1).to_wire()).unwrap_err();
    assert!(matches!(
        error,
        ContentError::TooLong {
            max: REACTION_MAX,
            ..
        }
    ));
}

#[test]
fn numbers_that_are_never_given_out_are_not_taken() {
    let range = |first, last| wire::SeqRange { first, last };
    let resend = wire::Resend {
        env_ids: Vec::new(),
        ranges: vec![range(0, 3), range(5, 4), range(2, u64::MAX), range(3, 5)],
    };
    assert_eq!(Resend::from_wire(&resend).unwrap().ranges, [(3, 5)]);
    let receipt = wire::Receipt {
        stored_up_to: u64::MAX,
        ..wire::Receipt::default()
    };
    let receipt = Receipt::from_wire(&receipt).unwrap();
    assert_eq!(receipt.stored_up_to, u64::MAX - 1);
}

#[test]
fn limits_hold_and_say_so() {
    let longest = content(1, Body::text("x".repeat(TEXT_MAX)));
    assert_eq!(Content::decode(&longest.encode()), Ok(longest));
    let long = content(1, Body::text("x".repeat(TEXT_MAX + 1)));
    let error = Content::decode(&long.encode()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "text has 16385 bytes, at most 16384 are allowed"
    );
}

#[test]
fn a_text_has_a_seq_and_a_receipt_has_none() {
    let text = content(0, Body::text("hi")).encode();
    assert_eq!(Content::decode(&text), Err(ContentError::Seq { seq: 0 }));
    let receipt = content(1, Body::Receipt(Receipt::default())).encode();
    assert_eq!(Content::decode(&receipt), Err(ContentError::Seq { seq: 1 }));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Content::decode(&bytes);
    }

    #[test]
    fn texts_round_trip(seq in 1..u64::MAX, hlc: u64, id: u128, text in ".{0,200}") {
        let content = Content { msg_id: MsgId::from_u128(id), seq, hlc: Hlc::from_u64(hlc), body: Body::text(text) };
        prop_assert_eq!(Content::decode(&content.encode()), Ok(content));
    }
}
