//! Between the sessions and the rest: what they need of MLS and the store, where their outputs go.

use bytes::Bytes;
use tincan_core::{
    DeliveryState, Event, Input as SessionInput, Now, OpenError, Opened, OutboxRow, Output,
    Session, Transmit, Vault, VaultError, WaitReason,
};
use tincan_mls::{GroupCrypto, GroupId};
use tincan_protocol::content::Body;
use tincan_protocol::envelope::Envelope;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{EnvelopeId, QueueId};

use super::messages::Heard;
use super::turn::After;
use super::{Driver, DriverError, unknown_contents};
use crate::store::{
    Batch, ContactRow, ContactState, ConversationNo, JournalEvent, OutboxMeta, StoreError, Who,
};

/// Where an envelope came from, and so where its acknowledgement goes.
#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) server: ServerUrl,
    pub(super) queue: QueueId,
}

/// What one session needs: its groups, and its rows in the open transaction.
pub(super) struct ConversationVault<'a> {
    batch: &'a Batch,
    mls: &'a mut dyn GroupCrypto,
    no: ConversationNo,
    row: &'a ContactRow,
    /// The last group that something was opened in.
    opened: Option<GroupId>,
}

impl<'a> ConversationVault<'a> {
    pub(super) fn new(batch: &'a Batch, mls: &'a mut dyn GroupCrypto, row: &'a ContactRow) -> Self {
        Self {
            batch,
            mls,
            no: row.no,
            row,
            opened: None,
        }
    }
}

impl Vault for ConversationVault<'_> {
    fn seal(&mut self, payload: Vec<u8>) -> Result<Bytes, VaultError> {
        let no_group = || VaultError("this conversation has no group".to_owned());
        let group = self.row.send_group().ok_or_else(no_group)?;
        let message = self
            .mls
            .seal(group, &payload)
            .map_err(|error| VaultError(error.to_string()))?;
        Ok(Envelope::Message(message.into()).encode())
    }

    fn open(&mut self, envelope: &Bytes) -> Result<Opened, OpenError> {
        let Ok(Envelope::Message(message)) = Envelope::decode(envelope.clone()) else {
            return Err(OpenError::Invalid);
        };
        match self.mls.group_of(&message) {
            Ok(group) if self.row.groups.contains(&group) || self.row.retired.contains(&group) => {}
            _ => return Err(OpenError::Invalid),
        }
        match self.mls.open(&message) {
            Ok(opened) => {
                self.opened = Some(opened.group);
                let sender = opened.sender.device;
                Ok(Opened {
                    // What is on its way of a device that they had before.
                    sender: if self.row.is_theirs(&sender) {
                        self.row.device
                    } else {
                        sender
                    },
                    payload: opened.payload.into(),
                })
            }
            Err(tincan_mls::OpenError::KeyGone) => Err(OpenError::KeyGone),
            Err(tincan_mls::OpenError::Library(error)) => Err(VaultError(error.to_string()).into()),
            Err(error) => {
                tracing::debug!(%error, "envelope refused");
                Err(OpenError::Invalid)
            }
        }
    }

    fn is_seen(&self, id: &EnvelopeId) -> Result<bool, VaultError> {
        self.batch.is_seen(id).map_err(vault_error)
    }

    fn pending(&self, from: u64, count: usize, bytes: usize) -> Result<Vec<OutboxRow>, VaultError> {
        self.batch
            .pending(self.no, from, count, bytes)
            .map_err(vault_error)
    }

    fn find_envelopes(&self, ids: &[EnvelopeId]) -> Result<Vec<(u64, u64)>, VaultError> {
        // What is not sealed has no id of its own.
        let unsealed = EnvelopeId::of(&[]);
        let ids: Vec<&EnvelopeId> = ids.iter().filter(|id| **id != unsealed).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.batch.outbox(self.no, 0).map_err(vault_error)?;
        let found = rows.into_iter().filter(|(_, meta)| ids.contains(&&meta.id));
        Ok(found.map(|(first, meta)| (first, meta.last)).collect())
    }

    fn find_range(&self, first: u64, last: u64, max: usize) -> Result<Vec<(u64, u64)>, VaultError> {
        self.batch
            .stored_elsewhere(self.no, first, last, max)
            .map_err(vault_error)
    }

    fn sent_contents(&self, first: u64, last: u64) -> Result<Vec<(u64, Bytes)>, VaultError> {
        self.batch
            .sent_contents(self.no, first, last)
            .map_err(vault_error)
    }

    fn created_before(&self, unix_ms: u64, max: usize) -> Result<Vec<(u64, u64)>, VaultError> {
        let mut found = 0;
        // Seqs are given out in the order of time, so the first that is young enough ends it.
        let rows = self.batch.outbox_while(self.no, 0, |_, meta| {
            found += usize::from(!meta.lasts);
            meta.lasts || (meta.created_ms < unix_ms && found <= max)
        });
        let mut rows = rows.map_err(vault_error)?;
        rows.retain(|(_, meta)| !meta.lasts);
        Ok(firsts_and_lasts(rows))
    }

    fn held(&self, seq: u64) -> Result<Option<Bytes>, VaultError> {
        self.batch.held(self.no, seq).map_err(vault_error)
    }

    fn held_seqs(&self) -> Result<Vec<u64>, VaultError> {
        self.batch.held_seqs(self.no).map_err(vault_error)
    }
}

fn firsts_and_lasts(rows: Vec<(u64, OutboxMeta)>) -> Vec<(u64, u64)> {
    let rows = rows.into_iter();
    rows.map(|(first, meta)| (first, meta.last)).collect()
}

fn vault_error(error: StoreError) -> VaultError {
    VaultError(error.to_string())
}

impl Driver {
    pub(super) fn session_input(
        &mut self,
        no: ConversationNo,
        input: SessionInput,
    ) -> Result<(), DriverError> {
        self.with_session(no, None, |session, vault, now| {
            session.handle_input(input, vault, now)
        })
    }

    pub(super) fn session_timeout(&mut self, no: ConversationNo) -> Result<(), DriverError> {
        self.with_session(no, None, Session::handle_timeout)
    }

    /// Seals what was sent in this turn, each conversation's together.
    pub(super) fn flush_sessions(&mut self) -> Result<(), DriverError> {
        let unsealed = self
            .conversations
            .iter_mut()
            .filter(|(_, conversation)| conversation.unsealed);
        let unsealed: Vec<ConversationNo> = unsealed
            .map(|(&no, conversation)| {
                conversation.unsealed = false;
                no
            })
            .collect();
        for no in unsealed {
            self.with_session(no, None, Session::flush)?;
        }
        Ok(())
    }

    /// Calls a session and takes its outputs: rows into the open transaction, the rest behind its
    /// commit. `mailbox` is the queue that acknowledgements of this call belong to.
    pub(super) fn with_session(
        &mut self,
        no: ConversationNo,
        mailbox: Option<Mailbox>,
        call: impl FnOnce(&mut Session, &mut dyn Vault, Now) -> Result<(), VaultError>,
    ) -> Result<(), DriverError> {
        let now = self.around.now();
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return Ok(());
        };
        let batch = self.turn.batch()?;
        let mut vault = ConversationVault::new(batch, self.mls.as_mut(), &conversation.row);
        call(&mut conversation.session, &mut vault, now)?;
        let mut begins_anew = false;
        if let Some(opened) = vault.opened.take()
            && conversation.row.confirm(&opened)
        {
            if conversation.is_accepted() {
                begins_anew = conversation.row.retire_before(&opened);
            }
            batch.put_contact(&conversation.row)?;
        }
        let (mut rows, mut leaving) = (Vec::new(), Vec::new());
        let unknown = conversation.row.unknown;
        while let Some(output) = conversation.session.poll_output() {
            match output {
                Output::Persist(row) => rows.push(row),
                Output::Event(event) if unknown_contents::is_unknown(&event) => {
                    if unknown_contents::keep_last(&mut conversation.row, &mut rows) {
                        leaving.push(Output::Event(event));
                    }
                }
                other => leaving.push(other),
            }
        }
        batch.apply(no, rows, now.unix_ms)?;
        if conversation.row.unknown != unknown {
            batch.put_contact(&conversation.row)?;
        }
        self.note_received(no, &leaving)?;
        for output in leaving {
            match output {
                Output::Persist(_) => {}
                Output::Transmit(Transmit::AckMailbox { index }) => {
                    if let Some(Mailbox { server, queue }) = mailbox.clone() {
                        self.after(After::AckMailbox {
                            server,
                            queue,
                            index,
                        });
                    }
                }
                Output::Transmit(transmit) => {
                    let refused = matches!(transmit, Transmit::Nack { .. });
                    self.after(After::Transmit(no, transmit));
                    if refused {
                        self.envelope_refused(no)?;
                    }
                }
                Output::Event(event) => self.handle_event(no, event)?,
            }
        }
        if begins_anew {
            self.begin_anew(no)?;
        }
        Ok(())
    }

    fn note_received(&mut self, no: ConversationNo, outputs: &[Output]) -> Result<(), DriverError> {
        let received = outputs.iter().filter_map(|output| match output {
            Output::Event(Event::Received {
                content,
                place,
                late,
            }) => Some(Heard {
                place: *place,
                content,
                late: *late,
            }),
            _ => None,
        });
        let received: Vec<_> = received.collect();
        if received.is_empty() {
            return Ok(());
        }
        self.heard_messages(no, &received)
    }

    fn handle_event(&mut self, no: ConversationNo, event: Event) -> Result<(), DriverError> {
        match event {
            Event::Received { content, place, .. } => {
                // Our answer stands after what it answers, whatever their clock says.
                if let Some(conversation) = self.conversations.get_mut(&no) {
                    conversation.session.observe(place);
                }
                if self.heard_about_message(no, place, &content)? {
                    return Ok(());
                }
                let state = self
                    .conversations
                    .get(&no)
                    .map(|conversation| &conversation.row.state);
                // A stranger's words are shown with their request; as messages, when it is accepted.
                if !matches!(state, Some(ContactState::Asked { .. })) {
                    self.turn.received(no, place, content.seq);
                }
                match content.body {
                    Body::ContactAccept(accept) => self.handle_accepted(no, accept)?,
                    Body::Reach(reach) => self.handle_reach(no, reach)?,
                    Body::Timer(timer) => {
                        self.note_timer(no, Who::Them, content.hlc, timer.expires_s)?;
                    }
                    _ => {}
                }
            }
            Event::State { first, last, state } => {
                if matches!(state, DeliveryState::Delivered | DeliveryState::Failed) {
                    self.remove_settled(no, first, last)?;
                }
                let state = state_name(state).to_owned();
                self.journal(JournalEvent::State {
                    no,
                    first,
                    last,
                    state,
                    reason: None,
                });
            }
            Event::Waiting {
                first,
                last,
                reason,
            } => {
                let (state, reason) = ("pending".to_owned(), Some(wait_reason(reason).to_owned()));
                self.journal(JournalEvent::State {
                    no,
                    first,
                    last,
                    state,
                    reason,
                });
            }
            Event::Gap { first, last, .. } => self.journal(JournalEvent::Gap { no, first, last }),
            Event::Misbehaved { what } => {
                tracing::warn!(conversation = no.0, what, "contact misbehaves")
            }
            _ => {}
        }
        Ok(())
    }
}

/// The names that people and programs see.
pub(crate) const fn state_name(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::SentToRelay | DeliveryState::SentToPeer => "sent",
        DeliveryState::Failed => "failed",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Read => "read",
        _ => "pending",
    }
}

/// Why a message waits, for people.
pub(crate) const fn wait_reason(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::NoPath => "neither the contact nor their relay can be reached",
        WaitReason::InFlight => "handed over, not confirmed yet",
        WaitReason::QueueFull => {
            "the contact's mailbox is full; it goes on when they fetch their messages"
        }
        WaitReason::Rejected => {
            "the contact's relay has no mailbox for this: it has lost it, or they have moved or blocked you"
        }
        WaitReason::RelayUnavailable => "the contact's relay cannot take it now",
        WaitReason::RefusedByPeer => "the contact's program refused it",
        _ => "waiting",
    }
}
