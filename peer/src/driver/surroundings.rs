//! What the driver needs of everything around it: time, chance, encryption, connections.
//!
//! The driver calls, and never waits: what comes of it arrives as an [`Input`](super::Input) later. On
//! a real machine that is [`crate::net`]; in the simulated world of the end-to-end tests it is the
//! world, which decides what arrives, and when, and what the driver does not live to see.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tincan_core::Now;
use tincan_link::{LinkConfig, LinkStartError, Parties};
use tincan_mls::{GroupCrypto, LoadError};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::link::{LinkSignal, VerifiedDescription};
use tincan_protocol::wire::GroupState;

use super::turn_servers::TurnServers;
use crate::net::{Dial, RelayCommand, SignalCommand};
use crate::store::{ConversationNo, JournalEvent};

/// See the module.
pub trait Surroundings: Send {
    /// The two clocks.
    fn now(&self) -> Now;

    /// Bytes that nobody can guess.
    fn fill_random(&mut self, bytes: &mut [u8]);

    /// The device's groups, as their rows were left.
    ///
    /// # Errors
    /// What [`tincan_mls::Mls::load`] says.
    fn load_groups(
        &mut self,
        key: DeviceKey,
        cert: DeviceCert,
        rows: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Box<dyn GroupCrypto>, LoadError>;

    /// Connects to a relay, until what it returns is dropped. What comes of it carries the `number`.
    fn dial_relay(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<RelayCommand>>;

    /// Connects to a signaling server, the same way.
    fn dial_signaling(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<SignalCommand>>;

    /// Starts a direct link; [`LinkStarted`] comes first, then its events.
    fn start_link(&mut self, no: ConversationNo, attempt: u64, start: LinkStart);

    /// The journal is durable up to the cursor `end`; these are the events that were added to it.
    fn journal_grew(&mut self, end: u64, new: &[JournalEvent]);
}

/// `N` bytes that nobody can guess.
pub(super) fn random<const N: usize>(around: &mut dyn Surroundings) -> [u8; N] {
    let mut bytes = [0; N];
    around.fill_random(&mut bytes);
    bytes
}

/// A number from 0 to 1.
pub(super) fn chance(around: &mut dyn Surroundings) -> f64 {
    f64::from(u32::from_be_bytes(random(around))) / f64::from(u32::MAX)
}

/// The way to a connection's task.
pub trait Outlet<C>: Send {
    /// False if nothing more fits in.
    fn send(&self, command: C) -> bool;
}

/// What a direct link begins with.
#[derive(Debug)]
pub struct LinkStart {
    /// Which paths it may use; the servers are added when it is known where they are.
    pub config: LinkConfig,
    /// The STUN and TURN servers that it may use.
    pub turn: Vec<TurnServers>,
    /// Both ends.
    pub parties: Parties,
    /// For this side's `Hello`.
    pub groups: Vec<GroupState>,
    /// The other side's offer, if it is to be answered.
    pub offer: Option<VerifiedDescription>,
}

/// What a link's start came to.
#[derive(Debug)]
pub struct LinkStarted {
    /// As it was given to [`Surroundings::start_link`].
    pub attempt: u64,
    /// The link, or why there is none.
    pub result: Result<Box<dyn Link>, LinkStartError>,
}

/// A direct link. Its transport can be exchanged behind this.
pub trait Link: Send + Sync + fmt::Debug {
    /// An answer, a candidate or a `Bye` of the other side.
    fn handle_signal(&self, signal: LinkSignal);

    /// Queues a frame; false if the queue is full.
    fn send(&self, frame: Bytes) -> bool;

    /// As last measured.
    fn round_trip(&self) -> Option<Duration>;

    /// Ends it after what was queued.
    fn close(&self, reason: &str);
}
