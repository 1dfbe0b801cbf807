//! Making and joining groups, and everybody who must not get in.

use proptest::prelude::*;
use tincan_mls::{CreateError, JoinError, LeafError, Member};
use tincan_protocol::cert::{CERT_LIFETIME_MS, CertError, DeviceCert};
use tincan_protocol::keys::{DeviceKey, IdentityKey};
use tincan_protocol::limits::{HANDSHAKE_MAX, KEY_PACKAGE_MAX};

use crate::fixture::{Device, NOW_MS, Rogue, pair};

const GROUP: [u8; 16] = [7; 16];

fn member(device: &Device) -> Member {
    let (key, cert) = device.key_and_cert();
    Member {
        identity: cert.identity(),
        device: key.device(),
    }
}

#[test]
fn two_devices_meet_in_a_group_and_both_can_write() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let key_package = bob.mls.create_key_package(false).unwrap();
    let new = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap();
    assert_eq!(new.peer, member(&bob));
    let joined = bob.mls.join(&new.welcome, NOW_MS).unwrap();
    assert_eq!(joined.group, new.group);
    assert_eq!(joined.inviter, member(&alice));
    assert_eq!(joined.members, [member(&alice), member(&bob)]);
    assert_eq!(alice.mls.members(&new.group), Some(joined.members));

    let to_bob = alice.mls.seal(&new.group, b"hello").unwrap();
    let opened = bob.mls.open(&to_bob).unwrap();
    assert_eq!(
        (opened.payload.as_slice(), opened.sender),
        (b"hello".as_slice(), member(&alice))
    );
    let to_alice = bob.mls.seal(&new.group, b"hello too").unwrap();
    assert_eq!(alice.mls.open(&to_alice).unwrap().payload, b"hello too");
}

#[test]
fn both_sides_see_the_same_epoch_and_authenticator() {
    let (alice, bob, group) = pair();
    let state = alice.mls.group_state(&group).unwrap();
    assert_eq!(bob.mls.group_state(&group), Some(state.clone()));
    assert_eq!(
        (state.group_id.as_slice(), state.epoch),
        (group.as_bytes(), 1)
    );
    assert_eq!(state.authenticator.len(), 48, "one SHA-384");
}

#[test]
fn a_key_package_of_another_identity_is_refused_by_name() {
    let (mut alice, mut mallory, bob) = (Device::new(1), Device::new(3), Device::new(2));
    let key_package = mallory.mls.create_key_package(false).unwrap();
    let error = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "key package belongs to {}, expected was {}",
            mallory.identity(),
            bob.identity()
        )
    );
    assert_eq!(alice.commit(), []);
    assert_eq!(alice.mls.groups().count(), 0);
}

#[test]
fn an_expired_certificate_in_a_key_package_is_refused() {
    let mut alice = Device::new(1);
    let mut bob = Device::certified_at(2, NOW_MS - CERT_LIFETIME_MS);
    let key_package = bob.mls.create_key_package(false).unwrap();
    let error = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap_err();
    assert!(
        matches!(
            error,
            CreateError::Leaf(LeafError::Certificate(CertError::Expired {
                expires_ms: NOW_MS
            }))
        ),
        "{error:?}"
    );
}

#[test]
fn a_device_with_an_expired_certificate_makes_no_group() {
    let mut alice = Device::certified_at(1, NOW_MS - CERT_LIFETIME_MS);
    let mut bob = Device::new(2);
    let key_package = bob.mls.create_key_package(false).unwrap();
    let error = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap_err();
    assert!(
        matches!(
            error,
            CreateError::OwnCertificate(CertError::Expired { .. })
        ),
        "{error:?}"
    );
}

#[test]
fn an_expired_member_of_a_welcome_is_refused_and_the_key_package_stays() {
    let mut alice = Device::certified_at(1, NOW_MS - CERT_LIFETIME_MS);
    let mut bob = Device::new(2);
    let key_package = bob.mls.create_key_package(false).unwrap();
    bob.commit();
    let before = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS - 1)
        .unwrap();
    let error = bob.mls.join(&before.welcome, NOW_MS).unwrap_err();
    assert!(
        matches!(
            error,
            JoinError::Leaf(LeafError::Certificate(CertError::Expired { .. }))
        ),
        "{error:?}"
    );
    assert_eq!(bob.commit(), []);

    let mut carol = Device::new(3);
    let new = carol
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap();
    bob.mls.join(&new.welcome, NOW_MS).unwrap();
}

#[test]
fn a_leaf_signed_by_another_device_than_the_certificates_is_refused() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    // Mallory shows Alice's certificate, but does not have her key.
    let stolen = alice.key_and_cert().1.encode();
    let mallory = Rogue::new(stolen, DeviceKey::from_seed(&[66; 32]));

    let error = bob
        .mls
        .create_direct_group(&mallory.key_package(), &alice.identity(), NOW_MS)
        .unwrap_err();
    assert!(
        matches!(error, CreateError::Leaf(LeafError::AnotherDevice { .. })),
        "{error:?}"
    );

    let key_package = bob.mls.create_key_package(false).unwrap();
    let error = bob
        .mls
        .join(&mallory.welcome(&key_package, &GROUP), NOW_MS)
        .unwrap_err();
    assert!(
        matches!(error, JoinError::Leaf(LeafError::AnotherDevice { .. })),
        "{error:?}"
    );
    assert_eq!(bob.mls.groups().count(), 0);

    let new = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap();
    bob.mls.join(&new.welcome, NOW_MS).unwrap();
}

#[test]
fn a_certificate_that_nobody_signed_is_refused() {
    let mut bob = Device::new(2);
    let key = DeviceKey::from_seed(&[66; 32]);
    let cert = DeviceCert::issue(&IdentityKey::from_seed(&[65; 32]), key.device(), NOW_MS);
    let mut forged = cert.encode();
    forged[1] ^= 1;
    for credential in [forged, b"mallory".to_vec(), Vec::new()] {
        let mallory = Rogue::new(credential, key.clone());
        let error = bob
            .mls
            .create_direct_group(&mallory.key_package(), &cert.identity(), NOW_MS)
            .unwrap_err();
        assert!(
            matches!(error, CreateError::Leaf(LeafError::Certificate(_))),
            "{error:?}"
        );
        let key_package = bob.mls.create_key_package(false).unwrap();
        let error = bob
            .mls
            .join(&mallory.welcome(&key_package, &GROUP), NOW_MS)
            .unwrap_err();
        assert!(
            matches!(error, JoinError::Leaf(LeafError::Certificate(_))),
            "{error:?}"
        );
    }
}

#[test]
fn a_key_package_or_welcome_of_another_suite_is_named() {
    let mut alice = Device::new(1);
    let (key, cert) = Device::new(2).key_and_cert();
    let mut bob = Rogue::new(cert.encode(), key);
    bob.suite = openmls::prelude::Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
    let error = alice
        .mls
        .create_direct_group(&bob.key_package(), &cert.identity(), NOW_MS)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "key package is for cipher suite 0x0001, this program uses 0x004e"
    );
    let mut other = Rogue::new(vec![], DeviceKey::from_seed(&[9; 32]));
    other.suite = bob.suite;
    let error = alice
        .mls
        .join(&bob.welcome(&other.key_package(), &GROUP), NOW_MS)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "welcome is for cipher suite 0x0001, this program uses 0x004e"
    );
}

#[test]
fn a_device_does_not_meet_itself() {
    let mut alice = Device::new(1);
    let key_package = alice.mls.create_key_package(false).unwrap();
    let identity = alice.identity();
    let error = alice
        .mls
        .create_direct_group(&key_package, &identity, NOW_MS)
        .unwrap_err();
    assert!(matches!(error, CreateError::OwnKeyPackage), "{error:?}");
}

#[test]
fn a_group_name_of_the_wrong_length_is_refused() {
    let mut bob = Device::new(2);
    let (key, cert) = Device::new(1).key_and_cert();
    let alice = Rogue::new(cert.encode(), key);
    for len in [0, 15, 33] {
        let key_package = bob.mls.create_key_package(false).unwrap();
        let welcome = alice.welcome(&key_package, &vec![1; len]);
        let error = bob.mls.join(&welcome, NOW_MS).unwrap_err();
        assert!(
            matches!(&error, JoinError::GroupId(wrong) if wrong.len == len),
            "{error:?}"
        );
    }
    assert_eq!(bob.mls.groups().count(), 0);
}

#[test]
fn a_group_of_a_known_name_is_not_replaced() {
    let (alice, mut bob, group) = pair();
    let before = bob.mls.group_state(&group);
    let (key, cert) = alice.key_and_cert();
    let key_package = bob.mls.create_key_package(false).unwrap();
    let welcome = Rogue::new(cert.encode(), key).welcome(&key_package, group.as_bytes());
    let error = bob.mls.join(&welcome, NOW_MS).unwrap_err();
    assert!(matches!(error, JoinError::AlreadyJoined), "{error:?}");
    assert_eq!(bob.mls.group_state(&group), before);
}

#[test]
fn two_groups_made_at_once_both_work_and_have_an_order() {
    let (mut alice, mut bob, one) = pair();
    let other = bob.meet(&mut alice);
    for group in [&one, &other] {
        let sealed = alice.mls.seal(group, b"x").unwrap();
        assert_eq!(bob.mls.open(&sealed).unwrap().group, *group);
    }
    let lowest = alice.mls.groups().next();
    assert_eq!(lowest, Some(one.min(other)).as_ref());
    assert_eq!(lowest, bob.mls.groups().next());
}

#[test]
fn what_is_too_long_is_not_parsed() {
    let mut alice = Device::new(1);
    let identity = alice.identity();
    let error = alice
        .mls
        .create_direct_group(&vec![0; KEY_PACKAGE_MAX + 1], &identity, NOW_MS);
    assert!(matches!(
        error,
        Err(CreateError::TooLarge {
            max: KEY_PACKAGE_MAX,
            ..
        })
    ));
    let error = alice.mls.join(&vec![0; HANDSHAKE_MAX + 1], NOW_MS);
    assert!(matches!(
        error,
        Err(JoinError::TooLarge {
            max: HANDSHAKE_MAX,
            ..
        })
    ));
}

#[test]
fn no_bytes_panic_or_change_anything() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let key_package = bob.mls.create_key_package(false).unwrap();
    let welcome = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap()
        .welcome;
    alice.commit();
    bob.commit();
    let identity = bob.identity();
    let input = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        flipped(key_package),
        flipped(welcome)
    ];
    let mut runner = proptest::test_runner::TestRunner::default();
    let devices = std::cell::RefCell::new((alice, bob));
    runner
        .run(&input, |bytes| {
            let (alice, bob) = &mut *devices.borrow_mut();
            prop_assert!(
                alice
                    .mls
                    .create_direct_group(&bytes, &identity, NOW_MS)
                    .is_err()
            );
            prop_assert!(bob.mls.join(&bytes, NOW_MS).is_err());
            prop_assert!(bob.mls.open(&bytes).is_err());
            prop_assert_eq!(alice.commit(), []);
            prop_assert_eq!(bob.commit(), []);
            Ok(())
        })
        .unwrap();
}

/// The bytes with one bit flipped and perhaps cut short.
fn flipped(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = bytes.len();
    (0..len, 0..8u8, prop_oneof![4 => Just(len), 1 => 0..len]).prop_map(move |(at, bit, len)| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << bit;
        bytes.truncate(len);
        bytes
    })
}
