//! Looks over the shoulder of everybody's encryption, so that the world knows what is in an envelope
//! without being able to open it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use tincan_mls::{
    CreateError, GroupCrypto, GroupId, JoinError, Joined, KeyPackageError, LibraryError, NewGroup,
    OpenError, Opened, Row, SealError,
};
use tincan_protocol::content::Content;
use tincan_protocol::envelope::{Envelope, Payload};
use tincan_protocol::wire::GroupState;
use tincan_protocol::{EnvelopeId, IdentityId};

use crate::disk::Disk;

/// A numbered content inside an envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inside {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

/// An envelope as its sealer knows it.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) by: usize,
    pub(crate) inside: Vec<Inside>,
    /// How often the sealer's disk had been synced then.
    pub(crate) syncs: u64,
}

#[derive(Debug, Default)]
struct Seen {
    sealed: BTreeMap<EnvelopeId, Sealed>,
    /// By whom, and how often their disk had been synced then.
    opened: BTreeMap<(usize, EnvelopeId), u64>,
    /// How often their maker's disk had been synced when key packages were made.
    packages: BTreeMap<Vec<u8>, u64>,
}

/// Everybody's envelopes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<Seen>>);

impl Witness {
    /// What is known of an envelope; nothing if nobody in this world has sealed it.
    pub(crate) fn sealed(&self, id: &EnvelopeId) -> Option<Sealed> {
        self.0.lock().unwrap().sealed.get(id).cloned()
    }

    /// How often a peer's disk had been synced when it opened an envelope, if it was ever able to.
    pub(crate) fn opened(&self, peer: usize, id: EnvelopeId) -> Option<u64> {
        self.0.lock().unwrap().opened.get(&(peer, id)).copied()
    }

    /// How often its maker's disk had been synced when a key package was made; nothing if nobody in this
    /// world has made it.
    pub(crate) fn made(&self, package: &[u8]) -> Option<u64> {
        self.0.lock().unwrap().packages.get(package).copied()
    }

    /// A message has been sealed.
    pub(crate) fn saw_sealed(&self, message: Vec<u8>, sealed: Sealed) {
        let id = id_of_message(message);
        self.0.lock().unwrap().sealed.insert(id, sealed);
    }

    /// A peer, whose disk had been synced so often, has opened a message.
    pub(crate) fn saw_opened(&self, peer: usize, message: Vec<u8>, syncs: u64) {
        let id = id_of_message(message);
        self.0.lock().unwrap().opened.insert((peer, id), syncs);
    }

    /// A key package was made by somebody whose disk had been synced so often.
    pub(crate) fn saw_made(&self, package: Vec<u8>, syncs: u64) {
        self.0.lock().unwrap().packages.insert(package, syncs);
    }

    /// Encryption that is looked at.
    pub(crate) fn watch(
        &self,
        peer: usize,
        disk: Disk,
        inner: Box<dyn GroupCrypto>,
    ) -> Box<dyn GroupCrypto> {
        Box::new(Watched {
            peer,
            disk,
            inner,
            witness: self.clone(),
        })
    }
}

/// The id of the message in an envelope, as its sealer and its reader know it.
pub(crate) fn message_id(envelope: bytes::Bytes) -> Option<EnvelopeId> {
    match Envelope::decode(envelope.clone()).ok()? {
        Envelope::Message(_) => Some(EnvelopeId::of(&envelope)),
        Envelope::Request(request) => Some(id_of_message(request.message.to_vec())),
        _ => None,
    }
}

fn id_of_message(message: Vec<u8>) -> EnvelopeId {
    EnvelopeId::of(&Envelope::Message(message.into()).encode())
}

#[derive(Debug)]
struct Watched {
    peer: usize,
    disk: Disk,
    inner: Box<dyn GroupCrypto>,
    witness: Witness,
}

impl GroupCrypto for Watched {
    fn seal(&mut self, group: &GroupId, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        let sealed = self.inner.seal(group, payload)?;
        let contents = Payload::decode(payload.to_vec().into())
            .expect("own payload")
            .contents;
        let inside = contents.iter().filter_map(|bytes| {
            let seq = Content::decode(bytes).expect("own content").seq;
            let hash = Sha256::digest(bytes).into();
            (seq > 0).then_some(Inside { seq, hash })
        });
        let envelope = Sealed {
            by: self.peer,
            inside: inside.collect(),
            syncs: self.disk.syncs(),
        };
        self.witness.saw_sealed(sealed.clone(), envelope);
        Ok(sealed)
    }

    fn open(&mut self, message: &[u8]) -> Result<Opened, OpenError> {
        let opened = self.inner.open(message)?;
        let syncs = self.disk.syncs();
        self.witness.saw_opened(self.peer, message.to_vec(), syncs);
        Ok(opened)
    }

    fn group_of(&self, message: &[u8]) -> Result<GroupId, OpenError> {
        self.inner.group_of(message)
    }

    fn create_direct_group(
        &mut self,
        key_package: &[u8],
        expected: &IdentityId,
        now_ms: u64,
    ) -> Result<NewGroup, CreateError> {
        self.inner
            .create_direct_group(key_package, expected, now_ms)
    }

    fn join(&mut self, welcome: &[u8], now_ms: u64) -> Result<Joined, JoinError> {
        self.inner.join(welcome, now_ms)
    }

    fn delete_group(&mut self, group: &GroupId) -> Result<bool, LibraryError> {
        self.inner.delete_group(group)
    }

    fn create_key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, KeyPackageError> {
        let package = self.inner.create_key_package(last_resort)?;
        self.witness.saw_made(package.clone(), self.disk.syncs());
        Ok(package)
    }

    fn forget_ended_key_packages(&mut self, now_ms: u64) -> Result<usize, KeyPackageError> {
        self.inner.forget_ended_key_packages(now_ms)
    }

    fn group_state(&self, group: &GroupId) -> Option<GroupState> {
        self.inner.group_state(group)
    }

    fn take_changes(&mut self) -> Vec<Row> {
        self.inner.take_changes()
    }
}
