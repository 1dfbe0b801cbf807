//! The handle of an open profile.

mod history;
mod outbox;
pub(crate) mod reader;
mod view;

#[cfg(test)]
pub(crate) use view::{View, is_shown};

use std::sync::Arc;
use std::time::Duration;

use tincan_protocol::invite::Invite;
use tincan_protocol::limits::{NAME_MAX, REACTION_MAX, REQUEST_TEXT_MAX, TEXT_MAX};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::phrase::Phrase;
use tincan_protocol::safety_number::SafetyNumber;
use tincan_protocol::{ConversationId, DeviceId, IdentityId, MsgId};
use tokio::sync::{mpsc, oneshot};

use crate::backup::{BackupError, BackupReport};
use crate::builder::Builder;
use crate::driver::{AddRequest, Command, DriverHandle, Input, Reply};
use crate::error::{
    AcceptError, AddError, ChangeError, ContactError, InviteError, ReadError, SendError,
    ShutdownError,
};
use crate::event::Events;
use crate::home::Home;
use crate::message::{
    Ask, Change, Contact, ContactChange, DRAFT_MAX, Draft, RequestFrom, Shown, Verification,
};
use crate::status::StatusReport;
use crate::store::{
    ContactRow, ContactState, ConversationNo, ProfileRow, Store, StoreError, is_message,
};

/// How often a driver that loses its store while it ends is asked to end again.
const SHUTDOWN_ATTEMPTS: usize = 3;

/// Name of the place behind which [`Peer::events`] begins.
const CONFIRMED: &str = "events";

/// Events that are read ahead of a slow reader.
const EVENTS_AHEAD: usize = 256;

/// An open profile. Clones are the same profile; it closes with [`Peer::shutdown`], or when the
/// last clone is dropped.
#[derive(Clone, Debug)]
pub struct Peer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    home: Home,
    store: Store,
    driver: DriverHandle,
    identity: Identity,
    stays: bool,
}

impl Drop for Inner {
    /// The last handle takes the profile offline.
    fn drop(&mut self) {
        let command = Command::Shutdown {
            reply: Reply::nobody(),
        };
        // A driver that is too busy to hear it ends with the process.
        let _ = self.driver.inputs.try_send(Input::Command(command));
    }
}

/// Who a profile is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The address that others know it by.
    pub address: IdentityId,
    /// What its owner calls themselves.
    pub name: String,
    /// This device.
    pub device: DeviceId,
    /// Where it listens for signals.
    pub signal_servers: Vec<ServerUrl>,
    /// Where its mailboxes are.
    pub relay: ServerUrl,
}

impl Peer {
    /// Begins to open or make a profile.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(
        home: Home,
        store: Store,
        driver: DriverHandle,
        profile: &ProfileRow,
        stays: bool,
    ) -> Self {
        let identity = Identity::of(profile);
        Self {
            inner: Arc::new(Inner {
                home,
                store,
                driver,
                identity,
                stays,
            }),
        }
    }

    /// Who this profile is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The words that its identity can be restored from: whoever has them has the identity.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn phrase(&self) -> Result<Phrase, ReadError> {
        let profile = self.inner.store.read_profile()?;
        Ok(Phrase::from_entropy(profile.entropy))
    }

    /// Its folder.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.inner.home
    }

    /// Whether its process runs it until somebody ends that.
    pub(crate) fn stays(&self) -> bool {
        self.inner.stays
    }

    /// Makes an invite link. With one use, the first who uses it is accepted; with more, each one is a
    /// request that waits for [`Peer::accept`]. Returns when the link works, or after 5 s if the relay
    /// cannot be reached: then it works once this profile has been online.
    ///
    /// # Errors
    /// [`InviteError`].
    pub async fn invite(&self, max_uses: u32, lifetime: Duration) -> Result<Invite, InviteError> {
        if max_uses == 0 {
            return Err(InviteError::NoUses);
        }
        let lifetime_ms = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        self.ask(|reply| Command::Invite {
            max_uses,
            lifetime_ms,
            reply,
        })
        .await
        .unwrap_or(Err(InviteError::NotSaved))
    }

    /// Asks the owner of an invite to become a contact. Messages to them can be sent at once; they go
    /// out when the request is accepted.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add(&self, invite: Invite) -> Result<IdentityId, AddError> {
        self.add_with(invite, Ask::default()).await
    }

    /// Like [`Peer::add`], with more to say.
    ///
    /// # Errors
    /// [`AddError`].
    pub async fn add_with(&self, invite: Invite, ask: Ask) -> Result<IdentityId, AddError> {
        let Ask { text, name, again } = ask;
        let is_no_name = |name: &String| name.trim().is_empty() || name.len() > NAME_MAX;
        if name.as_ref().is_some_and(is_no_name) {
            return Err(AddError::Name);
        }
        if text.len() > REQUEST_TEXT_MAX {
            return Err(AddError::TextTooLong);
        }
        let request = Box::new(AddRequest {
            invite,
            name,
            text,
            is_again: again,
        });
        self.ask(|reply| Command::Add { request, reply })
            .await
            .unwrap_or(Err(AddError::NotSaved))
    }

    /// Writes a backup to a file that is not there yet: identity, contacts, all that was said, under a passphrase.
    /// [`Builder::import`] makes a profile of it. The profile may go on meanwhile.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn export_backup(
        &self,
        file: &std::path::Path,
        passphrase: &str,
    ) -> Result<BackupReport, BackupError> {
        let (store, file) = (self.inner.store.clone(), file.to_owned());
        let passphrase = zeroize::Zeroizing::new(passphrase.to_owned());
        let export = move || crate::backup::export(&store, &file, &passphrase);
        let exported = tokio::task::spawn_blocking(export).await;
        exported.unwrap_or(Err(BackupError::ShutDown))
    }

    /// Everybody who is a contact, or was asked to become one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn contacts(&self) -> Result<Vec<Contact>, ReadError> {
        let rows = self.inner.store.read_contacts()?;
        let contacts = rows.iter().map(|row| contact(&self.inner.store, row));
        Ok(contacts
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?)
    }

    /// Everybody who asks to become a contact.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn requests(&self) -> Result<Vec<RequestFrom>, ReadError> {
        let rows = self.inner.store.read_contacts()?;
        let requests = rows.into_iter().filter_map(|row| match row.state {
            ContactState::Asked { text, .. } => Some(RequestFrom {
                identity: row.identity,
                name: row.name,
                text,
                received_at_ms: row.created_ms,
            }),
            _ => None,
        });
        Ok(requests.collect())
    }

    /// Accepts a request.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub async fn accept(&self, who: IdentityId) -> Result<(), AcceptError> {
        self.ask(|reply| Command::Accept { who, reply })
            .await
            .unwrap_or(Err(AcceptError::NotSaved))
    }

    /// Drops a request; its sender is not told.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub async fn reject(&self, who: IdentityId) -> Result<(), AcceptError> {
        self.ask(|reply| Command::Reject { who, reply })
            .await
            .unwrap_or(Err(AcceptError::NotSaved))
    }

    /// Sends a text. Returns when it is durable here: from then on it will arrive.
    ///
    /// # Errors
    /// [`SendError`]; nothing was stored.
    pub async fn send(&self, to: &IdentityId, text: &str) -> Result<MsgId, SendError> {
        let ids = self.send_all(to, vec![text.to_owned()]).await?;
        ids.first().copied().ok_or(SendError::NotSaved)
    }

    /// Sends several texts in order, sealed and stored together: much cheaper than one by one.
    ///
    /// # Errors
    /// [`SendError`]; nothing was stored.
    pub async fn send_all(
        &self,
        to: &IdentityId,
        texts: Vec<String>,
    ) -> Result<Vec<MsgId>, SendError> {
        self.send_drafts(to, texts.into_iter().map(Draft::new).collect())
            .await
    }

    /// Like [`Peer::send_all`], for messages that answer others, or with ids of the caller's choice: whoever
    /// does not hear of the result sends them again, and those that were sent stay as they are.
    ///
    /// # Errors
    /// [`SendError`]; nothing was stored.
    pub async fn send_drafts(
        &self,
        to: &IdentityId,
        messages: Vec<Draft>,
    ) -> Result<Vec<MsgId>, SendError> {
        messages
            .iter()
            .try_for_each(|draft| check_text(&draft.text))?;
        let row = self.row(to).map_err(|_| SendError::UnknownContact)?;
        self.ask(|reply| Command::Send {
            to: row.no,
            messages,
            reply,
        })
        .await
        .unwrap_or(Err(SendError::NotSaved))
    }

    /// Passes a message of one conversation on to another contact, as the message `copy`, a UUIDv7 of the caller's
    /// making: what has it already is not sent again.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was stored.
    pub async fn forward(
        &self,
        from: &IdentityId,
        id: MsgId,
        to: &IdentityId,
        copy: MsgId,
    ) -> Result<(), ChangeError> {
        let row = self.row(from).map_err(|_| SendError::UnknownContact)?;
        let peer = self.clone();
        let read = tokio::task::spawn_blocking(move || {
            let found = peer.inner.store.message_named(row.no, id)?;
            found.map_or(Ok(None), |(name, _)| peer.view(&row).one(name))
        });
        let message = match read.await {
            Ok(Ok(message)) => message.ok_or(ChangeError::UnknownMessage)?,
            _ => return Err(SendError::NotSaved.into()),
        };
        if message.deleted {
            return Err(ChangeError::Deleted);
        }
        let draft = Draft {
            id: copy,
            forwarded: true,
            ..Draft::new(message.text)
        };
        self.send_drafts(to, vec![draft]).await?;
        Ok(())
    }

    /// Does something with a message of a conversation. Returns when it is durable here.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing has changed.
    pub async fn change(
        &self,
        contact: &IdentityId,
        id: MsgId,
        change: Change,
    ) -> Result<(), ChangeError> {
        match &change {
            Change::Edit(text) => check_text(text)?,
            Change::React(sign) if sign.len() > REACTION_MAX || sign.contains(char::is_control) => {
                return Err(ChangeError::Reaction);
            }
            _ => {}
        }
        let row = self.row(contact).map_err(|_| SendError::UnknownContact)?;
        let no = row.no;
        self.ask(|reply| Command::Change {
            no,
            id,
            change,
            reply,
        })
        .await
        .unwrap_or(Err(SendError::NotSaved.into()))
    }

    /// Does something about a contact. Returns when it is durable here.
    ///
    /// # Errors
    /// [`ContactError`]; nothing has changed.
    pub async fn change_contact(
        &self,
        contact: &IdentityId,
        change: ContactChange,
    ) -> Result<(), ContactError> {
        if let ContactChange::Rename(name) = &change
            && crate::names::clean(name) != *name
        {
            return Err(ContactError::Name);
        }
        if let ContactChange::Draft(text) = &change
            && text.len() > DRAFT_MAX
        {
            return Err(ContactError::DraftTooLong { len: text.len() });
        }
        let row = self
            .row(contact)
            .map_err(|_| ContactError::UnknownContact)?;
        let no = row.no;
        self.ask(|reply| Command::ChangeContact { no, change, reply })
            .await
            .unwrap_or(Err(ContactError::NotSaved))
    }

    /// The number that both of us compare, to be sure of each other.
    #[must_use]
    pub fn safety_number(&self, contact: &IdentityId) -> SafetyNumber {
        SafetyNumber::of(&self.inner.identity.address, contact)
    }

    /// Notes that a contact's messages have been shown to the person; the contact is told up to where all
    /// were. Returns when it is durable.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn mark_read(&self, contact: &IdentityId, shown: Shown) -> Result<(), ReadError> {
        let no = self.row(contact)?.no;
        self.ask(|reply| Command::Read { no, shown, reply })
            .await
            .ok_or_else(|| self.unanswered())
    }

    /// Events from where [`Peer::confirm`] was called last, also before a restart; the first time,
    /// everything that the journal has.
    #[must_use]
    pub fn events(&self) -> Events {
        match self.cursor(CONFIRMED) {
            Ok(place) => self.events_after(place.unwrap_or_default()),
            Err(error) => Events::failed(error),
        }
    }

    /// Events up to this cursor have been dealt with: [`Peer::events`] begins behind it from now on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn confirm(&self, cursor: u64) -> Result<(), ReadError> {
        self.set_cursor(CONFIRMED, cursor).await
    }

    /// Events after a cursor. Cursor 0 is the beginning of what the journal still has.
    #[must_use]
    pub fn events_after(&self, after: u64) -> Events {
        let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
        tokio::spawn(reader::run(self.clone(), after, sender));
        Events { receiver }
    }

    /// The cursor of the last event that is durable.
    #[must_use]
    pub fn last_cursor(&self) -> u64 {
        *self.inner.driver.journal.borrow()
    }

    /// A named place in the journal that survives restarts.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn cursor(&self, name: &str) -> Result<Option<u64>, ReadError> {
        Ok(self.inner.store.cursor(name)?)
    }

    /// Sets a named place in the journal. Returns when it is durable.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn set_cursor(&self, name: &str, cursor: u64) -> Result<(), ReadError> {
        let name = name.to_owned();
        self.ask(|reply| Command::SetCursor {
            name,
            cursor,
            reply,
        })
        .await
        .ok_or_else(|| self.unanswered())
    }

    /// How things are now.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn status(&self) -> Result<StatusReport, ReadError> {
        self.ask(|reply| Command::Status { reply })
            .await
            .ok_or_else(|| self.unanswered())
    }

    /// Says goodbye to all links and closes the profile. What was confirmed before is durable
    /// whether this is called or not.
    ///
    /// # Errors
    /// [`ShutdownError`] if the driver ended otherwise.
    pub async fn shutdown(&self) -> Result<(), ShutdownError> {
        let mut ended = self.inner.driver.ended.clone();
        for _ in 0..SHUTDOWN_ATTEMPTS {
            let answer = self.ask(|reply| Command::Shutdown { reply }).await;
            if answer.is_some() {
                // An error means that the thread is gone, which is what is waited for.
                let _ = ended.wait_for(|ended| *ended).await;
                return Ok(());
            }
            // The store failed in the last moment, and the driver has begun again, without the wish
            // to end. Or it has ended.
        }
        Err(ShutdownError)
    }

    /// Whether the disk of its folder had no room for what was to be written last. It is tried again
    /// by itself.
    pub(crate) fn disk_is_full(&self) -> bool {
        *self.inner.store.disk_is_full().borrow()
    }

    /// Waits until there is no room for something. Never ends if that cannot happen any more.
    pub(crate) async fn disk_filled(&self) {
        let mut is_full = self.inner.store.disk_is_full();
        if is_full.wait_for(|is_full| *is_full).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Why the driver has not answered.
    fn unanswered(&self) -> ReadError {
        if self.has_ended() {
            ReadError::ShutDown
        } else {
            // The store failed, and is loaded again.
            ReadError::Store(StoreError::Closed)
        }
    }

    /// Whether nothing can be asked of it any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.inner.driver.inputs.is_closed()
    }

    /// A contact by name or address.
    ///
    /// # Errors
    /// [`ReadError::UnknownContact`].
    pub fn find(&self, name_or_address: &str) -> Result<IdentityId, ReadError> {
        let rows = self.inner.store.read_contacts()?;
        // Who only asks is no contact yet; and a text that is an address is never taken for a name.
        let asks = |row: &&ContactRow| matches!(row.state, ContactState::Asked { .. });
        let mut rows = rows.iter().filter(|row| !asks(row));
        let found = match name_or_address.parse::<IdentityId>() {
            Ok(address) => rows.find(|row| row.identity == address),
            Err(_) => rows.find(|row| crate::names::same(&row.name, name_or_address)),
        };
        found
            .map(|row| row.identity)
            .ok_or(ReadError::UnknownContact)
    }

    fn row(&self, who: &IdentityId) -> Result<ContactRow, ReadError> {
        let rows = self.inner.store.read_contacts()?;
        rows.into_iter()
            .find(|row| row.identity == *who)
            .ok_or(ReadError::UnknownContact)
    }

    /// Asks the driver; `None` if it ended, or lost its store, before it answered.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Option<T> {
        let (reply, answer): (Reply<T>, oneshot::Receiver<T>) = Reply::new();
        self.inner
            .driver
            .inputs
            .send(Input::Command(command(reply)))
            .await
            .ok()?;
        answer.await.ok()
    }
}

impl Identity {
    fn of(profile: &ProfileRow) -> Self {
        use tincan_protocol::keys::DeviceKey;
        Self {
            address: Phrase::from_entropy(profile.entropy)
                .identity_key()
                .identity(),
            name: profile.name.clone(),
            device: DeviceKey::from_seed(&profile.device_seed).device(),
            signal_servers: profile.signal_servers.clone(),
            relay: profile.relay.clone(),
        }
    }

    /// The conversation with somebody.
    #[must_use]
    pub fn conversation_with(&self, other: &IdentityId) -> ConversationId {
        ConversationId::direct(&self.address, other)
    }
}

/// As callers see it; nothing of those who only ask.
pub(crate) fn contact(store: &Store, row: &ContactRow) -> Result<Option<Contact>, StoreError> {
    let Some(standing) = row.state.standing() else {
        return Ok(None);
    };
    let unread = store.unread(row.no)?;
    Ok(Some(Contact {
        identity: row.identity,
        name: row.name.clone(),
        standing,
        conversation: row.conversation,
        verification: match &row.verified {
            None => Verification::Unverified,
            Some(_) if row.has_changed() => Verification::Changed,
            Some(_) => Verification::Verified,
        },
        unread: unread.count,
        first_unread: unread.first.map(|first| first.seq),
        first_unread_id: match unread.first {
            Some(first) => store.id_of_received(row.no, first)?,
            None => None,
        },
        last_at_ms: last_at_ms(store, row.no)?,
        draft: row.settings.draft.clone(),
        muted_until_ms: row.settings.muted_until_ms,
        expires_s: row.settings.expires_s,
    }))
}

/// When the last message was said.
fn last_at_ms(store: &Store, no: ConversationNo) -> Result<Option<u64>, StoreError> {
    let mut last = None;
    store.timeline_back(no, None, |row| {
        if is_message(&row.content.body) {
            last = Some(row.content.hlc.unix_ms());
        }
        last.is_none()
    })?;
    Ok(last)
}

fn check_text(text: &str) -> Result<(), SendError> {
    match text.len() {
        0 => Err(SendError::Empty),
        len if len > TEXT_MAX => Err(SendError::TooLong { len }),
        _ => Ok(()),
    }
}
