//! Key packages: how often they can be used, and when they end.

use openmls::prelude::Lifetime;
use std::time::{SystemTime, UNIX_EPOCH};
use tincan_mls::{CreateError, JoinError};
use tincan_protocol::limits::KEY_PACKAGE_MAX;

use crate::fixture::{Device, NOW_MS, Rogue, key_package_in};

const DAY_MS: u64 = 24 * 3600 * 1000;

/// openmls reads this clock for lifetimes.
fn clock_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

#[test]
fn a_welcome_for_a_used_key_package_is_refused() {
    let (mut alice, mut bob, mut carol) = (Device::new(1), Device::new(2), Device::new(3));
    let key_package = bob.mls.create_key_package(false).unwrap();
    let one = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap();
    let two = carol
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap();
    bob.mls.join(&one.welcome, NOW_MS).unwrap();
    for welcome in [&one.welcome, &two.welcome] {
        let error = bob.mls.join(welcome, NOW_MS).unwrap_err();
        assert!(matches!(error, JoinError::KeyPackageGone), "{error:?}");
    }
    bob.commit();
    bob.crash();
    let error = bob.mls.join(&two.welcome, NOW_MS).unwrap_err();
    assert!(matches!(error, JoinError::KeyPackageGone), "{error:?}");
}

#[test]
fn a_last_resort_key_package_can_be_used_twice() {
    let (mut alice, mut bob, mut carol) = (Device::new(1), Device::new(2), Device::new(3));
    let key_package = bob.mls.create_key_package(true).unwrap();
    bob.commit();
    for friend in [&mut alice, &mut carol] {
        bob.crash();
        let new = friend
            .mls
            .create_direct_group(&key_package, &bob.identity(), NOW_MS)
            .unwrap();
        bob.mls.join(&new.welcome, NOW_MS).unwrap();
        bob.commit();
        let again = bob.mls.join(&new.welcome, NOW_MS).unwrap_err();
        assert!(matches!(again, JoinError::AlreadyJoined), "{again:?}");
        let sealed = friend.mls.seal(&new.group, b"hello").unwrap();
        assert_eq!(bob.mls.open(&sealed).unwrap().payload, b"hello");
        bob.commit();
    }
}

#[test]
fn a_key_package_survives_a_crash_between_its_making_and_its_use() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let key_package = bob.mls.create_key_package(false).unwrap();
    assert_eq!(bob.commit().len(), 1);
    let new = alice
        .mls
        .create_direct_group(&key_package, &bob.identity(), NOW_MS)
        .unwrap();
    for _ in 0..2 {
        // The join is not written, so it never happened, and the Welcome is good again.
        bob.crash();
        bob.mls.join(&new.welcome, NOW_MS).unwrap();
    }
    bob.commit();
    bob.crash();
    let sealed = alice.mls.seal(&new.group, b"hello").unwrap();
    assert_eq!(bob.mls.open(&sealed).unwrap().payload, b"hello");
}

#[test]
fn a_key_package_is_small_and_allows_for_wrong_clocks() {
    let key_package = Device::new(2).mls.create_key_package(true).unwrap();
    assert!(
        key_package.len() < KEY_PACKAGE_MAX / 2,
        "{} bytes",
        key_package.len()
    );
    let lifetime = *key_package_in(&key_package)
        .validate(
            &openmls_rust_crypto::RustCrypto::default(),
            openmls::prelude::ProtocolVersion::Mls10,
        )
        .unwrap()
        .life_time();
    assert!(lifetime.not_before() <= clock_s() - 24 * 3600);
    assert!(lifetime.not_after() >= clock_s() + 80 * 24 * 3600);
    assert!(lifetime.has_acceptable_range());
}

#[test]
fn a_key_package_that_ended_or_lives_too_long_is_refused() {
    let mut alice = Device::new(1);
    let (key, cert) = Device::new(2).key_and_cert();
    let mut bob = Rogue::new(cert.encode(), key);
    bob.lifetime = Lifetime::init(clock_s() - 100, clock_s() - 10);
    let error = alice
        .mls
        .create_direct_group(&bob.key_package(), &cert.identity(), NOW_MS)
        .unwrap_err();
    assert!(matches!(error, CreateError::Invalid(_)), "{error:?}");
    bob.lifetime = Lifetime::init(0, u64::MAX);
    let error = alice
        .mls
        .create_direct_group(&bob.key_package(), &cert.identity(), NOW_MS)
        .unwrap_err();
    assert!(
        matches!(error, CreateError::LivesTooLong { seconds: u64::MAX }),
        "{error:?}"
    );
}

#[test]
fn the_secrets_of_ended_key_packages_are_forgotten_once_no_welcome_can_come() {
    let mut bob = Device::new(2);
    for last_resort in [false, true] {
        let _ = bob.mls.create_key_package(last_resort).unwrap();
    }
    bob.commit();
    assert_eq!(bob.disk.len(), 2);
    let now_ms = clock_s() * 1000;
    assert_eq!(
        bob.mls
            .forget_ended_key_packages(now_ms + 100 * DAY_MS)
            .unwrap(),
        0
    );
    assert_eq!(bob.commit(), []);
    assert_eq!(
        bob.mls
            .forget_ended_key_packages(now_ms + 120 * DAY_MS)
            .unwrap(),
        2
    );
    assert!(bob.commit().iter().all(|row| row.value.is_none()));
    assert!(bob.disk.is_empty());
}
