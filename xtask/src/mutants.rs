//! Mutation testing: what decides is changed in one place, and some test has to fail.
//!
//! Owns how `cargo mutants` is called. `.cargo/mutants.toml` says what is changed, what is left out and why.

use anyhow::bail;

use crate::cargo::{Program, Scope};
use crate::steps::Note;
use crate::tools;

/// Of so many parts of all mutants one is tried by [`some`]. Chosen: some twenty mutants, which
/// take a minute. Each commit has its own part.
const PARTS: u64 = 50;

/// A test that runs longer than this has noticed, seconds: what never ends is a failure as well. On an
/// idle machine the tests of one package take twelve.
const TIMEOUT: &str = "40";

/// What `cargo mutants` ends with where a mutant lives, and where every one was noticed, but some by a test
/// that never ended.
const LIVES: i32 = 2;
const TIMED_OUT: i32 = 3;

/// All of them.
///
/// # Errors
/// If one lives.
pub(crate) fn all(scope: &Scope) -> anyhow::Result<Note> {
    run(scope, &[])
}

/// A part of them, which the commit decides.
///
/// # Errors
/// If one lives.
pub(crate) fn some(scope: &Scope) -> anyhow::Result<Note> {
    let part = format!("{}/{PARTS}", part());
    // From all files, since those that never end are close to each other.
    run(scope, &["--shard", &part, "--sharding", "round-robin"])
}

/// Cargo's own targets cannot be shared: each mutant is a copy of the sources, in two folders that take turns.
fn run(scope: &Scope, args: &[&str]) -> anyhow::Result<Note> {
    tools::install_mutants()?;
    let mutants = Program::cargo_on(scope, &["mutants", "--jobs", "2", "--output", "target"]);
    let mutants = mutants.args(&["--timeout", TIMEOUT]).args(args);
    // That a property fails is the answer, and not by how little.
    let code = mutants.env("PROPTEST_MAX_SHRINK_ITERS", "0").code()?;
    match code {
        Some(0 | TIMED_OUT) => Ok(None),
        Some(LIVES) => bail!("mutants live: target/mutants.out/missed.txt names them"),
        _ => bail!("cargo mutants could not do its work; what it says above tells why"),
    }
}

/// The first one where there is no commit.
fn part() -> u64 {
    let commit = Program::new("git", &["rev-parse", "HEAD"]).output();
    let number = commit.and_then(|commit| u64::from_str_radix(commit.get(..8)?, 16).ok());
    number.unwrap_or_default() % PARTS
}
