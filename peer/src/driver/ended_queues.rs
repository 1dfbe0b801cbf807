//! Mailboxes of ours that nobody shall write to any more. Which ones is durable before their relay is
//! told, and it is told again until it has confirmed.

use tincan_protocol::QueueId;
use tincan_protocol::keys::QueueKey;
use tincan_protocol::origin::ServerUrl;

use super::turn::After;
use super::{Driver, DriverError};
use crate::net::RelayCommand;
use crate::store::{EndedQueueRow, StoreError};

/// How long a relay is told, milliseconds: no relay keeps a mailbox that nobody reads for longer.
const KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

/// Mailboxes whose deletion one relay has not confirmed yet. Chosen: far below what a connection's queue
/// holds, however many there are.
const UNCONFIRMED_MAX: usize = 100;

impl Driver {
    /// Has the relay delete a mailbox with everything in it.
    pub(super) fn end_queue(
        &mut self,
        queue_seed: [u8; 32],
        relay: ServerUrl,
    ) -> Result<(), DriverError> {
        let ended_ms = self.around.now().unix_ms;
        let row = EndedQueueRow {
            queue_seed,
            relay,
            ended_ms,
        };
        self.turn.batch()?.put_ended_queue(&row)?;
        self.ended_queues
            .insert(row.queue_key().queue(), row.clone());
        self.delete_ended_queues(&row.relay);
        self.turn.sync_servers();
        Ok(())
    }

    /// Says to a relay that is up what it has not been told on this connection, as far as there is room.
    pub(super) fn delete_ended_queues(&mut self, server: &ServerUrl) {
        let Some(relay) = self.relays.get_mut(server).filter(|relay| relay.up) else {
            return;
        };
        let room = UNCONFIRMED_MAX.saturating_sub(relay.deleting.len());
        let here = self
            .ended_queues
            .iter()
            .filter(|(queue, row)| row.relay == *server && !relay.deleting.contains(queue))
            .take(room);
        let keys: Vec<_> = here.map(|(_, row)| row.queue_key()).collect();
        relay.deleting.extend(keys.iter().map(QueueKey::queue));
        for key in keys {
            self.after(After::Relay(
                server.clone(),
                Box::new(RelayCommand::DeleteQueue(key)),
            ));
        }
    }

    /// The relay has confirmed.
    pub(super) fn handle_deleted(
        &mut self,
        server: &ServerUrl,
        queue: &QueueId,
    ) -> Result<(), DriverError> {
        let here = self.ended_queues.get(queue);
        if here.is_some_and(|row| row.relay == *server) {
            self.forget_ended_queue(queue)?;
        }
        if let Some(relay) = self.relays.get_mut(server) {
            relay.deleting.remove(queue);
        }
        self.delete_ended_queues(server);
        Ok(())
    }

    pub(super) fn prune_ended_queues(&mut self, now_ms: u64) -> Result<(), DriverError> {
        let old = self
            .ended_queues
            .iter()
            .filter(|(_, row)| row.ended_ms.saturating_add(KEPT_MS) <= now_ms);
        let old: Vec<QueueId> = old.map(|(&queue, _)| queue).collect();
        for queue in old {
            self.forget_ended_queue(&queue)?;
        }
        Ok(())
    }

    fn forget_ended_queue(&mut self, queue: &QueueId) -> Result<(), StoreError> {
        self.ended_queues.remove(queue);
        self.turn.batch()?.remove_ended_queue(queue)?;
        self.turn.sync_servers();
        Ok(())
    }
}
