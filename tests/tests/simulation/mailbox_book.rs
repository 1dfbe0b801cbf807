//! What a relay has said, written down outside of it: what it has taken must be there until its owner says
//! otherwise, each envelope under one index, whatever becomes of connections and processes. Only who has proved
//! the key of a mailbox on the same connection owns it: what others acknowledge or delete stays, and the relay
//! that obeys them has lost it.
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
    /// The relay's clock has run ahead so far that it may have thrown away what was too old: that has another
    /// index when it comes again.
    pub(crate) may_expire: bool,
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
                if let Some(queue) = connection.owns(&ack.queue) {
                    let queue = self.queues.entry(queue).or_default();
                    queue.acked = queue.acked.max(ack.index);
                }
            }
            relay_request::Kind::QueueDelete(delete) => {
                if let Some(queue) = connection.owns(&delete.queue) {
                    self.queues.entry(queue).or_default().is_deleted = true;
                }
            }
            _ => {}
        }
    }

    /// The relay answers, or delivers.
    pub(crate) fn says(&mut self, connection: u64, id: u64, kind: &relay_reply::Kind) {
        let connection = self.connections.entry(connection).or_default();
        // Whatever the answer is, the request's number is free again.
        let proofs = connection.proofs.remove(&id);
        match kind {
            relay_reply::Kind::Done(_) => connection.proved.extend(proofs.into_iter().flatten()),
            relay_reply::Kind::Deposited(deposited) => {
                let queue = connection
                    .deposits
                    .remove(&id)
                    .expect("nobody has deposited");
                let id = EnvelopeId::try_from(deposited.env_id.as_slice()).unwrap();
                self.has_taken(queue, id);
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
                self.queues.entry(queue).or_default().delivers(
                    deliver.index,
                    envelope,
                    self.may_expire,
                );
            }
            _ => {}
        }
    }

    /// The relay has called an envelope deposited.
    pub(crate) fn has_taken(&mut self, queue: QueueId, id: EnvelopeId) {
        self.queues.entry(queue).or_default().taken.insert(id);
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
            queue.delivers(*index, EnvelopeId::of(bytes), self.may_expire);
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

impl Connection {
    /// The mailbox of this name, if its key was proved here.
    fn owns(&self, name: &[u8]) -> Option<QueueId> {
        let queue = QueueId::try_from(name).ok()?;
        self.proved.contains(&queue).then_some(queue)
    }
}

impl Queue {
    fn delivers(&mut self, index: u64, envelope: EnvelopeId, may_expire: bool) {
        let known = self.delivered.insert(index, envelope);
        assert!(
            known.is_none_or(|known| known == envelope),
            "11: two envelopes under the index {index}"
        );
        let known = self.indices.insert(envelope, index);
        let is_gone = |known| known <= self.acked || may_expire;
        assert!(
            known.is_none_or(|known| known == index || is_gone(known)),
            "11: an envelope under {index} and {known:?}, acknowledged up to {}",
            self.acked
        );
    }
}

#[cfg(test)]
mod tests {
    use relay_reply::Kind as Reply;
    use relay_request::Kind as Request;
    use tincan_protocol::wire;

    use super::*;

    const QUEUE: [u8; 32] = [7; 32];

    /// The owner's connection, and one of somebody who writes.
    const OWNER: u64 = 1;
    const WRITER: u64 = 2;

    const ONE: &[u8] = b"one";
    const OTHER: &[u8] = b"other";

    impl MailboxBook {
        fn ask(&mut self, connection: u64, id: u64, kind: Request) {
            let kind = Some(kind);
            self.asked(connection, &RelayRequest { id, kind }.write());
        }

        /// A login, and what the relay says to it.
        fn log_in(&mut self, connection: u64, answer: Reply) {
            let proof = wire::KeyProof {
                key: QUEUE.to_vec(),
                signature: Vec::new(),
            };
            let proofs = vec![proof];
            self.ask(connection, 1, Request::Auth(wire::Auth { proofs }));
            self.says(connection, 1, &answer);
        }

        fn takes(&mut self, envelope: &'static [u8]) {
            let deposit = wire::Deposit {
                queue: QUEUE.to_vec().into(),
                write_token: Bytes::new(),
                envelope: Bytes::from_static(envelope),
            };
            self.ask(WRITER, 2, Request::Deposit(deposit));
            let env_id = EnvelopeId::of(envelope).to_vec();
            let deposited = wire::Deposited { env_id };
            self.says(WRITER, 2, &Reply::Deposited(deposited));
        }

        fn hands_out(&mut self, index: u64, envelope: &'static [u8]) {
            let deliver = wire::Deliver {
                queue: QUEUE.to_vec().into(),
                index,
                envelope: Bytes::from_static(envelope),
            };
            self.says(OWNER, 0, &Reply::Deliver(deliver));
        }

        fn acknowledge(&mut self, connection: u64) {
            let (queue, index) = (QUEUE.to_vec(), 1);
            self.ask(
                connection,
                3,
                Request::AckUpTo(wire::AckUpTo { queue, index }),
            );
        }

        /// A process begins and finds nothing.
        fn finds_nothing(&mut self) {
            for queue in self.queues().collect::<Vec<_>>() {
                self.holds(queue, &[]);
            }
        }
    }

    fn done() -> Reply {
        Reply::Done(wire::Done {})
    }

    /// One envelope was taken and handed out to the owner.
    fn handed_out() -> MailboxBook {
        let mut book = MailboxBook::default();
        book.log_in(OWNER, done());
        book.takes(ONE);
        book.hands_out(1, ONE);
        book
    }

    #[test]
    fn what_its_owner_acknowledges_or_deletes_may_go() {
        let mut book = handed_out();
        book.acknowledge(OWNER);
        book.finds_nothing();
        book.takes(OTHER);
        let queue = QUEUE.to_vec();
        book.ask(OWNER, 4, Request::QueueDelete(wire::QueueDelete { queue }));
        book.finds_nothing();
    }

    #[test]
    #[should_panic(expected = "2: a relay has called")]
    fn something_taken_that_is_gone() {
        handed_out().finds_nothing();
    }

    #[test]
    #[should_panic(expected = "2: a relay has called")]
    fn an_acknowledgement_of_somebody_else_that_is_obeyed() {
        let mut book = handed_out();
        book.acknowledge(WRITER);
        book.finds_nothing();
    }

    #[test]
    #[should_panic(expected = "2: a relay has called")]
    fn an_acknowledgement_after_a_login_that_was_refused_that_is_obeyed() {
        let mut book = handed_out();
        book.log_in(WRITER, Reply::Error(wire::RelayError::default()));
        // Under the same number something else is done.
        book.says(WRITER, 1, &done());
        book.acknowledge(WRITER);
        book.finds_nothing();
    }

    #[test]
    #[should_panic(expected = "2: a relay has called")]
    fn a_deletion_by_somebody_else_that_is_obeyed() {
        let mut book = handed_out();
        let queue = QUEUE.to_vec();
        book.ask(WRITER, 4, Request::QueueDelete(wire::QueueDelete { queue }));
        book.finds_nothing();
    }

    #[test]
    #[should_panic(expected = "11: delivered before auth")]
    fn something_handed_out_before_a_login() {
        let mut book = MailboxBook::default();
        book.takes(ONE);
        book.hands_out(1, ONE);
    }

    #[test]
    #[should_panic(expected = "11: indices do not increase")]
    fn something_handed_out_twice() {
        let mut book = handed_out();
        book.hands_out(1, ONE);
    }

    #[test]
    #[should_panic(expected = "11: two envelopes under the index 1")]
    fn one_index_for_two_envelopes() {
        let mut book = handed_out();
        book.died();
        book.log_in(OWNER, done());
        book.hands_out(1, OTHER);
    }

    #[test]
    #[should_panic(expected = "11: an envelope under 2 and Some(1)")]
    fn two_indices_for_one_envelope() {
        handed_out().hands_out(2, ONE);
    }
}
