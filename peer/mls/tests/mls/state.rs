//! The rows: what is written when, and what loading says about rows that are not right.

use std::collections::BTreeMap;

use tincan_mls::{LoadError, Mls};

use crate::fixture::{Device, pair};

#[test]
fn the_state_can_move_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Mls>();
}

#[test]
fn a_message_changes_one_row_however_many_groups_there_are() {
    let (mut alice, mut bob, group) = pair();
    for _ in 0..10 {
        alice.meet(&mut bob);
    }
    let sealed: Vec<_> = (0..20u8)
        .map(|n| alice.mls.seal(&group, &[n]).unwrap())
        .collect();
    assert_eq!(alice.commit().len(), 1, "a row for the batch");
    for sealed in &sealed {
        assert!(bob.mls.open(sealed).is_ok());
    }
    assert_eq!(bob.commit().len(), 1);
    assert_eq!(bob.commit(), [], "taken once");
}

#[test]
fn messages_in_order_write_small_rows() {
    let (mut alice, mut bob, group) = pair();
    for _ in 0..300 {
        let sealed = alice.mls.seal(&group, b"x").unwrap();
        assert!(bob.mls.open(&sealed).is_ok());
    }
    // A creator that kept the keys of its lonely first epoch would write four times as much.
    for (device, max) in [(&mut alice, 2_600), (&mut bob, 4_000)] {
        let changes = device.commit();
        let len: usize = changes
            .iter()
            .filter_map(|row| row.value.as_ref())
            .map(Vec::len)
            .sum();
        assert!(len < max, "{len} bytes");
    }
}

#[test]
fn a_deleted_group_leaves_no_row() {
    let (mut alice, mut bob, group) = pair();
    let sealed = alice.mls.seal(&group, b"x").unwrap();
    assert!(bob.mls.open(&sealed).is_ok());
    for device in [&mut alice, &mut bob] {
        device.commit();
        assert!(device.mls.delete_group(&group).unwrap());
        device.commit();
        assert_eq!(device.disk, BTreeMap::new());
        assert_eq!(device.mls.groups().count(), 0);
    }
}

#[test]
fn a_row_that_comes_and_goes_between_two_calls_is_a_deletion() {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let key_package = bob.mls.create_key_package(false).unwrap();
    let identity = bob.identity();
    let new = alice
        .mls
        .create_direct_group(&key_package, &identity, crate::fixture::NOW_MS)
        .unwrap();
    bob.mls.join(&new.welcome, crate::fixture::NOW_MS).unwrap();
    let changes = bob.commit();
    assert_eq!(changes.iter().filter(|row| row.value.is_none()).count(), 1);
    bob.crash();
    assert_eq!(bob.mls.groups().collect::<Vec<_>>(), [&new.group]);
}

#[test]
fn loading_brings_back_members_and_authenticator() {
    let (mut alice, mut bob, group) = pair();
    for device in [&mut alice, &mut bob] {
        let (members, state) = (device.mls.members(&group), device.mls.group_state(&group));
        device.crash();
        assert_eq!(device.mls.members(&group), members);
        assert_eq!(device.mls.group_state(&group), state);
        assert_eq!(device.commit(), [], "loading changes nothing");
    }
}

#[test]
fn a_missing_row_is_noticed_for_every_row_a_group_needs() {
    let (alice, _, _) = pair();
    let (key, cert) = alice.key_and_cert();
    let mut noticed = 0;
    for missing in alice.disk.keys() {
        let mut rows = alice.disk.clone();
        rows.remove(missing);
        match Mls::load(key.clone(), cert.clone(), rows) {
            Err(LoadError::Incomplete { .. }) => noticed += 1,
            Err(other) => panic!("{other}"),
            // The rows of a group are found by the one that is missing, or the row holds keys
            // that only a later commit needs.
            Ok(_) => {}
        }
    }
    assert!(
        noticed >= alice.disk.len() - 2,
        "{noticed} of {}",
        alice.disk.len()
    );
}

#[test]
fn a_damaged_row_is_named_by_its_group() {
    let (alice, _, group) = pair();
    let (key, cert) = alice.key_and_cert();
    let mut damaged = 0;
    for at in alice.disk.keys() {
        let mut rows = alice.disk.clone();
        rows.insert(at.clone(), b"{".to_vec());
        match Mls::load(key.clone(), cert.clone(), rows) {
            Err(LoadError::Damaged { group: named, .. }) if named == group => damaged += 1,
            Err(other) => panic!("{other}"),
            Ok(_) => {}
        }
    }
    assert!(
        damaged >= alice.disk.len() - 1,
        "{damaged} of {}",
        alice.disk.len()
    );
}

#[test]
fn state_and_certificate_of_another_device_are_refused() {
    let (alice, bob, group) = pair();
    let (key, _) = alice.key_and_cert();
    let (other_key, other_cert) = bob.key_and_cert();
    let error = Mls::load(key, other_cert.clone(), []).unwrap_err();
    assert!(
        matches!(error, LoadError::CertificateOfAnotherDevice { .. }),
        "{error:?}"
    );
    let error = Mls::load(other_key, other_cert, alice.disk).unwrap_err();
    assert!(
        matches!(&error, LoadError::StateOfAnotherDevice { group: named } if *named == group),
        "{error:?}"
    );
}
