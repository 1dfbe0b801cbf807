//! Delivery between two devices, by the direct link and by each one's mailbox.
//!
//! [`session`] with [`receiving`] is what a device does, and [`mailbox`] what its relay does; [`actions`]
//! is what can happen, and [`world`] with [`relaying`] what comes of it; [`properties`] are the
//! protocol's invariants, and [`fair`] is how a state goes on when nothing goes wrong; [`search`] looks
//! at every state within some bounds, and shows for every [`rule`] that the search notices when it is
//! missing. [`tie`] walks the real sessions and the real relay along the same paths.

mod actions;
mod budget;
mod fair;
mod mailbox;
mod names;
mod properties;
mod receiving;
mod relaying;
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
    /// For each way in which a state may go on.
    fair: [Fair; fair::WAYS],
}

impl Delivery {
    pub(crate) fn new(bounds: Bounds, without: Option<Rule>) -> Self {
        Self {
            bounds,
            without,
            fair: Default::default(),
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
