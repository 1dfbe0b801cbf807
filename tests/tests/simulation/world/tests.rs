//! Each check of the world itself, shown something that it must not let pass.

use tincan_peer::simulation::{Buffer, Command, Input, Reply, StorageBackend as _};

use super::network::look_for_canary;
use super::processes::check_buffer;
use super::*;
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
    world().check_complete();
}

#[test]
#[should_panic(expected = "4: 1 was told that their request is on its way to 0")]
fn a_request_that_never_arrives() {
    let mut world = world();
    world.model.befriend(1, 0);
    world.check_complete();
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
    let (reply, _) = Reply::new();
    let command = Command::Invite {
        max_uses: 1,
        lifetime_ms: 60_000,
        reply,
    };
    let inbox = &mut world.machines[1].inbox;
    inbox.push_front(Input::Command(command));
    let all = inbox.len();
    // What leaves is looked at.
    world.turn(1, all);
}
