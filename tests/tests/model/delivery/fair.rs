//! How a state goes on when nothing goes wrong any more.

use super::Delivery;
use super::actions::Action;
use super::state::State;

impl Delivery {
    /// Whether the fair continuation of this state delivers everything.
    pub(crate) fn ends(&self, state: &State) -> bool {
        let next = |state: &State| self.fair_step(state);
        self.fair.ends(state, next, State::is_complete)
    }

    /// Nothing that needs no fault and no person changes anything.
    pub(crate) fn is_at_rest(&self, state: &State) -> bool {
        self.fair_step(state).is_none()
    }

    /// What happens next when nothing goes wrong: what is on its way comes in; when nothing is, time
    /// passes for both sides.
    fn fair_step(&self, state: &State) -> Option<State> {
        if let Some(at) = (0..2).find(|&at| state.sides[at].is_open()) {
            return self.after(state, Action::Commit { at });
        }
        let mut actions = Vec::new();
        self.regular(state, &mut actions);
        let by_itself = |action: &Action| {
            !matches!(
                action,
                Action::Send { .. } | Action::Read { .. } | Action::Tick { .. }
            )
        };
        let moved = actions.into_iter().filter(by_itself);
        let moved = moved.filter_map(|action| self.after(state, action)).next();
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
