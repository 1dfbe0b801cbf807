//! The session: one conversation's delivery between this device and another.

mod buffers;
mod deliver;
mod receive;
mod resend;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::Body;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::{DeviceId, EnvelopeId, MsgId};

use crate::config::Config;
use crate::control::Control;
use crate::inbox::{Inbox, Mailbox};
use crate::input::Input;
use crate::missing::Missing;
use crate::numbering::Numbering;
use crate::outbox::Outbox;
use crate::output::{DeliveryState, Output, Persist, WaitReason};
use crate::paths::Paths;
use crate::rng::SplitMix64;
use crate::snapshot::{Snapshot, to_rows, to_set};
use crate::time::{Instant, Now};
use crate::unreadable::Unreadable;
use crate::vault::{Vault, VaultError};
use crate::wanted::Wanted;

pub use buffers::Buffer;

/// Between which two devices a session delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceAt {
    /// This device.
    pub local: DeviceId,
    /// The other one.
    pub remote: DeviceId,
}

/// Where a device left a conversation: what it says when it comes back has higher numbers and later stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftAt {
    /// It has not given out this number, or one above it; 0 or 1 if it has given out none.
    pub next_seq: u64,
    /// The last stamp that it has given out.
    pub stamp: Hlc,
}

/// Why a content cannot be sent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Larger than an envelope can carry.
    #[error("content has {len} bytes, at most {max} are allowed")]
    TooLarge {
        /// Length found, in bytes.
        len: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// Too much waits to be sealed: call [`Session::flush`] first.
    #[error("too much waits to be sealed")]
    Busy,
    /// Receipts and the like are the session's own business.
    #[error("contents of this kind are sent by the session itself")]
    NotSequenced,
}

/// The state machine. After each call, [`Session::poll_output`] is called until it returns `None`.
#[derive(Debug)]
pub struct Session {
    config: Config,
    devices: DeviceAt,
    rng: SplitMix64,
    numbering: Numbering,
    outbox: Outbox,
    inbox: Inbox,
    control: Control,
    paths: Paths,
    delivered: SeqSet,
    failed: SeqSet,
    /// The other side may have forgotten what was delivered to it: it is told not to wait for that.
    has_begun_anew: bool,
    /// What of it was asked for, and is told with the next receipt.
    skipped_asked: Vec<(u64, u64)>,
    read_by_peer: u64,
    /// Of what is delivered: what a former life of the other side had not shown, as far as we know.
    not_read: SeqSet,
    read_up_to: u64,
    expiry_at: Instant,
    missing: Missing,
    unreadable: Unreadable,
    /// Once ours up to here are stored, the other side is told so.
    to_announce: Option<u64>,
    wanted: Wanted,
    /// What is wanted is not sealed before this.
    resend_at: Instant,
    /// This call has changed rows of the outbox, which the store does not have before they have been
    /// polled.
    unread: bool,
    outputs: VecDeque<Output>,
    /// The snapshot changed since it was last given out.
    dirty: bool,
}

impl Session {
    /// A new conversation. `seed` is for jitter only.
    #[must_use]
    pub fn new(config: Config, devices: DeviceAt, seed: u64, now: Now) -> Self {
        Self::new_from(config, devices, seed, LeftAt::default(), now)
    }

    /// A conversation of which this device has forgotten everything but where it left.
    #[must_use]
    pub fn new_from(config: Config, devices: DeviceAt, seed: u64, left: LeftAt, now: Now) -> Self {
        let snapshot = Snapshot {
            next_shown: 1,
            hlc: left.stamp.as_u64(),
            ..Snapshot::default()
        };
        let snapshot = snapshot.continued_at(left.next_seq);
        let mut session = Self::build(config, devices, seed, &snapshot, Vec::new(), now);
        session.dirty = true;
        session
    }

    /// A conversation as it was left: from its last snapshot and what the store still holds.
    ///
    /// # Errors
    /// [`VaultError`] if the store cannot be read.
    pub fn restore(
        config: Config,
        devices: DeviceAt,
        seed: u64,
        snapshot: &Snapshot,
        vault: &dyn Vault,
        now: Now,
    ) -> Result<Self, VaultError> {
        let held = vault.held_seqs()?;
        Ok(Self::build(config, devices, seed, snapshot, held, now))
    }

    fn build(
        config: Config,
        devices: DeviceAt,
        seed: u64,
        snapshot: &Snapshot,
        held: Vec<u64>,
        now: Now,
    ) -> Self {
        Self {
            config,
            devices,
            rng: SplitMix64::new(seed),
            numbering: Numbering::new(snapshot.next_seq.max(1), Hlc::from_u64(snapshot.hlc)),
            outbox: Outbox::new(snapshot.next_seq.max(1)),
            inbox: Inbox::new(
                snapshot.received_set(),
                snapshot.next_shown.max(1),
                Hlc::from_u64(snapshot.last_place),
                snapshot.gaps.clone(),
                held,
                now.instant,
            ),
            control: Control::restore(snapshot.receipt_pending, &snapshot.resend_asks, now.instant),
            paths: Paths::default(),
            delivered: snapshot.delivered_set(),
            failed: snapshot.failed_set(),
            has_begun_anew: snapshot.has_begun_anew,
            skipped_asked: Vec::new(),
            read_by_peer: snapshot.read_by_peer,
            not_read: to_set(&snapshot.not_read),
            read_up_to: snapshot.read_up_to,
            expiry_at: now.instant,
            missing: Missing::restore(snapshot.announced),
            unreadable: Unreadable::default(),
            to_announce: (snapshot.to_announce > 0).then_some(snapshot.to_announce),
            wanted: Wanted::restore(snapshot),
            resend_at: now.instant,
            unread: false,
            outputs: VecDeque::new(),
            dirty: false,
        }
    }

    /// Numbers a content; it is sealed, together with others, by the next [`Session::flush`].
    ///
    /// # Errors
    /// [`SendError`]; no seq is used up.
    pub fn send(&mut self, msg_id: MsgId, body: Body, now: Now) -> Result<u64, SendError> {
        let seq = self.numbering.assign(msg_id, body, now.unix_ms)?;
        self.dirty = true;
        Ok(seq)
    }

    /// Seals everything that was sent since the last call.
    ///
    /// # Errors
    /// [`VaultError`]: drop the session and restore it.
    pub fn flush(&mut self, vault: &mut dyn Vault, now: Now) -> Result<(), VaultError> {
        self.seal_contents(vault, now)?;
        self.transmit(now.instant);
        Ok(())
    }

    /// Takes note of something that happened.
    ///
    /// # Errors
    /// [`VaultError`]: drop the session and restore it.
    pub fn handle_input(
        &mut self,
        input: Input,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        self.inbox.trim();
        self.unread = false;
        match input {
            Input::LinkUp => self.link_up(now.instant),
            Input::LinkDown => self.link_down(),
            Input::RelayUp => self.paths.relay_up = true,
            Input::RelayDown => self.relay_down(),
            Input::RelayForgot => self.relay_forgot(),
            Input::MailboxForgot => self.say_what_we_know(now.instant),
            Input::MailboxUp => self.inbox.mailbox = Mailbox::Reading,
            Input::MailboxDrained => self.inbox.mailbox = Mailbox::Drained,
            Input::MailboxDown => self.inbox.mailbox = Mailbox::Down,
            Input::Envelope { via, envelope } => self.receive(via, envelope, vault, now)?,
            Input::Stored { id } => self.stored(&id, now.instant),
            Input::Nack { id, reason } => self.nack(&id, reason, now.instant),
            Input::Deposited { id } => self.deposited(&id, now.instant),
            Input::DepositRefused {
                id,
                reason,
                retry_after,
            } => {
                self.deposit_refused(&id, reason, retry_after, now.instant);
            }
            Input::Read { up_to } => self.read(up_to, now.instant),
        }
        self.note_missing(now.instant);
        self.load(vault)?;
        self.announce(now.instant);
        self.seal_control(vault, now)?;
        self.transmit(now.instant);
        Ok(())
    }

    /// The other side may know nothing of what was sent so far, and is met anew under other keys: what is not
    /// delivered is sealed again and sent, and for the rest they need not wait.
    pub fn begin_anew(&mut self, now: Now) {
        self.persist(Persist::Unsealed);
        self.outbox.begin_anew();
        // The store says so only after that row.
        self.unread = true;
        self.has_begun_anew = true;
        // Whoever says from now on up to where all was shown may never have had these.
        for (first, last) in self.delivered.beyond(self.read_by_peer) {
            self.not_read.insert_range(first, last);
        }
        self.dirty = true;
        self.say_what_we_know(now.instant);
    }

    /// There are no keys of this conversation: until it is begun anew, what is sent is numbered and waits.
    pub const fn without_keys(&mut self) {
        self.outbox.without_keys();
    }

    /// The other side is another device now, and its numbers go on.
    pub const fn met_as(&mut self, remote: DeviceId) {
        self.devices.remote = remote;
    }

    /// Takes what was sealed together and is open already.
    ///
    /// # Errors
    /// [`VaultError`]: drop the session and restore it.
    pub fn take_opened(
        &mut self,
        id: EnvelopeId,
        payload: Bytes,
        vault: &mut dyn Vault,
        now: Now,
    ) -> Result<(), VaultError> {
        self.apply(id, payload, vault, now)?;
        self.persist(Persist::Seen { id });
        self.note_missing(now.instant);
        Ok(())
    }

    /// Does what [`Session::poll_timeout`] announced. Calling it early or late is harmless.
    ///
    /// # Errors
    /// [`VaultError`]: drop the session and restore it.
    pub fn handle_timeout(&mut self, vault: &mut dyn Vault, now: Now) -> Result<(), VaultError> {
        self.inbox.trim();
        self.unread = false;
        self.paths
            .check_stall(self.config.direct_patience, now.instant);
        while self
            .inbox
            .give_up(&self.config, vault, now, &mut self.outputs)?
        {
            self.dirty = true;
        }
        self.note_missing(now.instant);
        self.expire(vault, now)?;
        self.reseal_wanted(vault, now.instant)?;
        self.load(vault)?;
        self.announce(now.instant);
        self.seal_control(vault, now)?;
        self.transmit(now.instant);
        Ok(())
    }

    /// The next thing to do, `None` if there is nothing more.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        // The snapshot goes in front of the first thing that leaves, and so in front of everything
        // that depends on it.
        let leaving = !matches!(self.outputs.front(), Some(Output::Persist(_)));
        if self.dirty && leaving {
            self.dirty = false;
            return Some(Output::Persist(Persist::Snapshot(self.snapshot())));
        }
        self.outputs.pop_front()
    }

    /// When [`Session::handle_timeout`] should be called, and what for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let control_due = if self.paths.any() {
            self.control.due()
        } else {
            None
        };
        let attempts = self.outbox.entries().map(|entry| &entry.attempts);
        let attempts = attempts.chain(self.control.in_flight().map(|control| &control.attempts));
        let retry = attempts
            .flat_map(|attempts| {
                let direct = attempts.direct.wake_at().filter(|_| self.paths.link_up);
                let deposit = attempts
                    .deposit
                    .wake_at()
                    .filter(|_| self.paths.use_relay());
                direct.into_iter().chain(deposit)
            })
            .min();
        let load = self.outbox.wants_more().then_some(Instant::from_micros(0));
        [
            (load, "load outbox"),
            (
                self.paths.stall_at(self.config.direct_patience),
                "link stalled",
            ),
            (control_due, "receipt"),
            (retry, "retry"),
            (self.inbox.give_up_at(&self.config), "gap"),
            (Some(self.expiry_at), "expiry"),
            (self.resend_due(), "resend"),
            (self.ask_due(), "ask for what is missing"),
        ]
        .into_iter()
        .filter_map(|(at, reason)| at.map(|at| (at, reason)))
        .min()
    }

    /// How far an own message has come, as far as this session knows without the outbox: `None`
    /// means that it is pending or stored somewhere, which the outbox's row says.
    #[must_use]
    pub fn state_of(&self, seq: u64) -> Option<DeliveryState> {
        if self.delivered.contains(seq) {
            let read = seq <= self.read_by_peer && !self.not_read.contains(seq);
            return Some(if read {
                DeliveryState::Read
            } else {
                DeliveryState::Delivered
            });
        }
        self.failed.contains(seq).then_some(DeliveryState::Failed)
    }

    /// Whether a message of the other side is stored here, shown or not.
    #[must_use]
    pub fn has_received(&self, seq: u64) -> bool {
        self.inbox.received.contains(seq)
    }

    /// Why the oldest undelivered envelope in the window waits, with its first and last seq.
    #[must_use]
    pub fn waiting(&self) -> Option<(u64, u64, WaitReason)> {
        let entry = self.outbox.entries().next()?;
        let reason = entry.waiting.unwrap_or(if self.paths.any() {
            WaitReason::InFlight
        } else {
            WaitReason::NoPath
        });
        Some((entry.first, entry.last, reason))
    }

    /// Whether something was sent that is stored nowhere else yet.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.stored_up_to() < self.outbox.last_seq()
    }

    /// The device is about to go: what is owed to the other side is due now.
    pub fn hasten(&mut self, now: Instant) {
        if self.control.receipt_pending {
            self.control.receipt_at(now);
        }
    }

    /// Whether the other side, or its relay, has everything that is owed to it, or cannot be
    /// reached: nothing would be gained by staying.
    #[must_use]
    pub fn owes_nothing(&self) -> bool {
        !self.paths.any() || (self.control.due().is_none() && self.control.in_flight().is_none())
    }

    /// Where this device would leave the conversation now.
    #[must_use]
    pub const fn left_at(&self) -> LeftAt {
        LeftAt {
            next_seq: self.numbering.next_seq,
            stamp: self.numbering.hlc,
        }
    }

    /// The next seq this device will give out.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.numbering.next_seq
    }

    /// What is sent from now on has a later stamp than this.
    pub fn observe(&mut self, stamp: Hlc) {
        self.numbering.hlc = self.numbering.hlc.max(stamp);
    }

    /// Whether messages of the other side are missing whose places others have passed.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.inbox.gaps.iter().any(|gap| !gap.skipped)
    }

    /// The stamp, and so the place, of what was sent last.
    #[must_use]
    pub const fn last_stamp(&self) -> Hlc {
        self.numbering.hlc
    }

    /// Up to where the other side's messages have taken their places.
    #[must_use]
    pub const fn shown_up_to(&self) -> u64 {
        self.inbox.next_shown - 1
    }

    /// Between which devices this session delivers.
    #[must_use]
    pub const fn devices(&self) -> DeviceAt {
        self.devices
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            next_seq: self.numbering.next_seq,
            hlc: self.numbering.hlc.as_u64(),
            delivered: to_rows(&self.delivered),
            read_by_peer: self.read_by_peer,
            failed: to_rows(&self.failed),
            received: to_rows(&self.inbox.received),
            next_shown: self.inbox.next_shown,
            last_place: self.inbox.last_place.as_u64(),
            read_up_to: self.read_up_to,
            gaps: self.inbox.gaps.clone(),
            resend_asks: self.control.asks(),
            receipt_pending: self.control.receipt_pending,
            resend_wanted: self.wanted.ranges(),
            resend_ids: self.wanted.ids(),
            announced: self.missing.announced,
            to_announce: self.to_announce.unwrap_or_default(),
            has_begun_anew: self.has_begun_anew,
            not_read: to_rows(&self.not_read),
        }
    }

    fn persist(&mut self, row: Persist) {
        self.outputs.push_back(Output::Persist(row));
    }

    fn receipt_in(&mut self, delay: Duration, now: Instant) {
        self.dirty = true;
        self.control.receipt_at(now.after(delay));
    }
}
