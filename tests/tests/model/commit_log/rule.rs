//! The rules that the commit log rests on. A model without one of them is a mutant.

use super::{AGREE, Budget, DONE, GROW, ONE, ONE_INDEX, TWICE_AND_ONCE, TWO, WELCOME};
use crate::rules::rules;

rules! {
    Budget:

    /// A commit is merged when it has won, and not when it is sent.
    MergeAfterWin in TWO => AGREE;
    /// A Welcome is put when its commit has won.
    WelcomeAfterWin in TWO => WELCOME;
    /// That a Welcome is owed is in the transaction of the merge.
    OwedWelcomeDurable in ONE.crashes(1) => DONE;
    /// The relay compares.
    Compare in TWO => AGREE;
    /// The relay answers a repeated append as the first time.
    Idempotent in ONE.losses(1) => DONE;
    /// And does not append it again.
    OneIndexEach in ONE.losses(1) => ONE_INDEX;
    /// That a commit is wanted is durable.
    IntentDurable in ONE.crashes(1) => DONE;
    /// A commit is stored before it is sent.
    BuiltDurable in ONE.crashes(1) => DONE;
    /// Who has lost clears its commit.
    LoserClears in TWO => DONE;
    /// And wants it still.
    LoserRebuilds in TWO => DONE;
    /// An answer counts only for the commit that it answers.
    AnswerMatched in TWICE_AND_ONCE.duplicates(1) => AGREE;
    /// The log is applied in its order.
    AppliesInOrder in TWO => DONE;
    /// A merge is durable when something follows from it.
    MergeDurable in ONE.crashes(1) => GROW;
}
