//! The redb store: what it keeps over restarts, refuses and forgets.

use std::fs;

use bytes::Bytes;
use tincan_protocol::limits::KEY_PACKAGES_MAX;
use tincan_relay::RelayLimits;
use tincan_relay::store::{OpenError, QueueKind, Read, RedbStore, Refused, Store, Write, Written};

use crate::support::disk::Disk;
use crate::support::*;

fn small() -> RelayLimits {
    let mut limits = RelayLimits::default();
    limits.mailbox_envelopes = 3;
    limits.mailbox_bytes = 1_000;
    limits.log_entries = 3;
    limits.ids_per_queue = 5;
    limits
}

fn in_folder(
    limits: RelayLimits,
) -> (tempfile::TempDir, impl Fn() -> Result<RedbStore, OpenError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.redb");
    (folder, move || RedbStore::open(&path, limits.clone()))
}

#[test]
fn what_was_deposited_is_there_after_a_restart() {
    let (_folder, open) = in_folder(RelayLimits::default());
    let mut store = open().unwrap();
    assert_eq!(
        commit(&mut store, create(1, QueueKind::Mailbox)),
        Written::Done
    );
    assert_eq!(
        commit(&mut store, deposit(1, "a")),
        Written::Deposited { index: 1 }
    );
    drop(store);
    let mut store = open().unwrap();
    assert_eq!(
        commit(&mut store, deposit(1, "b")),
        Written::Deposited { index: 2 }
    );
    let page = page(&mut store, 1, 0);
    assert_eq!(page.entries, [(1, Bytes::from("a")), (2, Bytes::from("b"))]);
    assert_eq!((page.last_index, page.more), (2, false));
}

#[test]
fn a_store_keeps_its_name_and_another_one_has_another() {
    let (_folder, open) = in_folder(RelayLimits::default());
    let name = open().unwrap().id();
    assert_eq!(open().unwrap().id(), name);
    let (_other_folder, open) = in_folder(RelayLimits::default());
    assert_ne!(open().unwrap().id(), name);
}

#[test]
fn an_envelope_is_deposited_once_also_after_its_ack_and_a_restart() {
    let (_folder, open) = in_folder(RelayLimits::default());
    let mut store = open().unwrap();
    commit(&mut store, create(1, QueueKind::Mailbox));
    commit(&mut store, deposit(1, "a"));
    assert_eq!(
        commit(&mut store, deposit(1, "a")),
        Written::Deposited { index: 1 }
    );
    assert_eq!(commit(&mut store, ack(1, 1)), Written::Done);
    drop(store);
    let mut store = open().unwrap();
    assert_eq!(
        commit(&mut store, deposit(1, "a")),
        Written::Deposited { index: 1 }
    );
    assert!(page(&mut store, 1, 0).entries.is_empty());
}

#[test]
fn the_same_envelope_twice_in_one_transaction_is_deposited_once() {
    let mut store = Disk::default().store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    let written = store
        .commit(&[deposit(1, "a"), deposit(1, "a")], NOW_MS)
        .unwrap();
    assert_eq!(
        written,
        [
            Written::Deposited { index: 1 },
            Written::Deposited { index: 1 }
        ]
    );
    assert_eq!(indices(&page(&mut store, 1, 0)), [1]);
}

#[test]
fn indices_are_not_reused_after_acks_expiry_or_deletion_of_the_queue() {
    let mut store = Disk::default().store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    commit(&mut store, deposit(1, "a"));
    commit(&mut store, ack(1, 1));
    assert_eq!(
        commit(&mut store, deposit(1, "b")),
        Written::Deposited { index: 2 }
    );
    let later = NOW_MS + 31 * DAY_MS;
    commit_at(&mut store, Write::Expire { queue: queue(1) }, later);
    assert_eq!(
        commit_at(&mut store, deposit(1, "c"), later),
        Written::Deposited { index: 3 }
    );
    commit_at(&mut store, Write::Delete { queue: queue(1) }, later);
    assert_eq!(
        commit_at(&mut store, deposit(1, "d"), later),
        Written::Refused(Refused::Unauthorized)
    );
    commit_at(&mut store, create(1, QueueKind::Mailbox), later);
    assert!(page(&mut store, 1, 0).entries.is_empty());
    assert_eq!(
        commit_at(&mut store, deposit(1, "e"), later),
        Written::Deposited { index: 4 }
    );
}

#[test]
fn an_ack_beyond_the_last_index_deletes_nothing_that_comes_later() {
    let mut store = Disk::default().store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    commit(&mut store, deposit(1, "a"));
    commit(&mut store, ack(1, u64::MAX));
    commit(&mut store, deposit(1, "b"));
    assert_eq!(indices(&page(&mut store, 1, 0)), [2]);
}

#[test]
fn a_wrong_token_and_a_missing_queue_get_the_same_answer() {
    let mut store = Disk::default().store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    let Write::Deposit {
        queue,
        env_id,
        envelope,
        ..
    } = deposit(1, "a")
    else {
        panic!("no deposit")
    };
    let wrong = Write::Deposit {
        queue,
        token: WRONG_TOKEN.hash(),
        env_id,
        envelope,
    };
    assert_eq!(
        commit(&mut store, wrong),
        Written::Refused(Refused::Unauthorized)
    );
    assert_eq!(
        commit(&mut store, deposit(2, "a")),
        Written::Refused(Refused::Unauthorized)
    );
    let take = Write::Take {
        owner: queue,
        token: TOKEN.hash(),
    };
    assert_eq!(
        commit(&mut store, take),
        Written::Refused(Refused::Unauthorized)
    );
}

#[test]
fn a_new_token_replaces_the_old_one_and_keeps_the_contents() {
    let mut store = Disk::default().store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    commit(&mut store, deposit(1, "a"));
    let other = Write::Create {
        queue: queue(1),
        kind: QueueKind::Mailbox,
        token: WRONG_TOKEN.hash(),
    };
    assert_eq!(commit(&mut store, other), Written::Done);
    assert_eq!(
        commit(&mut store, deposit(1, "b")),
        Written::Refused(Refused::Unauthorized)
    );
    assert_eq!(indices(&page(&mut store, 1, 0)), [1]);
    let log = create(1, QueueKind::Log);
    assert_eq!(
        commit(&mut store, log),
        Written::Refused(Refused::WrongKind)
    );
}

#[test]
fn a_full_mailbox_refuses_until_an_ack_or_age_makes_room() {
    let mut store = Disk::default().open(small()).unwrap();
    commit(&mut store, create(1, QueueKind::Mailbox));
    for envelope in ["a", "b", "c"] {
        assert!(matches!(
            commit(&mut store, deposit(1, envelope)),
            Written::Deposited { .. }
        ));
    }
    assert_eq!(
        commit(&mut store, deposit(1, "d")),
        Written::Refused(Refused::QueueFull)
    );
    assert_eq!(
        commit(&mut store, deposit(1, "c")),
        Written::Deposited { index: 3 }
    );
    commit(&mut store, ack(1, 1));
    assert_eq!(
        commit(&mut store, deposit(1, "d")),
        Written::Deposited { index: 4 }
    );
    let later = NOW_MS + 31 * DAY_MS;
    assert_eq!(
        commit_at(&mut store, deposit(1, "e"), later),
        Written::Deposited { index: 5 }
    );
    assert_eq!(indices(&page(&mut store, 1, 0)), [5]);
}

#[test]
fn a_mailbox_is_bounded_in_bytes() {
    let mut store = Disk::default().open(small()).unwrap();
    commit(&mut store, create(1, QueueKind::Mailbox));
    assert_eq!(
        commit(&mut store, deposit(1, vec![1; 600])),
        Written::Deposited { index: 1 }
    );
    assert_eq!(
        commit(&mut store, deposit(1, vec![2; 401])),
        Written::Refused(Refused::QueueFull)
    );
    assert_eq!(
        commit(&mut store, deposit(1, vec![3; 400])),
        Written::Deposited { index: 2 }
    );
}

#[test]
fn the_memory_of_deleted_envelopes_is_bounded_and_the_oldest_goes_first() {
    let mut store = Disk::default().open(small()).unwrap();
    commit(&mut store, create(1, QueueKind::Mailbox));
    for index in 1..=6_u64 {
        let envelope = index.to_string();
        assert_eq!(
            commit(&mut store, deposit(1, envelope)),
            Written::Deposited { index }
        );
        commit(&mut store, ack(1, index));
    }
    assert_eq!(
        commit(&mut store, deposit(1, "2")),
        Written::Deposited { index: 2 }
    );
    assert_eq!(
        commit(&mut store, deposit(1, "1")),
        Written::Deposited { index: 7 }
    );
}

#[test]
fn a_scan_finds_what_is_too_old_a_few_queues_at_a_time() {
    let mut store = Disk::default().store();
    for number in [1, 2, 3] {
        commit(&mut store, create(number, QueueKind::Mailbox));
    }
    commit(&mut store, deposit(2, "a"));
    commit_at(&mut store, deposit(3, "a"), NOW_MS + DAY_MS);
    let later = NOW_MS + 30 * DAY_MS;
    let first = store.scan(None, 2, later).unwrap();
    assert_eq!(
        (first.stale.as_slice(), first.next),
        ([queue(2)].as_slice(), Some(queue(3)))
    );
    let second = store.scan(first.next, 2, later).unwrap();
    assert_eq!((second.stale.len(), second.next), (0, None));
    commit_at(&mut store, Write::Expire { queue: queue(2) }, later);
    assert!(store.scan(None, 2, later).unwrap().stale.is_empty());
    assert!(page(&mut store, 2, 0).entries.is_empty());
}

#[test]
fn the_memory_of_a_deleted_queue_goes_after_ninety_days() {
    let mut store = Disk::default().store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    commit(&mut store, deposit(1, "a"));
    commit(&mut store, Write::Delete { queue: queue(1) });
    let later = NOW_MS + 90 * DAY_MS;
    assert!(store.scan(None, 9, later - 1).unwrap().stale.is_empty());
    assert_eq!(store.scan(None, 9, later).unwrap().stale, [queue(1)]);
    commit_at(&mut store, Write::Expire { queue: queue(1) }, later);
    assert!(store.scan(None, 9, later).unwrap().stale.is_empty());
}

#[test]
fn an_append_wins_only_at_the_end_of_the_log_and_may_be_repeated() {
    let mut store = Disk::default().open(small()).unwrap();
    commit(&mut store, create(1, QueueKind::Log));
    assert_eq!(
        commit(&mut store, append(1, 0, "a")),
        Written::Appended { index: 1 }
    );
    assert_eq!(
        commit(&mut store, append(1, 0, "b")),
        Written::Conflict { last_index: 1 }
    );
    assert_eq!(
        commit(&mut store, append(1, 0, "a")),
        Written::Appended { index: 1 }
    );
    assert_eq!(
        commit(&mut store, append(1, 1, "a")),
        Written::Conflict { last_index: 1 }
    );
    assert_eq!(
        commit(&mut store, append(1, 1, "b")),
        Written::Appended { index: 2 }
    );
    assert_eq!(commit(&mut store, ack(1, 2)), Written::Done);
    assert_eq!(indices(&page(&mut store, 1, 0)), [1, 2]);
    assert_eq!(
        commit(&mut store, append(1, 2, "c")),
        Written::Appended { index: 3 }
    );
    assert_eq!(
        commit(&mut store, append(1, 3, "d")),
        Written::Refused(Refused::QueueFull)
    );
    let later = NOW_MS + 90 * DAY_MS;
    assert_eq!(
        commit_at(&mut store, append(1, 3, "d"), later),
        Written::Appended { index: 4 }
    );
    assert_eq!(
        commit(&mut store, deposit(1, "x")),
        Written::Refused(Refused::WrongKind)
    );
}

#[test]
fn a_read_stops_at_its_bounds_but_gives_one_entry_at_least() {
    let mut store = Disk::default().store();
    commit(&mut store, create(1, QueueKind::Mailbox));
    for number in 1..=3_u8 {
        commit(&mut store, deposit(1, vec![number; 100]));
    }
    let read = |max_entries, max_bytes| Read {
        queue: queue(1),
        after_index: 0,
        max_entries,
        max_bytes,
    };
    let mut count = |read| {
        let page = store.read(&read).unwrap().unwrap();
        (page.entries.len(), page.more)
    };
    assert_eq!(count(read(2, 1_000)), (2, true));
    assert_eq!(count(read(9, 250)), (2, true));
    assert_eq!(count(read(9, 50)), (1, true));
    assert_eq!(count(read(9, 300)), (3, false));
    let missing = Read {
        queue: queue(2),
        ..read(9, 9)
    };
    assert_eq!(store.read(&missing).unwrap(), Err(Refused::NoSuchQueue));
}

fn packages(numbers: std::ops::RangeInclusive<u8>) -> Vec<Bytes> {
    numbers.map(|number| Bytes::from(vec![number])).collect()
}

fn publish(packages: Vec<Bytes>, last_resort: Option<&'static str>) -> Write {
    let last_resort = last_resort.map(Bytes::from);
    Write::Publish {
        owner: queue(1),
        token: TOKEN.hash(),
        packages,
        last_resort,
    }
}

fn take() -> Write {
    Write::Take {
        owner: queue(1),
        token: TOKEN.hash(),
    }
}

#[test]
fn each_key_package_is_handed_out_once_and_then_the_last_resort() {
    let (_folder, open) = in_folder(RelayLimits::default());
    let mut store = open().unwrap();
    let stock = Written::Stock {
        single_use: 2,
        last_resort: true,
    };
    assert_eq!(
        commit(&mut store, publish(packages(1..=2), Some("last"))),
        stock
    );
    assert_eq!(commit(&mut store, publish(packages(1..=2), None)), stock);
    assert_eq!(
        commit(&mut store, take()),
        Written::Package(Bytes::from_static(&[1]))
    );
    drop(store);
    let mut store = open().unwrap();
    let stock = Written::Stock {
        single_use: 1,
        last_resort: true,
    };
    assert_eq!(commit(&mut store, publish(packages(1..=2), None)), stock);
    assert_eq!(
        commit(&mut store, take()),
        Written::Package(Bytes::from_static(&[2]))
    );
    for _ in 0..2 {
        assert_eq!(
            commit(&mut store, take()),
            Written::Package(Bytes::from("last"))
        );
    }
}

#[test]
fn the_newest_key_packages_stay_when_there_are_too_many() {
    let mut store = Disk::default().store();
    commit(&mut store, publish(packages(1..=15), None));
    let single_use = u32::try_from(KEY_PACKAGES_MAX).unwrap();
    let stock = Written::Stock {
        single_use,
        last_resort: false,
    };
    assert_eq!(commit(&mut store, publish(packages(16..=30), None)), stock);
    for number in 11..=30_u8 {
        assert_eq!(
            commit(&mut store, take()),
            Written::Package(Bytes::from(vec![number]))
        );
    }
    assert_eq!(
        commit(&mut store, take()),
        Written::Refused(Refused::NoKeyPackage)
    );
}

#[test]
fn an_open_database_is_not_opened_twice() {
    let (_folder, open) = in_folder(RelayLimits::default());
    let _first = open().unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another relay"));
}

#[test]
fn a_file_that_is_no_database_is_left_alone_and_named() {
    let (folder, open) = in_folder(RelayLimits::default());
    let path = folder.path().join("relay.redb");
    let bytes = b"my diary".repeat(1_000);
    fs::write(&path, &bytes).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_or_shortened_database_is_noticed_or_harmless() {
    let (folder, open) = in_folder(RelayLimits::default());
    let path = folder.path().join("relay.redb");
    let mut store = open().unwrap();
    commit(&mut store, create(1, QueueKind::Mailbox));
    for number in 0..50_u8 {
        commit(&mut store, deposit(1, vec![number; 2_000]));
    }
    drop(store);
    let good = fs::read(&path).unwrap();
    for part in 0..40 {
        let mut bad = good.clone();
        let from = bad.len() / 40 * part;
        bad[from..from + 64]
            .iter_mut()
            .for_each(|byte| *byte ^= 0x55);
        fs::write(&path, &bad).unwrap();
        match open() {
            // The flipped bytes were in a page that nothing refers to.
            Ok(mut store) => assert_eq!(page(&mut store, 1, 0).entries.len(), 50),
            Err(error) => assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
        }
    }
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    let error = open().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("relay.redb");
    let error = RedbStore::open(&path, RelayLimits::default()).unwrap_err();
    assert!(matches!(error, OpenError::Inaccessible { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, open) = in_folder(RelayLimits::default());
    let _store = open().unwrap();
    let mode = fs::metadata(folder.path().join("relay.redb"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_time_to_live_outside_the_protocols_range_is_refused() {
    let mut limits = RelayLimits::default();
    limits.mailbox_ttl = std::time::Duration::from_hours(13 * 24);
    let error = Disk::default().open(limits).unwrap_err();
    assert!(error.to_string().contains("not 13"), "{error}");
}
