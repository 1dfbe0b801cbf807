//! The caller's end of a link.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rand::random;
use tincan_protocol::limits::FRAME_MAX;
use tincan_protocol::link::{LinkSignal, Statement, VerifiedDescription};
use tincan_protocol::wire::GroupState;
use tincan_protocol::{DeviceId, LinkSessionId};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::config::{LinkConfig, Parties};
use crate::descriptions::parties_fit;
use crate::error::{LinkClosed, LinkStartError, TrySendError};
use crate::event::LinkEvent;
use crate::stats::{Counters, LinkStats};
use crate::task::{self, Inlets, Start};

/// Events that wait for the caller. When they are full the link stops reading its channel. Frames
/// of 60 KiB make this 4 MB at most.
const EVENTS: usize = 64;

/// Signals that wait for the task: all candidates of the other side, its answer and its `Bye`.
const SIGNALS: usize = 64;

/// Frames that wait for room in the window, bytes: enough that the window never runs dry between
/// two turns of the task, small enough that a receipt does not wait long behind a file.
const SEND_QUEUE: usize = 256 * 1024;

/// What a frame costs in the queue besides its length, so that tiny frames are bounded too, bytes.
const FRAME_COST: usize = 64;

/// One link. Clones are the same link; it ends when the last one is dropped, when the receiver of
/// its events is dropped, or with [`LinkHandle::close`].
#[derive(Clone)]
pub struct LinkHandle {
    shared: Arc<Shared>,
    signals: mpsc::Sender<LinkSignal>,
    frames: mpsc::UnboundedSender<Bytes>,
}

struct Shared {
    offer: Statement,
    remote: DeviceId,
    closing: watch::Sender<Option<String>>,
    queue: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (session, remote) = (self.session(), self.remote());
        f.debug_struct("LinkHandle")
            .field("session", &session)
            .field("remote", &remote)
            .finish_non_exhaustive()
    }
}

impl LinkHandle {
    /// Begins a session as the offering side. The first event is the signed offer; candidates
    /// follow as they are found. `now_ms` is the time in Unix milliseconds, `groups` goes into this
    /// side's `Hello`.
    ///
    /// # Errors
    /// [`LinkStartError`]; nothing is left running then.
    pub async fn offer(
        config: LinkConfig,
        parties: Parties,
        groups: Vec<GroupState>,
        now_ms: u64,
    ) -> Result<(Self, mpsc::Receiver<LinkEvent>), LinkStartError> {
        let session = LinkSessionId::from_bytes(random());
        Self::start(Start {
            config,
            parties,
            groups,
            now_ms,
            session,
            offer: None,
        })
        .await
    }

    /// Joins the session of an offer that the caller has verified and found to be new. The first
    /// event is the signed answer.
    ///
    /// # Errors
    /// [`LinkStartError`]; nothing is left running then.
    pub async fn answer(
        config: LinkConfig,
        parties: Parties,
        groups: Vec<GroupState>,
        offer: VerifiedDescription,
        now_ms: u64,
    ) -> Result<(Self, mpsc::Receiver<LinkEvent>), LinkStartError> {
        let session = offer.statement.session;
        Self::start(Start {
            config,
            parties,
            groups,
            now_ms,
            session,
            offer: Some(offer),
        })
        .await
    }

    async fn start(start: Start) -> Result<(Self, mpsc::Receiver<LinkEvent>), LinkStartError> {
        if !parties_fit(
            &start.parties,
            start.offer.as_ref().map(|offer| &offer.statement),
        ) {
            return Err(LinkStartError::Parties);
        }
        let remote = start.parties.remote.1;
        let (signals, signals_in) = mpsc::channel(SIGNALS);
        let (frames, frames_in) = mpsc::unbounded_channel();
        let (closing, closing_in) = watch::channel(None);
        let (events_out, events) = mpsc::channel(EVENTS);
        let queue = Arc::new(Semaphore::new(SEND_QUEUE));
        let counters = Arc::new(Counters::default());
        let inlets = Inlets {
            signals: signals_in,
            frames: frames_in,
            closing: closing_in,
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
        };
        // Started in the task, so that a caller that gives up waiting leaves nothing behind.
        let (started, start_result) = oneshot::channel();
        tokio::spawn(task::run(start, inlets, events_out, started));
        let offer = start_result
            .await
            .map_err(|_| LinkStartError::Interrupted)??;
        let shared = Arc::new(Shared {
            offer,
            remote,
            closing,
            queue,
            counters,
        });
        Ok((
            Self {
                shared,
                signals,
                frames,
            },
            events,
        ))
    }

    /// Which session this is.
    #[must_use]
    pub fn session(&self) -> LinkSessionId {
        self.shared.offer.session
    }

    /// The device at the other end.
    #[must_use]
    pub fn remote(&self) -> DeviceId {
        self.shared.remote
    }

    /// What the offering side signed.
    #[must_use]
    pub fn offer_statement(&self) -> &Statement {
        &self.shared.offer
    }

    /// Takes an answer, a candidate or a `Bye` of the other side. It never waits and never fails:
    /// what is not of this session or not signed by the other device is dropped, and so is what
    /// finds no room, which an honest device does not send. A bad answer ends the link.
    pub fn handle_signal(&self, signal: LinkSignal) {
        if let Err(error) = self.signals.try_send(signal) {
            tracing::debug!(%error, session = ?self.session(), "signal dropped");
        }
    }

    /// Queues an encoded `Put`, `Stored` or `Nack`, and waits while the queue is full. Frames wait
    /// in the queue until the link is up. Being queued says nothing about arrival: what counts is
    /// the other side's `Stored`.
    ///
    /// # Errors
    /// [`LinkClosed`] if the link is down. A frame above [`FRAME_MAX`] is never taken; it ends in
    /// the same error, since no link will ever take it.
    pub async fn send(&self, frame: Bytes) -> Result<(), LinkClosed> {
        if frame.len() > FRAME_MAX {
            tracing::error!(len = frame.len(), "frame above the limit not sent");
            return Err(LinkClosed);
        }
        let permits = self
            .shared
            .queue
            .acquire_many(cost(&frame))
            .await
            .map_err(|_| LinkClosed)?;
        permits.forget();
        self.frames.send(frame).map_err(|_| LinkClosed)
    }

    /// Like [`LinkHandle::send`], without waiting.
    ///
    /// # Errors
    /// [`TrySendError`], with the frame unless it is too large.
    pub fn try_send(&self, frame: Bytes) -> Result<(), TrySendError> {
        if frame.len() > FRAME_MAX {
            return Err(TrySendError::TooLarge { len: frame.len() });
        }
        match self.shared.queue.try_acquire_many(cost(&frame)) {
            Ok(permits) => permits.forget(),
            Err(tokio::sync::TryAcquireError::NoPermits) => return Err(TrySendError::Full(frame)),
            Err(tokio::sync::TryAcquireError::Closed) => return Err(TrySendError::Closed(frame)),
        }
        self.frames
            .send(frame)
            .map_err(|error| TrySendError::Closed(error.0))
    }

    /// The link's figures now.
    #[must_use]
    pub fn stats(&self) -> LinkStats {
        self.shared.counters.snapshot()
    }

    /// Ends the link: frames already queued and a `Bye` are sent, the connection is closed, then
    /// comes [`LinkEvent::Down`]. It does not wait for that.
    pub fn close(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.shared.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            if first {
                *closing = Some(reason);
            }
            first
        });
    }
}

/// Permits of the send queue that a frame takes. [`FRAME_MAX`] keeps it far below `u32::MAX`.
pub(crate) fn cost(frame: &Bytes) -> u32 {
    (frame.len() + FRAME_COST) as u32
}
