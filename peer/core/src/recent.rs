//! Fingerprints of the last contents received, to notice a sender that puts two contents under
//! one seq. Bounded: it is a smoke detector and not a proof.

use alloc::collections::VecDeque;

use tincan_protocol::labels::Label;

use crate::config::RECENT_CONTENTS;

#[derive(Debug, Default)]
pub(crate) struct RecentContents {
    /// (seq, first eight bytes of the hash), newest last.
    entries: VecDeque<(u64, u64)>,
}

impl RecentContents {
    pub(crate) fn note(&mut self, seq: u64, content: &[u8]) {
        if self.entries.len() == RECENT_CONTENTS {
            self.entries.pop_front();
        }
        self.entries.push_back((seq, fingerprint(content)));
    }

    /// Whether another content than this one is remembered under `seq`.
    pub(crate) fn contradicts(&self, seq: u64, content: &[u8]) -> bool {
        let known = self.entries.iter().rev().find(|entry| entry.0 == seq);
        known.is_some_and(|entry| entry.1 != fingerprint(content))
    }
}

fn fingerprint(content: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = Label::Envelope.hash(&[content]);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_contents_under_one_seq_are_noticed_as_long_as_the_first_is_remembered() {
        let mut recent = RecentContents::default();
        assert!(!recent.contradicts(1, b"one"));
        recent.note(1, b"one");
        assert!(!recent.contradicts(1, b"one") && recent.contradicts(1, b"other"));
        assert!(!recent.contradicts(2, b"other"));
        for seq in 2..=RECENT_CONTENTS as u64 {
            recent.note(seq, b"more");
        }
        assert!(recent.contradicts(1, b"other"), "as many as fit");
        recent.note(0, b"one more");
        assert!(!recent.contradicts(1, b"other"));
        assert_eq!(recent.entries.len(), RECENT_CONTENTS);
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_hash() {
        let hash = Label::Envelope.hash(&[b"content"]);
        let beginning = hash.first_chunk::<8>().copied().unwrap();
        assert_eq!(fingerprint(b"content"), u64::from_be_bytes(beginning));
    }
}
