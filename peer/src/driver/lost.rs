//! Contacts whose conversations this device has no keys for: it came with a backup. They are asked to begin anew,
//! with a key package from their relay, and the request goes into the mailbox where messages went before.

use std::time::Duration;

use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{DeviceId, QueueId, WriteToken};

use super::{Driver, DriverError};
use crate::net::RelayCommand;
use crate::store::{ContactState, ConversationNo, JournalEvent, RequestStage};

/// A relay that had no key package, or did not answer, is asked again after this time. Chosen: they bring new
/// ones when they are online, and nothing of ours gets to them before.
const PACKAGE_AGAIN: Duration = Duration::from_secs(5 * 60);

/// Where a key package of somebody is to be had.
pub(super) struct PackageAt {
    pub(super) relay: ServerUrl,
    owner: QueueId,
    token: WriteToken,
}

impl Driver {
    /// Where a conversation's next key package is to be had, if it needs one.
    pub(super) fn package_wanted(&self, no: ConversationNo) -> Option<PackageAt> {
        let row = &self.conversations.get(&no)?.row;
        if row.has_changed() {
            // Somebody makes sure first who they are.
            return None;
        }
        match &row.state {
            ContactState::Lost => {
                let reach = row.their_reach.as_ref()?;
                let at = reach.key_packages?;
                Some(PackageAt {
                    relay: reach.relay.clone(),
                    owner: at.owner,
                    token: at.token,
                })
            }
            ContactState::Requesting(stage) if stage.envelope.is_empty() => {
                let (owner, token) = stage.key_packages?;
                Some(PackageAt {
                    relay: stage.relay.clone(),
                    owner,
                    token,
                })
            }
            _ => None,
        }
    }

    /// Asks for a key package, if their relay is up and has not been asked lately.
    pub(super) fn ask_lost(&mut self, no: ConversationNo) {
        let Some(at) = self.package_wanted(no) else {
            return;
        };
        let now = self.around.now().instant;
        let is_up = self.relays.get(&at.relay).is_some_and(|relay| relay.up);
        let Some(conversation) = self.conversations.get_mut(&no).filter(|_| is_up) else {
            return;
        };
        let is_due = conversation.request_again_at.is_none_or(|at| at <= now);
        if !is_due || self.pending_lost.values().any(|waiting| *waiting == no) {
            return;
        }
        conversation.request_again_at = Some(now.after(PACKAGE_AGAIN));
        let request = self.next_attempt;
        self.next_attempt += 1;
        self.pending_lost.insert(request, no);
        let command = RelayCommand::TakeKeyPackage {
            request,
            owner: at.owner,
            token: at.token,
        };
        self.send_to_relay(&at.relay, command);
    }

    /// What their relay was asked for does not come any more.
    pub(super) fn lost_relay_down(&mut self, no: ConversationNo) {
        self.pending_lost.retain(|_, waiting| *waiting != no);
        if let Some(conversation) = self.conversations.get_mut(&no) {
            conversation.request_again_at = None;
        }
    }

    pub(super) fn handle_lost_package(
        &mut self,
        no: ConversationNo,
        package: Result<Vec<u8>, String>,
    ) -> Result<(), DriverError> {
        if self.package_wanted(no).is_none() {
            return Ok(());
        }
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let row = conversation.row.clone();
        let package = match package {
            Ok(package) => package,
            Err(text) => {
                tracing::info!(conversation = no.0, %text, "no key package for a lost conversation");
                return Ok(());
            }
        };
        let now_ms = self.around.now().unix_ms;
        let made = self
            .mls
            .create_direct_group(&package, &row.identity, now_ms);
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(conversation = no.0, %error, "a key package of somebody else");
                return Ok(());
            }
        };
        if row.is_verified_but(&made.peer.device) {
            self.leave(&made.group);
            return self.meet_changed(no, made.peer.device);
        }
        let stage = match (&row.state, row.their_reach.clone()) {
            (ContactState::Requesting(stage), _) => (**stage).clone(),
            (_, Some(reach)) => RequestStage {
                relay: reach.relay,
                queue: reach.queue,
                write_token: reach.write_token,
                key_packages: reach.key_packages.map(|at| (at.owner, at.token)),
                envelope: bytes::Bytes::new(),
                deposited: false,
                before: Vec::new(),
                was_lost: true,
            },
            (_, None) => return Ok(()),
        };
        let stage = RequestStage {
            deposited: false,
            ..stage
        };
        let group = made.group.clone();
        self.ask_again(row, stage, group.clone(), made.peer.device, None)?;
        self.seal_request(no, &group, "", made.welcome, None)?;
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(())
    }

    /// A contact who was verified has another device: nothing goes there until somebody has made sure.
    pub(super) fn meet_changed(
        &mut self,
        no: ConversationNo,
        device: DeviceId,
    ) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        conversation.session.met_as(device);
        let mut row = conversation.row.clone();
        row.meet_as(device);
        self.put_row(row)?;
        self.journal(JournalEvent::Contact { no });
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(())
    }
}
