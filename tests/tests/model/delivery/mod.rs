//! Delivery between two devices, by the direct link and by each one's mailbox.
//!
//! [`session`] with [`receiving`] is what a device does; [`actions`] is what can happen and [`world`]
//! what comes of it; [`properties`] are the protocol's invariants; [`search`] looks at every state
//! within some bounds, and shows for every [`rule`] that the search notices when it is missing.
//! [`tie`] walks the real sessions and the real relay along the same paths.

mod actions;
mod budget;
mod fair;
mod names;
mod properties;
mod receiving;
mod rule;
mod search;
mod seqs;
mod session;
mod state;
mod tie;
mod world;

use crate::fair::Fair;
use actions::Action;
use budget::Bounds;
use rule::Rule;
use state::State;
use stateright::{Model, Property};

pub(crate) struct Delivery {
    bounds: Bounds,
    /// The rule that this one lacks.
    without: Option<Rule>,
    fair: Fair,
}

impl Delivery {
    pub(crate) fn new(bounds: Bounds, without: Option<Rule>) -> Self {
        Self {
            bounds,
            without,
            fair: Fair::default(),
        }
    }
}

impl Model for Delivery {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.after(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
