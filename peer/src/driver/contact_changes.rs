//! What a person decides about a contact: another name, no more of them, whether they are who they say, how long
//! messages stay.

use tincan_core::Input as SessionInput;
use tincan_protocol::WriteToken;
use tincan_protocol::content::{Body, Timer};
use tincan_protocol::hlc::Hlc;

use super::surroundings::random;
use super::{Driver, DriverError};
use crate::error::ContactError;
use crate::message::ContactChange;
use crate::store::{
    ContactRow, ContactState, ConversationNo, JournalEvent, TimerSet, VerifiedRow, Who,
};

impl Driver {
    pub(super) fn change_contact(
        &mut self,
        no: ConversationNo,
        change: ContactChange,
    ) -> Result<Result<(), ContactError>, DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(Err(ContactError::UnknownContact));
        };
        let row = conversation.row.clone();
        let is_asking = matches!(row.state, ContactState::Asked { .. });
        if is_asking && !matches!(change, ContactChange::Block | ContactChange::Remove) {
            return Ok(Err(ContactError::OnlyAsks));
        }
        match change {
            ContactChange::Rename(name) => self.rename(row, &name),
            ContactChange::Block => self.block(row),
            ContactChange::Unblock => self.unblock(row),
            ContactChange::Remove => self.remove_contact(&row),
            ContactChange::Verify(is_verified) => self.verify(row, is_verified),
            ContactChange::Mute { until_ms } => {
                let mut row = row;
                row.settings.muted_until_ms = until_ms;
                self.put_changed(row)
            }
            ContactChange::Draft(text) => {
                let mut row = row;
                row.settings.draft = text;
                self.put_changed(row)
            }
            ContactChange::Timer { expires_s } => self.set_timer(row, expires_s),
        }
    }

    fn put_changed(&mut self, row: ContactRow) -> Result<Result<(), ContactError>, DriverError> {
        let no = row.no;
        self.put_row(row)?;
        self.journal(JournalEvent::Contact { no });
        Ok(Ok(()))
    }

    fn rename(
        &mut self,
        mut row: ContactRow,
        name: &str,
    ) -> Result<Result<(), ContactError>, DriverError> {
        if self.free_name(name, Some(row.no)) != name {
            return Ok(Err(ContactError::NameTaken));
        }
        name.clone_into(&mut row.name);
        self.put_changed(row)
    }

    /// Their way to us is gone: the mailbox they write to, and the address they signal to. Nothing of ours reaches
    /// them either.
    fn block(&mut self, mut row: ContactRow) -> Result<Result<(), ContactError>, DriverError> {
        if row.state == ContactState::Blocked {
            return Ok(Ok(()));
        }
        let no = row.no;
        if matches!(row.state, ContactState::Requesting(_)) && row.their_reach.is_none() {
            return Ok(Err(ContactError::NotAnswered));
        }
        row.settings.blocked_contact = !matches!(row.state, ContactState::Asked { .. });
        // Those who only ask may be called like somebody else.
        row.name = self.free_name(&row.name, Some(no));
        row.state = ContactState::Blocked;
        self.by_queue.remove(&row.queue_key().queue());
        self.by_address.remove(&row.address_key().address());
        self.end_queue(row.queue_seed, self.profile.relay.clone())?;
        row.queue_seed = random(self.around.as_mut());
        row.address_seed = random(self.around.as_mut());
        row.write_token = WriteToken::from_bytes(random(self.around.as_mut()));
        row.mailbox_store = None;
        self.by_queue.insert(row.queue_key().queue(), no);
        self.by_address.insert(row.address_key().address(), no);
        if let Some(conversation) = self.conversations.get_mut(&no) {
            conversation.link.close("blocked");
            conversation.online = false;
        }
        let result = self.put_changed(row)?;
        self.tell_link_end(no, "blocked");
        for input in [
            SessionInput::LinkDown,
            SessionInput::RelayDown,
            SessionInput::MailboxDown,
        ] {
            self.session_input(no, input)?;
        }
        self.read_left_requests()?;
        self.turn.sync_servers();
        Ok(result)
    }

    /// They are a contact again, and told where we are now. Who had only asked is forgotten, and may ask again.
    fn unblock(&mut self, mut row: ContactRow) -> Result<Result<(), ContactError>, DriverError> {
        let no = row.no;
        if row.state != ContactState::Blocked {
            return Ok(Ok(()));
        }
        if !row.settings.blocked_contact {
            return self.remove_contact(&row);
        }
        if row.groups.is_empty() {
            row.state = ContactState::Lost;
            let result = self.put_changed(row)?;
            self.ask_lost(no);
            self.turn.sync_servers();
            return Ok(result);
        }
        row.state = ContactState::Accepted;
        let reach = self.reach(&row);
        let result = self.put_changed(row)?;
        self.send_body(no, Body::Reach(reach))?;
        self.relay_path(no)?;
        self.turn.sync_servers();
        Ok(result)
    }

    fn remove_contact(
        &mut self,
        row: &ContactRow,
    ) -> Result<Result<(), ContactError>, DriverError> {
        self.pending_asks.remove(&row.no);
        self.forget(row.no)?;
        self.read_left_requests()?;
        self.journal(JournalEvent::Removed {
            identity: row.identity,
            name: row.name.clone(),
        });
        self.turn.sync_servers();
        Ok(Ok(()))
    }

    fn verify(
        &mut self,
        mut row: ContactRow,
        is_verified: bool,
    ) -> Result<Result<(), ContactError>, DriverError> {
        row.verified = is_verified.then_some(VerifiedRow {
            device: row.device,
            at_ms: self.around.now().unix_ms,
        });
        let no = row.no;
        let result = self.put_changed(row)?;
        // What waited until somebody has made sure who they are.
        self.relay_path(no)?;
        self.ask_lost(no);
        self.turn.sync_servers();
        Ok(result)
    }

    fn set_timer(
        &mut self,
        row: ContactRow,
        expires_s: u32,
    ) -> Result<Result<(), ContactError>, DriverError> {
        let no = row.no;
        if self.may_send(no).is_err() {
            return Ok(Err(ContactError::NotAnswered));
        }
        self.say_timer(no, expires_s)?;
        Ok(Ok(()))
    }

    pub(super) fn say_timer(
        &mut self,
        no: ConversationNo,
        expires_s: u32,
    ) -> Result<(), DriverError> {
        let id = self.new_msg_id();
        // The later word counts, and this is the later one, whatever clock theirs had.
        if let Some(conversation) = self.conversations.get_mut(&no)
            && let Some(known) = conversation.row.settings.timer_set
        {
            conversation.session.observe(known.stamp);
        }
        if let Some(at) = self.number(no, id, Body::Timer(Timer { expires_s }))? {
            self.note_timer(no, Who::Me, at.place, expires_s)?;
        }
        Ok(())
    }

    /// How long messages stay was said by one side. Of several the latest counts, so that both come to the same.
    pub(super) fn note_timer(
        &mut self,
        no: ConversationNo,
        who: Who,
        stamp: Hlc,
        expires_s: u32,
    ) -> Result<(), DriverError> {
        let own = self.device.device();
        // A clock far ahead does not have the last word for ever.
        let stamp = match who {
            Who::Me => stamp,
            Who::Them => stamp.clamped(self.around.now().unix_ms),
        };
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let mut row = conversation.row.clone();
        let device = if who == Who::Me { own } else { row.device };
        let set = TimerSet { stamp, device };
        if row.settings.timer_set.is_some_and(|known| known >= set) {
            return Ok(());
        }
        row.settings.timer_set = Some(set);
        row.settings.expires_s = expires_s;
        self.put_row(row)?;
        // Of a stranger nothing is told but their request.
        if !self.is_asking(no) {
            self.journal(JournalEvent::Contact { no });
        }
        Ok(())
    }
}
