//! What the session needs and does not hold: encryption and the long memory.
//!
//! The caller implements it over its MLS groups and its open transaction. A read must see every
//! `Persist` that was polled before; the session never reads what it has not yet given out.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use tincan_protocol::{DeviceId, EnvelopeId};

/// The store or the encryption failed in a way that the session cannot answer. The caller drops
/// all state in memory and starts again from what is durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VaultError(pub String);

/// An opened envelope.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The device that sealed it, as its certificate says.
    pub sender: DeviceId,
    /// The payload.
    pub payload: Bytes,
}

/// Why an envelope cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed for this group, but its key is used up or too old: ask for it again.
    #[error("the key of this envelope is gone")]
    KeyGone,
    /// It never was an envelope of this conversation, or somebody changed it.
    #[error("the envelope is not valid")]
    Invalid,
    /// See [`VaultError`].
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// One envelope of the outbox, as [`crate::Persist::Outgoing`] or [`crate::Persist::Resealed`] wrote
/// it.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// First seq inside.
    pub first: u64,
    /// Last seq inside.
    pub last: u64,
    /// The envelope's bytes; none if it is not sealed yet.
    pub envelope: Bytes,
    /// `Persist::OutboxStored` was written for it before it was sealed again.
    pub told: bool,
}

/// See the module.
pub trait Vault {
    /// Seals a payload for the conversation; the result is an encoded envelope.
    ///
    /// # Errors
    /// [`VaultError`].
    fn seal(&mut self, payload: Vec<u8>) -> Result<Bytes, VaultError>;

    /// Opens an encoded envelope. Each opens once: the key is used up.
    ///
    /// # Errors
    /// [`OpenError`].
    fn open(&mut self, envelope: &Bytes) -> Result<Opened, OpenError>;

    /// Whether `Persist::Seen` was written for this envelope.
    ///
    /// # Errors
    /// [`VaultError`].
    fn is_seen(&self, id: &EnvelopeId) -> Result<bool, VaultError>;

    /// Envelopes of the outbox that are stored nowhere else yet, from `from_seq` on, in order, until
    /// `max_bytes` or `max_count` is reached (but at least one, if there is one).
    ///
    /// # Errors
    /// [`VaultError`].
    fn pending(
        &self,
        from_seq: u64,
        max_count: usize,
        max_bytes: usize,
    ) -> Result<Vec<OutboxRow>, VaultError>;

    /// First and last seqs of the undelivered envelopes with these ids; unknown ids are left out.
    ///
    /// # Errors
    /// [`VaultError`].
    fn find_envelopes(&self, ids: &[EnvelopeId]) -> Result<Vec<(u64, u64)>, VaultError>;

    /// First and last seq of the undelivered envelopes that overlap `first..=last` and are stored
    /// elsewhere, in order, at most `max`. Those that are pending come by themselves.
    ///
    /// # Errors
    /// [`VaultError`].
    fn find_range(&self, first: u64, last: u64, max: usize) -> Result<Vec<(u64, u64)>, VaultError>;

    /// The contents sent with the seqs `first..=last`, exactly as they were encoded. What the other side is known
    /// to have may be gone.
    ///
    /// # Errors
    /// [`VaultError`].
    fn sent_contents(&self, first: u64, last: u64) -> Result<Vec<(u64, Bytes)>, VaultError>;

    /// First and last seq of undelivered envelopes that do not last and were created before `unix_ms`,
    /// oldest first, at most `max`.
    ///
    /// # Errors
    /// [`VaultError`].
    fn created_before(&self, unix_ms: u64, max: usize) -> Result<Vec<(u64, u64)>, VaultError>;

    /// The content that `Persist::Hold` wrote.
    ///
    /// # Errors
    /// [`VaultError`].
    fn held(&self, seq: u64) -> Result<Option<Bytes>, VaultError>;

    /// The seqs of all held contents, ascending.
    ///
    /// # Errors
    /// [`VaultError`].
    fn held_seqs(&self) -> Result<Vec<u64>, VaultError>;
}
