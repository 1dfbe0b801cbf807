//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! Owns: which checks make a commit good, in which order, and what they need installed. Does not
//! own: how a check works (cargo, clippy, nextest and cargo-deny do) nor any setting of theirs
//! (`Cargo.toml`, `clippy.toml`, `deny.toml`, `.config/nextest.toml`).
//!
//! Invariants: a machine with Debian 12, root and Rust is enough; every check but that of
//! mutants uses the dev profile, so that dependencies are compiled once; the first failing step ends the run.

mod args;
mod cargo;
mod debian;
mod deny;
mod fuzz;
mod mutants;
mod output;
mod steps;
mod tools;

use std::process::ExitCode;

use args::Command;

/// Exit code for wrong use.
const WRONG_USE: u8 = 2;

/// Runs the command that the arguments (without the program's name) ask for.
///
/// Exit codes: 0 done, 1 a step failed, 2 wrong use.
pub fn run(args: impl IntoIterator<Item = String>) -> ExitCode {
    match args::parse(args) {
        Ok(Command::Help) => {
            output::help(args::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Run { steps, packages }) => {
            ended(steps::run(steps, &cargo::Scope::of(&packages)))
        }
        Ok(Command::Fuzz(options)) => ended(fuzz::run(&options)),
        Err(error) => {
            output::wrong_use(&error, args::HELP);
            ExitCode::from(WRONG_USE)
        }
    }
}

fn ended<T>(result: anyhow::Result<T>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error);
            ExitCode::FAILURE
        }
    }
}
