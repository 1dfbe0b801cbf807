//! What has been received of the other device, and the order in which it is shown.
//!
//! A message is durable and acknowledged as soon as it is received; this module only decides when
//! it takes its place in the timeline. In order it does so at once. After a hole it is held until
//! the hole is filled or given up; a hole that is given up becomes a gap, and what fills it later
//! takes the place where it belongs.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::Content;
use tincan_protocol::hlc::Hlc;

use crate::config::{Config, GAPS, HELD_BYTES, HELD_MESSAGES, RECEIVED_RANGES};
use crate::output::{Event, Output, Persist};
use crate::recent::RecentContents;
use crate::snapshot::GapRow;
use crate::time::{Instant, Now};
use crate::vault::{Vault, VaultError};

/// Whether more of the own mailbox may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mailbox {
    #[default]
    Down,
    Reading,
    Drained,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) received: SeqSet,
    pub(crate) next_shown: u64,
    pub(crate) last_place: Hlc,
    pub(crate) gaps: Vec<GapRow>,
    pub(crate) mailbox: Mailbox,
    /// Held seqs, with their bodies as far as they fit into memory.
    held: BTreeMap<u64, Option<Bytes>>,
    held_bytes: usize,
    /// When the first held message began to wait.
    hole_since: Option<Instant>,
    recent: RecentContents,
}

impl Inbox {
    pub(crate) fn new(
        received: SeqSet,
        next_shown: u64,
        last_place: Hlc,
        gaps: Vec<GapRow>,
        held: Vec<u64>,
        now: Instant,
    ) -> Self {
        let hole_since = (!held.is_empty()).then_some(now);
        Self {
            received,
            next_shown,
            last_place,
            gaps,
            mailbox: Mailbox::default(),
            held: held.into_iter().map(|seq| (seq, None)).collect(),
            held_bytes: 0,
            hole_since,
            recent: RecentContents::default(),
        }
    }

    /// Takes a numbered content; what is known already changes nothing. False if there is no room for
    /// it: its envelope must be asked for again.
    pub(crate) fn receive(
        &mut self,
        content: Content,
        bytes: Bytes,
        config: &Config,
        vault: &dyn Vault,
        now: Now,
        out: &mut VecDeque<Output>,
    ) -> Result<bool, VaultError> {
        let seq = content.seq;
        if self.received.contains(seq) && !self.is_skipped(seq) {
            if self.recent.contradicts(seq, &bytes) {
                let what = "put two contents under one sequence number; the first is kept";
                out.push_back(Output::Event(Event::Misbehaved { what }));
            }
            return Ok(true);
        }
        // Too much is held back: the hole before it becomes a gap at once.
        while !self.has_room_for(seq) && self.give_up(config, vault, now, out)? {}
        if !self.has_room_for(seq) {
            return Ok(false);
        }
        self.received.insert(seq);
        self.recent.note(seq, &bytes);
        if seq == self.next_shown {
            self.show(content, bytes, now, out);
            self.release(vault, now, out)?;
        } else if seq < self.next_shown {
            self.fill(content, bytes, now, out);
        } else {
            self.hold(seq, bytes, now.instant, out);
        }
        Ok(true)
    }

    /// The other side never sends these numbers again: nothing waits for them. True if that is news.
    pub(crate) fn skip(
        &mut self,
        first: u64,
        last: u64,
        vault: &dyn Vault,
        now: Now,
        out: &mut VecDeque<Output>,
    ) -> Result<bool, VaultError> {
        if self.received.contains_all(first, last) {
            return Ok(false);
        }
        let mut skipped = SeqSet::default();
        skipped.insert_range(first, last);
        // No honest sender leaves so many holes.
        self.received.union_within(&skipped, RECEIVED_RANGES);
        let next_shown = self.next_shown;
        let hole_since = self.hole_since;
        self.release(vault, now, out)?;
        if self.next_shown == next_shown {
            // The same hole waits on.
            self.hole_since = hole_since;
        }
        Ok(true)
    }

    /// When a hole is given up.
    pub(crate) fn give_up_at(&self, config: &Config) -> Option<Instant> {
        if self.gaps.len() >= GAPS {
            return None;
        }
        self.hole_since
            .map(|since| since.after(self.patience(config)))
    }

    /// Turns a hole that has waited long enough into a gap. True if there was one.
    pub(crate) fn give_up(
        &mut self,
        config: &Config,
        vault: &dyn Vault,
        now: Now,
        out: &mut VecDeque<Output>,
    ) -> Result<bool, VaultError> {
        let overflow = self.held.len() >= HELD_MESSAGES && self.gaps.len() < GAPS;
        if !overflow && self.give_up_at(config).is_none_or(|at| at > now.instant) {
            return Ok(false);
        }
        let Some(&next) = self.held.keys().next() else {
            return Ok(false);
        };
        let place = self.place_of_held(next, vault, now)?;
        let holes = self.received.missing_in(self.next_shown, next - 1);
        let (first, last) = holes
            .first()
            .copied()
            .unwrap_or((self.next_shown, next - 1));
        self.gaps.push(GapRow {
            first,
            last,
            place: place.as_u64(),
            skipped: false,
        });
        out.push_back(Output::Event(Event::Gap { first, last, place }));
        self.next_shown = last + 1;
        self.release(vault, now, out)?;
        Ok(true)
    }

    pub(crate) fn held_len(&self) -> usize {
        self.held.len()
    }

    pub(crate) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Keeps the bodies in memory within their bound. Only between calls, when everything held has
    /// been written.
    pub(crate) fn trim(&mut self) {
        if self.held_bytes <= HELD_BYTES {
            return;
        }
        for body in self.held.values_mut().rev() {
            if let Some(bytes) = body.take() {
                self.held_bytes -= bytes.len();
            }
            if self.held_bytes <= HELD_BYTES / 2 {
                break;
            }
        }
    }

    fn patience(&self, config: &Config) -> Duration {
        match self.mailbox {
            Mailbox::Drained => config.gap_patience,
            Mailbox::Down | Mailbox::Reading => config.gap_limit,
        }
    }

    fn has_room_for(&self, seq: u64) -> bool {
        let extends = self.received.contains(seq - 1) || seq == self.received.cumulative() + 1;
        let ranges_left = extends || self.received.range_count() < RECEIVED_RANGES;
        let held_left = seq <= self.next_shown || self.held.len() < HELD_MESSAGES;
        ranges_left && held_left
    }

    fn show(&mut self, content: Content, bytes: Bytes, now: Now, out: &mut VecDeque<Output>) {
        let (seq, place) = (
            content.seq,
            content.hlc.clamped(now.unix_ms).max(self.last_place),
        );
        self.last_place = place;
        self.next_shown = seq + 1;
        out.push_back(Output::Persist(Persist::Incoming {
            seq,
            place,
            content: bytes,
        }));
        out.push_back(Output::Event(Event::Received {
            content: Box::new(content),
            place,
            late: false,
        }));
    }

    fn hold(&mut self, seq: u64, bytes: Bytes, now: Instant, out: &mut VecDeque<Output>) {
        self.hole_since.get_or_insert(now);
        self.held_bytes += bytes.len();
        self.held.insert(seq, Some(bytes.clone()));
        out.push_back(Output::Persist(Persist::Hold {
            seq,
            content: bytes,
        }));
    }

    /// Shows the held messages that are next.
    fn release(
        &mut self,
        vault: &dyn Vault,
        now: Now,
        out: &mut VecDeque<Output>,
    ) -> Result<(), VaultError> {
        loop {
            let Some(body) = self.held.remove(&self.next_shown) else {
                if self.pass_skipped() {
                    continue;
                }
                break;
            };
            let seq = self.next_shown;
            let bytes = match body {
                Some(bytes) => {
                    self.held_bytes -= bytes.len();
                    bytes
                }
                None => read_held(seq, vault)?,
            };
            let content = decode_held(&bytes)?;
            out.push_back(Output::Persist(Persist::Unhold { seq }));
            self.show(content, bytes, now, out);
        }
        self.hole_since = if self.held.is_empty() {
            None
        } else {
            // Another hole begins to wait now.
            Some(now.instant)
        };
        Ok(())
    }

    /// Goes on behind the numbers that are next and skipped. True if there were some.
    fn pass_skipped(&mut self) -> bool {
        let Some(end) = self.received.run_end(self.next_shown) else {
            return false;
        };
        let held = self.held.keys().next();
        let (first, last) = (self.next_shown, held.map_or(end, |&held| end.min(held - 1)));
        if self.gaps.len() < GAPS {
            self.gaps.push(GapRow {
                first,
                last,
                place: self.last_place.as_u64(),
                skipped: true,
            });
        }
        self.next_shown = last + 1;
        true
    }

    /// Whether a number that counts as received has not come.
    fn is_skipped(&self, seq: u64) -> bool {
        if seq >= self.next_shown {
            return !self.held.contains_key(&seq);
        }
        let mut gaps = self.gaps.iter();
        gaps.any(|gap| gap.first <= seq && seq <= gap.last)
    }

    /// Puts a late message where it belongs.
    fn fill(&mut self, content: Content, bytes: Bytes, now: Now, out: &mut VecDeque<Output>) {
        let seq = content.seq;
        let at = self
            .gaps
            .iter()
            .position(|gap| gap.first <= seq && seq <= gap.last);
        let place = at.map_or(self.last_place, |at| {
            let gap = self.gaps.remove(at);
            let rest = [(gap.first, seq - 1), (seq + 1, gap.last)];
            for (first, last) in rest.into_iter().rev().filter(|(first, last)| first <= last) {
                self.gaps.insert(at, GapRow { first, last, ..gap });
            }
            let place = Hlc::from_u64(gap.place);
            // What was skipped has no neighbours that it must stand between.
            if gap.skipped {
                place.max(content.hlc.clamped(now.unix_ms))
            } else {
                place
            }
        });
        out.push_back(Output::Persist(Persist::Incoming {
            seq,
            place,
            content: bytes,
        }));
        out.push_back(Output::Event(Event::Received {
            content: Box::new(content),
            place,
            late: true,
        }));
    }

    /// The place that a held message will take when it is shown next.
    fn place_of_held(&self, seq: u64, vault: &dyn Vault, now: Now) -> Result<Hlc, VaultError> {
        let bytes = match self.held.get(&seq).and_then(Clone::clone) {
            Some(bytes) => bytes,
            None => read_held(seq, vault)?,
        };
        Ok(decode_held(&bytes)?
            .hlc
            .clamped(now.unix_ms)
            .max(self.last_place))
    }
}

fn read_held(seq: u64, vault: &dyn Vault) -> Result<Bytes, VaultError> {
    let missing = || VaultError(alloc::format!("held message {seq} is not in the store"));
    vault.held(seq)?.ok_or_else(missing)
}

fn decode_held(bytes: &[u8]) -> Result<Content, VaultError> {
    Content::decode_kept(bytes)
        .map_err(|error| VaultError(alloc::format!("held message cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use tincan_protocol::content::Body;
    use tincan_protocol::{EnvelopeId, MsgId};

    use super::*;
    use crate::vault::{OpenError, Opened, OutboxRow};

    const NOW: Now = Now {
        instant: Instant::from_micros(1),
        unix_ms: 1,
    };

    /// Nothing has to be read back.
    struct NoVault;

    impl Vault for NoVault {
        fn seal(&mut self, _: Vec<u8>) -> Result<Bytes, VaultError> {
            unreachable!()
        }
        fn open(&mut self, _: &Bytes) -> Result<Opened, OpenError> {
            unreachable!()
        }
        fn is_seen(&self, _: &EnvelopeId) -> Result<bool, VaultError> {
            unreachable!()
        }
        fn pending(&self, _: u64, _: usize, _: usize) -> Result<Vec<OutboxRow>, VaultError> {
            unreachable!()
        }
        fn find_envelopes(&self, _: &[EnvelopeId]) -> Result<Vec<(u64, u64)>, VaultError> {
            unreachable!()
        }
        fn find_range(&self, _: u64, _: u64, _: usize) -> Result<Vec<(u64, u64)>, VaultError> {
            unreachable!()
        }
        fn sent_contents(&self, _: u64, _: u64) -> Result<Vec<(u64, Bytes)>, VaultError> {
            unreachable!()
        }
        fn created_before(&self, _: u64, _: usize) -> Result<Vec<(u64, u64)>, VaultError> {
            unreachable!()
        }
        fn held(&self, _: u64) -> Result<Option<Bytes>, VaultError> {
            unreachable!()
        }
        fn held_seqs(&self) -> Result<Vec<u64>, VaultError> {
            unreachable!()
        }
    }

    fn empty() -> Inbox {
        let received = SeqSet::default();
        Inbox::new(
            received,
            1,
            Hlc::from_u64(0),
            Vec::new(),
            Vec::new(),
            NOW.instant,
        )
    }

    /// Whether there was room for a message.
    fn receive(inbox: &mut Inbox, seq: u64) -> bool {
        let content = Content {
            msg_id: MsgId::from_u128(seq.into()),
            seq,
            hlc: Hlc::at_ms(1),
            body: Body::text("text"),
        };
        let bytes = content.encode();
        let (config, mut out) = (Config::default(), VecDeque::new());
        inbox
            .receive(content, bytes, &config, &NoVault, NOW, &mut out)
            .unwrap()
    }

    #[test]
    fn what_would_make_one_hole_too_many_has_no_room_and_what_makes_none_always_has() {
        let mut inbox = empty();
        let last = 2 * RECEIVED_RANGES as u64;
        for seq in (2..=last).step_by(2) {
            assert!(receive(&mut inbox, seq), "{seq}");
        }
        assert_eq!(inbox.received.range_count(), RECEIVED_RANGES);
        assert!(!receive(&mut inbox, last + 2), "one more");
        assert!(receive(&mut inbox, last + 1), "behind the last");
        assert!(receive(&mut inbox, 1), "the next one to be shown");
        assert!(receive(&mut inbox, 3), "behind what is received");
        assert!(receive(&mut inbox, last + 3), "there is room again");
    }

    /// What one message takes.
    fn body_len() -> usize {
        let mut inbox = empty();
        receive(&mut inbox, 2);
        inbox.held_bytes()
    }

    #[test]
    fn bodies_that_are_shown_are_held_no_longer() {
        let mut inbox = empty();
        for seq in [3, 4, 6] {
            receive(&mut inbox, seq);
        }
        assert_eq!((inbox.held_len(), inbox.held_bytes()), (3, 3 * body_len()));
        receive(&mut inbox, 1);
        receive(&mut inbox, 2);
        assert_eq!((inbox.held_len(), inbox.held_bytes()), (1, body_len()));
        receive(&mut inbox, 5);
        assert_eq!((inbox.held_len(), inbox.held_bytes()), (0, 0));
    }

    #[test]
    fn what_fills_a_gap_divides_it() {
        let mut inbox = empty();
        receive(&mut inbox, 8);
        let (config, mut out) = (Config::default(), VecDeque::new());
        let later = Now {
            instant: NOW.instant.after(config.gap_limit),
            ..NOW
        };
        let given_up = inbox.give_up(&config, &NoVault, later, &mut out);
        assert_eq!(given_up, Ok(true));
        let gaps = |inbox: &Inbox| -> Vec<(u64, u64)> {
            inbox.gaps.iter().map(|gap| (gap.first, gap.last)).collect()
        };
        assert_eq!(gaps(&inbox), [(1, 7)]);
        for (seq, rest) in [
            (4, &[(1, 3), (5, 7)][..]),
            (7, &[(1, 3), (5, 6)]),
            (5, &[(1, 3), (6, 6)]),
            (6, &[(1, 3)]),
            (2, &[(1, 1), (3, 3)]),
        ] {
            receive(&mut inbox, seq);
            assert_eq!(gaps(&inbox), rest, "{seq}");
        }
        assert_eq!(inbox.next_shown, 9);
    }

    #[test]
    fn when_too_much_is_held_back_only_what_can_be_shown_has_room() {
        let mut inbox = empty();
        inbox.gaps = (0..GAPS as u64).map(|_| GapRow::default()).collect();
        for seq in 2..2 + HELD_MESSAGES as u64 {
            assert!(receive(&mut inbox, seq));
        }
        assert!(!receive(&mut inbox, 2 + HELD_MESSAGES as u64));
        assert_eq!(inbox.next_shown, 1, "no gap more than is allowed");
        assert!(receive(&mut inbox, 1));
        assert_eq!(inbox.held_len(), 0);
    }
}
