//! What callers of `send` asked for and were told, kept outside of the processes that die.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

/// How a call of `send` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It returned: they must arrive.
    Answered,
    /// The process said after the kill that it has them: they must arrive.
    Stored,
    /// The process said after the kill that it does not have them: they must not arrive.
    Absent,
    /// Nobody said anything: they may arrive, all of them or none.
    Unknown,
}

impl Outcome {
    /// Whether somebody was told that they are stored.
    pub(crate) const fn is_confirmed(self) -> bool {
        matches!(self, Self::Answered | Self::Stored)
    }
}

/// A text with its id.
pub(crate) type Sent = (String, String);

/// One call of `send`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The texts, which are stored together or not at all, with the ids that the caller gave them.
    pub(crate) messages: Vec<Sent>,
    pub(crate) outcome: Outcome,
}

/// All calls in one direction, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
}

impl Ledger {
    /// Messages that must arrive.
    pub(crate) fn confirmed(&self) -> impl Iterator<Item = &Sent> {
        let confirmed = self
            .entries
            .iter()
            .filter(|entry| entry.outcome.is_confirmed());
        confirmed.flat_map(|entry| &entry.messages)
    }

    /// How many calls ended so.
    pub(crate) fn calls(&self, outcome: Outcome) -> usize {
        let entries = self.entries.iter();
        entries.filter(|entry| entry.outcome == outcome).count()
    }

    /// Compares it with what is somewhere: every confirmed call whole and once, an absent one not at all,
    /// every other one whole and once or not at all, in the order of the calls, and nothing else.
    pub(crate) fn check(&self, there: &[Sent]) -> Result<()> {
        let mut rest = there;
        for (number, entry) in self.entries.iter().enumerate() {
            match (rest.strip_prefix(&entry.messages[..]), entry.outcome) {
                (Some(_), Outcome::Absent) => bail!(
                    "call {number} was said to be not stored, but it is there: {}",
                    short(entry.messages.first())
                ),
                (Some(after), _) => rest = after,
                (None, outcome) if outcome.is_confirmed() => bail!(
                    "call {number} was confirmed, but instead of {} messages from {} there is {}",
                    entry.messages.len(),
                    short(entry.messages.first()),
                    short(rest.first())
                ),
                (None, _) => {}
            }
        }
        ensure!(
            rest.is_empty(),
            "{} messages too many, the first {}",
            rest.len(),
            short(rest.first())
        );
        Ok(())
    }

    /// What was confirmed and is not among these.
    pub(crate) fn missing<'a>(&'a self, there: &BTreeSet<&str>) -> Vec<&'a Sent> {
        self.confirmed()
            .filter(|(id, _)| !there.contains(id.as_str()))
            .collect()
    }
}

/// The beginning of a text, with its id: enough to find it in a log.
pub(crate) fn short(message: Option<&Sent>) -> String {
    match message {
        Some((id, text)) => {
            let begin: String = text.chars().take(40).collect();
            format!("{begin:?} ({} bytes, {id})", text.len())
        }
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(ids: &[&str], outcome: Outcome) -> Entry {
        Entry {
            messages: sent(ids),
            outcome,
        }
    }

    fn sent(ids: &[&str]) -> Vec<Sent> {
        ids.iter()
            .map(|id| ((*id).to_owned(), format!("text {id}")))
            .collect()
    }

    #[test]
    fn a_difference_is_found_whatever_it_is() {
        let ledger = Ledger {
            entries: vec![
                call(&["1"], Outcome::Answered),
                call(&["2", "3"], Outcome::Unknown),
                call(&["4"], Outcome::Absent),
                call(&["5"], Outcome::Stored),
            ],
        };
        let check = |ids: &[&str]| ledger.check(&sent(ids));
        for right in [&["1", "5"][..], &["1", "2", "3", "5"]] {
            check(right).unwrap();
        }
        let wrong: [(&[&str], &str); 7] = [
            (&["1"], "confirmed"),
            (&["5", "1"], "confirmed"),
            (&["1", "1", "5"], "confirmed"),
            (&["1", "5", "5"], "too many"),
            (&["1", "2", "5"], "confirmed"),
            (&["1", "4", "5"], "not stored"),
            (&["1", "5", "6"], "too many"),
        ];
        for (ids, reason) in wrong {
            let error = check(ids).unwrap_err().to_string();
            assert!(error.contains(reason), "{ids:?}: {error}");
        }
        let mut other = sent(&["1", "5"]);
        other[1].1.push(' ');
        assert!(ledger.check(&other).is_err(), "another text");
    }
}
