//! Fuzzing: every target of `fuzz/` for a while, some at a time.
//!
//! Owns how the program of `fuzz/libfuzzer` is built and run. Does not own the targets, nor
//! libFuzzer, which `cargo fuzz` brings.
//!
//! Invariants: nothing is written into the committed corpora: what is found goes to
//! `fuzz/libfuzzer/corpus`, inputs that fail to `fuzz/libfuzzer/artifacts`, and both are kept; one
//! failing target does not keep the others from running.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, bail};

use crate::cargo::Program;
use crate::output;
use crate::steps::Note;
use crate::tools;

/// How long each target runs, seconds. Chosen: with a corpus that was fuzzed before, what a change has
/// broken shows within it, and all targets together stay below four minutes on two cores.
const SECONDS: u64 = 30;

/// One input may take this long, seconds; libFuzzer's own default is 1,200. The slowest ones, a hundred
/// steps of a relay with its store, take below a tenth on an idle machine.
const INPUT_TIMEOUT: &str = "-timeout=25";

const FOLDER: &str = "fuzz/libfuzzer";
const CORPORA: &str = "fuzz/corpus";

/// Targets that need a whole peer, which takes several times as long to compile with instrumentation as
/// all the others together: they run when they are named, and their corpora replay with the tests.
const LARGE: &[&str] = &["key_file", "socket_command"];

/// Targets at a time for each core. They share the time that is given: with more each would have too
/// little, with fewer all of them would take too long.
const PER_CORE: usize = 2;

/// The program for all targets, and the variable that tells it which one.
const PROGRAM: &str = "any";
const TARGET: &str = "TINCAN_FUZZ_TARGET";

/// The one way in which programs are built, so that a second call finds them. Without a sanitizer,
/// which only a nightly compiler has; debug assertions and overflow checks are on.
const HOW: &[&str] = &["--fuzz-dir", FOLDER, "--sanitizer", "none"];

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How long each target runs.
    pub(crate) seconds: u64,
    /// Which ones; all but the [`LARGE`] ones if empty.
    pub(crate) targets: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seconds: SECONDS,
            targets: Vec::new(),
        }
    }
}

/// Installs cargo-fuzz if it is missing, builds and runs.
///
/// # Errors
/// If a target is unknown, does not compile, or fails: then with the command that repeats it.
pub(crate) fn run(options: &Options) -> anyhow::Result<Note> {
    let targets = choose(known()?, &options.targets)?;
    tools::install_one("fuzz")?;
    let features = features(&targets);
    cargo_fuzz("build").args(features).args(&[PROGRAM]).run()?;
    let count = targets.len();
    let failed = fuzz(targets, features, options.seconds)?;
    if !failed.is_empty() {
        bail!(
            "{} of {count} targets failed:\n{}",
            failed.len(),
            failed.join("\n")
        );
    }
    Ok(Some(format!("{count} targets, {} s each", options.seconds)))
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
    if !wanted.is_empty() {
        return Ok(wanted.to_vec());
    }
    let small = known
        .into_iter()
        .filter(|name| !LARGE.contains(&name.as_str()));
    Ok(small.collect())
}

fn cargo_fuzz(command: &str) -> Program {
    Program::cargo(&["fuzz", command]).args(HOW)
}

fn features(targets: &[String]) -> &'static [&'static str] {
    if targets.iter().any(|name| LARGE.contains(&name.as_str())) {
        &["--features", "peer"]
    } else {
        &[]
    }
}

/// Runs all of them, and says how those that failed can be repeated.
fn fuzz(targets: Vec<String>, features: &[&str], seconds: u64) -> anyhow::Result<Vec<String>> {
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
                    let _ = sender.send(fuzz_one(&target, features, seconds));
                }
            });
        }
    });
    drop(sender);
    let failed: anyhow::Result<Vec<Option<String>>> = results.iter().collect();
    Ok(failed?.into_iter().flatten().collect())
}

/// Runs one, and says how its failure can be repeated if it has failed.
fn fuzz_one(target: &str, features: &[&str], seconds: u64) -> anyhow::Result<Option<String>> {
    let found = format!("{FOLDER}/corpus/{target}");
    let artifacts = format!("{FOLDER}/artifacts/{target}");
    let log = format!("{artifacts}/log");
    for folder in [&found, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {folder}"))?;
    }
    let program = cargo_fuzz("run")
        .env(TARGET, target)
        .args(features)
        .args(&[PROGRAM, &found, &format!("{CORPORA}/{target}"), "--"])
        .args(&[&format!("-artifact_prefix={artifacts}/")])
        .args(&[&format!("-max_total_time={seconds}"), INPUT_TIMEOUT])
        .args(&["-print_final_stats=1"]);
    let passed = program.run_into(Path::new(&log))?;
    let text = fs::read_to_string(&log).with_context(|| format!("cannot read {log}"))?;
    output::note(&summary(target, &text));
    Ok((!passed).then(|| match artifact(&text) {
        Some(input) => {
            let how = [HOW, features].concat().join(" ");
            format!("{TARGET}={target} cargo fuzz run {how} {PROGRAM} {input}")
        }
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
artifact_prefix='fuzz/libfuzzer/artifacts/ids/'; Test unit written to fuzz/libfuzzer/artifacts/ids/crash-1
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
        assert_eq!(artifact(LOG), Some("fuzz/libfuzzer/artifacts/ids/crash-1"));
        assert_eq!(artifact(""), None);
    }

    #[test]
    fn an_unknown_target_is_named_together_with_the_known_ones() {
        let known = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(choose(known(), &[]).unwrap(), known());
        assert_eq!(choose(vec![LARGE[0].to_owned()], &[]).unwrap(), [""; 0]);
        assert_eq!(choose(known(), &["b".to_owned()]).unwrap(), ["b"]);
        let error = choose(known(), &["c".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no target \"c\"; there are a, b"
        );
    }
}
