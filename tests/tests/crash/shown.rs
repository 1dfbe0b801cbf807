//! What `peer listen` prints over all its lives.
//!
//! It keeps its place after it has written the lines of one `events.next`. So, exactly: what was never
//! printed is printed next, in the order of the journal and without a gap; and after a kill it may
//! begin with lines that were printed already, which are then the last ones that were printed. After
//! an orderly end it prints none again. A line that was cut off by a kill was not printed.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::Path;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use e2e::{Process, Profile};
use serde_json::Value;

use crate::news::text;

/// A `peer listen` and who reads its stdout.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) process: Process,
    lines: JoinHandle<std::io::Result<Vec<String>>>,
}

impl Listener {
    pub(crate) fn start(profile: &Profile, args: &[&str], log: &Path) -> Result<Self> {
        let mut command = profile.command(&[&["-v", "listen"], args].concat())?;
        let mut process = Process::start(&mut command, log)?;
        let mut stdout = process.take_stdout()?;
        let lines = std::thread::spawn(move || {
            let mut lines = Vec::new();
            loop {
                let mut line = Vec::new();
                stdout.read_until(b'\n', &mut line)?;
                if line.pop() != Some(b'\n') {
                    return Ok(lines);
                }
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Ok(Self { process, lines })
    }

    /// What it had printed when it ended, which it has.
    pub(crate) fn printed(self, in_order: bool) -> Result<Life> {
        let lines = self.lines.join().ok().context("the reader panicked")??;
        let ids = lines.iter().map(|line| {
            let message: Value = serde_json::from_str(line).with_context(|| line.clone())?;
            ensure!(message["type"] == "message", "{line}");
            Ok(text(&message["id"]))
        });
        Ok(Life {
            ids: ids.collect::<Result<_>>()?,
            in_order,
        })
    }
}

/// One life of a listener.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// Of the messages that it printed.
    pub(crate) ids: Vec<String>,
    /// Whether it was told to end, and not killed.
    pub(crate) in_order: bool,
}

/// Checks the rule above. `all` is every message that was received, in the order of the journal.
/// Returns how many were printed again.
pub(crate) fn check(lives: &[Life], all: &[String]) -> Result<usize> {
    let places = all.iter().enumerate().map(|(place, id)| (id, place));
    let places: BTreeMap<&String, usize> = places.collect();
    ensure!(places.len() == all.len(), "an event was told twice");
    let (mut printed, mut again) = (0, 0);
    // Where the last life that printed something had begun, and whether it ended in order.
    let mut last: (usize, bool) = (0, true);
    for (number, life) in lives.iter().enumerate() {
        let Some(first) = life.ids.first() else {
            continue;
        };
        let first = *places.get(first).context("printed, but never received")?;
        ensure!(
            first <= printed,
            "life {number} begins at message {first}, but only {printed} were printed before"
        );
        let (begin, in_order) = last;
        ensure!(
            first == printed || (!in_order && first >= begin),
            "life {number} prints from message {first} again, {printed} were printed, the life before \
             began at {begin} and {}",
            if in_order {
                "ended in order"
            } else {
                "was killed"
            }
        );
        let expected = all.get(first..first + life.ids.len());
        ensure!(
            expected == Some(&life.ids[..]),
            "life {number} does not print what was received, from message {first} on"
        );
        again += printed - first;
        printed = printed.max(first + life.ids.len());
        last = (first, life.in_order);
    }
    ensure!(
        printed == all.len(),
        "of {} messages {printed} were printed",
        all.len()
    );
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(lives: &[(&str, bool)]) -> Vec<Life> {
        let life = |&(ids, in_order): &(&str, bool)| Life {
            ids: ids.chars().map(String::from).collect(),
            in_order,
        };
        lives.iter().map(life).collect()
    }

    #[test]
    fn what_was_printed_is_printed_again_only_after_a_kill() {
        let all: Vec<String> = "abcdef".chars().map(String::from).collect();
        let (killed, ended) = (false, true);
        let right = [
            (&[("abcdef", killed)][..], 0),
            (&[("abc", killed), ("", killed), ("bcdef", killed)], 2),
            (&[("abc", ended), ("def", killed)], 0),
            (&[("abc", killed), ("cd", killed), ("cdef", ended)], 3),
        ];
        for (right, again) in right {
            assert_eq!(check(&lives(right), &all).unwrap(), again, "{right:?}");
        }
        let wrong = [
            &[("abcde", killed)][..],
            &[("abc", killed), ("ef", killed)],
            &[("abc", ended), ("cdef", killed)],
            &[("abcedf", killed)],
            &[("ab", killed), ("bcd", killed), ("abcdef", killed)],
            &[("abcdef", ended), ("g", killed)],
        ];
        for wrong in wrong {
            assert!(check(&lives(wrong), &all).is_err(), "{wrong:?}");
        }
    }
}
