//! Mutation testing: what decides is changed in one place, and some test has to fail.
//!
//! Owns how `cargo mutants` is called. `.cargo/mutants.toml` says what is changed, what is left out and why.

use anyhow::bail;

use crate::cargo::{Program, Scope};
use crate::steps::Note;
use crate::{output, tools};

/// Of so many parts of all mutants one is tried by [`some`]. Chosen: some three mutants, which take half a
/// minute besides the three that compiling takes. Each commit has its own part.
const PARTS: u64 = 400;

/// A test that runs longer than this has noticed, seconds: what never ends is a failure as well. On an
/// idle machine the tests of one package take twelve.
const TIMEOUT: &str = "40";

/// Whoever of a part lives so often lives. Chosen: what random cases find nearly always, two runs of them do.
const TRIES: usize = 2;

/// What `cargo mutants` ends with where a mutant lives, and where every one was noticed, but some by a test
/// that never ended.
const LIVES: i32 = 2;
const TIMED_OUT: i32 = 3;

/// All of them.
///
/// # Errors
/// If one lives.
pub(crate) fn all(scope: &Scope) -> anyhow::Result<Note> {
    tools::install_mutants()?;
    verdict(all_are_noticed(scope, &["--jobs", "2"])?)
}

/// A part of them, which the commit decides.
///
/// # Errors
/// If one lives.
pub(crate) fn some(scope: &Scope) -> anyhow::Result<Note> {
    tools::install_mutants()?;
    let part = format!("{}/{PARTS}", part());
    // From all files, since those that never end are close to each other.
    let shard = ["--shard", &part, "--sharding", "round-robin"];
    // For a few of them it does not pay to compile everything for two at a time; and that the tests pass
    // without any, an earlier step has shown.
    let args = [&shard[..], &["--jobs", "1", "--baseline", "skip"]].concat();
    for _ in 1..TRIES {
        if all_are_noticed(scope, &args)? {
            return verdict(true);
        }
        output::note("some live; once more, since a test of random cases may have been unlucky");
    }
    verdict(all_are_noticed(scope, &args)?)
}

fn verdict(all_are_noticed: bool) -> anyhow::Result<Note> {
    if all_are_noticed {
        return Ok(None);
    }
    bail!("mutants live: target/mutants.out/missed.txt names them")
}

/// Cargo's own targets cannot be shared: a mutant is made in a copy of the sources.
fn all_are_noticed(scope: &Scope, args: &[&str]) -> anyhow::Result<bool> {
    let mutants = Program::cargo_on(scope, &["mutants", "--output", "target"]);
    let mutants = mutants.args(&["--timeout", TIMEOUT]).args(args);
    // Each is compiled upon the one before it, whatever holds for the rest of a run.
    let mutants = mutants.env("CARGO_INCREMENTAL", "1");
    // That a property fails is the answer, and not by how little.
    let code = mutants.env("PROPTEST_MAX_SHRINK_ITERS", "0").code()?;
    match code {
        Some(0) => Ok(true),
        Some(TIMED_OUT) => {
            output::note(
                "some were noticed by a test that took too long: target/mutants.out/timeout.txt names them",
            );
            Ok(true)
        }
        Some(LIVES) => Ok(false),
        _ => bail!("cargo mutants could not do its work; what it says above tells why"),
    }
}

/// The first one where there is no commit.
fn part() -> u64 {
    let commit = Program::new("git", &["rev-parse", "HEAD"]).output();
    let number = commit.and_then(|commit| u64::from_str_radix(commit.get(..8)?, 16).ok());
    number.unwrap_or_default() % PARTS
}
