//! The rules that the protocol rests on. A model without one of them is a mutant, and must be caught.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// `Put` and `Deposit` wait for the commit.
    TransmitAfterCommit,
    /// `Stored` and the mailbox's ack wait for the commit.
    AckAfterCommit,
    /// The dedupe mark is in the transaction of the row it stands for.
    SeenWithItsRow,
    /// A message is taken once, whatever envelopes it comes in.
    OneRowPerSeq,
    /// The next seq is in the transaction of the message that used one up.
    SeqWithItsMessage,
    /// What is sealed again says what it said before.
    ResealedFromStore,
    /// A late message goes where its gap is.
    GapFilledInPlace,
    /// A hole that nothing fills becomes a gap.
    HoleGivenUp,
    /// What is at a relay is not delivered.
    RelayIsNotDelivery,
    /// What a device has stored it may be unable to open.
    StoredIsNotDelivery,
    /// What was told is not told again.
    ToldOnce,
    /// What was in flight on a lost link is sent again.
    LinkLossFreesInFlight,
    /// And what was in flight to a lost relay.
    RelayLossFreesInFlight,
    /// A relay that has begun anew is given everything again.
    RelayForgotReloads,
    /// And the receipt that was there as well.
    ForgottenReceiptOwed,
    /// What is pending is read back after a restart.
    RestartReloads,
    /// That a receipt is owed is durable.
    OwedReceiptDurable,
    /// Unreadable envelopes are asked for.
    UnreadableAskedFor,
    /// What is asked for is sealed again.
    WantedResealed,
    /// Holes are asked for.
    HolesAskedFor,
    /// What is believed to be stored is announced on a new link.
    StoredAnnounced,
    /// An envelope that was refused on the link goes to the relay.
    RefusedGoesToRelay,
}
