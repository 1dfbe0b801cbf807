//! Each check of links, shown something that it must not let pass.

use tincan_protocol::wire::{Nack, Put};
use tincan_protocol::{DeviceId, IdentityId};

use super::*;
use crate::around::Crypto;
use crate::disk::Disk;
use crate::witness::Witness;

const ENDS: [EndId; 2] = [(0, 1), (1, 1)];

/// Both ends of a link that is not up yet, each with its state of the same group.
fn ends(authenticators: [u8; 2]) -> Links {
    let around = Around::new(0, Crypto::StandIn, Witness::default(), Disk::default(), 1);
    let party = |n| {
        (
            IdentityId::from_bytes([n; 32]),
            DeviceId::from_bytes([n; 32]),
        )
    };
    let (me, from) = (party(1), party(2));
    let offer = statement(me, from, None, &around);
    let ends = ENDS.into_iter().zip(authenticators);
    let ends = ends.map(|(id, authenticator)| {
        let group = GroupState {
            group_id: vec![1],
            epoch: 1,
            authenticator: vec![authenticator],
        };
        let end = End {
            no: ConversationNo::from(1),
            offer: offer.clone(),
            groups: vec![group],
            expected: Parties { me, from },
            state: State::Waiting {
                until: CONNECT_TIMEOUT,
                offering: id == ENDS[0],
            },
            items: VecDeque::new(),
            in_flight: BTreeSet::new(),
        };
        (id, end)
    });
    let ends = ends.collect();
    Links { ends }
}

/// A link whose first end knows that it is up.
fn up() -> Links {
    let mut links = ends([1, 1]);
    links.pair(ENDS[0], ENDS[1], false);
    links.deliver(ENDS[0]).unwrap();
    links
}

fn put(n: usize) -> Bytes {
    let envelope = n.to_be_bytes().to_vec().into();
    PeerFrame::from(peer_frame::Kind::Put(Put { envelope })).write()
}

#[test]
fn as_many_are_in_flight_as_may_be_and_what_is_answered_is_not() {
    let mut links = up();
    for n in 0..FRAMES {
        links.send(ENDS[0], put(n));
    }
    let nack = Nack {
        env_id: EnvelopeId::of(&0_usize.to_be_bytes()).to_vec(),
        reason: 0,
    };
    links.deliver(ENDS[1]).unwrap();
    let nack = PeerFrame::from(peer_frame::Kind::Nack(nack)).write();
    links.send(ENDS[1], nack);
    links.deliver(ENDS[0]).unwrap();
    links.send(ENDS[0], put(FRAMES));
}

#[test]
#[should_panic(expected = "9: 513 envelopes in flight")]
fn more_is_in_flight_than_a_link_has_room_for() {
    let mut links = up();
    for n in 0..=FRAMES {
        links.send(ENDS[0], put(n));
    }
}

#[test]
#[should_panic(expected = "10: a group is forked")]
fn two_states_of_one_group() {
    ends([1, 2]).pair(ENDS[0], ENDS[1], false);
}

#[test]
#[should_panic(expected = "14: a frame before the other side's hello")]
fn a_frame_before_the_hello() {
    let mut links = ends([1, 1]);
    links.pair(ENDS[0], ENDS[1], false);
    links.send(ENDS[0], put(1));
}

#[test]
#[should_panic(expected = "14: a frame before the other side's hello")]
fn a_frame_before_the_answer() {
    ends([1, 1]).send(ENDS[0], put(1));
}
