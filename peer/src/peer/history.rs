//! Reading conversations.

use tincan_protocol::{IdentityId, MsgId};

use super::Peer;
use super::view::{View, is_shown};
use crate::error::ReadError;
use crate::message::{HistoryItem, HistoryPart, MessageState};
use crate::store::{ContactRow, ConversationNo, MessageName, MessagePlace, TimelineRow, Who};

impl Peer {
    /// A part of a conversation, oldest first: at most `limit` messages and notices.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn history(
        &self,
        contact: &IdentityId,
        limit: usize,
        part: HistoryPart,
    ) -> Result<Vec<HistoryItem>, ReadError> {
        let (peer, row) = (self.clone(), self.row(contact)?);
        tokio::task::spawn_blocking(move || peer.read_history(&row, limit, part))
            .await
            .map_err(|_| ReadError::ShutDown)?
    }

    /// How far an own message has come.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn state(&self, contact: &IdentityId, id: MsgId) -> Result<MessageState, ReadError> {
        let (peer, row) = (self.clone(), self.row(contact)?);
        tokio::task::spawn_blocking(move || {
            let found = peer.inner.store.message_named(row.no, id)?;
            let (name, at) = found.ok_or(ReadError::UnknownMessage)?;
            if name.who == Who::Them {
                return Ok(MessageState::Received);
            }
            let snapshot = peer.inner.store.read_snapshot(row.no)?;
            Ok(peer.view(&row).own_state(&snapshot, at.seq)?)
        })
        .await
        .map_err(|_| ReadError::ShutDown)?
    }

    pub(super) fn view<'a>(&'a self, contact: &'a ContactRow) -> View<'a> {
        View {
            store: &self.inner.store,
            own_name: &self.inner.identity.name,
            own_device: self.inner.identity.device,
            contact,
        }
    }

    fn read_history(
        &self,
        row: &ContactRow,
        limit: usize,
        part: HistoryPart,
    ) -> Result<Vec<HistoryItem>, ReadError> {
        let no = row.no;
        let rows = match part {
            HistoryPart::Newest => self.rows_before(no, None, limit)?,
            HistoryPart::Before(id) => self.rows_before(no, Some(self.stand(no, id)?), limit)?,
            HistoryPart::After(id) => self.rows_after(no, self.stand(no, id)?, limit)?,
            HistoryPart::Around(id) => {
                let stand = self.stand(no, id)?;
                let mut rows = self.rows_before(no, Some(stand), limit / 2)?;
                rows.extend(self.inner.store.timeline_at(no, stand.0)?);
                let rest = limit.saturating_sub(rows.len());
                rows.extend(self.rows_after(no, stand, rest)?);
                rows
            }
        };
        Ok(self.view(row).items(rows)?)
    }

    /// Where a message or notice stands.
    fn stand(
        &self,
        no: ConversationNo,
        id: MsgId,
    ) -> Result<(MessageName, MessagePlace), ReadError> {
        let found = self.inner.store.message_named(no, id)?;
        found.ok_or(ReadError::UnknownMessage)
    }

    fn rows_before(
        &self,
        no: ConversationNo,
        before: Option<(MessageName, MessagePlace)>,
        limit: usize,
    ) -> Result<Vec<TimelineRow>, ReadError> {
        let before = before.map(|(name, at)| (at.place, name.who, at.seq));
        let mut shown = Collected::new(limit);
        if limit > 0 {
            let store = &self.inner.store;
            store.timeline_back(no, before, |row| shown.take(row))?;
        }
        shown.rows.reverse();
        Ok(shown.rows)
    }

    fn rows_after(
        &self,
        no: ConversationNo,
        (name, at): (MessageName, MessagePlace),
        limit: usize,
    ) -> Result<Vec<TimelineRow>, ReadError> {
        let after = (at.place, name.who, at.seq);
        let mut shown = Collected::new(limit);
        if limit > 0 {
            let store = &self.inner.store;
            store.timeline_on(no, after, |row| shown.take(row))?;
        }
        Ok(shown.rows)
    }
}

/// What is shown of the contents that are read, up to a number.
struct Collected {
    rows: Vec<TimelineRow>,
    limit: usize,
}

impl Collected {
    const fn new(limit: usize) -> Self {
        Self {
            rows: Vec::new(),
            limit,
        }
    }

    /// Whether more is wanted.
    fn take(&mut self, row: TimelineRow) -> bool {
        if is_shown(&row) {
            self.rows.push(row);
        }
        self.rows.len() < self.limit
    }
}
