//! Reading conversations.

use tincan_protocol::{IdentityId, MsgId};

use super::Peer;
use super::view::{View, is_shown};
use crate::error::ReadError;
use crate::message::{HistoryItem, MessageState};
use crate::store::{ContactRow, Who};

impl Peer {
    /// The newest part of a conversation, oldest first: at most `limit` messages and notices, and only those
    /// before the message `before`, if given.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn history(
        &self,
        contact: &IdentityId,
        limit: usize,
        before: Option<MsgId>,
    ) -> Result<Vec<HistoryItem>, ReadError> {
        let (peer, row) = (self.clone(), self.row(contact)?);
        tokio::task::spawn_blocking(move || peer.read_history(&row, limit, before))
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
        before: Option<MsgId>,
    ) -> Result<Vec<HistoryItem>, ReadError> {
        let store = &self.inner.store;
        let before = match before {
            Some(id) => {
                let (name, at) = store
                    .message_named(row.no, id)?
                    .ok_or(ReadError::UnknownMessage)?;
                Some((at.place, name.who, at.seq))
            }
            None => None,
        };
        let mut rows = Vec::new();
        if limit > 0 {
            store.timeline_back(row.no, before, |row| {
                if is_shown(&row) {
                    rows.push(row);
                }
                rows.len() < limit
            })?;
        }
        rows.reverse();
        Ok(self.view(row).items(rows)?)
    }
}
