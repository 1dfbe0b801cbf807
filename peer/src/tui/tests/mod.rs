//! The interface without a terminal and without a profile: what a profile would answer is put in by hand.

mod reading;
mod screens;
mod stage;
mod window;
mod writing;
