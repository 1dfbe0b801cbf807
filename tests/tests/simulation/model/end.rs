//! The end, when everything has come to rest: what one has sent is what the other one has.
//!
//! Owns invariants 3, 4 and 5 as histories show them.

use std::collections::{BTreeMap, BTreeSet};

use tincan_peer::simulation::{ConversationNo, HistoryEntry, Node};
use tincan_protocol::content::Body;
use tincan_protocol::{IdentityId, MsgId};

use super::{CANARY, Model, id};

impl Model {
    /// Compares what all have.
    pub(crate) fn complete(&self, nodes: &[&Node]) {
        let histories: Vec<BTreeMap<usize, Conversation>> =
            nodes.iter().map(|node| self.histories(node)).collect();
        for (guest, host) in &self.friends {
            let met = histories[*guest].contains_key(host) && histories[*host].contains_key(guest);
            assert!(
                met,
                "4: {guest} was told that their request is on its way to {host}"
            );
            let history = &histories[*host][guest].history;
            assert!(
                history.iter().any(is_request),
                "4: {host} was not shown what {guest} wrote in their request"
            );
        }
        for (from, conversations) in histories.iter().enumerate() {
            for (&to, conversation) in conversations {
                let back = histories[to].get(&from);
                self.compare((from, conversation), (to, back));
            }
            let own = conversations.values().flat_map(|one| &one.history);
            let there: BTreeSet<MsgId> = own.filter(|one| one.is_ours).map(id).collect();
            let texts = self.texts.iter();
            let acked = texts.filter(|(_, text)| text.from == from && text.is_acked);
            for (id, text) in acked {
                assert!(there.contains(id), "{:?} is lost at its sender", text.text);
            }
        }
    }

    /// Everything that a peer has, by the other side.
    fn histories(&self, node: &Node) -> BTreeMap<usize, Conversation> {
        let all = node.conversations().into_iter().map(|view| {
            let conversation = Conversation {
                no: view.no,
                history: node.history(view.no).unwrap(),
            };
            (self.peer(&view.with), conversation)
        });
        all.collect()
    }

    /// What one has sent is what the other one has, in this order, once.
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
        assert_eq!(
            ids.len(),
            got.len(),
            "3: {to} has something of {from} twice"
        );
        assert!(
            got.is_sorted_by_key(|one| one.0) && sent.is_sorted_by_key(|one| one.0),
            "5: {from} to {to}: out of order"
        );
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
            if let (Some(known), Some(text)) = (self.texts.get(&one.1), &one.2) {
                assert_eq!((&known.text, known.from, known.to), (text, from, to));
            }
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

fn is_request(entry: &HistoryEntry) -> bool {
    matches!(&entry.content.body, Body::ContactRequest(request) if request.text.starts_with(CANARY))
}

fn parts(entry: &HistoryEntry) -> (u64, MsgId, Option<String>) {
    let text = match &entry.content.body {
        Body::Text(text) => Some(text.clone()),
        _ => None,
    };
    (entry.content.seq, entry.content.msg_id, text)
}
