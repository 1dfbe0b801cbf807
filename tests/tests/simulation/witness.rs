//! Looks over the shoulder of everybody's encryption, so that the world knows what is in an envelope
//! without being able to open it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use tincan_mls::{
    CreateError, GroupCrypto, GroupId, JoinError, Joined, KeyPackageError, LibraryError, NewGroup,
    OpenError, Opened, Row, SealError,
};
use tincan_protocol::content::Content;
use tincan_protocol::envelope::{Envelope, decode_payload};
use tincan_protocol::wire::GroupState;
use tincan_protocol::{EnvelopeId, IdentityId};

/// A numbered content inside an envelope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inside {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

#[derive(Debug, Default)]
struct Seen {
    sealed: BTreeMap<EnvelopeId, (usize, Vec<Inside>)>,
    opened: BTreeSet<(usize, EnvelopeId)>,
}

/// Everybody's envelopes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<Seen>>);

impl Witness {
    /// Who has sealed an envelope, and its numbered contents; none if nobody in this world has.
    pub(crate) fn sealed(&self, id: &EnvelopeId) -> Option<(usize, Vec<Inside>)> {
        self.0.lock().unwrap().sealed.get(id).cloned()
    }

    /// Whether a peer was able to open it, in whichever life.
    pub(crate) fn has_opened(&self, peer: usize, id: EnvelopeId) -> bool {
        self.0.lock().unwrap().opened.contains(&(peer, id))
    }

    /// Encryption that is looked at.
    pub(crate) fn watch(&self, peer: usize, inner: Box<dyn GroupCrypto>) -> Box<dyn GroupCrypto> {
        Box::new(Watched {
            peer,
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
    inner: Box<dyn GroupCrypto>,
    witness: Witness,
}

impl GroupCrypto for Watched {
    fn seal(&mut self, group: &GroupId, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        let sealed = self.inner.seal(group, payload)?;
        let contents = decode_payload(payload.to_vec().into()).expect("own payload");
        let inside = contents.iter().filter_map(|bytes| {
            let seq = Content::decode(bytes).expect("own content").seq;
            let hash = Sha256::digest(bytes).into();
            (seq > 0).then_some(Inside { seq, hash })
        });
        let mut seen = self.witness.0.lock().unwrap();
        seen.sealed
            .insert(id_of_message(sealed.clone()), (self.peer, inside.collect()));
        Ok(sealed)
    }

    fn open(&mut self, message: &[u8]) -> Result<Opened, OpenError> {
        let opened = self.inner.open(message)?;
        let id = id_of_message(message.to_vec());
        self.witness
            .0
            .lock()
            .unwrap()
            .opened
            .insert((self.peer, id));
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
        self.inner.create_key_package(last_resort)
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
