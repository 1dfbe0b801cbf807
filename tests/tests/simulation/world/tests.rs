//! Each check of the world itself, shown something that it must not let pass.

use tincan_peer::simulation::{Buffer, Command, Input, Reply, StorageBackend as _};
use tokio::sync::oneshot;

use super::network::look_for_canary;
use super::processes::check_buffer;
use super::rest::REST;
use super::*;
use crate::acquaint::acquainted;
use crate::disk::Medium;
use crate::fuse::Fuse;
use crate::model::CANARY;

fn world() -> World {
    World::new(Crypto::StandIn, 1)
}

/// A text is written to a disk.
fn write(disk: &Disk) {
    let text = format!("{CANARY}1");
    let medium = disk.mount(&Fuse::new());
    medium
        .write(medium.len().unwrap(), text.as_bytes())
        .unwrap();
    medium.sync_data().unwrap();
}

/// Somebody makes an invite.
fn invite() -> Input {
    let (reply, _) = Reply::new();
    Input::Command(Command::Invite {
        max_uses: 1,
        lifetime_ms: 60_000,
        reply,
    })
}

/// A world in which something goes on.
fn busy_world() -> World {
    let mut world = world();
    world.machines[0].inbox.push_back(invite());
    world
}

/// The first peer's process dies, and another one begins with what was done to its disk meanwhile.
fn begins_again(world: &mut World, harm: impl FnOnce(&Medium)) {
    world.crash(0);
    let medium = world.machines[0].disk.mount(&Fuse::new());
    harm(&medium);
    medium.sync_data().unwrap();
    world.start(0);
}

fn buffer(filled: usize) -> Buffer {
    Buffer {
        what: "gaps",
        filled,
        limit: 2,
    }
}

#[test]
fn a_world_in_which_nothing_happens_is_complete() {
    assert!(!check_buffer(0, None, buffer(1)));
    assert!(check_buffer(0, None, buffer(2)));
    look_for_canary(b"canary");
    let mut world = world();
    world.settle();
    begins_again(&mut world, |_| {});
    world.check_complete();
}

#[test]
#[should_panic(expected = "4: 1 was told that their request is on its way to 0")]
fn a_request_that_never_arrives() {
    let mut world = world();
    world.model.befriend(1, 0);
    world.check_complete();
}

#[test]
#[should_panic(expected = "4: it never comes to rest: peer 0")]
fn something_that_goes_on_for_too_many_steps() {
    busy_world().settle_within(REST, 1);
}

#[test]
#[should_panic(expected = "4: it never comes to rest: peer 0")]
fn something_that_goes_on_for_too_long() {
    busy_world().settle_within(Duration::ZERO, usize::MAX);
}

#[test]
#[should_panic(expected = "9: gaps of None of peer 0: 3, at most 2")]
fn a_buffer_beyond_its_limit() {
    check_buffer(0, None, buffer(3));
}

#[test]
#[should_panic(expected = "12: a text leaves in clear")]
fn a_text_in_a_frame() {
    look_for_canary(format!("{{{CANARY}1}}").as_bytes());
}

#[test]
#[should_panic(expected = "12: a text stands on a disk in clear")]
fn a_text_on_the_disk_of_a_relay() {
    let mut world = world();
    write(&world.relays[0].disk);
    world.check_complete();
}

#[test]
#[should_panic(expected = "12: a text stands on a disk in clear")]
fn a_text_on_the_disk_of_a_peer() {
    let mut world = world();
    // It ends the hold that the process has: what this one knows, nothing, was read before.
    write(&world.machines[0].disk);
    world.check_complete();
}

#[test]
#[should_panic(expected = "12: a text stands on a disk in clear")]
fn a_text_on_the_disk_of_a_peer_that_dies() {
    let mut world = world();
    write(&world.machines[0].disk);
    world.crash(0);
}

#[test]
#[should_panic(expected = "12: a text stands on a disk in clear")]
fn a_text_on_the_disk_of_a_relay_that_dies() {
    let mut world = world();
    write(&world.relays[0].disk);
    world.crash_relay(0);
}

#[test]
#[should_panic(expected = "read by somebody else: 1 has")]
fn something_that_a_new_process_finds_and_somebody_else_was_to_read() {
    let mut world = acquainted(Crypto::StandIn, 1);
    let (no, with) = world.conversation(0, 0).unwrap();
    assert_eq!(with, 1);
    world.send(0, 0, 1);
    world.settle();
    // The model is told that it was for the third one.
    let history = world.machines[0].node.as_ref().unwrap().history(no);
    let sent = history.unwrap().pop().unwrap().content;
    let (_, answer) = oneshot::channel();
    world
        .model
        .sends((0, 2), false, (sent.msg_id, String::new()), answer);
    world.crash(1);
    world.start(1);
}

#[test]
#[should_panic(expected = "peer 0: the database is damaged")]
fn a_disk_with_something_else_on_it() {
    let nonsense = [0xff; 4_096];
    begins_again(&mut world(), |medium| medium.write(0, &nonsense).unwrap());
}

#[test]
#[should_panic(expected = "peer 0 does not start")]
fn a_disk_with_nothing_on_it() {
    begins_again(&mut world(), |medium| medium.set_len(0).unwrap());
}

#[test]
#[should_panic(expected = "peer 0: database: this process is dead")]
fn a_disk_that_fails_and_is_not_full() {
    let mut world = busy_world();
    // It ends the hold that the process has.
    world.machines[0].disk.mount(&Fuse::new());
    world.turn(0, 1);
}

#[test]
fn regression_what_a_turn_has_made_is_not_named_before_its_commit_where_somebody_is_asked_as_well()
{
    let mut world = world();
    let asks = |world: &World| {
        let mut inbox = world.machines[1].inbox.iter();
        inbox.any(|input| matches!(input, Input::Command(Command::Add { .. })))
    };
    world.introduce(0, 1);
    (0..1_000).any(|n| {
        world.pass(n);
        asks(&world)
    });
    assert!(asks(&world), "it never comes to that");
    let inbox = &mut world.machines[1].inbox;
    inbox.push_front(invite());
    let all = inbox.len();
    // What leaves is looked at.
    world.turn(1, all);
}
