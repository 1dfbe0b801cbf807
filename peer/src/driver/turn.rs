//! The open transaction and everything that waits for its commit.

use bytes::Bytes;
use tincan_core::{Instant, Transmit};
use tincan_protocol::QueueId;
use tincan_protocol::limits::STORED_MAX;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::wire::{self, Frame as _, peer_frame};

use super::{Driver, DriverError, LAZY_COMMIT};
use crate::net::RelayCommand;
use crate::store::{Batch, ConversationNo, JournalEvent, Store, StoreError};

/// Let out after the commit, in this order.
pub(super) enum After {
    /// Something of a session.
    Transmit(ConversationNo, Transmit),
    /// An envelope of a mailbox is durable here.
    AckMailbox {
        server: ServerUrl,
        queue: QueueId,
        index: u64,
    },
    /// To a relay.
    Relay(ServerUrl, Box<RelayCommand>),
    /// An answer to a caller.
    Reply(Box<dyn FnOnce() + Send>),
}

/// See the module.
pub(super) struct Turn {
    store: Store,
    batch: Option<Batch>,
    after: Vec<After>,
    events: Vec<JournalEvent>,
    /// Cursor of the next event.
    next_cursor: u64,
    /// Somebody waits for the commit.
    urgent: bool,
    /// When the oldest thing that nobody waits for must be committed.
    due: Option<Instant>,
    /// Connections, mailboxes and watches are to follow what the contacts are after the commit.
    sync_servers: bool,
}

impl Turn {
    pub(super) fn new(store: Store, next_cursor: u64) -> Self {
        Self {
            store,
            batch: None,
            after: Vec::new(),
            events: Vec::new(),
            next_cursor,
            urgent: false,
            due: None,
            sync_servers: false,
        }
    }

    /// The open transaction.
    pub(super) fn batch(&mut self) -> Result<&Batch, StoreError> {
        if self.batch.is_none() {
            self.batch = Some(self.store.begin()?);
        }
        // Just filled.
        self.batch.as_ref().ok_or(StoreError::Locked)
    }

    /// Nothing was written, and the transaction is not needed.
    pub(super) fn abandon(&mut self) {
        self.batch = None;
    }

    pub(super) fn after(&mut self, after: After) {
        self.urgent |= !matches!(after, After::AckMailbox { .. });
        self.after.push(after);
    }

    /// Has what was written committed at the end of this turn.
    pub(super) const fn hurry(&mut self) {
        self.urgent = true;
    }

    pub(super) fn sync_servers(&mut self) {
        self.urgent = true;
        self.sync_servers = true;
    }

    pub(super) fn journal(&mut self, event: JournalEvent) {
        let is_lazy = matches!(
            event,
            JournalEvent::State { .. } | JournalEvent::Read { .. }
        );
        self.urgent |= !is_lazy;
        self.events.push(event);
    }

    pub(super) fn received(
        &mut self,
        no: ConversationNo,
        place: tincan_protocol::hlc::Hlc,
        seq: u64,
    ) {
        self.urgent = true;
        JournalEvent::push_received(&mut self.events, no, place, seq);
    }

    /// Cursor of the last event that is durable.
    pub(super) const fn journal_end(&self) -> u64 {
        self.next_cursor - 1
    }

    /// When there must be another turn without any input.
    pub(super) const fn due(&self) -> Option<Instant> {
        if self.sync_servers {
            return Some(Instant::from_micros(0));
        }
        self.due
    }

    pub(super) const fn has_uncommitted(&self) -> bool {
        self.batch.is_some() || !self.events.is_empty()
    }

    /// Whether it is time to commit.
    fn is_due(&mut self, now: Instant) -> bool {
        if !self.has_uncommitted() {
            return false;
        }
        let due = *self.due.get_or_insert(now.after(LAZY_COMMIT));
        self.urgent || due <= now
    }
}

impl Driver {
    /// Commits if it is time, and lets out what waited for it.
    pub(super) fn end_turn(&mut self) -> Result<(), DriverError> {
        let now = self.around.now().instant;
        if self.turn.is_due(now) {
            self.commit()?;
        } else if !self.turn.has_uncommitted() {
            // Nothing was written, so nothing has to wait.
            self.let_out();
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Result<(), DriverError> {
        let changes = self.mls.take_changes();
        let events = std::mem::take(&mut self.turn.events);
        let first = self.turn.next_cursor;
        let batch = self.turn.batch()?;
        if !changes.is_empty() {
            batch.put_mls_rows(changes)?;
        }
        if !events.is_empty() {
            batch.append_journal(first, &events)?;
        }
        if let Some(batch) = self.turn.batch.take() {
            batch.commit()?;
        }
        self.turn.urgent = false;
        self.turn.due = None;
        self.turn.next_cursor += events.iter().map(JournalEvent::len).sum::<u64>();
        if !events.is_empty() {
            let end = self.turn.journal_end();
            self.around.journal_grew(end, &events);
        }
        self.let_out();
        Ok(())
    }

    fn let_out(&mut self) {
        // Where a queue is full, what comes of it is written and waits for the next commit.
        let committed = std::mem::take(&mut self.turn.after);
        if std::mem::take(&mut self.turn.sync_servers) {
            self.sync_servers();
        }
        let mut stored: Vec<(ConversationNo, Vec<Vec<u8>>)> = Vec::new();
        for after in committed {
            match after {
                After::Transmit(no, Transmit::Stored { id }) => match stored.last_mut() {
                    // One frame acknowledges everything of a turn.
                    Some((last, ids)) if *last == no && ids.len() < STORED_MAX => {
                        ids.push(id.to_vec())
                    }
                    _ => stored.push((no, vec![id.to_vec()])),
                },
                After::Transmit(no, transmit) => self.transmit(no, transmit),
                After::AckMailbox {
                    server,
                    queue,
                    index,
                } => {
                    self.send_to_relay(&server, RelayCommand::Ack { queue, index });
                }
                After::Relay(server, command) => self.send_to_relay(&server, *command),
                After::Reply(reply) => reply(),
            }
        }
        for (no, env_ids) in stored {
            self.send_frame(no, peer_frame::Kind::Stored(wire::Stored { env_ids }));
        }
    }

    fn transmit(&mut self, no: ConversationNo, transmit: Transmit) {
        match transmit {
            Transmit::Put { envelope, .. } => {
                self.send_frame(no, peer_frame::Kind::Put(wire::Put { envelope }));
            }
            Transmit::Nack { id, reason } => {
                let nack = wire::Nack {
                    env_id: id.to_vec(),
                    reason: reason.into(),
                };
                self.send_frame(no, peer_frame::Kind::Nack(nack));
            }
            Transmit::Deposit { id, envelope } => self.deposit(no, id, envelope),
            // Collected by the caller, and turned into `After::AckMailbox` where they arise.
            Transmit::Stored { .. } | Transmit::AckMailbox { .. } => {}
        }
    }

    fn send_frame(&mut self, no: ConversationNo, kind: peer_frame::Kind) {
        let frame: Bytes = wire::PeerFrame::from(kind).write();
        if let Some(conversation) = self.conversations.get_mut(&no) {
            conversation.link.send(frame);
        }
    }
}
