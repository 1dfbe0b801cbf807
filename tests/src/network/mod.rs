//! Networks of a test's own: network namespaces of this machine that stand for hosts, the NATs before
//! them, a public server and the Internet between. Real packets, real conntrack, and nothing of it
//! touches the network of the machine.
//!
//! They need root and the programs `ip`, `iptables` and `tc` (Debian: iproute2, iptables).

mod bed;
mod namespace;
mod nat;
mod side;

pub use bed::Bed;
pub(crate) use namespace::command_in;
pub use namespace::{Namespace, may_be_made};
pub use nat::Nat;
pub use side::Side;
