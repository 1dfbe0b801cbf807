//! The rules that the commit log rests on. A model without one of them is a mutant.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rule {
    /// A commit is merged when it has won, and not when it is sent.
    MergeAfterWin,
    /// A Welcome is put when its commit has won.
    WelcomeAfterWin,
    /// That a Welcome is owed is in the transaction of the merge.
    OwedWelcomeDurable,
    /// The relay compares.
    Compare,
    /// The relay answers a repeated append as the first time.
    Idempotent,
    /// And does not append it again.
    OneIndexEach,
    /// That a commit is wanted is durable.
    IntentDurable,
    /// A commit is stored before it is sent.
    BuiltDurable,
    /// Who has lost clears its commit.
    LoserClears,
    /// And wants it still.
    LoserRebuilds,
    /// An answer counts only for the commit that it answers.
    AnswerMatched,
    /// The log is applied in its order.
    AppliesInOrder,
    /// A merge is durable when something follows from it.
    MergeDurable,
}
