//! How everybody in a world becomes everybody's contact: by invites, as people do.

use std::time::Duration;

use tincan_peer::simulation::{AddRequest, Command, Input, Reply};
use tokio::sync::oneshot::error::TryRecvError;

use crate::around::Crypto;
use crate::world::{PEERS, World};

/// Far more than it takes.
const STEPS: usize = 200_000;

/// How long an invite is good.
const LIFETIME_MS: u64 = 24 * 3600 * 1000;

/// A world in which all are contacts and nothing is on its way.
pub(crate) fn acquainted(crypto: Crypto, seed: u64) -> World {
    let mut world = World::new(crypto, seed);
    for host in 0..PEERS {
        for guest in host + 1..PEERS {
            introduce(&mut world, host, guest);
        }
    }
    world.settle();
    world.now += Duration::from_secs(1);
    world
}

fn introduce(world: &mut World, host: usize, guest: usize) {
    let (reply, invite) = Reply::new();
    let command = Command::Invite {
        max_uses: 1,
        lifetime_ms: LIFETIME_MS,
        reply,
    };
    let invite = answer(world, host, command, invite).expect("an invite");
    let (reply, added) = Reply::new();
    let request = Box::new(AddRequest {
        invite,
        name: None,
        text: String::new(),
    });
    let added = answer(world, guest, Command::Add { request, reply }, added);
    added.expect("a request on its way");
}

fn answer<T>(
    world: &mut World,
    peer: usize,
    command: Command,
    mut answer: tokio::sync::oneshot::Receiver<T>,
) -> T {
    world.machines[peer]
        .inbox
        .push_back(Input::Command(command));
    for n in 0..STEPS {
        world.pass(n);
        match answer.try_recv() {
            Ok(answer) => return answer,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Closed) => break,
        }
    }
    panic!("no answer");
}
