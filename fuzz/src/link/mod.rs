//! What comes over a direct link, and about one, once it can be read.

mod candidates;
mod session;

pub use candidates::link_candidates;
pub use session::link_session;

/// What the seeds are made with.
pub(crate) mod shared {
    pub(crate) use super::candidates::{Line, SESSION, Step as CandidateStep, Wrong};
    pub(crate) use super::session::{HelloKind, Step as SessionStep};
}
