//! Reading conversations.

use tincan_protocol::{IdentityId, MsgId};

use super::Peer;
use super::view::{View, is_shown};
use crate::error::ReadError;
use crate::message::{HistoryItem, HistoryPart, MessageState};
use crate::store::{
    ContactRow, ConversationNo, MessageName, MessagePlace, TimelineRow, Who, is_message,
};

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
            HistoryPart::Oldest => self.rows_after(no, None, limit)?,
            HistoryPart::After(id) => self.rows_after(no, Some(self.stand(no, id)?), limit)?,
            HistoryPart::Around(id) => {
                let stand = self.stand(no, id)?;
                let mut rows = self.rows_before(no, Some(stand), limit / 2)?;
                rows.extend(self.inner.store.timeline_at(no, stand.0)?);
                let rest = limit.saturating_sub(rows.len());
                rows.extend(self.rows_after(no, Some(stand), rest)?);
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
        let mut shown = Collected::new(limit, true);
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
        after: Option<(MessageName, MessagePlace)>,
        limit: usize,
    ) -> Result<Vec<TimelineRow>, ReadError> {
        let after = after.map(|(name, at)| (at.place, name.who, at.seq));
        let mut shown = Collected::new(limit, false);
        if limit > 0 {
            let store = &self.inner.store;
            store.timeline_on(no, after, |row| shown.take(row))?;
        }
        Ok(shown.rows)
    }
}

/// What is shown of the contents that are read, up to a number. Of several words on how long messages stay, with
/// nothing said between them, only the last one counts and is shown: so a page is never without messages while there
/// are any.
struct Collected {
    rows: Vec<TimelineRow>,
    limit: usize,
    /// Whether they come from the newest to the oldest.
    is_back: bool,
}

impl Collected {
    const fn new(limit: usize, is_back: bool) -> Self {
        Self {
            rows: Vec::new(),
            limit,
            is_back,
        }
    }

    /// Whether more is wanted.
    fn take(&mut self, row: TimelineRow) -> bool {
        if !is_shown(&row) {
            return true;
        }
        let is_timer = |row: &TimelineRow| !is_message(&row.content.body);
        let follows_timer = self.rows.last().is_some_and(is_timer) && is_timer(&row);
        match (follows_timer, self.is_back) {
            (false, _) => self.rows.push(row),
            (true, true) => {}
            (true, false) => {
                self.rows.pop();
                self.rows.push(row);
            }
        }
        self.rows.len() < self.limit
    }
}
