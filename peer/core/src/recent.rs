//! Fingerprints of the last contents received, to notice a sender that puts two contents under
//! one seq. Bounded: it is a smoke detector and not a proof.

use alloc::collections::VecDeque;

use tincan_protocol::labels::Label;

/// Contents remembered. Chosen: more than can be in flight, so that every honest retransmission and
/// its original fall inside.
const REMEMBERED: usize = 64 * 256;

#[derive(Debug, Default)]
pub(crate) struct RecentContents {
    /// (seq, first eight bytes of the hash), newest last.
    entries: VecDeque<(u64, u64)>,
}

impl RecentContents {
    pub(crate) fn note(&mut self, seq: u64, content: &[u8]) {
        if self.entries.len() == REMEMBERED {
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
    let hash = Label::Envelope.hash(&[content]);
    hash.iter()
        .take(8)
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}
