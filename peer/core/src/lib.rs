//! The delivery state machine of one conversation, without I/O.
//!
//! [`Session`] decides what is sent over which path, when it is sent again, what a person is told
//! about it, and in which order received messages are shown. It opens no socket, writes no file and
//! reads no clock: time and the random seed are arguments, encryption and long memory are behind
//! [`Vault`], and everything it wants done comes out of [`Session::poll_output`] as **one ordered
//! stream** of [`Output::Persist`], [`Output::Transmit`] and [`Output::Event`].
//!
//! # The rule that everything rests on
//!
//! The caller applies the outputs in order, commits all `Persist`s of a batch in one transaction,
//! and lets no `Transmit` or `Event` out before that commit is durable. The session puts a
//! `Persist` before every `Transmit` and `Event` that depends on it, so the caller has nothing to
//! remember.
//!
//! # Who does what
//!
//! | module | owns |
//! |---|---|
//! | [`session`] | inputs, timers, the output stream |
//! | `numbering` | sequence numbers, the clock stamps, what waits to be sealed |
//! | `outbox` | the window of envelopes that are on their way |
//! | `paths` | which path is up, stalled or backing off |
//! | `inbox` | what has been received, what is held back for order, gaps |
//! | `control` | receipts and resend requests |
//!
//! # Invariants (numbers as in the protocol's list)
//!
//! 1. No `Transmit` precedes the `Persist` it depends on.
//! 3. At most one `Persist::Incoming` or `Persist::Hold` per (device, seq).
//! 5. `Event::Message` of one sender follow seq; gaps are explicit (`Event::Gap`).
//! 6. States of a message only move forward (`DeliveryState` is ordered; only `Failed` may still
//!    become `Delivered`).
//! 7. A seq never carries two contents: what is sealed again is read back from the store.
//! 9. Window, held messages, ranges and asks are bounded by the constants in [`config`].
//!
//! ```
//! # use tincan_core::{Config, Input, Instant, Now, Output, Session, DeviceAt};
//! # use tincan_protocol::{DeviceId, MsgId, content::Body};
//! # fn run(vault: &mut dyn tincan_core::Vault) -> Result<(), Box<dyn std::error::Error>> {
//! let now = Now { instant: Instant::from_micros(0), unix_ms: 1_900_000_000_000 };
//! let (local, remote) = (DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]));
//! let mut session = Session::new(Config::default(), DeviceAt { local, remote }, 7, now);
//! let seq = session.send(MsgId::from_u128(1), Body::text("hello"), now)?;
//! session.flush(vault, now)?;
//! while let Some(output) = session.poll_output() {
//!     match output {
//!         Output::Persist(row) => { /* into the open transaction */ }
//!         Output::Transmit(transmit) => { /* after the commit */ }
//!         Output::Event(event) => { /* after the commit */ }
//!     }
//! }
//! # Ok(()) }
//! ```

#![no_std]

extern crate alloc;

mod backoff;
pub mod config;
mod control;
mod inbox;
mod input;
mod missing;
mod numbering;
mod outbox;
mod output;
mod paths;
mod recent;
mod rng;
pub mod session;
mod snapshot;
mod time;
mod unreadable;
mod vault;
mod wanted;

pub use config::Config;
pub use input::{Input, RefusedDeposit, Via};
pub use output::{
    DeliveryState, Event, Output, Persist, SentContent, SentVia, Transmit, WaitReason,
};
pub use session::{Buffer, DeviceAt, LeftAt, SendError, Session};
pub use snapshot::{GapRow, RangeRow, Snapshot};
pub use time::{Instant, Now};
pub use vault::{OpenError, Opened, OutboxRow, Vault, VaultError};
