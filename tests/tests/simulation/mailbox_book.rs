//! What a relay has said, written down outside of it: what it has taken must be there until its owner says
//! otherwise, each envelope under one index, whatever becomes of connections and processes.
//!
//! Owns invariant 11, and 2 for relays. Looks at frames only, and at the store when a process begins.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tincan_protocol::wire::{Frame as _, RelayRequest, relay_reply, relay_request};
use tincan_protocol::{EnvelopeId, QueueId};

/// One relay's book, for as long as its disk lasts.
#[derive(Debug, Default)]
pub(crate) struct MailboxBook {
    queues: BTreeMap<QueueId, Queue>,
    connections: BTreeMap<u64, Connection>,
}

#[derive(Debug, Default)]
struct Queue {
    /// What it has called deposited.
    taken: BTreeSet<EnvelopeId>,
    /// What it has delivered.
    delivered: BTreeMap<u64, EnvelopeId>,
    indices: BTreeMap<EnvelopeId, u64>,
    /// Up to where the owner has acknowledged it.
    acked: u64,
    /// The owner wants it deleted: nothing has to be there any more.
    is_deleted: bool,
}

#[derive(Debug, Default)]
struct Connection {
    /// Keys that were proved on it.
    proved: BTreeSet<QueueId>,
    /// Requests without an answer yet.
    proofs: BTreeMap<u64, Vec<QueueId>>,
    deposits: BTreeMap<u64, QueueId>,
    /// The last index that was delivered on it.
    last: BTreeMap<QueueId, u64>,
}

impl MailboxBook {
    /// A request reaches the relay.
    pub(crate) fn asked(&mut self, connection: u64, frame: &Bytes) {
        let Ok(RelayRequest {
            id,
            kind: Some(kind),
        }) = RelayRequest::read(frame.clone())
        else {
            return;
        };
        let connection = self.connections.entry(connection).or_default();
        match kind {
            relay_request::Kind::Auth(auth) => {
                let keys = auth.proofs.iter();
                let keys = keys.filter_map(|proof| QueueId::try_from(proof.key.as_slice()).ok());
                connection.proofs.insert(id, keys.collect());
            }
            relay_request::Kind::Deposit(deposit) => {
                if let Ok(queue) = QueueId::try_from(deposit.queue.as_ref()) {
                    connection.deposits.insert(id, queue);
                }
            }
            relay_request::Kind::AckUpTo(ack) => {
                if let Ok(queue) = QueueId::try_from(ack.queue.as_ref()) {
                    let queue = self.queues.entry(queue).or_default();
                    queue.acked = queue.acked.max(ack.index);
                }
            }
            relay_request::Kind::QueueDelete(delete) => {
                if let Ok(queue) = QueueId::try_from(delete.queue.as_ref()) {
                    self.queues.entry(queue).or_default().is_deleted = true;
                }
            }
            _ => {}
        }
    }

    /// The relay answers, or delivers.
    pub(crate) fn says(&mut self, connection: u64, id: u64, kind: &relay_reply::Kind) {
        let connection = self.connections.entry(connection).or_default();
        match kind {
            relay_reply::Kind::Done(_) => {
                connection
                    .proved
                    .extend(connection.proofs.remove(&id).into_iter().flatten());
            }
            relay_reply::Kind::Deposited(deposited) => {
                let queue = connection
                    .deposits
                    .remove(&id)
                    .expect("nobody has deposited");
                let id = EnvelopeId::try_from(deposited.env_id.as_slice()).unwrap();
                self.queues.entry(queue).or_default().taken.insert(id);
            }
            relay_reply::Kind::Deliver(deliver) => {
                let queue = QueueId::try_from(deliver.queue.as_ref()).unwrap();
                assert!(
                    connection.proved.contains(&queue),
                    "11: delivered before auth"
                );
                let last = connection.last.insert(queue, deliver.index).unwrap_or(0);
                assert!(last < deliver.index, "11: indices do not increase");
                let envelope = EnvelopeId::of(&deliver.envelope);
                self.queues
                    .entry(queue)
                    .or_default()
                    .delivers(deliver.index, envelope);
            }
            _ => {}
        }
    }

    pub(crate) fn closed(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    /// The process has died, and with it every connection.
    pub(crate) fn died(&mut self) {
        self.connections.clear();
    }

    /// Every mailbox of which something must be there.
    pub(crate) fn queues(&self) -> impl Iterator<Item = QueueId> {
        let queues = self.queues.iter();
        let queues = queues.filter(|(_, queue)| !queue.taken.is_empty() && !queue.is_deleted);
        queues.map(|(id, _)| *id)
    }

    /// What a mailbox holds, by the store.
    pub(crate) fn holds(&mut self, id: QueueId, entries: &[(u64, Bytes)]) {
        let queue = self.queues.entry(id).or_default();
        let there: BTreeSet<EnvelopeId> = entries
            .iter()
            .map(|(_, bytes)| EnvelopeId::of(bytes))
            .collect();
        for (index, bytes) in entries {
            queue.delivers(*index, EnvelopeId::of(bytes));
        }
        let Queue { indices, acked, .. } = &*queue;
        let gone = |id: &&EnvelopeId| {
            let was_acked = indices.get(*id).is_some_and(|index| index <= acked);
            !there.contains(*id) && !was_acked
        };
        let lost: Vec<_> = queue.taken.iter().filter(gone).collect();
        assert!(
            lost.is_empty(),
            "2: a relay has called {lost:?} deposited and lost it"
        );
    }
}

impl Queue {
    fn delivers(&mut self, index: u64, envelope: EnvelopeId) {
        let known = self.delivered.insert(index, envelope);
        assert!(
            known.is_none_or(|known| known == envelope),
            "11: two envelopes under the index {index}"
        );
        let known = self.indices.insert(envelope, index);
        assert!(
            known.is_none_or(|known| known == index || known <= self.acked),
            "11: an envelope under {index} and {known:?}"
        );
    }
}
