//! Runs schedules, and makes those that fail shorter.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;

use crate::number;
use crate::step::{FLAVOURS, Flavour, Step};
use crate::tally::Tally;
use crate::world::World;

/// Runs that shortening may take (`TINCAN_SHRINK`). Each is at most as long as the failing one.
const SHRINK_RUNS: u64 = 400;

/// A schedule's steps, from its seed.
pub(crate) fn schedule(seed: u64, steps: usize) -> (Flavour, Vec<Step>) {
    let flavour = FLAVOURS[usize::try_from(seed).unwrap() % FLAVOURS.len()];
    let mut rng = SmallRng::seed_from_u64(seed);
    let steps = (0..steps).map(|_| flavour.step(&mut rng)).collect();
    (flavour, steps)
}

/// Runs steps in a copy of a world that something is done to first, then lets it come to rest and
/// compares.
pub(crate) fn run(
    begin: &World,
    seed: u64,
    steps: &[Step],
    prepare: impl FnOnce(&mut World),
) -> Result<Tally, String> {
    quietly(|| {
        let mut world = begin.copy(seed);
        prepare(&mut world);
        for step in steps {
            world.step(*step);
        }
        world.settle();
        world.check_complete();
        let mut tally = world.tally;
        world.model.count(&mut tally);
        tally
    })
}

/// Runs a schedule; if it fails, panics with its seed and as few steps as were found to fail as well.
pub(crate) fn check(begin: &World, seed: u64, steps: usize) -> Tally {
    let (flavour, steps) = schedule(seed, steps);
    match run(begin, seed, &steps, |_| {}) {
        Ok(tally) => tally,
        Err(why) => {
            let (short, why_short) = shrink(begin, seed, steps, &why);
            let last: Vec<String> = short.iter().map(|step| format!("    {step:?},")).collect();
            panic!(
                "schedule {seed} ({}) fails: {why}\n{} steps that fail with: {why_short}\n{}",
                flavour.name,
                short.len(),
                last.join("\n")
            );
        }
    }
}

/// Takes parts of a failing schedule out, ever smaller ones, as long as what is left fails
/// (delta debugging: Zeller and Hildebrandt, 2002).
fn shrink(begin: &World, seed: u64, steps: Vec<Step>, why: &str) -> (Vec<Step>, String) {
    let (mut steps, mut why) = (steps, why.to_owned());
    let mut part = steps.len() / 2;
    let (mut runs, most_runs) = (0, number("TINCAN_SHRINK", SHRINK_RUNS));
    while part > 0 && runs < most_runs {
        let mut at = 0;
        let mut shorter = false;
        while at < steps.len() && runs < most_runs {
            let end = (at + part).min(steps.len());
            let rest = [&steps[..at], &steps[end..]].concat();
            runs += 1;
            match run(begin, seed, &rest, |_| {}) {
                Err(why_rest) if kind(&why_rest) == kind(&why) => {
                    (steps, why, shorter) = (rest, why_rest, true);
                }
                _ => at = end,
            }
        }
        if !shorter {
            part /= 2;
        }
    }
    (steps, why)
}

/// The invariant that a failure names: shortening must not run after another failure.
fn kind(why: &str) -> &str {
    // What `assert_eq` says before it.
    let compared = "assertion `left == right` failed: ";
    let why = why.strip_prefix(compared).unwrap_or(why);
    why.split(':').next().unwrap_or(why)
}

thread_local! {
    /// What the last panic of this thread said, while it is caught.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs something whose panics are results.
fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            let inside = CAUGHT.with_borrow_mut(|caught| match caught {
                Some(text) => {
                    *text = place.unwrap_or_default();
                    true
                }
                None => false,
            });
            if !inside {
                before(info);
            }
        }));
    });
    CAUGHT.set(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(run));
    let place = CAUGHT.take().unwrap_or_default();
    result.map_err(|panic| format!("{} ({place})", text_of(&*panic)))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}
