//! What the store says is durable survives a power cut, and a batch pays for its syncs once.

use proptest::prelude::*;
use tincan_relay::store::{QueueKind, Store, Write, Written};

use crate::support::disk::Disk;
use crate::support::*;

/// Syncs of one commit of this batch, in a file that has free pages enough.
fn syncs_of(writes: &[Write]) -> u64 {
    let disk = Disk::default();
    let mut store = disk.store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    for number in 0..40_u8 {
        commit(&mut store, deposit(1, vec![number; 100_000]));
    }
    commit(&mut store, ack(1, u64::MAX));
    commit(&mut store, deposit(1, "last"));
    let before = disk.syncs();
    store.commit(writes, NOW_MS).unwrap();
    disk.syncs() - before
}

#[test]
fn a_batch_of_deposits_costs_the_syncs_of_one() {
    let batch: Vec<Write> = (0..500_u16)
        .map(|n| deposit(1, n.to_be_bytes().to_vec()))
        .collect();
    let of_one = syncs_of(&batch[..1]);
    assert_eq!(syncs_of(&batch), of_one);
    // Two-phase commit: the pages, then the root that names them.
    assert_eq!(of_one, 2);
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let disk = Disk::default();
    let mut store = disk.store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    commit(&mut store, deposit(1, "kept"));
    disk.set_capacity(Some(disk.len()));
    let mut refused = None;
    for number in 0..200_u8 {
        let large = deposit(1, vec![number; 100_000]);
        if let Err(error) = store.commit(&[large], NOW_MS) {
            refused = Some((number, error));
            break;
        }
    }
    let (number, error) = refused.expect("the disk is full at some point");
    assert!(error.to_string().contains("not available"), "{error}");
    assert!(
        store
            .commit(&[deposit(1, vec![number; 100_000])], NOW_MS)
            .is_err()
    );
    disk.set_capacity(None);
    let again = commit(&mut store, deposit(1, vec![number; 100_000]));
    assert_eq!(
        again,
        Written::Deposited {
            index: u64::from(number) + 2
        }
    );
    assert_eq!(
        page(&mut store, 1, 0).entries.len(),
        usize::from(number) + 2
    );
}

#[test]
fn a_failed_sync_is_no_deposit_and_a_retry_is_one() {
    for syncs in 0..2 {
        let disk = Disk::default();
        let mut store = disk.store();
        commit(&mut store, create(1, QueueKind::Mailbox));
        disk.break_after(Some(syncs));
        assert!(store.commit(&[deposit(1, "a")], NOW_MS).is_err());
        disk.break_after(None);
        assert_eq!(
            commit(&mut store, deposit(1, "a")),
            Written::Deposited { index: 1 }
        );
        assert_eq!(indices(&page(&mut store, 1, 0)), [1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The power goes in the middle of a commit, between any two of its syncs; each write that was
    /// not synced has reached the disk or not.
    #[test]
    fn what_was_committed_survives_a_power_cut(
        batches in prop::collection::vec(1usize..5, 1..6),
        syncs_before_the_cut in 0u64..3,
        mut fates: u128,
    ) {
        let disk = Disk::default();
        let mut store = disk.store();
        commit(&mut store, create(1, QueueKind::Mailbox));
        let mut deposited = Vec::new();
        let mut number = 0_u32;
        let mut next = |count: usize| -> Vec<Write> {
            (0..count).map(|_| { number += 1; deposit(1, number.to_string()) }).collect()
        };
        for count in batches {
            let batch = next(count);
            for written in store.commit(&batch, NOW_MS).unwrap() {
                let Written::Deposited { index } = written else { panic!("{written:?}") };
                deposited.push(index);
            }
        }
        disk.break_after(Some(syncs_before_the_cut));
        let last = store.commit(&next(3), NOW_MS);
        let after = disk.copy();
        drop(store);
        after.crash(|| { fates = fates.rotate_left(1); fates & 1 == 1 });
        let mut store = after.store();
        let found = indices(&page(&mut store, 1, 0));
        prop_assert!(found.starts_with(&deposited), "{:?} lost from {:?}", deposited, found);
        // The batch that was under way is there as a whole, or not at all.
        let rest = found.len() - deposited.len();
        prop_assert!(rest == 3 || (rest == 0 && last.is_err()), "{} of 3", rest);
    }
}
