//! The thread on which the store runs: group commit.
//!
//! Takes one batch at a time. Reads come first and are answered at once; then all writes go into
//! one transaction, which costs the same syncs for one write as for a thousand, and are answered
//! after its commit. What arrives meanwhile becomes the next batch.

use std::io;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};

use crate::mailbox::{Operation, Outcome, Ticket};
use crate::store::{Store, StoreError, Write};

/// One turn of the store.
pub(crate) type Batch = Vec<(Ticket, Operation)>;

/// Outcomes of a part of a batch.
pub(crate) struct Outcomes {
    pub(crate) outcomes: Vec<(Ticket, Result<Outcome, StoreError>)>,
    /// Whether the store is ready for another batch.
    pub(crate) is_last: bool,
}

/// The driver's end of the thread.
pub(crate) struct StoreThread {
    /// One batch at a time.
    batches: mpsc::Sender<Batch>,
    pub(crate) outcomes: mpsc::Receiver<Outcomes>,
    /// Resolves once the store is closed.
    closed: oneshot::Receiver<()>,
}

impl StoreThread {
    /// Starts the thread. It ends when this end is dropped or closed.
    pub(crate) fn spawn(mut store: Box<dyn Store>) -> io::Result<Self> {
        let (batches, mut incoming) = mpsc::channel::<Batch>(1);
        // Two parts of a batch; the driver takes them whatever else it does.
        let (outgoing, outcomes) = mpsc::channel(2);
        let (closing, closed) = oneshot::channel();
        thread::Builder::new()
            .name("relay-store".to_owned())
            .spawn(move || {
                while let Some(batch) = incoming.blocking_recv() {
                    if run(store.as_mut(), batch, &outgoing).is_err() {
                        break;
                    }
                }
                drop(store);
                let _ = closing.send(());
            })?;
        Ok(Self {
            batches,
            outcomes,
            closed,
        })
    }

    /// Hands over a batch. Only to be called when the last one is finished.
    pub(crate) fn start(&self, batch: Batch) -> Result<(), Batch> {
        self.batches
            .try_send(batch)
            .map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Ends the thread and waits until the store is closed.
    pub(crate) async fn close(self) {
        drop(self.batches);
        drop(self.outcomes);
        let _ = self.closed.await;
    }
}

/// The driver is gone.
struct Gone;

fn run(store: &mut dyn Store, batch: Batch, outgoing: &mpsc::Sender<Outcomes>) -> Result<(), Gone> {
    let now_ms = unix_ms();
    let (mut tickets, mut writes, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for (ticket, operation) in batch {
        match operation {
            Operation::Write(write) => {
                tickets.push(ticket);
                writes.push(write);
            }
            Operation::Read(read) => reads.push((ticket, store.read(&read).map(Outcome::Page))),
            Operation::Scan { from, queues } => {
                reads.push((ticket, store.scan(from, queues, now_ms).map(Outcome::Scan)));
            }
        }
    }
    let send = |outcomes, is_last| {
        outgoing
            .blocking_send(Outcomes { outcomes, is_last })
            .map_err(|_| Gone)
    };
    if writes.is_empty() {
        return send(reads, true);
    }
    if !reads.is_empty() {
        send(reads, false)?;
    }
    send(commit(store, tickets, &writes, now_ms), true)
}

fn commit(
    store: &mut dyn Store,
    tickets: Vec<Ticket>,
    writes: &[Write],
    now_ms: u64,
) -> Vec<(Ticket, Result<Outcome, StoreError>)> {
    match store.commit(writes, now_ms) {
        Ok(written) => {
            let outcomes = written
                .into_iter()
                .map(|written| Ok(Outcome::Written(written)));
            tickets.into_iter().zip(outcomes).collect()
        }
        Err(error) => {
            tracing::error!(%error, writes = writes.len(), "commit failed");
            tickets
                .into_iter()
                .map(|ticket| (ticket, Err(error.clone())))
                .collect()
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
