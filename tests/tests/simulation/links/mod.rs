//! Direct links: real signed offers and answers, checked as a real link checks them, and a transport
//! that delays, dies, goes silent, and (in schedules that want it) loses, repeats and swaps frames.
//!
//! Owns invariants 10 (both ends of a link that is made are compared) and 14, and 9 for what is in flight.

mod statement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tincan_link::{CONNECT_TIMEOUT, DownReason, LinkEvent, PATH_LOST_AFTER};
use tincan_peer::simulation::{ConversationNo, Input, LinkStart, LinkStarted};
use tincan_protocol::EnvelopeId;
use tincan_protocol::link::{
    Expected, LinkSignal, SeenSessions, SignedDescription, Statement, verify,
};
use tincan_protocol::wire::{Frame as _, GroupState, Hello, PeerFrame, peer_frame};

use statement::{Party, sdp, statement};

use crate::around::Around;

/// Frames that a real link has room for (`peer/src/net/link.rs`). The session's window is smaller, but what
/// the relay has taken leaves it, whatever the link does.
const FRAMES: usize = 512;

/// A peer and the number of its attempt.
pub(crate) type EndId = (usize, u64);

#[derive(Debug, Default)]
pub(crate) struct Links {
    ends: BTreeMap<EndId, End>,
}

#[derive(Debug)]
struct End {
    no: ConversationNo,
    offer: Statement,
    groups: Vec<GroupState>,
    expected: Parties,
    state: State,
    /// On their way to this end.
    items: VecDeque<Item>,
    /// Envelopes put on it without an answer.
    in_flight: BTreeSet<EnvelopeId>,
}

/// Who an answer must come from and be for.
#[derive(Clone, Copy, Debug)]
struct Parties {
    me: Party,
    from: Party,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting {
        until: Duration,
        offering: bool,
    },
    /// `told`: its driver knows it.
    Up {
        mate: EndId,
        told: bool,
    },
    /// Nothing gets through any more, and nobody knows.
    Silent {
        until: Duration,
    },
}

#[derive(Clone, Debug)]
enum Item {
    Up(Hello, bool),
    Frame(Bytes),
    Down(DownReason),
}

impl Links {
    /// A peer starts a link. Returns what its driver hears at once.
    pub(crate) fn start(
        &mut self,
        id: EndId,
        no: ConversationNo,
        start: LinkStart,
        around: &Around,
        now: Duration,
    ) -> Vec<Input> {
        let parties = &start.parties;
        let me = (parties.identity, parties.key.device());
        let offer = start.offer.map(|offer| offer.statement);
        let statement = statement(me, parties.remote, offer.as_ref(), around);
        let sdp = sdp();
        let description = SignedDescription::sign(&statement, sdp, &parties.cert, &parties.key);
        let offering = offer.is_none();
        let signal = if offering {
            LinkSignal::Offer(description)
        } else {
            LinkSignal::Answer(description)
        };
        let end = End {
            no,
            offer: offer.unwrap_or(statement),
            groups: start.groups,
            expected: Parties {
                me,
                from: parties.remote,
            },
            state: State::Waiting {
                until: now + CONNECT_TIMEOUT,
                offering,
            },
            items: VecDeque::new(),
            in_flight: BTreeSet::new(),
        };
        self.ends.insert(id, end);
        let started = LinkStarted {
            attempt: id.1,
            result: Ok(around.link_end(id.1)),
        };
        vec![
            Input::LinkStarted(no, started),
            Input::Link(no, id.1, LinkEvent::Signal(signal)),
        ]
    }

    /// A signal that the driver hands to its link. An answer that holds brings the link up, if the
    /// other end lives and `open` says that there is a path.
    pub(crate) fn handle_signal(
        &mut self,
        id: EndId,
        signal: &LinkSignal,
        now_ms: u64,
        relayed: bool,
        open: impl Fn(usize, usize) -> bool,
    ) {
        let (Some(end), LinkSignal::Answer(answer)) = (self.ends.get(&id), signal) else {
            return;
        };
        if !matches!(end.state, State::Waiting { offering: true, .. }) {
            return;
        }
        let expected = Expected {
            me: end.expected.me,
            from: end.expected.from,
            now_ms,
            offer: Some(&end.offer),
        };
        let verified = verify(answer, &expected, &mut SeenSessions::default());
        let session = end.offer.session;
        if verified.is_err() {
            return self.down(id, DownReason::ConnectTimeout);
        }
        let mates = self.ends.iter().filter(|(other, mate)| {
            let waits = matches!(
                mate.state,
                State::Waiting {
                    offering: false,
                    ..
                }
            );
            other.0 != id.0 && mate.offer.session == session && waits
        });
        let mate = mates.map(|(&mate, _)| mate).next();
        if let Some(mate) = mate.filter(|mate| open(id.0, mate.0)) {
            self.pair(id, mate, relayed);
        }
    }

    fn pair(&mut self, id: EndId, mate: EndId, relayed: bool) {
        check_groups(&self.ends[&id].groups, &self.ends[&mate].groups);
        self.connect(id, mate, relayed);
        self.connect(mate, id, relayed);
    }

    fn connect(&mut self, id: EndId, mate: EndId, relayed: bool) {
        let groups = self.ends[&mate].groups.clone();
        let hello = Hello {
            groups,
            ..Hello::default()
        };
        let end = self.ends.get_mut(&id).unwrap();
        end.state = State::Up { mate, told: false };
        end.items.push_back(Item::Up(hello, relayed));
    }

    /// The driver puts a frame on its link.
    pub(crate) fn send(&mut self, id: EndId, frame: Bytes) {
        let Some(end) = self.ends.get_mut(&id) else {
            return;
        };
        let mate = match end.state {
            State::Up { mate, told: true } => mate,
            State::Silent { .. } => return,
            _ => panic!("14: a frame before the other side's hello"),
        };
        if let Ok(PeerFrame {
            kind: Some(peer_frame::Kind::Put(put)),
        }) = PeerFrame::read(frame.clone())
        {
            end.in_flight.insert(EnvelopeId::of(&put.envelope));
            let in_flight = end.in_flight.len();
            assert!(in_flight <= FRAMES, "9: {in_flight} envelopes in flight");
        }
        if let Some(mate) = self.ends.get_mut(&mate) {
            mate.items.push_back(Item::Frame(frame));
        }
    }

    /// The driver ends its link, after what it has sent.
    pub(crate) fn close(&mut self, id: EndId, reason: &str) {
        let reason = reason.to_owned();
        if let Some(State::Up { mate, .. }) = self.ends.get(&id).map(|end| end.state) {
            let reason = reason.clone();
            self.down(mate, DownReason::ClosedByRemote { reason });
        }
        self.down(id, DownReason::ClosedHere { reason });
    }

    fn down(&mut self, id: EndId, reason: DownReason) {
        if let Some(end) = self.ends.get_mut(&id) {
            end.state = State::Silent {
                until: Duration::MAX,
            };
            end.items.push_back(Item::Down(reason));
        }
    }

    /// Ends to which something is on its way.
    pub(crate) fn ready(&self) -> impl Iterator<Item = EndId> {
        let ready = self.ends.iter().filter(|(_, end)| !end.items.is_empty());
        ready.map(|(&id, _)| id)
    }

    /// The conversation that an end belongs to.
    pub(crate) fn conversation(&self, id: EndId) -> Option<ConversationNo> {
        self.ends.get(&id).map(|end| end.no)
    }

    /// Where what is on its way to an end comes from.
    pub(crate) fn mate(&self, id: EndId) -> Option<EndId> {
        match self.ends.get(&id)?.state {
            State::Up { mate, .. } => Some(mate),
            _ => None,
        }
    }

    /// The next thing arrives.
    pub(crate) fn deliver(&mut self, id: EndId) -> Option<Input> {
        let end = self.ends.get_mut(&id)?;
        let item = end.items.pop_front()?;
        let no = end.no;
        let event = match item {
            Item::Up(hello, relayed) => {
                if let State::Up { told, .. } = &mut end.state {
                    *told = true;
                }
                LinkEvent::Up { hello, relayed }
            }
            Item::Frame(bytes) => {
                let frame = PeerFrame::read(bytes).ok()?;
                end.answered(&frame);
                LinkEvent::Frame(frame)
            }
            Item::Down(reason) => {
                self.ends.remove(&id);
                LinkEvent::Down { reason }
            }
        };
        Some(Input::Link(no, id.1, event))
    }

    /// The path breaks: of what is on its way a part still arrives, at each end another.
    pub(crate) fn cut(&mut self, id: EndId, mut keep: impl FnMut(usize) -> usize) {
        let mate = self.mate(id);
        for id in [Some(id), mate].into_iter().flatten() {
            if let Some(end) = self.ends.get_mut(&id) {
                let kept = keep(end.items.len());
                end.items.truncate(kept);
            }
            self.down(id, DownReason::PathLost);
        }
    }

    /// The path is gone, and it takes both ends a while to find out.
    pub(crate) fn silence(&mut self, id: EndId, now: Duration) {
        self.end_silently(id, now + PATH_LOST_AFTER);
    }

    fn end_silently(&mut self, id: EndId, until: Duration) {
        let mate = self.mate(id);
        for id in [Some(id), mate].into_iter().flatten() {
            if let Some(end) = self.ends.get_mut(&id) {
                end.items.clear();
                end.state = State::Silent { until };
            }
        }
    }

    /// Nothing has got through between two peers for so long that both ends give up.
    pub(crate) fn starve(&mut self, a: usize, b: usize, now: Duration) {
        let between = self.ends.iter().filter(|(id, end)| {
            let mate = match end.state {
                State::Up { mate, .. } => mate,
                _ => return false,
            };
            id.0 == a && mate.0 == b
        });
        let between: Vec<EndId> = between.map(|(&id, _)| id).collect();
        for id in between {
            self.end_silently(id, now);
        }
    }

    /// A process dies: the other ends of its links find out by silence.
    pub(crate) fn forget(&mut self, peer: usize, now: Duration) {
        let own: Vec<EndId> = self
            .ends
            .keys()
            .filter(|id| id.0 == peer)
            .copied()
            .collect();
        for id in own {
            self.silence(id, now);
            self.ends.remove(&id);
        }
    }

    /// Ids of all open ends.
    pub(crate) fn open(&self) -> Vec<EndId> {
        let open = self.ends.iter();
        let open = open.filter(|(_, end)| matches!(end.state, State::Up { .. }));
        open.map(|(&id, _)| id).collect()
    }

    /// What is on its way to an end: lost, repeated, or overtaken by the next one.
    /// False if there was nothing.
    pub(crate) fn disturb(&mut self, id: EndId, at: usize, how: Disturbance) -> bool {
        let Some(end) = self.ends.get_mut(&id) else {
            return false;
        };
        let frames: Vec<usize> = (0..end.items.len())
            .filter(|&n| matches!(end.items[n], Item::Frame(_)))
            .collect();
        let Some(&at) = frames.get(at % frames.len().max(1)) else {
            return false;
        };
        match how {
            Disturbance::Lose => {
                end.items.remove(at);
            }
            Disturbance::Repeat => {
                let again = end.items[at].clone();
                end.items.push_back(again);
            }
            Disturbance::Swap if at + 1 < end.items.len() => end.items.swap(at, at + 1),
            Disturbance::Swap => return false,
            Disturbance::Flip => {
                if let Item::Frame(bytes) = &mut end.items[at] {
                    let mut flipped = bytes.to_vec();
                    let middle = flipped.len() / 2;
                    flipped[middle] ^= 0x10;
                    *bytes = flipped.into();
                }
            }
        }
        true
    }

    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        self.ends.values().filter_map(End::timeout).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        let late: Vec<EndId> = self
            .ends
            .iter()
            .filter(|(_, end)| end.timeout().is_some_and(|at| at <= now))
            .map(|(&id, _)| id)
            .collect();
        for id in late {
            let reason = match self.ends[&id].state {
                State::Waiting { .. } => DownReason::ConnectTimeout,
                _ => DownReason::PathLost,
            };
            self.down(id, reason);
        }
    }
}

/// What befalls a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    Lose,
    Repeat,
    Swap,
    Flip,
}

impl End {
    fn timeout(&self) -> Option<Duration> {
        match self.state {
            State::Waiting { until, .. } | State::Silent { until } => {
                Some(until).filter(|until| *until < Duration::MAX)
            }
            State::Up { .. } => None,
        }
    }

    fn answered(&mut self, frame: &PeerFrame) {
        let ids: Vec<Vec<u8>> = match &frame.kind {
            Some(peer_frame::Kind::Stored(stored)) => stored.env_ids.clone(),
            Some(peer_frame::Kind::Nack(nack)) => vec![nack.env_id.clone()],
            _ => return,
        };
        for id in ids {
            if let Ok(id) = EnvelopeId::try_from(id.as_slice()) {
                self.in_flight.remove(&id);
            }
        }
    }
}

/// Invariant 10, of both ends of a link. The stand-in knows no epochs: each of its groups has one state, so with
/// it this says no more than that both ends have the same group. Real MLS has its own authenticators, and one
/// epoch as well, until there are commits.
fn check_groups(ours: &[GroupState], theirs: &[GroupState]) {
    for ours in ours {
        let same = theirs
            .iter()
            .filter(|theirs| (&theirs.group_id, theirs.epoch) == (&ours.group_id, ours.epoch));
        for theirs in same {
            assert!(
                ours.authenticator == theirs.authenticator,
                "10: a group is forked"
            );
        }
    }
}
