//! The rules that the protocol rests on. A model without one of them is a mutant, and must be caught.

use super::budget::{Bounds, ONE, TWO, both, link, relay};
use super::properties::{
    ACK_DURABLE, COMMITTED, DURABLE, ENDS, FORWARD, ONCE, ONE_CONTENT, ORDER, RESTS,
};
use crate::rules::rules;

rules! {
    Bounds:

    /// `Put` and `Deposit` wait for the commit.
    TransmitAfterCommit in link(ONE) => DURABLE;
    /// `Stored` and the mailbox's ack wait for the commit.
    AckAfterCommit in link(ONE) => ACK_DURABLE;
    /// The relay answers when what it was given is durable.
    AnswerAfterSync in relay(ONE) => ACK_DURABLE;
    /// The dedupe mark is in the transaction of the row it stands for.
    SeenWithItsRow in relay(ONE.crashes(1)) => ACK_DURABLE;
    /// A message is taken once, whatever envelopes it comes in.
    OneRowPerSeq in link(ONE.keys(1).link_losses(1)) => ONCE;
    /// The next seq is in the transaction of the message that used one up.
    SeqWithItsMessage in link(TWO.crashes(1)) => ONE_CONTENT;
    /// What is sealed again says what it said before.
    ResealedFromStore in link(TWO.keys(1)) => ONE_CONTENT;
    /// A late message goes where its gap is.
    GapFilledInPlace in link(TWO.keys(1)) => ORDER;
    /// A hole that nothing fills becomes a gap.
    HoleGivenUp in link(TWO.keys(1).expiries(1)) => ENDS;
    /// What is at a relay is not delivered.
    RelayIsNotDelivery in relay(ONE) => COMMITTED;
    /// What a device has stored it may be unable to open.
    StoredIsNotDelivery in link(ONE.keys(1)) => COMMITTED;
    /// What was told is not told again.
    ToldOnce in both(ONE.keys(1).link_losses(1)) => FORWARD;
    /// What was told as sent does not wait again, however often it has to be sent.
    SentStaysSent in relay(ONE.forgets(1).refusals(1)) => FORWARD;
    /// What was in flight on a lost link is sent again.
    LinkLossFreesInFlight in link(ONE.link_losses(1)) => ENDS;
    /// And what was in flight to a lost relay.
    RelayLossFreesInFlight in relay(ONE.relay_losses(1).refusals(1)) => RESTS;
    /// A relay that has begun anew is given everything again.
    RelayForgotReloads in relay(ONE.forgets(1)) => ENDS;
    /// Whose relay it is says what they know: receipts and questions that were there come again.
    ForgottenWordsProvoked in relay(ONE.forgets(1).keys(1)) => ENDS;
    /// And, when it is stored, up to where everything should have come.
    ForgottenSentAnnounced in relay(ONE.forgets(2).keys(1)) => ENDS;
    /// What is pending is read back after a restart.
    RestartReloads in link(ONE.crashes(1)) => ENDS;
    /// That a receipt is owed is durable.
    OwedReceiptDurable in relay(ONE.crashes(1)) => RESTS;
    /// Unreadable envelopes are asked for.
    UnreadableAskedFor in link(ONE.keys(1)) => ENDS;
    /// What is asked for is sealed again.
    WantedResealed in link(ONE.keys(1)) => ENDS;
    /// Holes are asked for.
    HolesAskedFor in both(ONE.silent_forgets(1)) => ENDS;
    /// What is believed to be stored is announced on a new link.
    StoredAnnounced in both(ONE.silent_forgets(1)) => ENDS;
    /// An envelope that was refused on the link goes to the relay.
    RefusedGoesToRelay in both(TWO.refusals(1)) => ENDS;
}
