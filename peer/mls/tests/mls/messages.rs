//! Sealing and opening: what opens, what does not, and what is said about it.

use tincan_mls::{GroupId, Mls, OpenError, SealError};
use tincan_protocol::limits::{ENVELOPE_MAX, PAYLOAD_SEALED_MAX};

use crate::fixture::{Device, pair};

/// Where the epoch stands in a message: after version, wire format and the 16-byte group id with
/// its length.
const EPOCH_AT: usize = 2 + 2 + 1 + 16;

#[test]
fn the_second_delivery_finds_the_key_gone() {
    let (mut alice, mut bob, group) = pair();
    let sealed = alice.mls.seal(&group, b"once").unwrap();
    assert_eq!(bob.mls.open(&sealed).unwrap().payload, b"once");
    bob.commit();
    assert!(matches!(bob.mls.open(&sealed), Err(OpenError::KeyGone)));
    assert_eq!(bob.commit(), []);
    bob.crash();
    assert!(matches!(bob.mls.open(&sealed), Err(OpenError::KeyGone)));
}

#[test]
fn a_thousand_damaged_messages_change_nothing() {
    let (mut alice, mut bob, group) = pair();
    let good: Vec<_> = (0..4u8)
        .map(|n| alice.mls.seal(&group, &[n; 200]).unwrap())
        .collect();
    assert!(bob.mls.open(&good[1]).is_ok());
    bob.commit();
    let disk = bob.disk.clone();
    for n in 0..1_000 {
        let mut bad = good[[0, 2, 3][n % 3]].clone();
        let at = n * 7919 % bad.len();
        bad[at] ^= 1 << (n % 8);
        if n % 5 == 0 {
            bad.truncate(at);
        }
        let error = bob.mls.open(&bad).unwrap_err();
        assert!(
            !matches!(error, OpenError::Library(_)),
            "byte {at}: {error:?}"
        );
    }
    assert_eq!(bob.commit(), []);
    assert_eq!(bob.disk, disk);
    for n in [3, 0, 2] {
        assert_eq!(bob.mls.open(&good[n]).unwrap().payload, [n as u8; 200]);
    }
}

#[test]
fn damage_behind_the_header_is_invalid() {
    let (mut alice, mut bob, group) = pair();
    let good = alice.mls.seal(&group, b"x").unwrap();
    for at in EPOCH_AT + 9..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        let error = bob.mls.open(&bad).unwrap_err();
        assert!(matches!(error, OpenError::Invalid), "byte {at}: {error:?}");
    }
    assert_eq!(bob.mls.open(&good).unwrap().payload, b"x");
}

#[test]
fn the_sender_knows_its_own_message() {
    let (mut alice, _, group) = pair();
    let sealed = alice.mls.seal(&group, b"x").unwrap();
    alice.commit();
    assert!(matches!(
        alice.mls.open(&sealed),
        Err(OpenError::OwnMessage)
    ));
    assert_eq!(alice.commit(), []);
}

#[test]
fn a_message_may_come_1088_messages_late_and_no_later() {
    let (mut alice, mut bob, group) = pair();
    let sealed: Vec<_> = (0..1_089u16)
        .map(|n| alice.mls.seal(&group, &n.to_be_bytes()).unwrap())
        .collect();
    assert!(bob.mls.open(&sealed[1_088]).is_ok());
    bob.commit();
    bob.crash();
    assert!(matches!(bob.mls.open(&sealed[0]), Err(OpenError::KeyGone)));
    assert_eq!(bob.mls.open(&sealed[1]).unwrap().payload, [0, 1]);
}

#[test]
fn what_is_too_far_ahead_opens_once_one_between_has() {
    let (mut alice, mut bob, group) = pair();
    let sealed: Vec<_> = (0..16_386u16)
        .map(|n| alice.mls.seal(&group, &n.to_be_bytes()).unwrap())
        .collect();
    assert!(matches!(
        bob.mls.open(&sealed[16_385]),
        Err(OpenError::TooFarAhead)
    ));
    assert_eq!(bob.commit(), []);
    assert!(bob.mls.open(&sealed[0]).is_ok());
    assert_eq!(
        bob.mls.open(&sealed[16_385]).unwrap().payload,
        16_385u16.to_be_bytes()
    );
}

#[test]
fn the_header_tells_group_epoch_and_kind() {
    let (mut alice, mut bob, group) = pair();
    let sealed = alice.mls.seal(&group, b"x").unwrap();
    assert_eq!(Mls::group_of(&sealed).unwrap(), group);
    let changed = |at: usize, byte: u8| {
        let mut bytes = sealed.clone();
        bytes[at] = byte;
        bytes
    };

    let error = bob.mls.open(&changed(EPOCH_AT + 7, 9)).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::FutureEpoch {
                epoch: 9,
                current: 1
            }
        ),
        "{error:?}"
    );
    let error = bob.mls.open(&changed(EPOCH_AT + 7, 0)).unwrap_err();
    assert!(matches!(error, OpenError::KeyGone), "{error:?}");
    let error = bob.mls.open(&changed(EPOCH_AT + 8, 3)).unwrap_err();
    assert!(
        matches!(error, OpenError::NotApplication),
        "a commit: {error:?}"
    );
    let error = bob.mls.open(&changed(5, !group.as_bytes()[0])).unwrap_err();
    assert!(matches!(error, OpenError::UnknownGroup), "{error:?}");
    assert!(matches!(Mls::group_of(b"tincan"), Err(OpenError::Invalid)));
    assert_eq!(bob.mls.open(&sealed).unwrap().payload, b"x");
}

#[test]
fn nobody_outside_the_group_reads_or_writes() {
    let (mut alice, mut bob, group) = pair();
    let mut carol = Device::new(3);
    let other = carol.meet(&mut bob);
    let sealed = alice.mls.seal(&group, b"x").unwrap();
    assert!(matches!(
        carol.mls.open(&sealed),
        Err(OpenError::UnknownGroup)
    ));
    let error = carol.mls.seal(&group, b"x").unwrap_err();
    assert!(matches!(&error, SealError::UnknownGroup { group: named } if *named == group));
    // Carol's message, relabelled as one of Alice's group.
    let mut moved = carol.mls.seal(&other, b"x").unwrap();
    moved[5..EPOCH_AT].copy_from_slice(group.as_bytes());
    assert!(matches!(bob.mls.open(&moved), Err(OpenError::Invalid)));
}

#[test]
fn lengths_are_padded() {
    let (mut alice, _, group) = pair();
    let lengths: Vec<_> = (0..170)
        .map(|len| alice.mls.seal(&group, &vec![1; len]).unwrap().len())
        .collect();
    assert!(lengths.iter().all(|len| *len == lengths[0]), "{lengths:?}");
    assert!(lengths[0] < 400, "{lengths:?}");
}

#[test]
fn the_longest_payload_fits_an_envelope() {
    let (mut alice, mut bob, group) = pair();
    let payload = vec![7; PAYLOAD_SEALED_MAX];
    let sealed = alice.mls.seal(&group, &payload).unwrap();
    assert!(sealed.len() <= ENVELOPE_MAX, "{} bytes", sealed.len());
    assert_eq!(bob.mls.open(&sealed).unwrap().payload, payload);
    let error = alice
        .mls
        .seal(&group, &vec![7; PAYLOAD_SEALED_MAX + 1])
        .unwrap_err();
    assert!(
        matches!(
            error,
            SealError::TooLarge {
                max: PAYLOAD_SEALED_MAX,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn debug_shows_neither_plaintext_nor_secrets() {
    let (mut alice, mut bob, group) = pair();
    let sealed = alice.mls.seal(&group, &[113; 40]).unwrap();
    let opened = bob.mls.open(&sealed).unwrap();
    let rows = bob.mls.take_changes();
    let text = format!("{opened:?} {rows:?} {:?}", bob.mls);
    assert!(text.contains("payload_len: 40"), "{text}");
    assert!(text.contains("value_len: Some("), "{text}");
    assert!(!text.contains("113, 113"), "{text}");
    assert!(text.len() < 400, "no room for secrets: {text}");
}

#[test]
fn a_group_unknown_to_all_has_nothing_to_say() {
    let mut alice = Device::new(1);
    let group = GroupId::from_bytes(&[1; 16]).unwrap();
    assert_eq!(alice.mls.group_state(&group), None);
    assert_eq!(alice.mls.members(&group), None);
    assert!(!alice.mls.delete_group(&group).unwrap());
}
