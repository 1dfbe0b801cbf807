//! One device's whole MLS state: loading it and handing over what changed.
//!
//! What can be done with it stands in `key_packages`, `groups` and `messages`.

use std::collections::BTreeMap;
use std::fmt;

use openmls::group::{GroupId as MlsGroupId, MlsGroup};
use openmls::prelude::{BasicCredential, CredentialWithKey};
use openmls_rust_crypto::RustCrypto;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use tincan_protocol::DeviceId;
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::wire::GroupState;

use crate::group_id::{GroupId, GroupIdLength};
use crate::member::{self, LeafError, Member};
use crate::rows::{Row, Rows, Table};
use crate::{LibraryError, groups::Group};

/// One device's MLS state.
///
/// Memory: about 33 KiB for a group of two (measured), most of it the rows as they are on disk.
pub struct Mls {
    pub(crate) signer: LeafSigner,
    pub(crate) cert: DeviceCert,
    pub(crate) crypto: RustCrypto,
    pub(crate) rows: Rows,
    pub(crate) groups: BTreeMap<GroupId, Group>,
}

/// Why stored state is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The certificate is not for the key.
    #[error("the certificate is for device {certified}, the key is device {device}")]
    CertificateOfAnotherDevice {
        /// The device of the key.
        device: DeviceId,
        /// The device the certificate names.
        certified: DeviceId,
    },
    /// A group's name cannot be read.
    #[error("mls state is damaged: a group's name cannot be read")]
    GroupName(#[source] LibraryError),
    /// A group's name has a length that no group of ours has.
    #[error("mls state is damaged: {0}")]
    GroupId(GroupIdLength),
    /// A group's rows cannot be read.
    #[error("mls state of {group:?} is damaged")]
    Damaged {
        /// The group.
        group: GroupId,
        /// What the MLS library says.
        source: LibraryError,
    },
    /// Some of a group's rows are missing.
    #[error("mls state of {group:?} is incomplete")]
    Incomplete {
        /// The group.
        group: GroupId,
    },
    /// A member's leaf does not hold.
    #[error("mls state of {group:?} has a member that is not certified")]
    Leaf {
        /// The group.
        group: GroupId,
        /// What is wrong with it.
        source: LeafError,
    },
    /// The state was made by another device: its groups cannot be written in.
    #[error("mls state of {group:?} belongs to another device")]
    StateOfAnotherDevice {
        /// The group.
        group: GroupId,
    },
}

impl Mls {
    /// Takes the state back from its rows; no rows: a new device.
    ///
    /// # Errors
    /// [`LoadError`] if key and certificate do not fit, or the rows are damaged, incomplete or
    /// another device's.
    pub fn load(
        key: DeviceKey,
        cert: DeviceCert,
        rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, LoadError> {
        let device = key.device();
        if cert.device() != device {
            return Err(LoadError::CertificateOfAnotherDevice {
                device,
                certified: cert.device(),
            });
        }
        let mut mls = Self {
            signer: LeafSigner(key),
            cert,
            crypto: RustCrypto::default(),
            rows: Rows::load(rows),
            groups: BTreeMap::new(),
        };
        for id in mls.stored_groups()? {
            let group = mls.load_group(&id)?;
            mls.groups.insert(id, group);
        }
        Ok(mls)
    }

    /// The rows that changed since the last call, as they are now: at most one for a key. Costs
    /// what was touched, however many groups there are.
    #[must_use = "what is not written is lost"]
    pub fn take_changes(&mut self) -> Vec<Row> {
        self.rows.take_changes()
    }

    /// The groups this device is in, lowest first.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.groups.keys()
    }

    /// The members of a group, this device among them, or `None` if it is in no such group.
    #[must_use]
    pub fn members(&self, group: &GroupId) -> Option<Vec<Member>> {
        self.groups.get(group).map(Group::members)
    }

    /// What this device knows of a group, for the `Hello` of a direct link, or `None` if it is in
    /// no such group.
    #[must_use]
    pub fn group_state(&self, group: &GroupId) -> Option<GroupState> {
        let state = &self.groups.get(group)?.mls;
        Some(GroupState {
            group_id: group.to_vec(),
            epoch: state.epoch().as_u64(),
            authenticator: state.epoch_authenticator().as_slice().to_vec(),
        })
    }

    /// What our leaves carry.
    pub(crate) fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: BasicCredential::new(self.cert.encode()).into(),
            signature_key: self.cert.device().to_vec().into(),
        }
    }

    fn stored_groups(&self) -> Result<Vec<GroupId>, LoadError> {
        self.rows
            .keys(Table::GroupState)
            .map(|key| {
                let id: MlsGroupId = serde_json::from_slice(key)
                    .map_err(|error| LoadError::GroupName(error.into()))?;
                GroupId::from_bytes(id.as_slice()).map_err(LoadError::GroupId)
            })
            .collect()
    }

    fn load_group(&self, id: &GroupId) -> Result<Group, LoadError> {
        let loaded = MlsGroup::load(&self.rows.begin(), &id.to_mls()).map_err(|error| {
            LoadError::Damaged {
                group: id.clone(),
                source: error.into(),
            }
        })?;
        let Some(mls) = loaded else {
            return Err(LoadError::Incomplete { group: id.clone() });
        };
        let own = mls.member_at(mls.own_leaf_index());
        if own.is_none_or(|leaf| leaf.signature_key != self.cert.device().as_bytes()) {
            return Err(LoadError::StateOfAnotherDevice { group: id.clone() });
        }
        Group::new(mls, member::leaf).map_err(|source| LoadError::Leaf {
            group: id.clone(),
            source,
        })
    }
}

impl fmt::Debug for Mls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mls")
            .field("device", &self.cert.device())
            .field("groups", &self.groups.len())
            .field("rows", &self.rows.len())
            .finish()
    }
}

/// Signs leaves and messages with the device key. openmls and the protocol crate use different
/// versions of ed25519-dalek: only bytes cross.
pub(crate) struct LeafSigner(pub(crate) DeviceKey);

impl Signer for LeafSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign_mls(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
