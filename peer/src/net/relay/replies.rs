//! What a relay's replies mean.

use std::time::Duration;

use tincan_core::RefusedDeposit;
use tincan_protocol::wire::relay_reply::Kind;
use tincan_protocol::wire::{self, relay_request};
use tincan_protocol::{QueueId, StoreId};

use super::RelayEvent;
use super::client::{Pending, RelayClient};
use crate::net::socket::Lost;

impl RelayClient {
    pub(super) fn handle_reply(&mut self, reply: wire::RelayReply) -> Result<(), Lost> {
        let is_challenge = matches!(reply.kind, Some(Kind::Challenge(_)));
        // It comes first, and once.
        if self.is_challenged() == is_challenge {
            return Err(Lost::new("the relay does not keep to the order of a login"));
        }
        match reply.kind {
            Some(Kind::Challenge(challenge)) => self.handle_challenge(&challenge),
            Some(Kind::Deliver(deliver)) => {
                if let Ok(queue) = QueueId::try_from(deliver.queue.as_ref()) {
                    let (index, envelope) = (deliver.index, deliver.envelope);
                    self.tell(RelayEvent::Delivered {
                        queue,
                        index,
                        envelope,
                    });
                }
                Ok(())
            }
            Some(Kind::Drained(drained)) => {
                if let Ok(queue) = QueueId::try_from(drained.queue.as_slice()) {
                    self.tell(RelayEvent::Drained(queue));
                }
                Ok(())
            }
            Some(kind) => {
                let Some(connection) = &mut self.connection else {
                    return Ok(());
                };
                match connection.pending.remove(&reply.id) {
                    Some((_, Pending::Subscribe(queue))) if kind == Kind::Done(wire::Done {}) => {
                        connection.subscribed.insert(reply.id, queue);
                        Ok(())
                    }
                    Some((_, pending)) => self.handle_answer(pending, kind),
                    None => self.handle_late_error(reply.id, kind),
                }
            }
            None => Ok(()),
        }
    }

    /// The relay may end a subscription at any time, for one because another connection has subscribed:
    /// an older one of ours, perhaps, whose last words came late. Its mailbox would not be read any
    /// more while everything else works, so start over.
    fn handle_late_error(&mut self, id: u64, kind: Kind) -> Result<(), Lost> {
        let connection = self.connection.as_mut();
        let queue = connection.and_then(|open| open.subscribed.remove(&id));
        match (queue, kind) {
            (Some(queue), Kind::Error(error)) if self.wants(&queue) => Err(Lost::new(
                format_args!("the relay reads a mailbox no longer: {}", error.text),
            )),
            _ => Ok(()),
        }
    }

    fn handle_challenge(&mut self, challenge: &wire::Challenge) -> Result<(), Lost> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let wrong = || Lost::new("the relay sent a wrong challenge");
        let nonce = challenge.nonce.as_slice().try_into();
        connection.nonce = Some(nonce.map_err(|_| wrong())?);
        let store = StoreId::try_from(challenge.store_id.as_slice());
        self.tell(RelayEvent::Up(store.map_err(|_| wrong())?));
        if self.queues.is_empty() {
            return self.log_in_as_guest();
        }
        let queues = self.queues.clone();
        self.authenticate(&queues)
    }

    fn handle_answer(&mut self, pending: Pending, kind: Kind) -> Result<(), Lost> {
        match (pending, kind) {
            (Pending::Auth(proved), Kind::Done(_)) => {
                for queue in proved {
                    if !self.wants(&queue.key.queue()) {
                        continue;
                    }
                    let create = wire::QueueCreate {
                        queue: queue.key.queue().to_vec(),
                        kind: wire::QueueKind::Mailbox.into(),
                        write_token_hash: queue.token_hash.to_vec(),
                    };
                    self.request(
                        relay_request::Kind::QueueCreate(create),
                        Pending::Create(queue.key.queue()),
                    )?;
                }
                Ok(())
            }
            (Pending::Create(queue), _) if !self.wants(&queue) => Ok(()),
            (Pending::Create(queue), Kind::Done(_)) => {
                let subscribe = wire::Subscribe {
                    queue: queue.to_vec(),
                    after_index: 0,
                };
                self.tell(RelayEvent::Subscribed(queue));
                self.request(
                    relay_request::Kind::Subscribe(subscribe),
                    Pending::Subscribe(queue),
                )
            }
            (Pending::Deposit(tag), Kind::Deposited(_)) => {
                self.tell(RelayEvent::Deposited(tag));
                Ok(())
            }
            (Pending::Deposit(tag), Kind::Error(error)) => {
                let reason = match error.code() {
                    wire::RelayErrorCode::QueueFull => RefusedDeposit::QueueFull,
                    wire::RelayErrorCode::Unauthorized
                    | wire::RelayErrorCode::NoSuchQueue
                    | wire::RelayErrorCode::BadRequest
                    | wire::RelayErrorCode::TooLarge => RefusedDeposit::Rejected,
                    _ => RefusedDeposit::Unavailable,
                };
                let after = Duration::from_millis(error.retry_after_ms);
                let retry_after = (!after.is_zero()).then_some(after);
                self.tell(RelayEvent::Refused {
                    tag,
                    reason,
                    retry_after,
                });
                Ok(())
            }
            (Pending::TakeKeyPackage(request), Kind::KeyPackage(package)) => {
                let package = Ok(package.package);
                self.tell(RelayEvent::KeyPackage { request, package });
                Ok(())
            }
            (Pending::TakeKeyPackage(request), Kind::Error(error)) => {
                let package = Err(error.text);
                self.tell(RelayEvent::KeyPackage { request, package });
                Ok(())
            }
            (Pending::Publish, Kind::KeyPackageStock(stock)) => {
                let single_use = usize::try_from(stock.single_use).unwrap_or(usize::MAX);
                self.tell(RelayEvent::Stock {
                    single_use,
                    last_resort: stock.last_resort,
                });
                Ok(())
            }
            (Pending::Delete(queue), Kind::Done(_)) => {
                self.tell(RelayEvent::Deleted(queue));
                Ok(())
            }
            (Pending::Delete(_), Kind::Error(error)) => {
                tracing::warn!(server = %self.server, text = error.text, "mailbox not deleted; tried again on the next connection");
                Ok(())
            }
            // Without its mailboxes this connection is of little use: start over, with a wait.
            (Pending::Auth(_) | Pending::Create(_) | Pending::Subscribe(_), Kind::Error(error)) => {
                Err(Lost::new(format_args!(
                    "the relay refused a mailbox: {}",
                    error.text
                )))
            }
            (Pending::Publish, Kind::Error(error)) => {
                tracing::warn!(server = %self.server, text = error.text, "key packages refused");
                Ok(())
            }
            (Pending::Other(what), Kind::Error(error)) => {
                tracing::warn!(server = %self.server, what, text = error.text, "relay refused");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What was deleted meanwhile must not be made again.
    fn wants(&self, id: &QueueId) -> bool {
        self.queues.iter().any(|queue| queue.key.queue() == *id)
    }
}
