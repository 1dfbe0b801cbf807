//! How a state goes on when nothing goes wrong any more.
//!
//! What is on its way comes in; when nothing is, time passes for both sides. That leaves open what comes
//! in before what: a state is judged along two ways that differ as much as they can.

use super::Delivery;
use super::actions::Action;
use super::state::State;

/// What comes in before what.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// By the link before by the relay, and to the first side before to the second.
    LinkFirst,
    /// The other way round.
    RelayFirst,
}

const ORDERS: [Order; 2] = [Order::LinkFirst, Order::RelayFirst];

/// How many there are.
pub(crate) const WAYS: usize = ORDERS.len();

impl Delivery {
    /// Whether the fair continuations of this state deliver everything.
    pub(crate) fn ends(&self, state: &State) -> bool {
        ORDERS.into_iter().zip(&self.fair).all(|(order, fair)| {
            let next = |state: &State| self.fair_step(state, order);
            fair.ends(state, next, State::is_complete)
        })
    }

    /// Nothing that needs no fault and no person changes anything.
    pub(crate) fn is_at_rest(&self, state: &State) -> bool {
        self.fair_step(state, Order::LinkFirst).is_none()
    }

    fn fair_step(&self, state: &State, order: Order) -> Option<State> {
        if let Some(at) = (0..2).find(|&at| state.sides[at].is_open()) {
            return self.after(state, Action::Commit { at });
        }
        let mut actions = Vec::new();
        self.regular(state, &mut actions);
        if matches!(order, Order::RelayFirst) {
            actions.reverse();
        }
        let by_itself = |action: &Action| {
            !matches!(
                action,
                Action::Send { .. } | Action::Read { .. } | Action::Tick { .. }
            )
        };
        let mut by_itself = actions.into_iter().filter(by_itself);
        let moved = by_itself.find_map(|action| self.after(state, action));
        moved.or_else(|| self.time_for_both(state))
    }

    fn time_for_both(&self, state: &State) -> Option<State> {
        let mut at = state.clone();
        for action in [
            Action::Tick { at: 0 },
            Action::Commit { at: 0 },
            Action::Tick { at: 1 },
            Action::Commit { at: 1 },
        ] {
            at = self.after(&at, action).unwrap_or(at);
        }
        (at != *state).then_some(at)
    }
}
