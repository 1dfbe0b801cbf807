//! Groups: making one for two, joining one, leaving the state of one behind.
//!
//! Two people's first devices meet in a group that one of them makes alone and adds the other to.
//! That first add is the only commit that needs no order agreed with others, so it is merged at
//! once. Commits of groups with several members are not made or taken here.

use openmls::group::{MlsGroup, PastEpochDeletion, StagedWelcome, WelcomeError};
use openmls::prelude::tls_codec::DeserializeBytes;
use openmls::prelude::{
    Credential, KeyPackage, Member as MlsMember, MlsMessageBodyIn, MlsMessageIn, ProtocolVersion,
};
use openmls_traits::types::Ciphersuite;
use std::fmt;
use tincan_protocol::IdentityId;
use tincan_protocol::cert::{CertError, DeviceCert};
use tincan_protocol::limits::{HANDSHAKE_MAX, KEY_PACKAGE_MAX};

use crate::LibraryError;
use crate::group_id::{GroupId, GroupIdLength};
use crate::member::{self, LeafError, Member};
use crate::mls::Mls;
use crate::storage::Provider;
use crate::suite::{self, SUITE};

/// A group this device is in, with its members' checked certificates.
pub(crate) struct Group {
    pub(crate) mls: MlsGroup,
    seats: Vec<Seat>,
}

/// A leaf whose certificate was checked when it entered our view.
struct Seat {
    credential: Credential,
    member: Member,
}

impl Group {
    /// Checks every leaf.
    pub(crate) fn new(
        mls: MlsGroup,
        check: impl Fn(&Credential, &[u8]) -> Result<DeviceCert, LeafError>,
    ) -> Result<Self, LeafError> {
        let seats = mls
            .members()
            .map(|leaf| Seat::new(leaf, &check))
            .collect::<Result<_, _>>()?;
        Ok(Self { mls, seats })
    }

    pub(crate) fn members(&self) -> Vec<Member> {
        self.seats.iter().map(|seat| seat.member).collect()
    }

    /// Whose credential this is. That of a member who has left since is checked anew.
    pub(crate) fn member(&self, credential: &Credential) -> Result<Member, LeafError> {
        match self
            .seats
            .iter()
            .find(|seat| seat.credential == *credential)
        {
            Some(seat) => Ok(seat.member),
            None => Ok(Member::from(&member::certificate(credential)?)),
        }
    }
}

impl Seat {
    fn new(
        leaf: MlsMember,
        check: impl Fn(&Credential, &[u8]) -> Result<DeviceCert, LeafError>,
    ) -> Result<Self, LeafError> {
        let cert = check(&leaf.credential, &leaf.signature_key)?;
        Ok(Self {
            credential: leaf.credential,
            member: Member::from(&cert),
        })
    }
}

/// A group that was made for two devices.
#[derive(Clone)]
pub struct NewGroup {
    /// Its name.
    pub group: GroupId,
    /// What the other device needs to join: an `MLSMessage`, about 4.5 KiB.
    pub welcome: Vec<u8>,
    /// The other device.
    pub peer: Member,
}

impl fmt::Debug for NewGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewGroup")
            .field("group", &self.group)
            .field("welcome_len", &self.welcome.len())
            .field("peer", &self.peer)
            .finish()
    }
}

/// A group that this device was added to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its name.
    pub group: GroupId,
    /// Who sent the Welcome. Anybody who got hold of a key package can: whether this is somebody to
    /// talk to is the caller's to decide, and [`Mls::delete_group`] the way out.
    pub inviter: Member,
    /// All members, this device and the inviter among them.
    pub members: Vec<Member>,
}

/// Why no group was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// Longer than a key package may be.
    #[error("key package has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// Not the bytes of a key package.
    #[error("not a key package")]
    NotAKeyPackage,
    /// Made for another cipher suite: by a program of another version.
    #[error("key package is for cipher suite {found:#06x}, this program uses {ours:#06x}")]
    Suite {
        /// Suite found.
        found: u16,
        /// The only suite we use.
        ours: u16,
    },
    /// The key package's signatures do not hold, or its time is over.
    #[error("key package is not valid")]
    Invalid(#[source] LibraryError),
    /// It is good for longer than a key package may be.
    #[error("key package is good for {seconds} s, which is too long")]
    LivesTooLong {
        /// From its beginning to its end, seconds.
        seconds: u64,
    },
    /// Its certificate does not hold.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// It belongs to somebody else.
    #[error("key package belongs to {found}, expected was {expected}")]
    AnotherIdentity {
        /// Whose it should have been.
        expected: IdentityId,
        /// Whose it is.
        found: IdentityId,
    },
    /// It is this device's own.
    #[error("key package is this device's own")]
    OwnKeyPackage,
    /// Our certificate has expired: nobody would let us in.
    #[error("this device: {0}")]
    OwnCertificate(CertError),
    /// The MLS library failed.
    #[error("making a group failed")]
    Library(#[source] LibraryError),
}

impl CreateError {
    fn library(error: impl Into<LibraryError>) -> Self {
        Self::Library(error.into())
    }
}

/// Why a group was not joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Longer than a Welcome may be.
    #[error("welcome has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// Not the bytes of a Welcome.
    #[error("not a welcome")]
    NotAWelcome,
    /// Made for another cipher suite: by a program of another version.
    #[error("welcome is for cipher suite {found:#06x}, this program uses {ours:#06x}")]
    Suite {
        /// Suite found.
        found: u16,
        /// The only suite we use.
        ours: u16,
    },
    /// We do not have the key package it was made for: it was used before, is forgotten, or never
    /// was ours.
    #[error("welcome is for a key package that this device does not have")]
    KeyPackageGone,
    /// We are in that group: the same Welcome came twice.
    #[error("this device is in the group already")]
    AlreadyJoined,
    /// The group's name does not have the right length.
    #[error(transparent)]
    GroupId(#[from] GroupIdLength),
    /// A member's certificate does not hold.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// Anything else that is wrong with it.
    #[error("welcome is not valid")]
    Invalid(#[source] LibraryError),
}

impl JoinError {
    fn welcome<E>(error: WelcomeError<E>) -> Self
    where
        WelcomeError<E>: Into<LibraryError>,
    {
        match error {
            WelcomeError::NoMatchingKeyPackage => Self::KeyPackageGone,
            WelcomeError::GroupAlreadyExists => Self::AlreadyJoined,
            other => Self::Invalid(other.into()),
        }
    }
}

impl Mls {
    /// Makes a group and adds the device whose key package this is. The group can be written in
    /// at once; the other side reads it after the Welcome.
    ///
    /// # Errors
    /// [`CreateError`] if the key package does not hold or is not `expected`'s.
    pub fn create_direct_group(
        &mut self,
        their_key_package: &[u8],
        expected: &IdentityId,
        now_ms: u64,
    ) -> Result<NewGroup, CreateError> {
        self.cert
            .check_time(now_ms)
            .map_err(CreateError::OwnCertificate)?;
        let (key_package, peer) = self.check_key_package(their_key_package, expected, now_ms)?;
        let id = GroupId::random(&self.crypto).map_err(CreateError::library)?;
        let provider = Provider::new(&self.crypto, &self.rows);
        let mut mls = MlsGroup::new_with_group_id(
            &provider,
            &self.signer,
            &suite::create_config(),
            id.to_mls(),
            self.credential(),
        )
        .map_err(CreateError::library)?;
        // Without a new path: our leaf is as new as the group, and the Welcome stays smaller.
        let (_, welcome, _) = mls
            .add_members_without_update(&provider, &self.signer, &[key_package])
            .map_err(CreateError::library)?;
        mls.merge_pending_commit(&provider)
            .map_err(CreateError::library)?;
        // Nobody else was there in the first epoch, so no message of it can come.
        mls.delete_past_epoch_secrets(&provider, PastEpochDeletion::delete_all())
            .map_err(CreateError::library)?;
        let welcome = welcome.to_bytes().map_err(CreateError::library)?;
        let group = Group::new(mls, |credential, key| {
            member::new_leaf(credential, key, now_ms)
        })?;
        let changes = provider.into_changes();
        self.rows.apply(changes);
        self.groups.insert(id.clone(), group);
        Ok(NewGroup {
            group: id,
            welcome,
            peer,
        })
    }

    /// Joins the group of a Welcome. A Welcome that is not accepted uses no key package up.
    ///
    /// # Errors
    /// [`JoinError`] if the Welcome does not hold, is not for us, or has a member that is not
    /// certified.
    pub fn join(&mut self, welcome: &[u8], now_ms: u64) -> Result<Joined, JoinError> {
        if welcome.len() > HANDSHAKE_MAX {
            return Err(JoinError::TooLarge {
                len: welcome.len(),
                max: HANDSHAKE_MAX,
            });
        }
        let Some(MlsMessageBodyIn::Welcome(welcome)) = message(welcome) else {
            return Err(JoinError::NotAWelcome);
        };
        if welcome.ciphersuite() != SUITE {
            return Err(JoinError::Suite {
                found: welcome.ciphersuite().into(),
                ours: SUITE.into(),
            });
        }
        let provider = Provider::new(&self.crypto, &self.rows);
        // A leaf's lifetime says until when it may be added, not until when it may stay. A Welcome
        // that waited long, or came to a wrong clock, is as good (RFC 9420, 7.3 leaves it open).
        let staged = StagedWelcome::build_from_welcome(&provider, &suite::join_config(), welcome)
            .map_err(JoinError::welcome)?
            .skip_lifetime_validation()
            .build()
            .map_err(JoinError::welcome)?;
        let id = GroupId::from_bytes(staged.group_context().group_id().as_slice())?;
        let inviter = staged
            .welcome_sender()
            .map_err(|error| JoinError::Invalid(error.into()))?;
        let inviter = member::certificate(inviter.credential())?;
        let mls = staged.into_group(&provider).map_err(JoinError::welcome)?;
        let group = Group::new(mls, |credential, key| {
            member::new_leaf(credential, key, now_ms)
        })?;
        let members = group.members();
        let changes = provider.into_changes();
        self.rows.apply(changes);
        self.groups.insert(id.clone(), group);
        Ok(Joined {
            group: id,
            inviter: Member::from(&inviter),
            members,
        })
    }

    /// Forgets a group with all its keys. The others do not notice. Says whether there was one.
    ///
    /// # Errors
    /// The MLS library's, if the state cannot be read.
    pub fn delete_group(&mut self, group: &GroupId) -> Result<bool, LibraryError> {
        let Some(state) = self.groups.get_mut(group) else {
            return Ok(false);
        };
        let provider = Provider::new(&self.crypto, &self.rows);
        state
            .mls
            .delete(openmls_traits::OpenMlsProvider::storage(&provider))?;
        let changes = provider.into_changes();
        self.rows.apply(changes);
        self.groups.remove(group);
        Ok(true)
    }

    fn check_key_package(
        &self,
        bytes: &[u8],
        expected: &IdentityId,
        now_ms: u64,
    ) -> Result<(KeyPackage, Member), CreateError> {
        if bytes.len() > KEY_PACKAGE_MAX {
            return Err(CreateError::TooLarge {
                len: bytes.len(),
                max: KEY_PACKAGE_MAX,
            });
        }
        let Some(MlsMessageBodyIn::KeyPackage(key_package)) = message(bytes) else {
            return Err(CreateError::NotAKeyPackage);
        };
        let key_package = key_package
            .validate(&self.crypto, ProtocolVersion::Mls10)
            .map_err(|error| CreateError::Invalid(error.into()))?;
        if key_package.ciphersuite() != SUITE {
            let found: Ciphersuite = key_package.ciphersuite();
            return Err(CreateError::Suite {
                found: found.into(),
                ours: SUITE.into(),
            });
        }
        let lifetime = key_package.life_time();
        if !lifetime.has_acceptable_range() {
            let seconds = lifetime.not_after().saturating_sub(lifetime.not_before());
            return Err(CreateError::LivesTooLong { seconds });
        }
        let leaf = key_package.leaf_node();
        let cert = member::new_leaf(leaf.credential(), leaf.signature_key().as_slice(), now_ms)?;
        if cert.identity() != *expected {
            return Err(CreateError::AnotherIdentity {
                expected: *expected,
                found: cert.identity(),
            });
        }
        if cert.device() == self.cert.device() {
            return Err(CreateError::OwnKeyPackage);
        }
        Ok((key_package, Member::from(&cert)))
    }
}

/// The body of an `MLSMessage` that ends where the bytes end.
pub(crate) fn message(bytes: &[u8]) -> Option<MlsMessageBodyIn> {
    MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .ok()
        .map(MlsMessageIn::extract)
}
