//! The steps and their order.
//!
//! Clippy comes first among those that compile: with it every dependency is checked (without
//! machine code), and `cargo doc` reads the same check results. The build then makes the machine
//! code of everything at once but the benches, so that the test steps and the demo only run what is
//! there, and fuzzing compiles nothing but our own crates once more. No step shares more than that:
//! what clippy checked must still be compiled, and so must what mutants are made of, elsewhere.

use std::time::Instant;

use anyhow::Context;

use crate::cargo::{Program, Scope};
use crate::{debian, deny, fuzz, mutants, output, tools};

/// Cheap and most often wrong first.
pub(crate) const TEST: &[Step] = &[
    STEP_INSTALL,
    STEP_FORMAT,
    STEP_DENY,
    STEP_CLIPPY,
    STEP_DOCS,
    STEP_BUILD,
    STEP_TESTS,
    STEP_DOCTESTS,
    STEP_SOME_MUTANTS,
    STEP_FUZZ,
];
/// What a style check would say.
pub(crate) const LINT: &[Step] = &[STEP_FORMAT, STEP_CLIPPY];
/// Dependencies.
pub(crate) const DENY: &[Step] = &[STEP_DENY];
/// Documentation.
pub(crate) const DOCS: &[Step] = &[STEP_DOCS];
/// Whether the tests of what decides notice when it is changed. Takes two hours.
pub(crate) const MUTANTS: &[Step] = &[STEP_MUTANTS];
/// The same for a part of it.
pub(crate) const SOME_MUTANTS: &[Step] = &[STEP_SOME_MUTANTS];
/// Preparation of the machine.
pub(crate) const INSTALL: &[Step] = &[STEP_INSTALL];

const STEP_INSTALL: Step = Step {
    name: "install",
    work: |_| tools::install(),
};
const STEP_FORMAT: Step = Step {
    name: "format",
    work: format,
};
const STEP_DENY: Step = Step {
    name: "deny",
    work: |_| deny::check(),
};
const STEP_CLIPPY: Step = Step {
    name: "clippy",
    work: clippy,
};
const STEP_DOCS: Step = Step {
    name: "docs",
    work: docs,
};
const STEP_BUILD: Step = Step {
    name: "build",
    work: build,
};
const STEP_TESTS: Step = Step {
    name: "tests",
    work: tests,
};
const STEP_DOCTESTS: Step = Step {
    name: "doctests",
    work: doctests,
};
const STEP_MUTANTS: Step = Step {
    name: "mutants",
    work: mutants,
};
const STEP_SOME_MUTANTS: Step = Step {
    name: "some mutants",
    work: some_mutants,
};
const STEP_FUZZ: Step = Step {
    name: "fuzz",
    work: fuzz,
};

/// What a step may tell besides having passed.
pub(crate) type Note = Option<String>;

/// One check.
#[derive(Debug)]
pub(crate) struct Step {
    name: &'static str,
    work: fn(&Scope) -> anyhow::Result<Note>,
}

/// Runs steps until one fails.
///
/// # Errors
/// The first step's error, with the step's name.
pub(crate) fn run(steps: &[Step], scope: &Scope) -> anyhow::Result<()> {
    let mut lines = Vec::with_capacity(steps.len());
    for step in steps {
        output::heading(step.name);
        let begin = Instant::now();
        let note = (step.work)(scope).with_context(|| format!("step {}", step.name))?;
        let line = output::Line {
            name: step.name,
            took: begin.elapsed(),
            note,
        };
        output::done(&line);
        lines.push(line);
    }
    output::table(&lines);
    Ok(())
}

fn format(scope: &Scope) -> anyhow::Result<Note> {
    Program::cargo_fmt(scope)
        .run()
        .context("`cargo fmt` puts it right")?;
    Ok(None)
}

fn clippy(scope: &Scope) -> anyhow::Result<Note> {
    let clippy = Program::cargo_on(scope, &["clippy", "--locked", "--all-targets"]);
    clippy.args(&["--", "-D", "warnings"]).run()?;
    if scope.is_everything() {
        // As programs of others embed it, and with commands alone.
        for features in ["", "cli"] {
            let alone = [
                "clippy",
                "--locked",
                "-p",
                "tincan-peer",
                "--no-default-features",
            ];
            let alone = Program::cargo(&alone).args(&["--features", features]);
            alone.args(&["--", "-D", "warnings"]).run()?;
        }
    }
    Ok(None)
}

fn docs(scope: &Scope) -> anyhow::Result<Note> {
    let doc = Program::cargo_on(scope, &["doc", "--locked", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(None)
}

fn build(scope: &Scope) -> anyhow::Result<Note> {
    // What took how long is in target/cargo-timings then.
    let build = [
        "build",
        "--locked",
        "--tests",
        "--bins",
        "--examples",
        "--timings",
    ];
    Program::cargo_on(scope, &build).run()?;
    Ok(None)
}

fn tests(scope: &Scope) -> anyhow::Result<Note> {
    let nextest = Program::cargo_on(scope, &["nextest", "run", "--locked"]);
    nextest
        .args(&["--no-tests", "fail", "--no-fail-fast"])
        .run()?;
    // They pass then, and what they say of it nobody sees.
    let left_out = "not root: what needs networks or file systems of its own was left out";
    Ok((!debian::is_root()).then(|| left_out.to_owned()))
}

fn doctests(scope: &Scope) -> anyhow::Result<Note> {
    Program::cargo_on(scope, &["test", "--locked", "--doc"]).run()?;
    Ok(None)
}

fn mutants(scope: &Scope) -> anyhow::Result<Note> {
    mutants::all(scope)
}

/// Which ones belongs to no package.
fn some_mutants(scope: &Scope) -> anyhow::Result<Note> {
    if !scope.is_everything() {
        return Ok(Some("only with the whole workspace".to_owned()));
    }
    mutants::some(scope)
}

/// The targets belong to no package that could be left out.
fn fuzz(scope: &Scope) -> anyhow::Result<Note> {
    if !scope.is_everything() {
        return Ok(Some("only with the whole workspace".to_owned()));
    }
    fuzz::run(&fuzz::Options::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Step = Step {
        name: "good",
        work: |_| Ok(None),
    };
    const BAD: Step = Step {
        name: "bad",
        work: |_| anyhow::bail!("it rained"),
    };
    const NEVER: Step = Step {
        name: "never",
        work: |_| panic!("ran after a failure"),
    };

    #[test]
    fn the_first_failing_step_ends_the_run_and_is_named() {
        let error = run(&[GOOD, BAD, NEVER], &Scope::of(&[])).unwrap_err();
        assert_eq!(format!("{error:#}"), "step bad: it rained");
    }
}
