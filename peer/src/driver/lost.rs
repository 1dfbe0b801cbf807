//! Contacts whose conversations this device has no keys for: it came with a backup. They are asked to begin anew,
//! with a key package from their relay, and the request goes into the mailbox where messages went before.

use std::time::Duration;

use super::{Driver, DriverError};
use crate::net::RelayCommand;
use crate::store::{ContactState, ConversationNo, RequestStage};

/// A relay that had no key package, or did not answer, is asked again after this time. Chosen: they bring new
/// ones when they are online, and nothing of ours gets to them before.
const PACKAGE_AGAIN: Duration = Duration::from_secs(5 * 60);

impl Driver {
    /// Asks for a key package, if their relay is up and has not been asked lately.
    pub(super) fn ask_lost(&mut self, no: ConversationNo) {
        let again_at = self.around.now().instant.after(PACKAGE_AGAIN);
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return;
        };
        if conversation.row.state != ContactState::Lost {
            return;
        }
        let Some(reach) = &conversation.row.their_reach else {
            return;
        };
        let Some(at) = reach.key_packages else {
            return;
        };
        let relay = reach.relay.clone();
        if self.relays.get(&relay).is_none_or(|relay| !relay.up) {
            return;
        }
        conversation.request_again_at = Some(again_at);
        self.pending_lost.retain(|_, waiting| *waiting != no);
        let request = self.next_attempt;
        self.next_attempt += 1;
        self.pending_lost.insert(request, no);
        let command = RelayCommand::TakeKeyPackage {
            request,
            owner: at.owner,
            token: at.token,
        };
        self.send_to_relay(&relay, command);
    }

    pub(super) fn handle_lost_package(
        &mut self,
        no: ConversationNo,
        package: Result<Vec<u8>, String>,
    ) -> Result<(), DriverError> {
        let known = self.conversations.get(&no).map(|known| known.row.clone());
        let Some(row) = known.filter(|row| row.state == ContactState::Lost) else {
            return Ok(());
        };
        let Some(reach) = row.their_reach.clone() else {
            return Ok(());
        };
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
        let group = match made {
            Ok(group) => group,
            Err(error) => {
                tracing::warn!(conversation = no.0, %error, "a key package of somebody else");
                return Ok(());
            }
        };
        let stage = RequestStage {
            relay: reach.relay,
            queue: reach.queue,
            write_token: reach.write_token,
            envelope: bytes::Bytes::new(),
            deposited: false,
            before: Vec::new(),
        };
        let (name, device) = (group.group.clone(), group.peer.device);
        self.ask_again(row, stage, name.clone(), device, None)?;
        self.seal_request(no, &name, "", group.welcome, None)?;
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(())
    }
}
