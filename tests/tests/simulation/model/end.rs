//! What histories show: when a process begins, that each message is there once, in order and as it was written;
//! at the end, when everything has come to rest, that what one has sent is what the other one has.
//!
//! Owns invariants 3, 4 and 5 as histories show them.

use std::collections::{BTreeMap, BTreeSet};

use tincan_peer::simulation::{ConversationNo, HistoryEntry, Node};
use tincan_protocol::content::Body;
use tincan_protocol::{IdentityId, MsgId};

use super::{CANARY, Model};

/// What a peer has, by the other side.
pub(super) type Conversations = BTreeMap<usize, Conversation>;

impl Model {
    /// Compares what all have.
    pub(crate) fn complete(&self, nodes: &[&Node]) {
        let all: Vec<Conversations> = nodes.iter().map(|node| self.conversations(node)).collect();
        self.check_requests(&all);
        for (from, conversations) in all.iter().enumerate() {
            self.check_histories(from, conversations);
            self.check_acked(from, conversations);
            for (&to, conversation) in conversations {
                let back = all[to].get(&from);
                self.compare((from, conversation), (to, back));
            }
        }
    }

    /// Who was told that their request is on its way is known to the other side, which was shown it.
    pub(super) fn check_requests(&self, all: &[Conversations]) {
        for (guest, host) in &self.friends {
            let met = all[*guest].contains_key(host) && all[*host].contains_key(guest);
            assert!(
                met,
                "4: {guest} was told that their request is on its way to {host}"
            );
            let history = &all[*host][guest].history;
            assert!(
                history.iter().any(is_request),
                "4: {host} was not shown what {guest} wrote in their request"
            );
        }
    }

    /// What a user was told to be durable is there.
    pub(super) fn check_acked(&self, from: usize, conversations: &Conversations) {
        let there = own_ids(conversations);
        let texts = self.texts.iter();
        let acked = texts.filter(|(_, text)| text.from == from && text.is_acked);
        for (id, text) in acked {
            assert!(there.contains(id), "lost at its sender: {:?}", text.text);
        }
    }

    /// Everything that a peer has.
    pub(super) fn conversations(&self, node: &Node) -> Conversations {
        let all = node.conversations().into_iter().map(|view| {
            let conversation = Conversation {
                no: view.no,
                history: node.history(view.no).unwrap(),
            };
            (self.peer(&view.with), conversation)
        });
        all.collect()
    }

    /// What must be true of what a peer has, whatever others have.
    pub(super) fn check_histories(&self, peer: usize, conversations: &Conversations) {
        for (&with, conversation) in conversations {
            let all = conversation.history.iter();
            let (ours, theirs): (Vec<_>, Vec<_>) = all.partition(|one| one.is_ours);
            self.check_said(peer, (peer, with), &ours);
            self.check_said(peer, (with, peer), &theirs);
        }
    }

    /// What one has said to another one, as a peer has it: each message once, in order, as it was written, and
    /// to nobody else.
    fn check_said(&self, peer: usize, (from, to): (usize, usize), said: &[&HistoryEntry]) {
        let ids: BTreeSet<_> = said.iter().map(|one| id(one)).collect();
        let seqs: BTreeSet<_> = said.iter().map(|one| one.content.seq).collect();
        assert!(
            ids.len() == said.len() && seqs.len() == said.len(),
            "3: {peer} has something of {from} twice"
        );
        assert!(
            said.is_sorted_by_key(|one| one.content.seq),
            "5: {from} to {to}: out of order"
        );
        for one in said {
            let (Some(known), Body::Text(said)) = (self.texts.get(&id(one)), &one.content.body)
            else {
                continue;
            };
            let text = &said.text;
            assert_eq!(
                (known.from, known.to),
                (from, to),
                "read by somebody else: {peer} has {text:?} as {from} to {to}"
            );
            assert_eq!(
                &known.text, text,
                "another text: {peer} has it as {from} to {to}"
            );
        }
    }

    /// What one has sent is what the other one has.
    pub(super) fn compare(
        &self,
        (from, sender): (usize, &Conversation),
        (to, receiver): (usize, Option<&Conversation>),
    ) {
        let failed = self.told.get(&(from, sender.no)).map(|told| &told.failed);
        let ours = sender.history.iter().filter(|one| one.is_ours);
        let sent: Vec<_> = ours.map(parts).collect();
        let theirs = receiver.iter().flat_map(|receiver| &receiver.history);
        let got: Vec<_> = theirs.filter(|one| !one.is_ours).map(parts).collect();
        let ids: BTreeSet<_> = got.iter().map(|one| one.1).collect();
        let missing = sent.iter().filter(|one| !ids.contains(&one.1));
        let told = receiver.and_then(|receiver| self.told.get(&(to, receiver.no)));
        if let Some(told) = told {
            let silent = missing.clone().find(|(seq, _, text)| {
                text.is_some() && *seq < told.shown_up_to && !told.gaps.contains(*seq)
            });
            assert!(
                silent.is_none(),
                "5: {to} was not told that {silent:?} is missing"
            );
        }
        let missing: Vec<_> = missing
            .filter(|one| failed.is_none_or(|failed| !failed.contains(one.0)))
            .collect();
        assert!(missing.is_empty(), "4: {to} lacks of {from}: {missing:?}");
        let sent: BTreeMap<_, _> = sent.iter().map(|one| (one.1, one)).collect();
        for one in &got {
            assert_eq!(
                sent.get(&one.1),
                Some(&one),
                "{to} has what {from} did not send"
            );
        }
    }

    fn peer(&self, identity: &IdentityId) -> usize {
        let found = self.identities.iter().position(|one| one == identity);
        found.expect("somebody of this world")
    }
}

/// What one side has of a conversation.
pub(super) struct Conversation {
    pub(super) no: ConversationNo,
    pub(super) history: Vec<HistoryEntry>,
}

/// What a peer has sent, or is about to.
pub(super) fn own_ids(conversations: &Conversations) -> BTreeSet<MsgId> {
    let all = conversations.values().flat_map(|one| &one.history);
    all.filter(|one| one.is_ours).map(id).collect()
}

fn is_request(entry: &HistoryEntry) -> bool {
    matches!(&entry.content.body, Body::Text(text) if text.text == format!("{CANARY}request"))
}

fn parts(entry: &HistoryEntry) -> (u64, MsgId, Option<String>) {
    let text = match &entry.content.body {
        Body::Text(text) => Some(text.text.clone()),
        _ => None,
    };
    (entry.content.seq, entry.content.msg_id, text)
}

fn id(entry: &HistoryEntry) -> MsgId {
    entry.content.msg_id
}
