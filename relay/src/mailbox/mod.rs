//! The relay's inside without I/O: requests in; store operations, answers and deliveries out.
//!
//! Owns: [`Session`], what one connection has proved; [`Mailboxes`], who reads which queue and how
//! far, and what each connection may still be sent.
//! Does not own: what is in the queues (the [store](crate::store)), sockets, threads, the clock.
//!
//! A shell passes every frame to the connection's `Session`, every command that comes out to
//! `Mailboxes`, runs the operations that come out of `poll_output` on a store, and passes the
//! outcomes back. It may put as many writes in one transaction as it likes, in their order, and run
//! reads before them; what came of an operation is passed on before that of any later commit.

mod command;
mod connection;
mod mailboxes;
mod refusal;
mod session;
mod subscription;
mod sweep;

pub use command::Command;
pub use connection::Outbound;
pub use mailboxes::{ConnectionId, Mailboxes, Operation, Outcome, Output, Ticket};
pub use session::{Ending, Session, Step};
