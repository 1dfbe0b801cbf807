//! How people become contacts.
//!
//! The one who has an invite takes a key package with it, makes the MLS group, and sends a
//! `Request` (the group's Welcome and the first message) into the invite's queue. The other side
//! joins; the first who uses an invite for one use is accepted at once, else a person decides. The
//! answer tells how its sender is reached, and from then on both sides do the same things.

use bytes::Bytes;
use tincan_mls::GroupId;
use tincan_protocol::content::{Body, KeyPackagesAt, Reach};
use tincan_protocol::envelope::Envelope;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::{ConversationId, DeviceId, IdentityId, MsgId, WriteToken};
use uuid::Builder;

use super::conversation::Conversation;
use super::surroundings::random;
use super::turn::After;
use super::{Driver, DriverError};
use crate::net::RelayCommand;
use crate::store::{ContactRow, ContactState, ConversationNo, Settings, UnknownKept};

impl Driver {
    pub(super) fn new_contact(
        &mut self,
        identity: IdentityId,
        device: DeviceId,
        name: &str,
        state: ContactState,
        groups: Vec<GroupId>,
    ) -> Result<ContactRow, DriverError> {
        let no = ConversationNo(self.profile.next_conversation);
        self.profile.next_conversation += 1;
        let row = ContactRow {
            no,
            conversation: ConversationId::direct(&self.identity, &identity),
            identity,
            device,
            name: self.free_name(name, None),
            state,
            groups,
            unconfirmed: Vec::new(),
            retired: Vec::new(),
            former_devices: Vec::new(),
            queue_seed: random(self.around.as_mut()),
            write_token: WriteToken::from_bytes(random(self.around.as_mut())),
            address_seed: random(self.around.as_mut()),
            their_reach: None,
            relay_store: None,
            mailbox_store: None,
            next_reach: None,
            unknown: UnknownKept::default(),
            settings: Settings::default(),
            verified: None,
            created_ms: self.around.now().unix_ms,
        };
        let profile = self.profile.clone();
        let batch = self.turn.batch()?;
        batch.put_profile(&profile)?;
        batch.put_contact(&row)?;
        let left = self.left_at(&identity)?;
        let session = self.new_session(&row, left);
        let no = row.no;
        self.insert(Conversation::new(row.clone(), session));
        // Where its numbers begin is durable with it.
        self.with_session(no, None, |_, _, _| Ok(()))?;
        self.turn.sync_servers();
        Ok(row)
    }

    pub(super) fn put_row(&mut self, row: ContactRow) -> Result<(), DriverError> {
        self.turn.batch()?.put_contact(&row)?;
        if let Some(conversation) = self.conversations.get_mut(&row.no) {
            conversation.row = row;
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        let Some(mut conversation) = self.conversations.remove(&no) else {
            return Ok(());
        };
        conversation.link.close("no contact any more");
        let left = conversation.session.left_at();
        let row = conversation.row;
        self.turn.batch()?.remove_contact(no)?;
        self.leave_off(&row.identity, left)?;
        for group in row.groups.iter().chain(&row.retired) {
            self.by_group.remove(group);
            self.leave(group);
        }
        self.by_queue.remove(&row.queue_key().queue());
        self.by_address.remove(&row.address_key().address());
        self.end_queue(row.queue_seed, self.profile.relay.clone())
    }

    pub(super) fn leave(&mut self, group: &GroupId) {
        if let Err(error) = self.mls.delete_group(group) {
            tracing::warn!(%error, "group not deleted");
        }
    }

    /// Sends a content of our own making and seals it in this turn.
    pub(super) fn send_body(&mut self, no: ConversationNo, body: Body) -> Result<(), DriverError> {
        let id = self.new_msg_id();
        self.number(no, id, body)?;
        self.with_session(no, None, tincan_core::Session::flush)
    }

    pub(super) fn new_msg_id(&mut self) -> MsgId {
        let (now_ms, random) = (self.around.now().unix_ms, random(self.around.as_mut()));
        Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid()
    }

    /// How we are reached in a conversation.
    pub(super) fn reach(&self, row: &ContactRow) -> Reach {
        Reach {
            relay: self.profile.relay.clone(),
            queue: row.queue_key().queue(),
            write_token: row.write_token,
            signal_servers: self.profile.signal_servers.clone(),
            signal_address: row.address_key().address(),
            key_packages: Some(KeyPackagesAt {
                owner: QueueKey::from_seed(&self.profile.key_package_seed).queue(),
                token: self.profile.key_package_token,
            }),
        }
    }

    /// The group of an envelope, for routing.
    pub(super) fn group_of(&self, envelope: &Bytes) -> Option<GroupId> {
        match Envelope::decode(envelope.clone()) {
            Ok(Envelope::Message(message)) => self.mls.group_of(&message).ok(),
            _ => None,
        }
    }

    pub(super) fn find(&self, who: &IdentityId) -> Option<&Conversation> {
        self.conversations
            .values()
            .find(|conversation| conversation.row.identity == *who)
    }

    pub(super) fn asked(&self) -> usize {
        let states = self
            .conversations
            .values()
            .map(|conversation| &conversation.row.state);
        states
            .filter(|state| matches!(state, ContactState::Asked { .. }))
            .count()
    }

    /// A name that no other contact has: the wished one, or with a number behind it.
    pub(super) fn free_name(&self, wished: &str, but: Option<ConversationNo>) -> String {
        let wished = crate::names::clean(wished);
        let taken = |name: &str| {
            self.conversations.values().any(|conversation| {
                // Somebody who only asks takes no name away.
                !matches!(conversation.row.state, ContactState::Asked { .. })
                    && Some(conversation.row.no) != but
                    && crate::names::same(&conversation.row.name, name)
            })
        };
        let numbered = (2u32..).map(|number| format!("{wished}-{number}"));
        std::iter::once(wished.clone())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or(wished)
    }

    /// Tops up the key packages at the relay, by asking for the stock.
    pub(super) fn refill_key_packages(&mut self) {
        let command = self.publish_command(Vec::new(), None);
        self.after(After::Relay(self.profile.relay.clone(), Box::new(command)));
    }

    pub(super) fn publish_command(
        &self,
        packages: Vec<Vec<u8>>,
        last_resort: Option<Vec<u8>>,
    ) -> RelayCommand {
        let owner = QueueKey::from_seed(&self.profile.key_package_seed);
        let token_hash = self.profile.key_package_token.hash();
        RelayCommand::Publish {
            owner,
            token_hash,
            packages,
            last_resort,
        }
    }
}
