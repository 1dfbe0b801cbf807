//! Replays every corpus, one test for each target, and holds corpora, targets and seeds against
//! each other.
//!
//! Seeds are made anew by `cargo test -p tincan-fuzz --test corpus -- --ignored`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failed test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tincan_fuzz::seeds::PREFIX;
use tincan_fuzz::{TARGETS, for_each_target};

/// All corpora together, bytes: they are cloned with every copy of the repository.
const CORPUS_MAX: u64 = 2 * 1024 * 1024;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).collect()
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let folder = folder().join(name);
    let files = names(&folder);
    assert!(!files.is_empty(), "{name} has no corpus");
    for file in files {
        let path = folder.join(file);
        let bytes = fs::read(&path).unwrap();
        // The captured output of a failing test then ends with the file to blame.
        eprintln!("{}", path.display());
        (target.run)(&bytes);
    }
}

macro_rules! replays {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*
    };
}

/// One test for each target, called after it.
mod the_corpus_replays {
    use super::{for_each_target, replay};

    for_each_target!(replays);
}

fn targets() -> BTreeSet<String> {
    TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect()
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    assert_eq!(names(&folder()), targets());
}

#[test]
fn the_seeds_are_those_that_the_encoders_make() {
    for target in TARGETS {
        let folder = folder().join(target.name);
        let mut files = names(&folder);
        files.retain(|name| name.starts_with(PREFIX));
        for seed in (target.seeds)() {
            let name = format!("{PREFIX}{}", seed.name);
            assert!(files.remove(&name), "{}/{name} is missing", target.name);
            let bytes = fs::read(folder.join(&name)).unwrap();
            assert_eq!(bytes, seed.bytes, "{}/{name}", target.name);
        }
        assert!(files.is_empty(), "{}: nobody makes {files:?}", target.name);
    }
}

#[test]
#[ignore = "writes the seeds' files anew, for when a format or a seed has changed"]
fn write_the_seeds() {
    for target in TARGETS {
        let folder = folder().join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for file in names(&folder)
            .into_iter()
            .filter(|name| name.starts_with(PREFIX))
        {
            fs::remove_file(folder.join(file)).unwrap();
        }
        for seed in (target.seeds)() {
            fs::write(folder.join(format!("{PREFIX}{}", seed.name)), seed.bytes).unwrap();
        }
    }
}

#[test]
fn the_corpora_stay_small() {
    let files = targets().into_iter().flat_map(|name| {
        let folder = folder().join(name);
        names(&folder)
            .into_iter()
            .map(move |file| folder.join(file))
    });
    let bytes: u64 = files.map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes <= CORPUS_MAX, "{bytes} bytes");
}
