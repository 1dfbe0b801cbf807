//! The model and the code that it speaks of do the same.
//!
//! [`real`] puts two `tincan_core::Session`s and the relay's inside where the model has its own, and
//! does the same actions with them; [`abstraction`] says which state of the model the real ones are
//! in. After every step the two states are compared, and what a session does not show by itself is
//! compared by what it answers and by what it does next.
//!
//! What the core can say is matched without a wildcard where its enum is closed, so that what is new
//! does not compile without an entry here. `Event`, `DeliveryState` and `WaitReason` are open to other
//! crates and the language asks for one more arm: that arm fails the walk. So does a timer that the
//! model does not know.

mod abstraction;
mod real;
mod walks;
