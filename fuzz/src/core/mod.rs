//! The delivery core.

#[path = "../../../peer/core/tests/sessions/pair/disk.rs"]
#[allow(dead_code, reason = "the core's own tests use the rest")]
mod disk;
mod steps;
mod world;

pub(crate) use steps::{STEPS, Step};
use world::World;

use crate::script::Script;

/// Steps of one input, so that none takes long.
const STEPS_MAX: usize = 400;

/// One session, whatever happens to it: inputs, time, hostile envelopes of the other side, commits and
/// crashes between any two of its outputs.
pub fn session(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new();
    for _ in 0..STEPS_MAX {
        if script.is_empty() {
            break;
        }
        steps::play(&mut script, &mut world);
        world.check();
    }
    world.settle();
}
