//! Fuzzing: every target of `fuzz/` for a while, some at a time.
//!
//! Owns how the program of `fuzz/libfuzzer` is built and run. Does not own the targets, nor libFuzzer.
//! The layout is that of `cargo fuzz`, whose other commands (`tmin`, `cmin`, `coverage`) work as well.
//!
//! Invariants: nothing is written into the committed corpora: what is found goes to `target/fuzz`, inputs
//! that fail as well, and both are kept; one failing target does not keep the others from running.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, bail};

use crate::cargo::Program;
use crate::output;
use crate::steps::Note;

/// How long each target runs, seconds. Chosen: with a corpus that was fuzzed before, what a change has
/// broken shows within it, and all targets together stay at two minutes on two cores.
const SECONDS: u64 = 30;

/// One input may take this long, seconds; libFuzzer's own default is 1,200. The slowest ones, a hundred
/// steps of a relay with its store, take below a tenth on an idle machine.
const INPUT_TIMEOUT: &str = "-timeout=25";

const CORPORA: &str = "fuzz/corpus";
const FOUND: &str = "target/fuzz";

/// Targets at a time for each core. They share the time that is given: with more each would have too
/// little, with fewer all of them would take too long.
const PER_CORE: usize = 6;

/// The program for all targets, and the variable that tells it which one.
const PROGRAM: &str = "libfuzzer";
const TARGET: &str = "TINCAN_FUZZ_TARGET";

/// What libFuzzer needs of the compiler: counters at each edge, and the operands of comparisons. The
/// documentation of LLVM's SanitizerCoverage explains each. No sanitizer: only a nightly compiler has one.
const INSTRUMENT: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How long each target runs.
    pub(crate) seconds: u64,
    /// Instrument the crates of others as well. That compiles all of them once more, where otherwise those
    /// of the tests are used; generic code of others is instrumented in any case where it is used.
    pub(crate) deep: bool,
    /// Which ones; all if empty.
    pub(crate) targets: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: SECONDS,
            deep: false,
            targets: Vec::new(),
        }
    }
}

/// Builds and runs.
///
/// # Errors
/// If a target is unknown, does not compile, or fails: then with the command that repeats it.
pub(crate) fn run(options: &Options) -> anyhow::Result<Note> {
    let targets = choose(known()?, &options.targets)?;
    let program = build(options.deep)?;
    let count = targets.len();
    let failed = fuzz(&program, targets, options.seconds)?;
    if !failed.is_empty() {
        bail!(
            "{} of {count} targets failed:\n{}",
            failed.len(),
            failed.join("\n")
        );
    }
    Ok(Some(format!("{count} targets, {} s each", options.seconds)))
}

/// Builds the program, and says where it is.
fn build(deep: bool) -> anyhow::Result<PathBuf> {
    let features = format!("tincan-fuzz/{PROGRAM}");
    let build = ["build", "--locked", "--workspace", "--bin", PROGRAM];
    let build = Program::cargo(&build).args(&["--features", &features]);
    if deep {
        // With a target that is named build scripts are spared.
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let folder = "target/instrumented";
        build
            .args(&["--target", &target, "--target-dir", folder])
            .env("RUSTFLAGS", INSTRUMENT)
            .run()?;
        return Ok([folder, &target, "debug", PROGRAM].iter().collect());
    }
    let wrapper = fs::canonicalize("fuzz/libfuzzer/instrument");
    let wrapper = wrapper.context("run this at the top of the repository")?;
    build
        .env("RUSTC_WORKSPACE_WRAPPER", &wrapper.to_string_lossy())
        .env("INSTRUMENT_FLAGS", INSTRUMENT)
        .run()?;
    Ok(["target", "debug", PROGRAM].iter().collect())
}

/// The targets, in the order of their names: each has a corpus.
fn known() -> anyhow::Result<Vec<String>> {
    let folder = Path::new(CORPORA);
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read {CORPORA}; run this at the top"))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<anyhow::Result<Vec<String>>>()?;
    names.sort_unstable();
    Ok(names)
}

fn choose(known: Vec<String>, wanted: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no target {unknown:?}; there are {}",
            known.join(", ")
        );
    }
    if wanted.is_empty() {
        return Ok(known);
    }
    Ok(wanted.to_vec())
}

/// Runs all of them, and says how those that failed can be repeated.
fn fuzz(program: &Path, targets: Vec<String>, seconds: u64) -> anyhow::Result<Vec<String>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(VecDeque::from(targets));
    let next = || waiting.lock().ok()?.pop_front();
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..cores * PER_CORE {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(target) = next() {
                    // The receiver outlives this scope.
                    let _ = sender.send(fuzz_one(program, &target, seconds));
                }
            });
        }
    });
    drop(sender);
    let failed: anyhow::Result<Vec<Option<String>>> = results.iter().collect();
    Ok(failed?.into_iter().flatten().collect())
}

/// Runs one, and says how its failure can be repeated if it has failed.
fn fuzz_one(program: &Path, target: &str, seconds: u64) -> anyhow::Result<Option<String>> {
    let corpus = format!("{FOUND}/corpus/{target}");
    let artifacts = format!("{FOUND}/artifacts/{target}");
    let log = format!("{artifacts}/log");
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    }
    let run = Program::new(&program.to_string_lossy(), &[])
        .env(TARGET, target)
        .args(&[&corpus, &format!("{CORPORA}/{target}")])
        .args(&[&format!("-artifact_prefix={artifacts}/")])
        .args(&[&format!("-max_total_time={seconds}"), INPUT_TIMEOUT])
        .args(&["-print_final_stats=1"]);
    let passed = run.run_into(Path::new(&log))?;
    let text = fs::read_to_string(&log).with_context(|| format!("cannot read {log}"))?;
    output::note(&summary(target, &text));
    Ok((!passed).then(|| match artifact(&text) {
        Some(input) => format!("{TARGET}={target} {} {input}", program.display()),
        None => format!("{target} left no input; its output is in {log}"),
    }))
}

/// The last of libFuzzer's lines that counts something.
fn summary(target: &str, log: &str) -> String {
    let counts = log
        .lines()
        .rfind(|line| line.starts_with('#') && line.contains(" cov: "));
    let counts = counts.and_then(|line| line.split_once("cov: "));
    let counts = counts.map_or("nothing covered", |(_, counts)| {
        counts.split(" lim:").next().unwrap_or(counts)
    });
    let of = |name: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("?", str::trim).to_owned()
    };
    let runs = of("stat::number_of_executed_units:");
    let pace = of("stat::average_exec_per_sec:");
    format!("{target:<16} {runs:>10} runs {pace:>7}/s  cov: {counts}")
}

/// The file with the input that failed.
fn artifact(log: &str) -> Option<&str> {
    let (_, path) = log.split_once("Test unit written to ")?;
    path.lines().next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 28Mb
#4096\tNEW    cov: 120 ft: 310 corp: 41/2Kb lim: 43 exec/s: 2048 rss: 30Mb L: 7/43 MS: 1 EraseBytes-
thread '<unnamed>' panicked at src/lib.rs:1:1:
artifact_prefix='target/fuzz/artifacts/ids/'; Test unit written to target/fuzz/artifacts/ids/crash-1
Base64: AA==
stat::number_of_executed_units: 4711
stat::average_exec_per_sec:     2355
";

    #[test]
    fn a_log_is_summed_up_in_one_line() {
        assert_eq!(
            summary("ids", LOG),
            "ids                    4711 runs    2355/s  cov: 120 ft: 310 corp: 41/2Kb"
        );
        assert!(summary("ids", "").contains("nothing covered"));
    }

    #[test]
    fn the_input_that_failed_is_found() {
        assert_eq!(artifact(LOG), Some("target/fuzz/artifacts/ids/crash-1"));
        assert_eq!(artifact(""), None);
    }

    #[test]
    fn an_unknown_target_is_named_together_with_the_known_ones() {
        let known = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(choose(known(), &[]).unwrap(), known());
        assert_eq!(choose(known(), &["b".to_owned()]).unwrap(), ["b"]);
        let error = choose(known(), &["c".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no target \"c\"; there are a, b"
        );
    }
}
