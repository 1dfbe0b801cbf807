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
                let mut turns = Turns {
                    store: store.as_mut(),
                    is_failing: false,
                };
                while let Some(batch) = incoming.blocking_recv() {
                    if turns.run(batch, &outgoing).is_err() {
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

/// The store, turn after turn.
struct Turns<'a> {
    store: &'a mut dyn Store,
    /// The last commit failed. That is said once: on a full disk every client's every attempt does.
    is_failing: bool,
}

impl Turns<'_> {
    fn run(&mut self, batch: Batch, outgoing: &mpsc::Sender<Outcomes>) -> Result<(), Gone> {
        let now_ms = unix_ms();
        let (mut tickets, mut writes, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        for (ticket, operation) in batch {
            match operation {
                Operation::Write(write) => {
                    tickets.push(ticket);
                    writes.push(write);
                }
                Operation::Read(read) => {
                    reads.push((ticket, self.store.read(&read).map(Outcome::Page)));
                }
                Operation::Scan { from, queues } => {
                    let scan = self.store.scan(from, queues, now_ms);
                    reads.push((ticket, scan.map(Outcome::Scan)));
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
        send(self.commit(tickets, &writes, now_ms), true)
    }

    fn commit(
        &mut self,
        tickets: Vec<Ticket>,
        writes: &[Write],
        now_ms: u64,
    ) -> Vec<(Ticket, Result<Outcome, StoreError>)> {
        match self.store.commit(writes, now_ms) {
            Ok(written) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("the store works again");
                }
                let outcomes = written
                    .into_iter()
                    .map(|written| Ok(Outcome::Written(written)));
                tickets.into_iter().zip(outcomes).collect()
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(%error, "nothing can be stored");
                }
                tracing::debug!(%error, writes = writes.len(), "commit failed");
                tickets
                    .into_iter()
                    .map(|ticket| (ticket, Err(error.clone())))
                    .collect()
            }
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
