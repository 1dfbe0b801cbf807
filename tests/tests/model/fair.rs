//! Liveness. Stateright's `eventually` says nothing about paths that end in a cycle, and who asks
//! again has cycles; so this is asked of every state instead: if from now on nothing goes wrong and
//! everybody has a turn, does it end well?

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Mutex, PoisonError};

/// Steps without a fault that must be enough. Chosen: five times what the longest one takes.
const STEPS: usize = 500;

/// States from which it is known to end well.
#[derive(Default)]
pub(crate) struct Fair(Mutex<HashSet<u64>>);

impl Fair {
    /// Whether the steps of `next` lead from this state to one that is `done`.
    pub(crate) fn ends<S: Clone + Hash>(
        &self,
        state: &S,
        next: impl Fn(&S) -> Option<S>,
        done: impl Fn(&S) -> bool,
    ) -> bool {
        let mut path = Vec::new();
        let mut at = Cow::Borrowed(state);
        while !done(&at) {
            let name = name(&*at);
            if self.knows(name) {
                break;
            }
            path.push(name);
            let Some(after) = next(&at).filter(|_| path.len() < STEPS) else {
                return false;
            };
            at = Cow::Owned(after);
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

fn name(state: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
