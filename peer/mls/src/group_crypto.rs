//! What a peer needs of its end-to-end encryption, as a trait.
//!
//! There is one implementation for people, [`Mls`]. The trait exists so that simulations can search
//! millions of steps with a stand-in that has the same semantics (one opening per ciphertext, rows
//! that change with every operation) and costs next to nothing.

use std::fmt;

use tincan_protocol::IdentityId;
use tincan_protocol::wire::GroupState;

use crate::group_id::GroupId;
use crate::groups::{CreateError, JoinError, Joined, NewGroup};
use crate::key_packages::KeyPackageError;
use crate::messages::{OpenError, Opened, SealError};
use crate::{LibraryError, Mls, Row};

/// See the module; each method is documented at [`Mls`], under its name.
pub trait GroupCrypto: Send + fmt::Debug {
    /// Encrypts for a group.
    ///
    /// # Errors
    /// As [`Mls::seal`].
    fn seal(&mut self, group: &GroupId, payload: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Decrypts, once.
    ///
    /// # Errors
    /// As [`Mls::open`].
    fn open(&mut self, message: &[u8]) -> Result<Opened, OpenError>;

    /// Which group a message is for.
    ///
    /// # Errors
    /// As [`Mls::group_of`].
    fn group_of(&self, message: &[u8]) -> Result<GroupId, OpenError>;

    /// Makes a group with the owner of a key package.
    ///
    /// # Errors
    /// As [`Mls::create_direct_group`].
    fn create_direct_group(
        &mut self,
        key_package: &[u8],
        expected: &IdentityId,
        now_ms: u64,
    ) -> Result<NewGroup, CreateError>;

    /// Joins a group.
    ///
    /// # Errors
    /// As [`Mls::join`].
    fn join(&mut self, welcome: &[u8], now_ms: u64) -> Result<Joined, JoinError>;

    /// Forgets a group.
    ///
    /// # Errors
    /// As [`Mls::delete_group`].
    fn delete_group(&mut self, group: &GroupId) -> Result<bool, LibraryError>;

    /// Makes a key package.
    ///
    /// # Errors
    /// As [`Mls::create_key_package`].
    fn create_key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, KeyPackageError>;

    /// Forgets old key packages.
    ///
    /// # Errors
    /// As [`Mls::forget_ended_key_packages`].
    fn forget_ended_key_packages(&mut self, now_ms: u64) -> Result<usize, KeyPackageError>;

    /// A group's state, to be compared with the other side's.
    #[must_use]
    fn group_state(&self, group: &GroupId) -> Option<GroupState>;

    /// What is to be made durable.
    #[must_use = "what is not written is lost"]
    fn take_changes(&mut self) -> Vec<Row>;
}

impl GroupCrypto for Mls {
    fn seal(&mut self, group: &GroupId, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        Self::seal(self, group, payload)
    }

    fn open(&mut self, message: &[u8]) -> Result<Opened, OpenError> {
        Self::open(self, message)
    }

    fn group_of(&self, message: &[u8]) -> Result<GroupId, OpenError> {
        Self::group_of(message)
    }

    fn create_direct_group(
        &mut self,
        key_package: &[u8],
        expected: &IdentityId,
        now_ms: u64,
    ) -> Result<NewGroup, CreateError> {
        Self::create_direct_group(self, key_package, expected, now_ms)
    }

    fn join(&mut self, welcome: &[u8], now_ms: u64) -> Result<Joined, JoinError> {
        Self::join(self, welcome, now_ms)
    }

    fn delete_group(&mut self, group: &GroupId) -> Result<bool, LibraryError> {
        Self::delete_group(self, group)
    }

    fn create_key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, KeyPackageError> {
        Self::create_key_package(self, last_resort)
    }

    fn forget_ended_key_packages(&mut self, now_ms: u64) -> Result<usize, KeyPackageError> {
        Self::forget_ended_key_packages(self, now_ms)
    }

    fn group_state(&self, group: &GroupId) -> Option<GroupState> {
        Self::group_state(self, group)
    }

    fn take_changes(&mut self) -> Vec<Row> {
        Self::take_changes(self)
    }
}
