//! Liveness. Stateright's `eventually` says nothing about paths that end in a cycle, and a session
//! that asks again every day has cycles; so this is asked of every state instead: if from now on
//! nothing goes wrong and everybody has a turn, does everything arrive?

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use super::Delivery;
use super::state::State;
use super::world::Action;

/// Steps without a fault that must be enough. Chosen: five times what the longest one takes.
const STEPS: usize = 500;

/// States from which everything is known to arrive.
#[derive(Default)]
pub(crate) struct Fair(Mutex<HashSet<u64>>);

impl Fair {
    /// Whether the fair continuation of this state delivers everything.
    pub(crate) fn ends(&self, model: &Delivery, state: &State) -> bool {
        let mut path = vec![name(state)];
        if self.knows(path[0]) {
            return true;
        }
        let mut at = state.clone();
        while !at.is_complete() {
            let Some(next) = model.fair_step(&at).filter(|_| path.len() < STEPS) else {
                return false;
            };
            at = next;
            path.push(name(&at));
            if self.knows(name(&at)) {
                break;
            }
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(path);
        true
    }

    fn knows(&self, name: u64) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&name)
    }
}

fn name(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

impl Delivery {
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
