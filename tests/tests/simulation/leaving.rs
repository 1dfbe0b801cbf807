//! Invariant 1: what leaves a peer has waited until the transaction that it rests on was durable.
//!
//! | what leaves | rests on |
//! |---|---|
//! | frames on a link (envelopes, `Stored`, `Nack`), deposits, acknowledgements, key packages, mailboxes to be deleted; what readers of the journal hear | all that its turn has written |
//! | mailboxes and addresses, where a server hears of them for the first time | the same; or they are from an earlier process |
//! | an offer that is to be answered | what its turn has written, before the answer can be there |
//! | dials, hang-ups, ends of links; requests for key packages; a link's own signals | nothing |
//!
//! The last of these leave in the middle of a turn, before its commit, because nothing is written for them:
//! a wish for a key package is only in memory, and a signal is made by a link (its keys are older than it,
//! and that its offer was taken is what the turn before it has made durable). Others' servers and addresses
//! come and go with what others have said, so a dial tells nothing that is ours.
//!
//! Receipts are sealed and leave in envelopes: which sync each envelope has seen since it was sealed is the
//! [model's](crate::model) to know, and so it is for key packages and what is called stored.

use std::collections::BTreeSet;

use tincan_peer::simulation::{RelayCommand, SignalCommand};

use crate::around::{Done, Effect};

/// A turn of a peer, as its disk has seen it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// How often the disk had been synced when it began.
    pub(crate) before: u64,
    /// And when it ended.
    pub(crate) after: u64,
    /// It ended with something written that is not committed.
    pub(crate) is_open: bool,
    /// Neither its disk nor its process has ended it.
    pub(crate) is_whole: bool,
    /// A queue was full: a connection that is given up for it begins what is committed next, while what is
    /// committed already, or has nothing to wait for, still leaves.
    pub(crate) is_choked: bool,
}

/// What has left so far.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    /// Mailboxes and addresses that a peer has told servers.
    named: BTreeSet<(usize, [u8; 32])>,
}

impl Leaving {
    /// Something leaves a peer, in a turn or while its process begins.
    pub(crate) fn check(&mut self, peer: usize, turn: Option<Turn>, done: &Done) {
        match &done.effect {
            Effect::Relay(_, command) => match &**command {
                RelayCommand::Queues(queues) => {
                    let names = queues.iter().map(|one| *one.key.queue().as_bytes());
                    self.check_names(peer, turn, done, names);
                }
                RelayCommand::TakeKeyPackage { .. } => {}
                _ => check_waited(peer, turn, done),
            },
            Effect::Signal(_, SignalCommand::Addresses(keys)) => {
                let names = keys.iter().map(|key| *key.address().as_bytes());
                self.check_names(peer, turn, done, names);
            }
            Effect::Signal(_, SignalCommand::Watch(addresses)) => {
                let names = addresses.iter().map(|address| *address.as_bytes());
                self.check_names(peer, turn, done, names);
            }
            Effect::LinkFrame(..) | Effect::Journal(..) => check_waited(peer, turn, done),
            Effect::StartLink(_, _, start) if start.offer.is_some() => {
                check_noted(peer, turn, done.syncs);
            }
            Effect::DialRelay(..)
            | Effect::DialSignaling(..)
            | Effect::HangUp(_)
            | Effect::Signal(_, SignalCommand::Send { .. })
            | Effect::StartLink(..)
            | Effect::LinkSignal(..)
            | Effect::LinkClose(..) => {}
        }
    }

    fn check_names(
        &mut self,
        peer: usize,
        turn: Option<Turn>,
        done: &Done,
        names: impl Iterator<Item = [u8; 32]>,
    ) {
        for name in names {
            let is_new = self.named.insert((peer, name));
            assert!(
                !is_new || turn.is_none_or(|turn| has_waited(turn, done)),
                "1: peer {peer} names a mailbox or address before it is durable"
            );
        }
    }
}

fn check_waited(peer: usize, turn: Option<Turn>, done: &Done) {
    assert!(
        done.is_synced,
        "1: something leaves peer {peer} before the disk has everything"
    );
    assert!(
        turn.is_none_or(|turn| has_waited(turn, done)),
        "1: something leaves peer {peer} before its turn is durable"
    );
}

/// For the commit of its turn; or its turn has written nothing.
fn has_waited(turn: Turn, done: &Done) -> bool {
    let wrote = turn.after > turn.before;
    let is_open = turn.is_open && !turn.is_choked;
    !is_open && (!wrote || done.syncs > turn.before)
}

/// `syncs`: how many the disk had seen when an offer was taken.
fn check_noted(peer: usize, turn: Option<Turn>, syncs: u64) {
    assert!(
        turn.is_none_or(|turn| !turn.is_whole || turn.after > syncs),
        "1: peer {peer} answers an offer that it would take again"
    );
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tincan_peer::simulation::OwnQueue;
    use tincan_protocol::WriteToken;
    use tincan_protocol::keys::{AddressKey, QueueKey};

    use super::*;

    const QUIET: Turn = Turn {
        before: 5,
        after: 5,
        is_open: false,
        is_whole: true,
        is_choked: false,
    };

    /// It has committed something.
    const WROTE: Turn = Turn { after: 6, ..QUIET };

    fn leaves(turn: Turn, syncs: u64, is_synced: bool, effect: Effect) {
        let done = Done {
            effect,
            syncs,
            is_synced,
        };
        Leaving::default().check(0, Some(turn), &done);
    }

    fn frame() -> Effect {
        Effect::LinkFrame(1, Bytes::new())
    }

    fn deletion() -> Effect {
        let key = QueueKey::from_seed(&[1; 32]);
        Effect::Relay(1, Box::new(RelayCommand::DeleteQueue(key)))
    }

    fn mailbox() -> Effect {
        let queue = OwnQueue {
            key: QueueKey::from_seed(&[1; 32]),
            token_hash: WriteToken::from_bytes([1; 16]).hash(),
        };
        Effect::Relay(1, Box::new(RelayCommand::Queues(vec![queue])))
    }

    fn address() -> Effect {
        let key = AddressKey::from_seed(&[1; 32]);
        Effect::Signal(1, SignalCommand::Addresses(vec![key]))
    }

    #[test]
    fn what_has_waited_may_leave() {
        for effect in [frame, deletion] {
            leaves(QUIET, 5, true, effect());
            leaves(WROTE, 6, true, effect());
        }
        for effect in [mailbox, address] {
            leaves(WROTE, 6, true, effect());
            // An earlier turn has made it, and a queue was full then.
            leaves(QUIET, 5, true, effect());
        }
        // Nothing is written for these.
        leaves(WROTE, 5, false, Effect::HangUp(1));
        check_noted(0, Some(WROTE), 5);
    }

    #[test]
    #[should_panic(expected = "1: something leaves peer 0 before the disk has everything")]
    fn a_frame_before_the_disk_has_everything() {
        leaves(WROTE, 6, false, frame());
    }

    #[test]
    #[should_panic(expected = "1: something leaves peer 0 before its turn is durable")]
    fn a_frame_before_the_commit() {
        leaves(WROTE, 5, true, frame());
    }

    #[test]
    #[should_panic(expected = "1: something leaves peer 0 before its turn is durable")]
    fn a_deletion_before_the_commit() {
        leaves(WROTE, 5, true, deletion());
    }

    #[test]
    #[should_panic(expected = "1: something leaves peer 0 before its turn is durable")]
    fn a_frame_where_a_later_turn_commits() {
        let is_open = true;
        leaves(Turn { is_open, ..QUIET }, 5, true, frame());
    }

    #[test]
    #[should_panic(expected = "1: something leaves peer 0 before its turn is durable")]
    fn a_frame_before_the_commit_of_a_turn_that_finds_a_full_queue() {
        let is_choked = true;
        leaves(Turn { is_choked, ..WROTE }, 5, true, frame());
    }

    #[test]
    #[should_panic(expected = "1: peer 0 names a mailbox or address")]
    fn a_mailbox_that_no_sync_has_seen() {
        leaves(WROTE, 5, true, mailbox());
    }

    #[test]
    #[should_panic(expected = "1: peer 0 names a mailbox or address")]
    fn an_address_that_no_sync_has_seen() {
        let is_open = true;
        leaves(Turn { is_open, ..QUIET }, 5, true, address());
    }

    #[test]
    #[should_panic(expected = "1: peer 0 answers an offer")]
    fn an_answer_to_an_offer_that_is_not_noted() {
        check_noted(0, Some(QUIET), 5);
    }
}
