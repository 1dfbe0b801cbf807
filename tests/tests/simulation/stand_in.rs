//! A cheap stand-in for MLS with the same semantics, so that the search is wide: one opening per
//! ciphertext, a bounded tolerance for what comes late or early, key packages that are gone after
//! their use, rows that change with every operation and are all that a restart leaves.
//!
//! It hides nothing from anybody who looks (a byte is turned around, so that no text stands in clear),
//! and is good for nothing else.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use tincan_mls::{
    CreateError, GroupCrypto, GroupId, JoinError, Joined, KeyPackageError, LibraryError, Member,
    NewGroup, OpenError, Opened, Row, SealError,
};
use tincan_protocol::ack::SeqSet;
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::wire::GroupState;
use tincan_protocol::{DeviceId, IdentityId};

/// As MLS is set up here, see `peer/mls/src/suite.rs`.
const OUT_OF_ORDER: u64 = 1_088;
const FORWARD: u64 = 16_384;

const GROUP: u8 = b'g';
const KEY_PACKAGE: u8 = b'k';

const ID: usize = 16;
const SUM: usize = 8;

/// See the module.
#[derive(Debug)]
pub(crate) struct StandIn {
    own: Member,
    groups: BTreeMap<GroupId, Group>,
    /// Whether it is of last resort.
    key_packages: BTreeMap<[u8; ID], bool>,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    rng: SmallRng,
}

#[derive(Debug)]
struct Group {
    other: Member,
    /// Chosen by who made the group, and told in the welcome: what both have the same of.
    secret: [u8; SUM],
    /// Messages sealed here.
    sealed: u64,
    /// Messages of the other side opened here.
    opened: SeqSet,
}

impl StandIn {
    pub(crate) fn load(cert: &DeviceCert, rows: Vec<(Vec<u8>, Vec<u8>)>, seed: u64) -> Self {
        let mut stand_in = Self {
            own: Member {
                identity: cert.identity(),
                device: cert.device(),
            },
            groups: BTreeMap::new(),
            key_packages: BTreeMap::new(),
            changes: BTreeMap::new(),
            rng: SmallRng::seed_from_u64(seed),
        };
        for (key, value) in rows {
            match key[0] {
                GROUP => {
                    let id = GroupId::from_bytes(&key[1..]).unwrap();
                    stand_in.groups.insert(id, Group::decode(&value));
                }
                _ => {
                    let id = key[1..].try_into().unwrap();
                    stand_in.key_packages.insert(id, value[0] == 1);
                }
            }
        }
        stand_in
    }

    fn group_changed(&mut self, id: &GroupId) {
        let mut key = vec![GROUP];
        key.extend_from_slice(id.as_bytes());
        self.changes
            .insert(key, self.groups.get(id).map(Group::encode));
    }

    fn key_package_changed(&mut self, id: [u8; ID]) {
        let mut key = vec![KEY_PACKAGE];
        key.extend_from_slice(&id);
        let value = self.key_packages.get(&id).map(|last| vec![u8::from(*last)]);
        self.changes.insert(key, value);
    }
}

impl Group {
    fn new(other: Member, secret: [u8; SUM]) -> Self {
        Self {
            other,
            secret,
            sealed: 0,
            opened: SeqSet::default(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.secret.to_vec();
        bytes.extend_from_slice(self.other.identity.as_bytes());
        bytes.extend_from_slice(self.other.device.as_bytes());
        bytes.extend_from_slice(&self.sealed.to_be_bytes());
        for (first, last) in self.opened.ranges() {
            bytes.extend_from_slice(&first.to_be_bytes());
            bytes.extend_from_slice(&last.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let (secret, bytes) = bytes.split_at(SUM);
        let other = Member {
            identity: IdentityId::try_from(&bytes[..32]).unwrap(),
            device: DeviceId::try_from(&bytes[32..64]).unwrap(),
        };
        let mut group = Self::new(other, secret.try_into().unwrap());
        group.sealed = number(&bytes[64..72]);
        for range in bytes[72..].chunks(16) {
            group
                .opened
                .insert_range(number(&range[..8]), number(&range[8..]));
        }
        group
    }
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().unwrap())
}

fn sum(bytes: &[u8]) -> [u8; SUM] {
    Sha256::digest(bytes)[..SUM].try_into().unwrap()
}

/// `bytes` without the sum at their end, if that fits.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (body, found) = bytes.split_at_checked(bytes.len().checked_sub(SUM)?)?;
    (sum(body) == found).then_some(body)
}

fn turned(payload: &[u8]) -> impl Iterator<Item = u8> {
    payload.iter().map(|byte| byte ^ 0xa5)
}

/// `"SI" group[16] device[32] generation u64 payload sum[8]`
const HEAD: usize = 2 + ID + 32 + 8;

impl GroupCrypto for StandIn {
    fn seal(&mut self, group: &GroupId, payload: &[u8]) -> Result<Vec<u8>, SealError> {
        let Some(state) = self.groups.get_mut(group) else {
            let group = group.clone();
            return Err(SealError::UnknownGroup { group });
        };
        state.sealed += 1;
        let mut bytes = b"SI".to_vec();
        bytes.extend_from_slice(group.as_bytes());
        bytes.extend_from_slice(self.own.device.as_bytes());
        bytes.extend_from_slice(&state.sealed.to_be_bytes());
        bytes.extend(turned(payload));
        let sum = sum(&bytes);
        bytes.extend_from_slice(&sum);
        self.group_changed(group);
        Ok(bytes)
    }

    fn open(&mut self, message: &[u8]) -> Result<Opened, OpenError> {
        let id = self.group_of(message)?;
        let Some(state) = self.groups.get_mut(&id) else {
            return Err(OpenError::UnknownGroup);
        };
        let body = checked(message).ok_or(OpenError::Invalid)?;
        let (head, payload) = body.split_at(HEAD);
        let device = DeviceId::try_from(&head[2 + ID..HEAD - 8]).unwrap();
        if device == self.own.device {
            return Err(OpenError::OwnMessage);
        }
        if device != state.other.device {
            return Err(OpenError::Invalid);
        }
        let generation = number(&head[HEAD - 8..]);
        let newest = state.opened.highest();
        if state.opened.contains(generation) || generation + OUT_OF_ORDER < newest {
            return Err(OpenError::KeyGone);
        }
        if generation > newest + FORWARD {
            return Err(OpenError::TooFarAhead);
        }
        state.opened.insert(generation);
        let sender = state.other;
        self.group_changed(&id);
        Ok(Opened {
            group: id,
            sender,
            payload: turned(payload).collect(),
        })
    }

    fn group_of(&self, message: &[u8]) -> Result<GroupId, OpenError> {
        if message.len() < HEAD + SUM || !message.starts_with(b"SI") {
            return Err(OpenError::Invalid);
        }
        GroupId::from_bytes(&message[2..2 + ID]).map_err(|_| OpenError::Invalid)
    }

    fn create_direct_group(
        &mut self,
        key_package: &[u8],
        expected: &IdentityId,
        _now_ms: u64,
    ) -> Result<NewGroup, CreateError> {
        let body = checked(key_package).filter(|body| body.starts_with(b"SK"));
        let body = body.ok_or(CreateError::NotAKeyPackage)?;
        let peer = Member {
            identity: IdentityId::try_from(&body[2 + ID..2 + ID + 32]).unwrap(),
            device: DeviceId::try_from(&body[2 + ID + 32..]).unwrap(),
        };
        if peer.identity != *expected {
            return Err(CreateError::AnotherIdentity {
                expected: *expected,
                found: peer.identity,
            });
        }
        let group = GroupId::from_bytes(&self.rng.random::<[u8; ID]>()).unwrap();
        let secret = self.rng.random();
        self.groups.insert(group.clone(), Group::new(peer, secret));
        self.group_changed(&group);
        let mut welcome = b"SW".to_vec();
        welcome.extend_from_slice(&body[2..2 + ID]);
        welcome.extend_from_slice(group.as_bytes());
        welcome.extend_from_slice(&secret);
        welcome.extend_from_slice(self.own.identity.as_bytes());
        welcome.extend_from_slice(self.own.device.as_bytes());
        let sum = sum(&welcome);
        welcome.extend_from_slice(&sum);
        Ok(NewGroup {
            group,
            welcome,
            peer,
        })
    }

    fn join(&mut self, welcome: &[u8], _now_ms: u64) -> Result<Joined, JoinError> {
        let body = checked(welcome).filter(|body| body.starts_with(b"SW"));
        let body = body.ok_or(JoinError::NotAWelcome)?;
        let (key_package, rest) = body[2..].split_at(ID);
        let (group, rest) = rest.split_at(ID);
        let (secret, inviter) = rest.split_at(SUM);
        let key_package: [u8; ID] = key_package.try_into().unwrap();
        let group = GroupId::from_bytes(group)?;
        if self.groups.contains_key(&group) {
            return Err(JoinError::AlreadyJoined);
        }
        match self.key_packages.get(&key_package) {
            None => return Err(JoinError::KeyPackageGone),
            Some(true) => {}
            Some(false) => {
                self.key_packages.remove(&key_package);
                self.key_package_changed(key_package);
            }
        }
        let inviter = Member {
            identity: IdentityId::try_from(&inviter[..32]).unwrap(),
            device: DeviceId::try_from(&inviter[32..]).unwrap(),
        };
        let secret = secret.try_into().unwrap();
        self.groups
            .insert(group.clone(), Group::new(inviter, secret));
        self.group_changed(&group);
        Ok(Joined {
            group,
            inviter,
            members: vec![inviter, self.own],
        })
    }

    fn delete_group(&mut self, group: &GroupId) -> Result<bool, LibraryError> {
        let found = self.groups.remove(group).is_some();
        self.group_changed(group);
        Ok(found)
    }

    fn create_key_package(&mut self, last_resort: bool) -> Result<Vec<u8>, KeyPackageError> {
        let id: [u8; ID] = self.rng.random();
        self.key_packages.insert(id, last_resort);
        self.key_package_changed(id);
        let mut bytes = b"SK".to_vec();
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(self.own.identity.as_bytes());
        bytes.extend_from_slice(self.own.device.as_bytes());
        let sum = sum(&bytes);
        bytes.extend_from_slice(&sum);
        Ok(bytes)
    }

    /// They last as long as the schedule.
    fn forget_ended_key_packages(&mut self, _now_ms: u64) -> Result<usize, KeyPackageError> {
        Ok(0)
    }

    fn group_state(&self, group: &GroupId) -> Option<GroupState> {
        let state = self.groups.get(group)?;
        Some(GroupState {
            group_id: group.to_vec(),
            epoch: 1,
            authenticator: state.secret.to_vec(),
        })
    }

    fn take_changes(&mut self) -> Vec<Row> {
        let changes = std::mem::take(&mut self.changes).into_iter();
        changes.map(|(key, value)| Row { key, value }).collect()
    }
}
