//! MLS end-to-end encryption for Tincan conversations (RFC 9420, by `openmls`).
//!
//! This crate owns one device's MLS state: its key packages, its groups and their ratchets, and the
//! check that every leaf of a group carries a certificate of the device it belongs to. It does not
//! own how messages travel, who is an accepted contact, or where the state is kept: it does no I/O.
//!
//! **State in rows.** openmls writes its state piece by piece and knows no transactions. Here every
//! operation works on a copy of what it touches: it either succeeds and its rows count as changed,
//! or it fails and nothing has changed. [`Mls::take_changes`] hands over the changed rows, which
//! the caller writes in the same transaction as the messages they belong to; [`Mls::load`] takes
//! all of them back.
//!
//! Invariants the caller keeps:
//! - What [`Mls::seal`] returned leaves the device only after the rows taken afterwards are
//!   durable. Otherwise a restart would use a key twice.
//! - What [`Mls::open`] returned is acknowledged only after its rows are durable, and is written
//!   in the same transaction: the key that opened it is gone for good.
//! - If writing taken rows fails, this [`Mls`] is ahead of the disk: drop it and load again.
//!
//! Invariants this crate keeps:
//! - A message that does not open changes nothing: neither rows nor ratchets.
//! - No member enters a group with a certificate that does not hold, has expired, or is another
//!   device's.
//! - No `Debug` output shows a secret or a plaintext.
//!
//! **Clock.** Certificates are checked against the `now_ms` that is passed in. The lifetimes of key
//! packages are set and checked by openmls, which reads the system's clock itself.
//!
//! **Stack.** 256 KiB are enough where dependencies are optimised, as in this workspace's profiles.
//! Where they are not, openmls wants 4 MiB.

mod group_crypto;
mod group_id;
mod groups;
mod key_packages;
mod member;
mod messages;
mod mls;
mod rows;
mod storage;
mod suite;

pub use group_crypto::GroupCrypto;
pub use group_id::{GroupId, GroupIdLength};
pub use groups::{CreateError, JoinError, Joined, NewGroup};
pub use key_packages::KeyPackageError;
pub use member::{LeafError, Member};
pub use messages::{OpenError, Opened, SealError};
pub use mls::{LoadError, Mls};
pub use rows::Row;

/// An error of the MLS library, for the log: its kinds are not part of this crate's interface.
pub type LibraryError = Box<dyn std::error::Error + Send + Sync>;
