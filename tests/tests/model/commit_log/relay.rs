//! The relay's side: the log.

use super::rule::Rule;

/// Names a commit, as the id of its envelope does: no two are the same.
pub(super) type Commit = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Reply {
    Appended { index: u8 },
    Conflict { last_index: u8 },
}

/// Entries, the first at index 1: each commit and the epoch it was built for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Log(pub(super) Vec<(Commit, u8)>);

impl Log {
    pub(super) fn append(
        &mut self,
        commit: Commit,
        epoch: u8,
        after_index: u8,
        without: Option<Rule>,
    ) -> Reply {
        let last_index = self.0.len() as u8;
        let known = self.0.iter().position(|entry| entry.0 == commit);
        if known.is_some() && without == Some(Rule::OneIndexEach) {
            self.0.push((commit, epoch));
            let index = last_index + 1;
            return Reply::Appended { index };
        }
        if let Some(known) = known.filter(|_| without != Some(Rule::Idempotent)) {
            let index = known as u8 + 1;
            return if after_index + 1 == index {
                Reply::Appended { index }
            } else {
                Reply::Conflict { last_index }
            };
        }
        if after_index != last_index && without != Some(Rule::Compare) {
            return Reply::Conflict { last_index };
        }
        self.0.push((commit, epoch));
        Reply::Appended {
            index: last_index + 1,
        }
    }
}
