//! Dependencies: licences, banned crates, sources, advisories.

use std::thread;
use std::time::{Duration, Instant};

use crate::cargo::Program;
use crate::output;
use crate::steps::Note;

/// Fetching the advisory database may take this long. It is a git repository of some megabytes;
/// a network that swallows packets would hold the run for many minutes.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a running fetch is looked at.
const FETCH_POLL: Duration = Duration::from_millis(100);

/// Checks what needs no network, and the advisories if their database can be fetched.
///
/// # Errors
/// If a dependency breaks a rule of `deny.toml`, or cargo-deny cannot be run.
pub(crate) fn check() -> anyhow::Result<Note> {
    // Without the graphs: duplicate versions are warnings, and each would print its own.
    deny(&[
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ])
    .run()?;
    if !fetch_advisories() {
        let note = "advisories NOT checked: their database cannot be reached";
        output::note(note);
        return Ok(Some(note.to_owned()));
    }
    deny(&["check", "--disable-fetch", "advisories"]).run()?;
    Ok(None)
}

fn deny(args: &[&str]) -> Program {
    // Git must fail where it would ask for a password.
    Program::cargo(&["deny", "--locked", "--workspace"])
        .args(args)
        .env("GIT_TERMINAL_PROMPT", "0")
}

fn fetch_advisories() -> bool {
    // A program that cannot be started has already failed in the check before.
    let Ok(mut fetch) = deny(&["fetch", "db"]).start() else {
        return false;
    };
    let begin = Instant::now();
    while begin.elapsed() < FETCH_TIMEOUT {
        match fetch.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(FETCH_POLL),
            Err(_) => break,
        }
    }
    // Both fail only if it has ended in the meantime.
    let _ = fetch.kill();
    let _ = fetch.wait();
    false
}
