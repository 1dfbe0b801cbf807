//! Two devices in a group, made once in a thread.

use std::cell::RefCell;

use tincan_mls::{GroupId, Mls};
use tincan_protocol::IdentityId;
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::{DeviceKey, IdentityKey};

/// When the certificates were made, and the time of the targets; openmls reads the real clock.
pub(super) const NOW_MS: u64 = 1_900_000_000_000;

pub(super) struct Devices {
    pub(super) alice: Mls,
    pub(super) bob: Mls,
    pub(super) alice_identity: IdentityId,
    pub(super) bob_identity: IdentityId,
    /// The one that both are in.
    pub(super) group: GroupId,
    /// Of bob, and not used yet.
    pub(super) key_package: Vec<u8>,
    /// To `next_group`, which bob has not joined.
    pub(super) welcome: Vec<u8>,
    pub(super) next_group: GroupId,
}

thread_local! {
    static DEVICES: RefCell<Option<Devices>> = const { RefCell::new(None) };
}

pub(super) fn with_devices(run: impl FnOnce(&mut Devices)) {
    DEVICES.with_borrow_mut(|devices| run(devices.get_or_insert_with(Devices::new)));
}

impl Devices {
    fn new() -> Self {
        let ((mut alice, alice_identity), (mut bob, bob_identity)) = (device(1), device(2));
        let package = bob.create_key_package(false).unwrap();
        let made = alice
            .create_direct_group(&package, &bob_identity, NOW_MS)
            .unwrap();
        let group = bob.join(&made.welcome, NOW_MS).unwrap().group;
        let reusable = bob.create_key_package(true).unwrap();
        let next = alice
            .create_direct_group(&reusable, &bob_identity, NOW_MS)
            .unwrap();
        let key_package = bob.create_key_package(false).unwrap();
        let _ = (alice.take_changes(), bob.take_changes());
        Self {
            alice,
            bob,
            alice_identity,
            bob_identity,
            group,
            key_package,
            welcome: next.welcome,
            next_group: next.group,
        }
    }
}

fn device(seed: u8) -> (Mls, IdentityId) {
    let identity = IdentityKey::from_seed(&[seed; 32]);
    let key = DeviceKey::from_seed(&[seed + 100; 32]);
    let cert = DeviceCert::issue(&identity, key.device(), NOW_MS);
    (Mls::load(key, cert, []).unwrap(), identity.identity())
}
