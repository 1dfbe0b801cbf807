//! What stands in the rows.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tincan_core::SentVia;
use tincan_mls::GroupId;
use tincan_protocol::content::Reach;
use tincan_protocol::hlc::Hlc;
use tincan_protocol::invite::InviteSecret;
use tincan_protocol::keys::{AddressKey, QueueKey};
use tincan_protocol::limits::HELLO_GROUPS_MAX;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::wire;
use tincan_protocol::{
    ConversationId, DeviceId, EnvelopeId, IdentityId, MsgId, QueueId, SignalAddress, StoreId,
    WriteToken,
};

use super::tables::ConversationNo;
use crate::message::ContactStanding;

/// Retired groups that are still read: as many as one side may have made without hearing from the other.
const RETIRED_MAX: usize = HELLO_GROUPS_MAX;

/// Former devices of a contact that are known. Chosen: more than anybody loses in years.
const FORMER_DEVICES_MAX: usize = 16;

/// A key's 32 secret bytes. The row around it is sealed.
pub(crate) type Seed = [u8; 32];

/// Who this profile is.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProfileRow {
    pub(crate) name: String,
    /// Entropy of the phrase: needed to certify further devices.
    pub(crate) entropy: Seed,
    pub(crate) device_seed: Seed,
    /// [`tincan_protocol::cert::DeviceCert`] bytes.
    pub(crate) cert: Vec<u8>,
    pub(crate) signal_servers: Vec<ServerUrl>,
    pub(crate) relay: ServerUrl,
    /// Owner key and token of the key packages at the relay.
    pub(crate) key_package_seed: Seed,
    pub(crate) key_package_token: WriteToken,
    pub(crate) next_conversation: u32,
    /// Devices that this person had before: what names one of them as an author is ours.
    #[serde(default)]
    pub(crate) former_devices: Vec<DeviceId>,
    /// No number below this is given out in a conversation that begins: the person's earlier devices may have
    /// used them in it.
    #[serde(default)]
    pub(crate) first_seq: u64,
    /// The relay has key packages whose secrets are lost.
    #[serde(default)]
    pub(crate) has_stale_packages: bool,
}

/// The first number of a device whose person has lost another one, about which nothing is known. Milliseconds since
/// 1970 in.
///
/// So many seconds since 1970 times 2^20: above everything that a device has given out that began at 1, or as this
/// one does and earlier, unless it sent a million messages in each second. Stays below 2^53 until 2242.
pub(crate) const fn seq_after_loss(now_ms: u64) -> u64 {
    (now_ms / 1000) << 20
}

/// Somebody we talk to, have asked, or were asked by.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ContactRow {
    pub(crate) no: ConversationNo,
    pub(crate) conversation: ConversationId,
    pub(crate) identity: IdentityId,
    pub(crate) device: DeviceId,
    /// What we call them: unique among contacts.
    pub(crate) name: String,
    pub(crate) state: ContactState,
    /// MLS groups of this conversation; messages go to the lowest.
    #[serde(with = "group_ids")]
    pub(crate) groups: Vec<GroupId>,
    /// Groups that we made, as long as nothing shows that they are in them; the newest last.
    #[serde(with = "group_ids", default)]
    pub(crate) unconfirmed: Vec<GroupId>,
    /// Groups that nothing is sealed in any more. What is on its way in them is still read.
    #[serde(with = "group_ids", default)]
    pub(crate) retired: Vec<GroupId>,
    /// Devices that they had before.
    #[serde(default)]
    pub(crate) former_devices: Vec<DeviceId>,
    /// Our mailbox for this conversation.
    pub(crate) queue_seed: Seed,
    pub(crate) write_token: WriteToken,
    /// Our signal address for this conversation.
    pub(crate) address_seed: Seed,
    #[serde(with = "reach", default)]
    pub(crate) their_reach: Option<Reach>,
    /// What the relay that leads to them kept when it was last there: if it is another store now,
    /// what we deposited is gone, or is where they no longer look.
    #[serde(default)]
    pub(crate) relay_store: Option<StoreId>,
    /// The same of our own relay: if it is another store now, what they deposited there is gone.
    #[serde(default)]
    pub(crate) mailbox_store: Option<StoreId>,
    /// How they are reached next: what came too soon after the last change.
    #[serde(with = "reach", default)]
    pub(crate) next_reach: Option<Reach>,
    /// Contents of later versions that are kept for them.
    #[serde(default)]
    pub(crate) unknown: UnknownKept,
    #[serde(default)]
    pub(crate) settings: Settings,
    /// They are who they say: somebody has compared the safety number.
    #[serde(default)]
    pub(crate) verified: Option<VerifiedRow>,
    pub(crate) created_ms: u64,
}

/// What a person, or both, have decided about a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Nothing calls attention to it until then, Unix milliseconds.
    #[serde(default)]
    pub(crate) muted_until_ms: Option<u64>,
    /// After how many seconds messages go; 0: they stay.
    #[serde(default)]
    pub(crate) expires_s: u32,
    #[serde(default)]
    pub(crate) timer_set: Option<TimerSet>,
    /// If they are blocked: whether they were a contact, and not somebody who only asked.
    #[serde(default)]
    pub(crate) blocked_contact: bool,
    /// What is written and not sent.
    #[serde(default)]
    pub(crate) draft: String,
}

/// When, and by which device, it was said how long messages stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TimerSet {
    #[serde(with = "stamp")]
    pub(crate) stamp: Hlc,
    pub(crate) device: DeviceId,
}

/// Somebody has made sure that a contact is who they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VerifiedRow {
    /// With which device.
    pub(crate) device: DeviceId,
    /// When, Unix milliseconds.
    pub(crate) at_ms: u64,
}

/// How much is kept of what only a later version can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnknownKept {
    pub(crate) contents: u32,
    pub(crate) bytes: u64,
}

/// How far the acquaintance has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ContactState {
    /// We have sent a request and wait.
    Requesting(Box<RequestStage>),
    /// They have asked; a person decides.
    Asked { text: String },
    /// Both want to talk.
    Accepted,
    /// Both wanted to talk, and this device has no keys for it: they are asked for new ones.
    Lost,
    /// We do not want to talk.
    Blocked,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestStage {
    /// The invite's relay, queue and token.
    pub(crate) relay: ServerUrl,
    pub(crate) queue: QueueId,
    pub(crate) write_token: WriteToken,
    /// Owner and token of their key packages at that relay.
    #[serde(default)]
    pub(crate) key_packages: Option<(QueueId, WriteToken)>,
    /// What goes there; nothing yet, if it must be made with another key package.
    #[serde(with = "envelope", default)]
    pub(crate) envelope: Bytes,
    /// The relay has it.
    pub(crate) deposited: bool,
    /// If they were a contact before: the groups of that time, for the case that nothing comes of it.
    #[serde(with = "group_ids", default)]
    pub(crate) before: Vec<GroupId>,
    /// If they were [`ContactState::Lost`] before.
    #[serde(default)]
    pub(crate) was_lost: bool,
}

/// An invite that can still be used, or whose mailbox has not been read to its end yet.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct InviteRow {
    pub(crate) queue_seed: Seed,
    /// The one in the link; once it is used up, another one that nobody is told.
    pub(crate) write_token: WriteToken,
    pub(crate) address_seed: Seed,
    pub(crate) relay: ServerUrl,
    pub(crate) expires_ms: u64,
    pub(crate) max_uses: u32,
    pub(crate) uses: u32,
    /// Whose uses were counted: each person's once.
    #[serde(default)]
    pub(crate) used_by: Vec<IdentityId>,
}

/// A mailbox of ours that nobody shall write to any more, until its relay has deleted it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct EndedQueueRow {
    pub(crate) queue_seed: Seed,
    pub(crate) relay: ServerUrl,
    pub(crate) ended_ms: u64,
}

/// One envelope of the outbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutboxMeta {
    pub(crate) last: u64,
    pub(crate) id: EnvelopeId,
    pub(crate) created_ms: u64,
    /// It is not given up with time.
    #[serde(default)]
    pub(crate) lasts: bool,
    pub(crate) pending: bool,
    /// The furthest it has come; stays when it is sealed again.
    #[serde(with = "stored")]
    pub(crate) stored: Option<SentVia>,
    /// What is sealed in it now is at their relay. Not the same as `stored`: their device may have had
    /// what was sealed before, without being able to open it.
    #[serde(default)]
    pub(crate) at_relay: bool,
}

/// Ids and places of the messages of one envelope, seq after seq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SentIndex(pub(crate) Vec<(MsgId, Hlc)>);

impl SentIndex {
    const ENTRY: usize = 24;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * Self::ENTRY);
        for (id, place) in &self.0 {
            bytes.extend_from_slice(id.as_bytes());
            bytes.extend_from_slice(&place.as_u64().to_be_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        let entries = bytes.chunks_exact(Self::ENTRY).filter_map(|entry| {
            let (id, place) = entry.split_first_chunk::<16>()?;
            let place = place.first_chunk::<8>()?;
            Some((
                MsgId::from_bytes(*id),
                Hlc::from_u64(u64::from_be_bytes(*place)),
            ))
        });
        Self(entries.collect())
    }
}

impl ContactState {
    /// What callers see of it; nothing, as long as they are not answered.
    pub(crate) const fn standing(&self) -> Option<ContactStanding> {
        match self {
            Self::Requesting(_) | Self::Lost => Some(ContactStanding::Requested),
            Self::Accepted => Some(ContactStanding::Accepted),
            Self::Blocked => Some(ContactStanding::Blocked),
            Self::Asked { .. } => None,
        }
    }
}

impl ContactRow {
    pub(crate) fn queue_key(&self) -> QueueKey {
        QueueKey::from_seed(&self.queue_seed)
    }

    pub(crate) fn address_key(&self) -> AddressKey {
        AddressKey::from_seed(&self.address_seed)
    }

    /// The group that messages are sealed for: the lowest that they are known to be in, so that two
    /// groups made at the same time end up as one.
    pub(crate) fn send_group(&self) -> Option<&GroupId> {
        let confirmed = self
            .groups
            .iter()
            .filter(|group| !self.unconfirmed.contains(group));
        confirmed.min().or(self.unconfirmed.last())
    }

    /// Nothing is sealed any more in the groups that there are. Returns those that are too old to be read.
    pub(crate) fn retire_groups(&mut self) -> Vec<GroupId> {
        self.unconfirmed.clear();
        self.retired.append(&mut self.groups);
        let too_many = self.retired.len().saturating_sub(RETIRED_MAX);
        self.retired.drain(..too_many).collect()
    }

    /// Nothing has come of beginning anew, as far as we know: what was retired for it is not. They may have heard
    /// of the new groups all the same, and be the only ones who know that.
    pub(crate) fn take_up_again(&mut self, groups: Vec<GroupId>) {
        self.retired.retain(|group| !groups.contains(group));
        self.groups.splice(0..0, groups);
        let too_many = self.groups.len().saturating_sub(HELLO_GROUPS_MAX);
        self.retired.extend(self.groups.drain(..too_many));
    }

    /// They are in a group that we made. True if that is news.
    pub(crate) fn confirm(&mut self, group: &GroupId) -> bool {
        let unconfirmed = self.unconfirmed.len();
        self.unconfirmed.retain(|known| known != group);
        self.unconfirmed.len() < unconfirmed
    }

    /// They have heard of a group that we made after others, and may have left those: they are retired. True if
    /// there were any.
    pub(crate) fn retire_before(&mut self, group: &GroupId) -> bool {
        let at = self.groups.iter().position(|known| known == group);
        let older: Vec<GroupId> = self.groups.drain(..at.unwrap_or_default()).collect();
        self.unconfirmed.retain(|group| !older.contains(group));
        let any = !older.is_empty();
        self.retired.extend(older);
        any
    }

    /// Their device from now on.
    pub(crate) fn meet_as(&mut self, device: DeviceId) {
        if self.device != device {
            let former = std::mem::replace(&mut self.device, device);
            self.former_devices.retain(|known| *known != device);
            self.former_devices.push(former);
            let too_many = self.former_devices.len().saturating_sub(FORMER_DEVICES_MAX);
            self.former_devices.drain(..too_many);
        }
    }

    /// Whether something that a device has sealed, or that names it as an author, is theirs.
    pub(crate) fn is_theirs(&self, device: &DeviceId) -> bool {
        self.device == *device || self.former_devices.contains(device)
    }

    /// Whether they get something now: we have agreed, and nobody need make sure first who they are.
    pub(crate) fn may_reach(&self) -> bool {
        self.state == ContactState::Accepted && !self.has_changed()
    }

    /// The last that they have told of how they are reached.
    pub(crate) fn newest_reach(&self) -> Option<&Reach> {
        self.next_reach.as_ref().or(self.their_reach.as_ref())
    }

    /// Whether somebody has made sure of another device of theirs than this one.
    pub(crate) fn is_verified_but(&self, device: &DeviceId) -> bool {
        let verified = self.verified.as_ref();
        verified.is_some_and(|verified| verified.device != *device)
    }

    /// They were verified, and are another device now.
    pub(crate) fn has_changed(&self) -> bool {
        self.is_verified_but(&self.device)
    }

    pub(crate) fn their_address(&self) -> Option<SignalAddress> {
        self.their_reach.as_ref().map(|reach| reach.signal_address)
    }
}

impl EndedQueueRow {
    pub(crate) fn queue_key(&self) -> QueueKey {
        QueueKey::from_seed(&self.queue_seed)
    }
}

impl InviteRow {
    pub(crate) fn queue_key(&self) -> QueueKey {
        QueueKey::from_seed(&self.queue_seed)
    }

    pub(crate) fn secret(&self) -> InviteSecret {
        InviteSecret::of_queue(&self.queue_seed)
    }

    pub(crate) const fn is_used_up(&self) -> bool {
        self.uses >= self.max_uses
    }
}

mod stamp {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tincan_protocol::hlc::Hlc;

    pub(super) fn serialize<S: Serializer>(stamp: &Hlc, serializer: S) -> Result<S::Ok, S::Error> {
        stamp.as_u64().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hlc, D::Error> {
        u64::deserialize(deserializer).map(Hlc::from_u64)
    }
}

mod group_ids {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tincan_mls::GroupId;

    pub(super) fn serialize<S: Serializer>(
        ids: &[GroupId],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let ids: Vec<&[u8]> = ids.iter().map(GroupId::as_bytes).collect();
        ids.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<GroupId>, D::Error> {
        let ids = Vec::<Vec<u8>>::deserialize(deserializer)?;
        ids.iter()
            .map(|id| GroupId::from_bytes(id).map_err(serde::de::Error::custom))
            .collect()
    }
}

mod reach {
    use prost::Message as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tincan_protocol::content::Reach;

    use super::wire;

    pub(super) fn serialize<S: Serializer>(
        reach: &Option<Reach>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        reach
            .as_ref()
            .map(|reach| reach.to_wire().encode_to_vec())
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Reach>, D::Error> {
        let Some(bytes) = Option::<Vec<u8>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let wire = wire::Reach::decode(bytes.as_slice()).map_err(serde::de::Error::custom)?;
        // One contact whose reach this version does not take must not keep the profile from loading.
        Ok(Reach::from_wire(wire).ok())
    }
}

mod envelope {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        envelope: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        envelope.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        // An earlier version had something else here: such a request is made again by whoever made it.
        let read = serde_json::Value::deserialize(deserializer)?;
        let bytes: Option<Vec<u8>> = serde_json::from_value(read).ok();
        Ok(bytes.unwrap_or_default().into())
    }
}

mod stored {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tincan_core::SentVia;

    pub(super) fn serialize<S: Serializer>(
        stored: &Option<SentVia>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = stored.map(|via| match via {
            SentVia::Peer => "peer",
            SentVia::Relay => "relay",
        });
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SentVia>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.map(|text| {
            if text == "peer" {
                SentVia::Peer
            } else {
                SentVia::Relay
            }
        }))
    }
}
