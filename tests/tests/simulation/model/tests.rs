//! Each check of the model, shown a story that it must not let pass.

use bytes::Bytes;
use tincan_peer::simulation::{HistoryEntry, JournalEvent};
use tincan_protocol::IdentityId;
use tincan_protocol::content::{Body, Content};
use tincan_protocol::envelope::Envelope;
use tincan_protocol::hlc::Hlc;

use super::end::{Conversation, Conversations};
use super::*;
use crate::acquaint::acquainted;
use crate::around::Crypto;
use crate::witness::{Inside, Sealed};
use crate::world::World;

fn no() -> ConversationNo {
    ConversationNo::from(1)
}

/// Two peers that have said nothing yet.
fn model() -> Model {
    let identities = [1, 2].map(|n| IdentityId::from_bytes([n; 32]));
    Model::new(Witness::default(), identities.to_vec())
}

/// The first peer has sealed a content when its disk had been synced so often. `text` makes it another one.
fn sealed(model: &Model, seq: u64, text: &str, syncs: u64) -> Bytes {
    let message = text.as_bytes().to_vec();
    let hash = *EnvelopeId::of(&message).as_bytes();
    let sealed = Sealed {
        by: 0,
        inside: vec![Inside { seq, hash }],
        syncs,
    };
    model.witness.saw_sealed(message.clone(), sealed);
    Envelope::Message(message.into()).encode()
}

/// The first peer's user hears something.
fn hears(model: &mut Model, end: u64, event: JournalEvent, there: There) {
    model.journal(0, (end, &[event]), EXPIRY_MS, |_, _| there);
}

fn shown(seqs: &[u64]) -> JournalEvent {
    JournalEvent::Received {
        no: no(),
        messages: seqs.iter().map(|&seq| (0, seq)).collect(),
    }
}

fn state(seq: u64, state: &str) -> JournalEvent {
    JournalEvent::State {
        no: no(),
        first: seq,
        last: seq,
        state: state.to_owned(),
        reason: None,
    }
}

fn gap(first: u64, last: u64) -> JournalEvent {
    let no = no();
    JournalEvent::Gap { no, first, last }
}

/// The story of one message of the first peer, which the other side has.
fn story(states: &[&str]) {
    let mut model = model();
    for name in states {
        hears(&mut model, 0, state(1, name), There::Yes(1));
    }
}

/// What one side has, with the seqs and ids of texts.
fn history(is_ours: bool, messages: &[(u64, u128)]) -> Conversation {
    let entries = messages.iter().map(|&(seq, id)| HistoryEntry {
        is_ours,
        content: Content {
            msg_id: MsgId::from_u128(id),
            seq,
            hlc: Hlc::default(),
            body: Body::text(format!("{id}")),
        },
    });
    Conversation {
        no: no(),
        history: entries.collect(),
    }
}

/// The first peer has sent one list of messages, and the other one has the other.
fn compare(model: &Model, sent: &[(u64, u128)], got: &[(u64, u128)]) {
    let (sender, receiver) = (history(true, sent), history(false, got));
    model.compare((0, &sender), (1, Some(&receiver)));
}

/// The second peer has these messages of the first.
fn has(model: &Model, got: &[(u64, u128)]) {
    let conversations = Conversations::from([(0, history(false, got))]);
    model.check_histories(1, &conversations);
}

/// The first peer's user sends a text to another one, and is told that it is durable, or what else.
fn sends(model: &mut Model, to: usize, (id, text): (u128, &str), told: Result<(), SendError>) {
    let (answer, heard) = oneshot::channel();
    let id = MsgId::from_u128(id);
    let to_asked = told == Err(SendError::UnknownContact);
    model.sends((0, to), to_asked, (id, text.to_owned()), heard);
    answer.send(told.map(|()| vec![id])).unwrap();
    model.hear_answers();
}

#[test]
fn what_may_happen_passes() {
    let mut model = model();
    let envelope = sealed(&model, 1, "one", 3);
    model.leaves(0, no(), &envelope, 4);
    model.leaves(0, no(), &envelope, 5);
    model.deposited(&EnvelopeId::of(&envelope));
    hears(&mut model, 1, state(1, "pending"), There::No);
    hears(&mut model, 2, state(1, "sent"), There::No);
    hears(&mut model, 3, shown(&[1, 2, 5]), There::No);
    story(&["pending", "sent", "failed", "delivered", "read"]);
    hears(&mut model, 4, gap(6, 7), There::No);
    hears(&mut model, 4, shown(&[7, 8]), There::No);
    compare(&model, &[(1, 1), (2, 2)], &[(1, 1), (2, 2)]);
    // Their request is refused.
    sends(&mut model, 1, (1, "1"), Err(SendError::UnknownContact));
    sends(&mut model, 1, (2, "2"), Ok(()));
    has(&model, &[(1, 1), (2, 2)]);
}

#[test]
#[should_panic(expected = "1: an envelope leaves peer 0")]
fn an_envelope_that_no_sync_has_seen() {
    let mut model = model();
    let envelope = sealed(&model, 1, "one", 3);
    model.leaves(0, no(), &envelope, 3);
}

#[test]
#[should_panic(expected = "1: a key package leaves peer 0")]
fn a_key_package_that_no_sync_has_seen() {
    let model = model();
    model.witness.saw_made(b"package".to_vec(), 3);
    model.publishes(0, b"package", 3);
}

#[test]
#[should_panic(expected = "1: the journal of peer 0 ends at 4")]
fn a_journal_that_was_longer() {
    let mut model = model();
    hears(&mut model, 5, shown(&[1]), There::No);
    hears(&mut model, 4, shown(&[2]), There::No);
}

#[test]
#[should_panic(expected = "2: 1 of (0, ConversationNo(1)) is called sent and nobody has it")]
fn something_sent_that_nobody_has() {
    let mut model = model();
    let envelope = sealed(&model, 1, "one", 3);
    model.leaves(0, no(), &envelope, 4);
    hears(&mut model, 1, state(1, "sent"), There::No);
}

#[test]
#[should_panic(expected = "3: 2 is shown twice")]
fn something_shown_twice() {
    hears(&mut model(), 1, shown(&[1, 2, 2]), There::No);
}

#[test]
#[should_panic(expected = "3: 1 has something of 0 twice")]
fn one_message_under_two_seqs() {
    has(&model(), &[(1, 1), (2, 1)]);
}

#[test]
#[should_panic(expected = "3: 1 has something of 0 twice")]
fn two_messages_under_one_seq() {
    has(&model(), &[(1, 1), (1, 2)]);
}

#[test]
#[should_panic(expected = "4: peer 0 gives 1 up after 5 ms")]
fn something_given_up_too_early() {
    let failed = state(1, "failed");
    model().journal(0, (1, &[failed]), 5, |_, _| There::No);
}

#[test]
#[should_panic(expected = "4: 1 lacks of 0")]
fn something_that_never_arrives() {
    compare(&model(), &[(1, 1), (2, 2)], &[(1, 1)]);
}

#[test]
#[should_panic(expected = "4: 0 has lost a contact")]
fn a_contact_that_is_gone() {
    let mut model = model();
    let (answer, heard) = oneshot::channel();
    model.sends((0, 1), false, (MsgId::from_u128(1), String::new()), heard);
    answer.send(Err(SendError::UnknownContact)).unwrap();
    model.hear_answers();
}

#[test]
#[should_panic(expected = "4: 0 has lost a contact")]
fn a_contact_that_is_gone_after_something_was_said_to_them() {
    let mut model = model();
    sends(&mut model, 1, (1, "1"), Ok(()));
    sends(&mut model, 1, (2, "2"), Err(SendError::UnknownContact));
}

#[test]
#[should_panic(expected = "4: 1 was not shown what 0 wrote in their request")]
fn a_request_that_nobody_is_shown() {
    let mut model = model();
    model.befriend(0, 1);
    let met = |with| Conversations::from([(with, history(false, &[(1, 1)]))]);
    model.check_requests(&[met(1), met(0)]);
}

#[test]
#[should_panic(expected = "a send is refused: the message could not be saved")]
fn a_text_that_is_refused() {
    sends(&mut model(), 1, (1, "1"), Err(SendError::NotSaved));
}

#[test]
#[should_panic(expected = "1 has what 0 did not send")]
fn something_that_nobody_has_sent() {
    compare(&model(), &[(1, 1)], &[(1, 1), (2, 2)]);
}

#[test]
#[should_panic(expected = "read by somebody else: 1 has \"1\" as 0 to 1")]
fn something_that_somebody_else_was_to_read() {
    let mut model = model();
    sends(&mut model, 2, (1, "1"), Ok(()));
    has(&model, &[(1, 1)]);
}

#[test]
#[should_panic(expected = "another text: 1 has it as 0 to 1")]
fn a_text_that_was_changed() {
    let mut model = model();
    sends(&mut model, 1, (1, "one"), Ok(()));
    has(&model, &[(1, 1)]);
}

#[test]
#[should_panic(expected = "lost at its sender: \"1\"")]
fn a_text_that_its_sender_has_no_more() {
    let mut model = model();
    sends(&mut model, 1, (1, "1"), Ok(()));
    model.check_acked(0, &Conversations::new());
}

#[test]
#[should_panic(expected = "somebody else's envelope")]
fn an_envelope_that_somebody_else_has_sealed() {
    let mut model = model();
    let envelope = sealed(&model, 1, "one", 3);
    model.leaves(1, no(), &envelope, 4);
}

#[test]
#[should_panic(expected = "5: 2 is shown after 3 without a gap")]
fn something_shown_late_without_a_gap() {
    hears(&mut model(), 1, shown(&[1, 3, 2]), There::No);
}

#[test]
#[should_panic(expected = "5: a gap up to 2 is told after 3 was shown")]
fn a_gap_that_is_told_too_late() {
    let mut model = model();
    hears(&mut model, 1, shown(&[1, 3]), There::No);
    hears(&mut model, 2, gap(2, 2), There::No);
}

#[test]
#[should_panic(expected = "5: 0 to 1: out of order")]
fn a_history_out_of_order() {
    has(&model(), &[(2, 2), (1, 1)]);
}

#[test]
#[should_panic(expected = "5: 0 to 1: out of order")]
fn an_own_history_out_of_order() {
    let conversations = Conversations::from([(1, history(true, &[(2, 2), (1, 1)]))]);
    model().check_histories(0, &conversations);
}

#[test]
#[should_panic(expected = "5: 1 was not told that")]
fn something_missing_that_nobody_was_told_of() {
    let mut model = model();
    model.journal(1, (1, &[shown(&[1, 3])]), 0, |_, _| There::No);
    compare(&model, &[(1, 1), (2, 2), (3, 3)], &[(1, 1), (3, 3)]);
}

#[test]
#[should_panic(expected = "6: 1 goes back to sent")]
fn something_delivered_that_is_only_sent() {
    story(&["delivered", "sent"]);
}

#[test]
#[should_panic(expected = "6: 1 goes back to pending")]
fn something_sent_that_waits_again() {
    story(&["sent", "pending"]);
}

#[test]
#[should_panic(expected = "6: nobody knows the state seen")]
fn a_state_that_there_is_not() {
    story(&["seen"]);
}

#[test]
#[should_panic(expected = "7: peer 0 gives seq 1 to two contents")]
fn one_seq_for_two_contents() {
    let mut model = model();
    for text in ["one", "another"] {
        let envelope = sealed(&model, 1, text, 3);
        model.leaves(0, no(), &envelope, 4);
    }
}

#[test]
#[should_panic(expected = "8: 1 of peer 0 is not there")]
fn something_delivered_that_is_not_there() {
    hears(&mut model(), 1, state(1, "delivered"), There::No);
}

/// All are contacts of each other; and a model that has seen nothing of it.
fn contacts() -> (World, Model) {
    let world = acquainted(Crypto::StandIn, 1);
    let identities = world.machines.iter().map(|one| one.identity).collect();
    (world, Model::new(Witness::default(), identities))
}

fn node(world: &World, peer: usize) -> &Node {
    world.machines[peer].node.as_ref().unwrap()
}

/// The second peer's conversation with the first.
fn with_the_first(world: &World) -> (ConversationNo, IdentityId) {
    let first = world.machines[0].identity;
    let views = node(world, 1).conversations();
    let view = views.iter().find(|view| view.with == first).unwrap();
    (view.no, first)
}

/// The second peer has opened an envelope of the first when its disk had been synced three times, and calls it
/// stored.
fn stores(model: &mut Model, world: &World, seq: u64, syncs: u64) {
    let envelope = sealed(model, seq, "one", 3);
    model.witness.saw_opened(1, b"one".to_vec(), 3);
    let id = EnvelopeId::of(&envelope);
    model.stores((1, node(world, 1)), with_the_first(world), id, syncs);
}

/// No peer has so many messages of another one.
const NEVER: u64 = 1_000;

#[test]
fn what_was_claimed_and_is_there_passes() {
    let (world, mut model) = contacts();
    stores(&mut model, &world, 1, 4);
    hears(&mut model, 1, state(1, "delivered"), There::Yes(1));
    model.begins(1, node(&world, 1));
}

#[test]
#[should_panic(expected = "1: seq 1000 has left peer 0 before it was durable")]
fn something_that_has_left_and_is_not_there_any_more() {
    let (world, mut model) = contacts();
    let no = node(&world, 0).conversations()[0].no;
    let envelope = sealed(&model, NEVER, "one", 3);
    model.leaves(0, no, &envelope, 4);
    model.begins(0, node(&world, 0));
}

#[test]
#[should_panic(expected = "2: peer 1 calls an envelope stored before it is durable")]
fn something_stored_that_no_sync_has_seen() {
    let (world, mut model) = contacts();
    stores(&mut model, &world, 1, 3);
}

#[test]
#[should_panic(expected = "2: peer 1 calls 1000 stored and does not have it")]
fn something_stored_that_is_not_there() {
    let (world, mut model) = contacts();
    stores(&mut model, &world, NEVER, 4);
}

#[test]
#[should_panic(expected = "2: peer 1 has called 1 stored and lost it")]
fn something_stored_that_is_lost() {
    let (world, mut model) = contacts();
    stores(&mut model, &world, 1, 4);
    let strangers = World::new(Crypto::StandIn, 1);
    model.begins(1, node(&strangers, 1));
}

#[test]
#[should_panic(expected = "8: 1000 is called delivered to peer 1, and is not there")]
fn something_delivered_that_is_lost() {
    let (world, mut model) = contacts();
    hears(&mut model, 1, state(NEVER, "delivered"), There::Ask(1));
    model.begins(1, node(&world, 1));
}

#[test]
#[should_panic(expected = "peer 0 has lost \"one\", which it had called durable")]
fn a_text_that_is_lost() {
    let (world, mut model) = contacts();
    sends(&mut model, 1, (1, "one"), Ok(()));
    model.begins(0, node(&world, 0));
}
