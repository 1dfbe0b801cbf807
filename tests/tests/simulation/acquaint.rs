//! Worlds to begin with: one where nobody knows anybody, and one where everybody is everybody's
//! contact, by invites, as people do it.

use crate::around::Crypto;
use crate::world::{PEERS, World};

/// Far more than it takes.
const STEPS: usize = 200_000;

/// A world in which all are contacts and nothing is on its way.
pub(crate) fn acquainted(crypto: Crypto, seed: u64) -> World {
    let mut world = World::new(crypto, seed);
    for host in 0..PEERS {
        for guest in host + 1..PEERS {
            world.introduce(host, guest);
            let mut steps = 0..STEPS;
            while world.is_introducing() {
                world.pass(steps.next().expect("they never meet"));
            }
        }
    }
    world.settle();
    world
}
