//! The reference model: what everybody was told, and what therefore has to be true.
//!
//! [`told`] is what the two sides of a conversation hear while it goes on, [`end`] what their histories show, above
//! all when all has come to rest, [`tests`] shows each check failing. The numbers in the messages of failures are
//! those of the invariants in `ARCHITECTURE.md`.

mod end;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tincan_peer::SendError;
use tincan_peer::simulation::{ConversationNo, JournalEvent, Node};
use tincan_protocol::{EnvelopeId, IdentityId, MsgId};
use tokio::sync::oneshot;

use end::own_ids;
use told::Told;

use crate::tally::Tally;
use crate::witness::{Witness, message_id};

/// What every text begins with, and what must not be found in any frame or on any disk.
pub(crate) const CANARY: &str = "canary-";

type Answer = Result<Vec<MsgId>, SendError>;

/// A conversation as one of the two has it.
type Side = (usize, ConversationNo);

#[derive(Debug)]
pub(crate) struct Model {
    witness: Witness,
    identities: Vec<IdentityId>,
    texts: BTreeMap<MsgId, Text>,
    /// Sends without an answer yet.
    open: Vec<(usize, MsgId, oneshot::Receiver<Answer>)>,
    /// Contents that have left their device.
    left: BTreeMap<(Side, u64), [u8; 32]>,
    /// By which name relays know a message that has left.
    names: BTreeMap<EnvelopeId, EnvelopeId>,
    /// Contents that a relay or the other side has called durable there.
    stored: BTreeSet<[u8; 32]>,
    told: BTreeMap<Side, Told>,
    /// Who was told that their request is on its way, and to whom.
    friends: BTreeSet<(usize, usize)>,
    /// Where each peer's journal ends.
    journal: Vec<u64>,
    /// Claims of each peer that its next process must be able to keep.
    claims: Vec<Claims>,
    /// Conversations of each peer that have been durable once.
    durable: Vec<BTreeSet<ConversationNo>>,
}

#[derive(Debug)]
struct Text {
    from: usize,
    to: usize,
    text: String,
    /// It was sent while the request to become contacts had no answer yet.
    to_asked: bool,
    /// The sender's user was told that it is durable.
    is_acked: bool,
}

/// What a peer has claimed since its last process began.
#[derive(Debug, Default)]
struct Claims {
    /// Messages of the other side that it has called stored.
    stored: BTreeSet<(ConversationNo, u64)>,
    /// Own contents that have left.
    left: BTreeSet<(ConversationNo, u64)>,
    /// Own texts that were called durable.
    acked: BTreeSet<MsgId>,
    /// What others were told that it has.
    delivered: BTreeSet<(IdentityId, u64)>,
}

/// Whether the other side of a conversation has a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    No,
    Yes(usize),
    /// It is dead: its next process can be asked.
    Ask(usize),
    /// Nothing is known of the conversation there.
    Unknown,
}

/// A message that has waited so long is given up, milliseconds.
const EXPIRY_MS: u64 = 14 * 24 * 3600 * 1000;

impl Model {
    pub(crate) fn new(witness: Witness, identities: Vec<IdentityId>) -> Self {
        let peers = identities.len();
        Self {
            witness,
            identities,
            texts: BTreeMap::new(),
            open: Vec::new(),
            left: BTreeMap::new(),
            names: BTreeMap::new(),
            stored: BTreeSet::new(),
            told: BTreeMap::new(),
            friends: BTreeSet::new(),
            journal: vec![0; peers],
            claims: (0..peers).map(|_| Claims::default()).collect(),
            durable: vec![BTreeSet::new(); peers],
        }
    }

    /// What users have met.
    pub(crate) fn count(&self, tally: &mut Tally) {
        tally.texts = self.texts.len() as u64;
        tally.friends = self.friends.len() as u64;
        self.told.values().for_each(|told| told.count(tally));
    }

    /// A user sends a text. `to_asked`: to somebody who has not answered their request yet.
    pub(crate) fn sends(
        &mut self,
        (from, to): (usize, usize),
        to_asked: bool,
        (id, text): (MsgId, String),
        answer: oneshot::Receiver<Answer>,
    ) {
        let is_acked = false;
        let text = Text {
            from,
            to,
            text,
            to_asked,
            is_acked,
        };
        self.texts.insert(id, text);
        self.open.push((from, id, answer));
    }

    /// Callers look at their answers.
    pub(crate) fn hear_answers(&mut self) {
        let Self {
            open,
            texts,
            claims,
            ..
        } = self;
        open.retain_mut(|(from, id, answer)| match answer.try_recv() {
            Ok(Ok(_)) => {
                texts.get_mut(id).unwrap().is_acked = true;
                claims[*from].acked.insert(*id);
                false
            }
            // A request that is refused takes its contact away, if nothing was said to them yet.
            Ok(Err(SendError::UnknownContact)) => {
                let refused = &texts[id];
                let said = |text: &Text| {
                    text.is_acked && (text.from, text.to) == (refused.from, refused.to)
                };
                assert!(
                    refused.to_asked && !texts.values().any(said),
                    "4: {from} has lost a contact"
                );
                false
            }
            Ok(Err(error)) => panic!("a send is refused: {error}"),
            Err(oneshot::error::TryRecvError::Empty) => true,
            // Nobody knows what became of it.
            Err(oneshot::error::TryRecvError::Closed) => false,
        });
    }

    /// A guest was told that their request is on its way.
    pub(crate) fn befriend(&mut self, guest: usize, host: usize) {
        self.friends.insert((guest, host));
    }

    /// An envelope leaves its device, whose disk was synced so often then.
    pub(crate) fn leaves(&mut self, peer: usize, no: ConversationNo, envelope: &Bytes, syncs: u64) {
        let id = message_id(envelope.clone()).expect("an envelope");
        self.names.insert(EnvelopeId::of(envelope), id);
        // Sealed in an earlier world: what it holds is not known.
        let Some(sealed) = self.witness.sealed(&id) else {
            return;
        };
        assert_eq!(sealed.by, peer, "somebody else's envelope");
        assert!(
            sealed.syncs < syncs,
            "1: an envelope leaves peer {peer} before it is durable"
        );
        for inside in sealed.inside {
            let known = self.left.insert(((peer, no), inside.seq), inside.hash);
            assert!(
                known.is_none_or(|hash| hash == inside.hash),
                "7: peer {peer} gives seq {} to two contents",
                inside.seq
            );
            self.claims[peer].left.insert((no, inside.seq));
        }
    }

    /// A peer calls an envelope of the other side stored.
    pub(crate) fn stores(
        &mut self,
        (peer, node): (usize, &Node),
        (no, with): (ConversationNo, IdentityId),
        id: EnvelopeId,
        syncs: u64,
    ) {
        // What it could not open it has asked for again.
        let Some(opened) = self.witness.opened(peer, id) else {
            return;
        };
        let Some(sealed) = self.witness.sealed(&id) else {
            return;
        };
        if self.identities[sealed.by] != with {
            return;
        }
        assert!(
            opened < syncs,
            "2: peer {peer} calls an envelope stored before it is durable"
        );
        for inside in sealed.inside {
            let seq = inside.seq;
            assert!(
                node.has_received(no, seq),
                "2: peer {peer} calls {seq} stored and does not have it"
            );
            self.claims[peer].stored.insert((no, seq));
            self.stored.insert(inside.hash);
        }
    }

    /// A relay calls an envelope deposited.
    pub(crate) fn deposited(&mut self, id: &EnvelopeId) {
        let sealed = self.names.get(id).and_then(|id| self.witness.sealed(id));
        let inside = sealed.into_iter().flat_map(|sealed| sealed.inside);
        self.stored.extend(inside.map(|inside| inside.hash));
    }

    /// A peer publishes a key package.
    pub(crate) fn publishes(&self, peer: usize, package: &[u8], syncs: u64) {
        // Made in an earlier world: it was durable there.
        let made = self.witness.made(package);
        assert!(
            made.is_none_or(|made| made < syncs),
            "1: a key package leaves peer {peer} before its secrets are durable"
        );
    }

    /// The next process of a peer must have a message of another one.
    fn must_keep(&mut self, peer: usize, of: usize, seq: u64) {
        let of = self.identities[of];
        self.claims[peer].delivered.insert((of, seq));
    }

    /// Who calls a message sent may die for ever.
    fn is_sent(&mut self, side: Side, seq: u64, has: There) {
        let left = self.left.get(&(side, seq));
        if left.is_some_and(|hash| self.stored.contains(hash)) {
            return;
        }
        match has {
            There::Yes(other) | There::Ask(other) => self.must_keep(other, side.0, seq),
            // Sent in an earlier world.
            There::Unknown if left.is_none() => {}
            There::No | There::Unknown => {
                panic!("2: {seq} of {side:?} is called sent and nobody has it")
            }
        }
    }

    /// A peer's journal has grown. `longest_ms`: how long anything can have taken by its clock. `has`:
    /// whether the other side of a conversation has a message.
    pub(crate) fn journal(
        &mut self,
        peer: usize,
        (end, events): (u64, &[JournalEvent]),
        longest_ms: u64,
        has: impl Fn(ConversationNo, u64) -> There,
    ) {
        assert!(
            end >= self.journal[peer],
            "1: the journal of peer {peer} ends at {end}, it was at {}",
            self.journal[peer]
        );
        self.journal[peer] = end;
        for event in events {
            match event {
                JournalEvent::Received { no, messages } => {
                    for &(_, seq) in messages {
                        self.told.entry((peer, *no)).or_default().shows(seq);
                    }
                }
                JournalEvent::Gap { no, first, last } => {
                    let told = self.told.entry((peer, *no)).or_default();
                    told.misses(*first, *last);
                }
                JournalEvent::State {
                    no,
                    first,
                    last,
                    state,
                    ..
                } => {
                    for seq in *first..=*last {
                        if matches!(state.as_str(), "delivered" | "read") {
                            match has(*no, seq) {
                                There::No => panic!("8: {seq} of peer {peer} is not there"),
                                There::Yes(other) | There::Ask(other) => {
                                    self.must_keep(other, peer, seq)
                                }
                                There::Unknown => {}
                            }
                        }
                        if state == "sent" {
                            self.is_sent((peer, *no), seq, has(*no, seq));
                        }
                        assert!(
                            state != "failed" || longest_ms >= EXPIRY_MS,
                            "4: peer {peer} gives {seq} up after {longest_ms} ms"
                        );
                        let told = self.told.entry((peer, *no)).or_default();
                        told.comes_to(seq, state);
                    }
                }
                _ => {}
            }
        }
    }

    pub(crate) fn journal_end(&self, peer: usize) -> u64 {
        self.journal[peer]
    }

    /// A peer has these conversations, and all that is written is durable.
    pub(crate) fn has(&mut self, peer: usize, conversations: &[ConversationNo]) {
        self.durable[peer].extend(conversations);
    }

    /// A new process of a peer has begun: what the old one has said must hold.
    pub(crate) fn begins(&mut self, peer: usize, node: &Node) {
        self.hear_answers();
        let mut claims = std::mem::take(&mut self.claims[peer]);
        // One that was durable, and is gone, was forgotten, with all that was said in it.
        let there = node.conversations().into_iter().map(|view| view.no);
        let there: BTreeSet<ConversationNo> = there.collect();
        let durable = &self.durable[peer];
        for claimed in [&mut claims.stored, &mut claims.left] {
            claimed.retain(|(no, _)| !durable.contains(no) || there.contains(no));
        }
        for (no, seq) in claims.stored {
            assert!(
                node.has_received(no, seq),
                "2: peer {peer} has called {seq} stored and lost it"
            );
        }
        for &(no, seq) in &claims.left {
            let there = node.sent_ids(no, seq, seq).unwrap();
            assert!(
                !there.is_empty(),
                "1: seq {seq} has left peer {peer} before it was durable"
            );
        }
        for view in node.conversations() {
            for (_, seq) in claims.delivered.iter().filter(|(of, _)| *of == view.with) {
                assert!(
                    node.has_received(view.no, *seq),
                    "8: {seq} is called delivered to peer {peer}, and is not there"
                );
            }
        }
        let conversations = self.conversations(node);
        self.check_histories(peer, &conversations);
        let there = own_ids(&conversations);
        for id in claims.acked {
            assert!(
                there.contains(&id),
                "peer {peer} has lost {:?}, which it had called durable",
                self.texts[&id].text
            );
        }
    }
}
