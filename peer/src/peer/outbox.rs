//! What has been sent and is not with the contact yet.

use tincan_core::SentVia;
use tincan_protocol::IdentityId;

use super::Peer;
use crate::error::ReadError;
use crate::status::OutboxStatus;
use crate::store::is_message;

impl Peer {
    /// The contacts for whom messages are on their way.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn outbox(&self) -> Result<Vec<(IdentityId, OutboxStatus)>, ReadError> {
        let peer = self.clone();
        tokio::task::spawn_blocking(move || peer.read_outbox())
            .await
            .map_err(|_| ReadError::ShutDown)?
    }

    fn read_outbox(&self) -> Result<Vec<(IdentityId, OutboxStatus)>, ReadError> {
        let mut all = Vec::new();
        for contact in self.inner.store.read_contacts()? {
            let mut outbox = OutboxStatus::default();
            self.inner.store.undelivered(contact.no, |meta, content| {
                if !is_message(&content.content.body) {
                    return;
                }
                match meta.stored {
                    None => outbox.pending += 1,
                    Some(SentVia::Relay) => outbox.at_relay += 1,
                    // There, and only its receipt is not here.
                    Some(SentVia::Peer) => {}
                }
            })?;
            if outbox != OutboxStatus::default() {
                all.push((contact.identity, outbox));
            }
        }
        Ok(all)
    }
}
