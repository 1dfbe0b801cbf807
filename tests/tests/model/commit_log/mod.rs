//! Three members of a group who race commits at one log with compare-and-append.
//!
//! A member stores that it wants to commit, builds the commit and stores it, appends it behind the
//! last index that it knows, merges it only when it has won, and only then puts Welcomes; who has
//! lost clears its commit, applies the winner and builds anew.
//!
//! The relay's side of it is tied to the real relay in [`tie`]. The members' side does not exist in
//! Rust yet: groups come later. What is here is made to be tied in the same way as the delivery:
//! [`group::Member`] keeps apart what is durable and what is in memory, each [`group::Action`] of a
//! member is one transaction or one output behind it, and a function from a real group to a `Member`
//! is all that a walk along these actions needs.

mod group;
mod relay;
mod rule;
mod search;
mod symmetry;
mod tie;

use crate::fair::Fair;
use group::{Action, Group};
use rule::Rule;
use stateright::{Model, Property};

/// Members of the group. Chosen: with two there is one loser; with three, losers race each other.
const MEMBERS: usize = 3;

/// What may happen at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Budget {
    /// Commits that each member wants.
    intents: [u8; MEMBERS],
    crashes: u8,
    /// Requests, and answers, that come twice.
    duplicates: u8,
    /// Requests, and answers, that are lost.
    losses: u8,
}

impl Budget {
    /// Commits that are wanted, and nothing goes wrong.
    const fn intents(intents: [u8; MEMBERS]) -> Self {
        Self {
            intents,
            crashes: 0,
            duplicates: 0,
            losses: 0,
        }
    }

    const fn crashes(self, crashes: u8) -> Self {
        Self { crashes, ..self }
    }

    const fn duplicates(self, duplicates: u8) -> Self {
        Self { duplicates, ..self }
    }

    const fn losses(self, losses: u8) -> Self {
        Self { losses, ..self }
    }
}

/// Everybody wants to commit once.
const RACE: Budget = Budget::intents([1, 1, 1]);

/// Two do, and the third only reads.
const TWO: Budget = Budget::intents([1, 1, 0]);

/// Two do, one of them twice.
const TWICE_AND_ONCE: Budget = Budget::intents([2, 1, 0]);

/// One does, and nobody is in its way.
const ONE: Budget = Budget::intents([1, 0, 0]);

struct CommitLog {
    budget: Budget,
    /// The rule that this one lacks.
    without: Option<Rule>,
    /// For each of the two ways in which a state may go on.
    fair: [Fair; 2],
}

impl CommitLog {
    fn new(budget: Budget, without: Option<Rule>) -> Self {
        Self {
            budget,
            without,
            fair: Default::default(),
        }
    }

    /// Whether the fair continuations of a state make every commit.
    fn ends(&self, group: &Group) -> bool {
        let mut ways = [false, true].into_iter().zip(&self.fair);
        ways.all(|(hasty, fair)| {
            let next = |group: &Group| group.fair_step(hasty, self.without).map(Group::sorted);
            fair.ends(group, next, Group::is_done)
        })
    }
}

const AGREE: &str = "10 same group and epoch imply the same commits";
const WELCOME: &str = "10 a Welcome that was put implies that its commit won";
const ONE_INDEX: &str = "11 one index per envelope, and it never changes";
const GROW: &str = "epochs only grow";
const DONE: &str = "nobody is stuck: every commit that is wanted is made, and its Welcome is put";

/// Not a promise: that the search gets as far as this.
const TWICE: &str = "somebody loses twice";

impl Model for CommitLog {
    type State = Group;
    type Action = Action;

    fn init_states(&self) -> Vec<Group> {
        vec![Group::new(self.budget)]
    }

    fn actions(&self, group: &Group, actions: &mut Vec<Action>) {
        group.possible(actions);
    }

    fn next_state(&self, group: &Group, action: Action) -> Option<Group> {
        Some(group.after(action, self.without).sorted())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(AGREE, |_, group: &Group| group.agrees()),
            Property::always(WELCOME, |_, group: &Group| group.welcomes_won()),
            Property::always(ONE_INDEX, |_, group: &Group| group.has_one_index_each()),
            Property::always(GROW, |_, group: &Group| !group.epoch_fell),
            Property::always(DONE, |model: &Self, group: &Group| model.ends(group)),
            Property::sometimes(TWICE, |_, group: &Group| {
                group.members.iter().any(|member| member.durable.built >= 3)
            }),
        ]
    }
}
