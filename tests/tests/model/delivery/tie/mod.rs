//! The model and the code that it speaks of do the same.
//!
//! [`real`] puts two `tincan_core::Session`s and the relay's inside where the model has its own, and
//! does the same actions with them; [`abstraction`] says which state of the model the real ones are
//! in. After every step the two states are compared, and what a session does not show by itself is
//! compared by what it answers and by what it does next.

mod abstraction;
mod real;
mod walks;
