//! Devices for the tests: one with rows beside it as its disk, and one that breaks the rules.

use std::collections::BTreeMap;

use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage, KeyPackageIn, Lifetime, MlsGroup,
    MlsGroupCreateConfig, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, OpenMlsProvider,
    ProtocolVersion, tls_codec::DeserializeBytes,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use tincan_mls::{GroupId, Mls, Row};
use tincan_protocol::IdentityId;
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::{DeviceKey, IdentityKey};

/// The tests' time. Certificates alone follow it; openmls reads the real clock.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519;

/// A device with its disk.
pub(crate) struct Device {
    key: DeviceKey,
    cert: DeviceCert,
    pub(crate) mls: Mls,
    pub(crate) disk: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        Self::certified_at(seed, NOW_MS)
    }

    pub(crate) fn certified_at(seed: u8, now_ms: u64) -> Self {
        let key = DeviceKey::from_seed(&[seed + 100; 32]);
        let cert = DeviceCert::issue(&IdentityKey::from_seed(&[seed; 32]), key.device(), now_ms);
        let mls = Mls::load(key.clone(), cert.clone(), []).unwrap();
        Self {
            key,
            cert,
            mls,
            disk: BTreeMap::new(),
        }
    }

    pub(crate) fn identity(&self) -> IdentityId {
        self.cert.identity()
    }

    pub(crate) fn key_and_cert(&self) -> (DeviceKey, DeviceCert) {
        (self.key.clone(), self.cert.clone())
    }

    /// Writes what changed.
    pub(crate) fn commit(&mut self) -> Vec<Row> {
        let changes = self.mls.take_changes();
        for row in &changes {
            match &row.value {
                Some(value) => self.disk.insert(row.key.clone(), value.clone()),
                None => self.disk.remove(&row.key),
            };
        }
        changes
    }

    /// Dies and comes back with what was written.
    pub(crate) fn crash(&mut self) {
        self.mls = Mls::load(self.key.clone(), self.cert.clone(), self.disk.clone()).unwrap();
    }

    /// Makes a group with another device, which joins it.
    pub(crate) fn meet(&mut self, other: &mut Self) -> GroupId {
        let key_package = other.mls.create_key_package(false).unwrap();
        let new = self
            .mls
            .create_direct_group(&key_package, &other.identity(), NOW_MS)
            .unwrap();
        let joined = other.mls.join(&new.welcome, NOW_MS).unwrap();
        assert_eq!(joined.group, new.group);
        self.commit();
        other.commit();
        new.group
    }
}

/// Two devices in one group.
pub(crate) fn pair() -> (Device, Device, GroupId) {
    let (mut alice, mut bob) = (Device::new(1), Device::new(2));
    let group = alice.meet(&mut bob);
    (alice, bob, group)
}

/// A device that puts anything into its leaf, by way of openmls alone.
pub(crate) struct Rogue {
    provider: OpenMlsRustCrypto,
    signer: RogueSigner,
    pub(crate) suite: Ciphersuite,
    pub(crate) lifetime: Lifetime,
    credential: CredentialWithKey,
}

impl Rogue {
    /// A device that shows `credential` and signs with `key`.
    pub(crate) fn new(credential: Vec<u8>, key: DeviceKey) -> Self {
        let credential = CredentialWithKey {
            credential: BasicCredential::new(credential).into(),
            signature_key: key.device().to_vec().into(),
        };
        Self {
            provider: OpenMlsRustCrypto::default(),
            signer: RogueSigner(key),
            suite: SUITE,
            lifetime: Lifetime::default(),
            credential,
        }
    }

    pub(crate) fn key_package(&self) -> Vec<u8> {
        let bundle = KeyPackage::builder()
            .key_package_lifetime(self.lifetime)
            .build(
                self.suite,
                &self.provider,
                &self.signer,
                self.credential.clone(),
            )
            .unwrap();
        MlsMessageOut::from(bundle.into_key_package())
            .to_bytes()
            .unwrap()
    }

    /// A Welcome to a group with this name.
    pub(crate) fn welcome(&self, key_package: &[u8], group: &[u8]) -> Vec<u8> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .use_ratchet_tree_extension(true)
            .build();
        let mut group = MlsGroup::new_with_group_id(
            &self.provider,
            &self.signer,
            &config,
            openmls::group::GroupId::from_slice(group),
            self.credential.clone(),
        )
        .unwrap();
        let key_package = key_package_in(key_package)
            .validate(self.provider.crypto(), ProtocolVersion::Mls10)
            .unwrap();
        let (_, welcome, _) = group
            .add_members(&self.provider, &self.signer, &[key_package])
            .unwrap();
        welcome.to_bytes().unwrap()
    }
}

pub(crate) fn key_package_in(bytes: &[u8]) -> KeyPackageIn {
    match MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .unwrap()
        .extract()
    {
        MlsMessageBodyIn::KeyPackage(key_package) => key_package,
        other => panic!("not a key package: {other:?}"),
    }
}

struct RogueSigner(DeviceKey);

impl Signer for RogueSigner {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign_mls(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
