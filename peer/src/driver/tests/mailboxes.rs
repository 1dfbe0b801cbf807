use tincan_core::Persist;
use tincan_protocol::content::Body;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::limits::KEY_PACKAGES_MAX;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{EnvelopeId, StoreId};

use super::bench::{Bench, Commands, ann_and_bob};
use crate::driver::Input;
use crate::driver::servers::PACKAGES_PER_HOUR;
use crate::driver::unknown_contents::keep_last;
use crate::net::{RelayCommand, RelayEvent};

fn elsewhere() -> ServerUrl {
    "http://127.0.0.1:9/elsewhere".parse().unwrap()
}

#[tokio::test]
async fn regression_a_relay_speaks_only_for_the_mailboxes_that_are_there() {
    let (mut ann, mut bob) = ann_and_bob();
    let no = bob.no();
    bob.driver.send_body(no, Body::text("hello")).unwrap();
    bob.commit();
    let envelope = bob.outbox().pop().unwrap();
    let id = EnvelopeId::of(&envelope);
    let delivered = |queue| RelayEvent::Delivered {
        queue,
        index: 7,
        envelope: envelope.clone(),
    };
    let queue = ann.mailbox();
    for (server, taken) in [(elsewhere(), false), (ann.server(), true)] {
        ann.driver.handle_relay(&server, delivered(queue)).unwrap();
        ann.commit();
        assert_eq!(
            ann.driver.turn.batch().unwrap().is_seen(&id).unwrap(),
            taken
        );
        ann.commit();
    }
}

#[tokio::test]
async fn regression_a_mailbox_is_to_be_deleted_until_its_relay_confirms() {
    let mut ann = Bench::new("ann");
    let queue = ann.invite(1).body().queue;
    ann.driver.end_invite(&queue).unwrap();
    for _ in 0..2 {
        ann.restart();
        assert!(ann.driver.ended_queues.contains_key(&queue));
        // Only that relay can know.
        let deleted = RelayEvent::Deleted(queue);
        ann.driver.handle_relay(&elsewhere(), deleted).unwrap();
    }
    let server = ann.server();
    assert!(ann.driver.wanted_relays().connected.contains(&server));
    let deleted = RelayEvent::Deleted(queue);
    ann.driver.handle_relay(&server, deleted).unwrap();
    ann.restart();
    assert!(ann.driver.ended_queues.is_empty());
}

#[tokio::test]
async fn a_mailbox_that_no_relay_can_still_have_is_forgotten() {
    let mut ann = Bench::new("ann");
    let queue = ann.invite(1).body().queue;
    ann.driver.end_invite(&queue).unwrap();
    let now_ms = ann.driver.around.now().unix_ms;
    let days = |days: u64| now_ms + days * 24 * 3600 * 1000;
    ann.driver.prune_ended_queues(days(29)).unwrap();
    assert_eq!(ann.driver.ended_queues.len(), 1);
    ann.driver.prune_ended_queues(days(31)).unwrap();
    assert!(ann.driver.ended_queues.is_empty());
}

#[tokio::test]
async fn regression_a_relay_that_is_never_content_gets_key_packages_once() {
    let mut ann = Bench::new("ann");
    ann.want_relay(&ann.server());
    let server = ann.server();
    ann.commit();
    let made = |ann: &mut Bench| {
        let stock = RelayEvent::Stock {
            single_use: 0,
            last_resort: true,
        };
        ann.driver.handle_relay(&server, stock).unwrap();
        let made = ann.driver.mls.take_changes().len();
        ann.commit();
        made
    };
    assert!(made(&mut ann) > 0);
    assert_eq!(made(&mut ann), 0);
}

#[tokio::test]
async fn regression_what_only_a_later_version_can_read_is_bounded() {
    let (ann, _bob) = ann_and_bob();
    let row = |len: usize| Persist::Incoming {
        seq: 1,
        place: Hlc::from_u64(1),
        content: vec![0; len].into(),
    };
    let kept = |len| {
        let mut contact = ann.row().clone();
        let mut kept = 0;
        for _ in 0..20_000 {
            kept += usize::from(keep_last(&mut contact, &mut vec![row(len)]));
        }
        kept
    };
    assert_eq!(kept(1), 10_000);
    assert_eq!(kept(50 * 1024), 16 * 1024 / 50);
    // What does not fit is dropped, and only that.
    let (mut contact, mut rows) = (ann.row().clone(), vec![row(1), row(17 * 1024 * 1024)]);
    assert!(!keep_last(&mut contact, &mut rows));
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn regression_a_relay_that_has_no_key_packages_all_the_time_gets_no_end_of_them() {
    let mut ann = Bench::new("ann");
    ann.want_relay(&ann.server());
    let server = ann.server();
    let rows = |ann: &mut Bench| {
        ann.commit();
        ann.driver.turn.batch().unwrap().mls_rows().unwrap().len()
    };
    let before = rows(&mut ann);
    let none = || RelayEvent::Stock {
        single_use: 0,
        last_resort: false,
    };
    let mut made = Vec::new();
    for connection in 0..60_u8 {
        let up = RelayEvent::Up(StoreId::from_bytes([connection; 16]));
        ann.driver.handle_relay(&server, up).unwrap();
        ann.driver.handle_relay(&server, none()).unwrap();
        made.push(rows(&mut ann) - before);
    }
    // One package may be more than one row.
    let first = made[0] / (KEY_PACKAGES_MAX + 1);
    assert!(first > 0, "{made:?}");
    assert!(made[59] <= first * PACKAGES_PER_HOUR as usize, "{made:?}");
}

/// Ann's own relay is there, with this store, and her mailbox for bob can be read.
fn relay_is_there(ann: &mut Bench, store: u8) {
    let (server, queue) = (ann.server(), ann.mailbox());
    let store = StoreId::from_bytes([store; 16]);
    for event in [RelayEvent::Up(store), RelayEvent::Subscribed(queue)] {
        ann.driver.handle_relay(&server, event).unwrap();
    }
    ann.commit();
}

#[tokio::test]
async fn regression_who_finds_another_store_at_the_own_relay_tells_contacts_what_they_should_have()
{
    let (mut ann, _bob) = ann_and_bob();
    let (no, server) = (ann.no(), ann.server());
    ann.want_relay(&server);
    relay_is_there(&mut ann, 1);
    let hello = Body::text("hello");
    ann.driver.send_body(no, hello).unwrap();
    let last = ann.contact().session.next_seq() - 1;
    let to_announce = |ann: &mut Bench| {
        let snapshot = ann.driver.turn.batch().unwrap().snapshot(no);
        snapshot.unwrap().unwrap().to_announce
    };
    for (store, announced) in [(1, 0), (2, last)] {
        ann.restart();
        ann.want_relay(&server);
        relay_is_there(&mut ann, store);
        assert_eq!(to_announce(&mut ann), announced, "store {store}");
        ann.commit();
    }
}

/// Its word was taken for the new connection's: what was left for later was acknowledged with what came
/// after it, and what was deposited before the new one was there was not deposited again.
#[tokio::test]
async fn regression_what_an_earlier_connection_said_last_is_not_heard() {
    let mut ann = Bench::new("ann");
    let (invite, server) = (ann.invite(2), ann.server());
    let mut bob = Bench::new("bob");
    let request = bob.ask(&mut ann, &invite);
    let events = || {
        [
            RelayEvent::Up(StoreId::from_bytes([1; 16])),
            RelayEvent::Delivered {
                queue: invite.body().queue,
                index: 7,
                envelope: request.clone(),
            },
        ]
    };
    let connection = Commands::default();
    ann.connect_relay(&server, connection.connection(2));
    for (number, is_heard) in [(1, false), (2, true)] {
        let inputs = events().map(|event| Input::Relay(server.clone(), number, event));
        ann.driver.turn(inputs).unwrap();
        assert_eq!(ann.driver.relays[&server].up, is_heard, "{number}");
        assert_eq!(!ann.driver.conversations.is_empty(), is_heard, "{number}");
        let acked = |command: &RelayCommand| matches!(command, RelayCommand::Ack { .. });
        assert_eq!(connection.taken().iter().any(acked), is_heard, "{number}");
    }
}

/// Thousands of them did not fit into the queue of a connection, which was dialed anew, again and again.
#[tokio::test]
async fn regression_any_number_of_mailboxes_is_deleted_over_one_connection() {
    let mut ann = Bench::new("ann");
    let server = ann.server();
    const ENDED: u32 = 5_000;
    for number in 0..ENDED {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        ann.driver.end_queue(seed, server.clone()).unwrap();
    }
    ann.commit();
    let connection = Commands::default();
    ann.connect_relay(&server, connection.connection(1));
    let up = RelayEvent::Up(StoreId::from_bytes([1; 16]));
    ann.driver.handle_relay(&server, up).unwrap();
    let mut turns = 0;
    while !ann.driver.ended_queues.is_empty() {
        ann.commit();
        assert!(ann.driver.relays[&server].connection.is_some());
        for command in connection.taken() {
            if let RelayCommand::DeleteQueue(key) = command {
                let deleted = RelayEvent::Deleted(key.queue());
                ann.driver.handle_relay(&server, deleted).unwrap();
            }
        }
        turns += 1;
        assert!(turns <= ENDED);
    }
}
