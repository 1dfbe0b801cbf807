//! What `tincan-peer` reads from its own machine: the socket of a profile and the key file.
//!
//! Both go the way that real bytes go, through the profile of a peer that runs offline: so these targets
//! are slow, and what one input leaves in the profile the next one finds.

mod key_file;
mod profile;
mod socket;

pub use key_file::key_file;
pub use socket::socket_command;
