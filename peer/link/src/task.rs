//! The task that owns a link: it moves what comes in to [`Session`], [`Window`] and the
//! candidates, and what they decide to the channel and the caller.
//!
//! Nothing in it waits for anything but its one `select!`, with two exceptions that have an end:
//! the calls into the connection, which answer from memory, and the close.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use tincan_protocol::LinkSessionId;
use tincan_protocol::link::{
    LinkSignal, SignedBye, SignedCandidate, SignedDescription, Statement, VerifiedDescription,
};
use tincan_protocol::wire::GroupState;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{sleep_until, timeout};

use crate::candidates::{Candidate, Incoming, Outgoing};
use crate::config::{IcePolicy, LinkConfig, Parties};
use crate::descriptions::{Agreed, verify_answer};
use crate::error::LinkStartError;
use crate::event::{DownReason, LinkEvent};
use crate::handle::cost;
use crate::opening::describe;
use crate::session::{self, Received, Session};
use crate::stats::Counters;
use crate::transport::{Channel, ChannelEvent, Connection, Notice, TransportError};
use crate::window::Window;

/// Notices that wait for the task: candidates of every interface and server, and a few states.
const NOTICES: usize = 128;

/// Frames and messages handled in one turn before the other side of the traffic gets its own.
const TURN: usize = 64;

/// Messages read between two looks for more (see the sockets). The connection leaves messages behind
/// when it has 256 unread ones; half of that makes sure that some of these are read after it did.
const NUDGE_EVERY: usize = 128;

/// While frames wait for room, the channel is asked this often. It also says by itself when there
/// is room, but not while the caller does not read its events.
const ROOM_POLL: Duration = Duration::from_millis(10);

/// From `Bye` to the end of the connection: the other side closes when it has read it, and until
/// then the data before it is still on its way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a link is started with.
pub(crate) struct Start {
    pub(crate) config: LinkConfig,
    pub(crate) parties: Parties,
    pub(crate) groups: Vec<GroupState>,
    pub(crate) now_ms: u64,
    pub(crate) session: LinkSessionId,
    /// On the answering side.
    pub(crate) offer: Option<VerifiedDescription>,
}

/// What the handles send, and share.
pub(crate) struct Inlets {
    pub(crate) signals: mpsc::Receiver<LinkSignal>,
    pub(crate) frames: mpsc::UnboundedReceiver<Bytes>,
    pub(crate) closing: watch::Receiver<Option<String>>,
    pub(crate) queue: Arc<Semaphore>,
    pub(crate) counters: Arc<Counters>,
}

/// Runs a link from its start to its [`LinkEvent::Down`].
pub(crate) async fn run(
    start: Start,
    inlets: Inlets,
    events: mpsc::Sender<LinkEvent>,
    started: oneshot::Sender<Result<Statement, LinkStartError>>,
) {
    let queue = Arc::clone(&inlets.queue);
    let mut link = match Link::start(start, inlets).await {
        Ok(link) => link,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    // If the caller has gone meanwhile, it has dropped the receiver of events too.
    let _ = started.send(Ok(link.offer.clone()));
    let reason = match link.run(&events).await {
        Ok(never) => match never {},
        Err(reason) => reason,
    };
    tracing::debug!(session = ?link.offer.session, %reason, "link down");
    queue.close();
    let bye = link.close(&reason).await;
    // Waits for a caller that reads slowly; one that has gone away ends the wait.
    if let Some(bye) = bye {
        let _ = events.send(LinkEvent::Signal(LinkSignal::Bye(bye))).await;
    }
    let _ = events.send(LinkEvent::Down { reason }).await;
}

struct Link {
    parties: Parties,
    offer: Statement,
    clock: Clock,
    connection: Connection,
    notices: mpsc::Receiver<Notice>,
    channel: Option<Channel>,
    /// Known once both statements are.
    agreed: Option<Agreed>,
    groups: Vec<GroupState>,
    session: Session,
    window: Window,
    outgoing: Outgoing,
    incoming: Incoming,
    /// Signals that wait for the caller: at most the description and the candidates.
    signals_out: VecDeque<LinkSignal>,
    /// Frames taken from the queue that wait for room.
    frames: VecDeque<Bytes>,
    /// Messages read since the last nudge.
    read: usize,
    /// The mark at which the channel says that there is room.
    low: usize,
    inlets: Inlets,
}

/// Wall-clock time from the caller's word and the time since.
struct Clock {
    now_ms: u64,
    read: Instant,
}

impl Clock {
    fn now_ms(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.read).as_millis();
        self.now_ms
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

impl Link {
    async fn start(start: Start, inlets: Inlets) -> Result<Self, LinkStartError> {
        let Start {
            config,
            parties,
            groups,
            now_ms,
            session,
            offer,
        } = start;
        let clock = Clock {
            now_ms,
            read: Instant::now(),
        };
        let (notices_out, notices) = mpsc::channel(NOTICES);
        let connection = Connection::open(&config, notices_out).await?;
        let described = describe(&connection, &parties, session, offer, now_ms).await;
        let described = match described {
            Ok(described) => described,
            Err(error) => {
                connection.close().await;
                return Err(error);
            }
        };
        let mut incoming = Incoming::new(session, parties.remote.1, config.loopback);
        if described.agreed.is_some() {
            incoming.release();
        }
        Ok(Self {
            offer: described.offer,
            connection,
            notices,
            channel: described.channel,
            agreed: described.agreed,
            groups,
            session: Session::new(config.heartbeat, clock.read),
            clock,
            window: Window::new(),
            outgoing: Outgoing::new(session, config.policy == IcePolicy::RelayOnly),
            incoming,
            signals_out: VecDeque::from([described.signal]),
            frames: VecDeque::new(),
            read: 0,
            low: 0,
            parties,
            inlets,
        })
    }

    /// Until something ends the link.
    async fn run(
        &mut self,
        events: &mpsc::Sender<LinkEvent>,
    ) -> Result<std::convert::Infallible, DownReason> {
        loop {
            let now = Instant::now();
            self.session.handle_timeout(events.capacity() > 0, now)?;
            self.transmit(now).await?;
            let wake = self.poll_timeout(now);
            let room = self.session.is_up() && self.frames.is_empty() && self.window.has_room();
            tokio::select! {
                () = events.closed() => return Err(dropped()),
                changed = self.inlets.closing.changed() => {
                    changed.map_err(|_| dropped())?;
                    let reason = self.inlets.closing.borrow().clone().unwrap_or_default();
                    return Err(DownReason::ClosedHere { reason });
                }
                signal = self.inlets.signals.recv() => {
                    self.handle_signal(signal.ok_or_else(dropped)?).await?;
                }
                Some(notice) = self.notices.recv() => self.handle_notice(notice).await?,
                Ok(permit) = events.reserve(), if !self.signals_out.is_empty() => {
                    if let Some(signal) = self.signals_out.pop_front() {
                        permit.send(LinkEvent::Signal(signal));
                    }
                }
                Some(frame) = self.inlets.frames.recv(), if room => self.frames.push_back(frame),
                Some((permit, event)) = receive(events, self.channel.as_ref()) => {
                    self.handle_channel(permit, event).await?;
                    self.handle_more(events).await?;
                }
                () = sleep_until(wake.into()) => {}
            }
        }
    }

    fn poll_timeout(&self, now: Instant) -> Instant {
        let wake = self.session.poll_timeout();
        if self.window.has_room() {
            wake
        } else {
            wake.min(now + ROOM_POLL)
        }
    }

    /// Hands over what may leave now: what the session owes, then the caller's frames.
    async fn transmit(&mut self, now: Instant) -> Result<(), DownReason> {
        let Some(channel) = self.channel.clone() else {
            return Ok(());
        };
        // Given back at once: a caller that waits for the queue is woken for many frames, not for each.
        let mut freed = 0;
        for _ in 0..TURN {
            if !self.has_room(&channel, now).await? {
                break;
            }
            let frame = if let Some(frame) = self.session.poll_transmit(now) {
                frame
            } else if let Some(frame) = self.next_frame() {
                freed += cost(&frame) as usize;
                self.inlets.counters.count_sent(frame.len());
                frame
            } else {
                self.window.handle_idle();
                break;
            };
            self.window.handle_sent(frame.len());
            channel.send(frame).await.map_err(broken)?;
        }
        self.inlets.queue.add_permits(freed);
        Ok(())
    }

    /// Asks the channel only when the window looks full, since what is known can only be too much.
    async fn has_room(&mut self, channel: &Channel, now: Instant) -> Result<bool, DownReason> {
        if self.window.has_room() {
            return Ok(true);
        }
        self.window
            .handle_in_flight(channel.in_flight().await.map_err(broken)?, now);
        self.inlets
            .counters
            .set_window(self.window.size(), self.window.in_flight());
        let low = self.window.size() / 2;
        if self.low != low {
            self.low = low;
            channel.set_low(low).await.map_err(broken)?;
        }
        Ok(self.window.has_room())
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        if !self.session.is_up() {
            return None;
        }
        self.frames
            .pop_front()
            .or_else(|| self.inlets.frames.try_recv().ok())
    }

    async fn handle_signal(&mut self, signal: LinkSignal) -> Result<(), DownReason> {
        match signal {
            LinkSignal::Answer(answer) => self.handle_answer(&answer).await,
            LinkSignal::Candidate(candidate) => {
                self.handle_candidate(candidate).await;
                Ok(())
            }
            LinkSignal::Bye(bye) => self.handle_bye(&bye),
            _ => {
                tracing::debug!("signal of another kind ignored");
                Ok(())
            }
        }
    }

    async fn handle_answer(&mut self, answer: &SignedDescription) -> Result<(), DownReason> {
        if self.agreed.is_some() {
            tracing::debug!("answer ignored: there is one already");
            return Ok(());
        }
        // A late one to an offer before this one says nothing about this session.
        let statement = Statement::decode(&answer.statement.0);
        if statement.is_ok_and(|statement| statement.session != self.offer.session) {
            tracing::debug!("answer ignored: it belongs to another session");
            return Ok(());
        }
        let now_ms = self.clock.now_ms(Instant::now());
        let answer = verify_answer(&self.parties, &self.offer, answer, now_ms)
            .map_err(DownReason::BadAnswer)?;
        self.agreed = Some(Agreed::as_offerer(&self.offer, &answer.statement));
        self.connection
            .take_answer(answer.sdp)
            .await
            .map_err(broken)?;
        for candidate in self.incoming.release() {
            self.add_candidate(candidate).await;
        }
        Ok(())
    }

    async fn handle_candidate(&mut self, candidate: SignedCandidate) {
        match self.incoming.take(candidate) {
            Ok(Some(candidate)) => {
                self.add_candidate(candidate).await;
                // It may name the address that is already in use.
                if !self.session.is_connecting() {
                    self.settle_path().await;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "candidate refused"),
        }
    }

    async fn add_candidate(&self, candidate: Candidate) {
        if let Err(error) = self.connection.add_candidate(candidate).await {
            tracing::debug!(%error, "candidate refused");
        }
    }

    fn handle_bye(&self, bye: &SignedBye) -> Result<(), DownReason> {
        if bye.session != self.offer.session || bye.verify(&self.parties.remote.1).is_err() {
            tracing::debug!("bye refused");
            return Ok(());
        }
        Err(DownReason::ClosedByRemote {
            reason: String::new(),
        })
    }

    async fn handle_notice(&mut self, notice: Notice) -> Result<(), DownReason> {
        match notice {
            Notice::Candidate(line) => {
                let signed = self.outgoing.sign(line, &self.parties.key);
                self.signals_out.extend(signed.map(LinkSignal::Candidate));
            }
            Notice::Channel(channel) => {
                if self.channel.is_some() || !channel.is_as_agreed().await {
                    return Err(DownReason::Misbehaved {
                        what: "another channel than agreed",
                    });
                }
                self.channel = Some(channel);
            }
            Notice::PathLost => return Err(DownReason::PathLost),
        }
        Ok(())
    }

    /// What else has come, without waiting.
    async fn handle_more(&mut self, events: &mpsc::Sender<LinkEvent>) -> Result<(), DownReason> {
        for _ in 1..TURN {
            let (Some(channel), Ok(permit)) = (&self.channel, events.try_reserve()) else {
                return Ok(());
            };
            let Some(event) = channel.poll().now_or_never() else {
                return Ok(());
            };
            self.handle_channel(permit, event).await?;
        }
        Ok(())
    }

    async fn handle_channel(
        &mut self,
        permit: mpsc::Permit<'_, LinkEvent>,
        event: ChannelEvent,
    ) -> Result<(), DownReason> {
        let now = Instant::now();
        match event {
            ChannelEvent::Open => self.handle_open(now).await,
            ChannelEvent::Message(message) => {
                // Through a relay the first message can overtake the news that the channel is open.
                self.handle_open(now).await?;
                self.read += 1;
                if self.read == NUDGE_EVERY {
                    self.read = 0;
                    self.connection.nudge();
                }
                self.handle_message(permit, message, now)
            }
            ChannelEvent::Text => Err(DownReason::Misbehaved {
                what: "a text message",
            }),
            // The next turn asks how much is in flight.
            ChannelEvent::Low => Ok(()),
            ChannelEvent::Closed => Err(DownReason::ClosedByRemote {
                reason: String::new(),
            }),
        }
    }

    /// The channel is open; said again, it changes nothing.
    async fn handle_open(&mut self, now: Instant) -> Result<(), DownReason> {
        if !self.session.is_connecting() {
            return Ok(());
        }
        let Some(agreed) = &self.agreed else {
            return Err(DownReason::Misbehaved {
                what: "a channel before the answer",
            });
        };
        if self.connection.remote_fingerprint().await != Some(agreed.remote_fingerprint) {
            return Err(DownReason::WrongCertificate);
        }
        let transcript = agreed.transcript;
        self.settle_path().await;
        let groups = std::mem::take(&mut self.groups);
        self.session.handle_open(transcript, groups, now);
        Ok(())
    }

    /// The path is known, or known better.
    async fn settle_path(&mut self) {
        let path = self
            .connection
            .settle_path(self.incoming.relays())
            .await
            .unwrap_or_default();
        if self.inlets.counters.snapshot().relayed != Some(path.relayed) {
            self.inlets.counters.set_relayed(path.relayed);
            self.window.handle_path(path.relayed);
        }
        if let Some(round_trip) = path.round_trip {
            self.window.handle_round_trip(round_trip);
        }
    }

    fn handle_message(
        &mut self,
        permit: mpsc::Permit<'_, LinkEvent>,
        message: Bytes,
        now: Instant,
    ) -> Result<(), DownReason> {
        let len = message.len();
        match self.session.handle_message(message, now)? {
            Received::Up(hello) => {
                let relayed = self.inlets.counters.snapshot().relayed.unwrap_or_default();
                permit.send(LinkEvent::Up { hello, relayed });
            }
            Received::Frame(frame) => {
                self.inlets.counters.count_received(len);
                permit.send(LinkEvent::Frame(frame));
            }
            Received::Nothing => {
                if let Some(round_trip) = self.session.poll_round_trip() {
                    self.inlets.counters.set_round_trip(round_trip);
                    self.window.handle_round_trip(round_trip);
                }
            }
        }
        Ok(())
    }

    /// Says goodbye as far as the reason allows, and releases everything. The answer is a `Bye` for
    /// the signaling way, where the channel could not carry it.
    async fn close(mut self, reason: &DownReason) -> Option<SignedBye> {
        let said = match reason {
            DownReason::ClosedByRemote { .. } => true,
            // Nobody hears it, or somebody who must not.
            DownReason::Silent | DownReason::PathLost | DownReason::Transport { .. } => false,
            DownReason::WrongCertificate => false,
            _ => self.say_bye(reason).await,
        };
        self.connection.close().await;
        (!said).then(|| SignedBye::sign(self.offer.session, &self.parties.key))
    }

    /// Sends `Bye` on an open channel and waits until the other side has closed it.
    async fn say_bye(&mut self, reason: &DownReason) -> bool {
        let Some(channel) = self.channel.take() else {
            return false;
        };
        if let DownReason::ClosedHere { .. } = reason {
            while let Some(frame) = self.next_frame() {
                if channel.send(frame).await.is_err() {
                    return false;
                }
            }
        }
        let text = match reason {
            DownReason::ClosedHere { reason } => reason.clone(),
            other => other.to_string(),
        };
        if channel.send(session::bye(&text)).await.is_err() {
            return false;
        }
        timeout(CLOSE_TIMEOUT, closed(&channel)).await.is_ok()
    }
}

/// The next event of the channel, once there is a channel and room for what the event may become.
/// Dropping the future loses nothing.
async fn receive<'a>(
    events: &'a mpsc::Sender<LinkEvent>,
    channel: Option<&Channel>,
) -> Option<(mpsc::Permit<'a, LinkEvent>, ChannelEvent)> {
    let channel = channel?;
    let permit = events.reserve().await.ok()?;
    Some((permit, channel.poll().await))
}

/// Until the other side has closed the channel, or says that it does so too.
async fn closed(channel: &Channel) {
    loop {
        match channel.poll().await {
            ChannelEvent::Closed => return,
            ChannelEvent::Message(message) if session::is_bye(&message) => return,
            _ => {}
        }
    }
}

fn dropped() -> DownReason {
    DownReason::ClosedHere {
        reason: "nobody holds the link any more".to_owned(),
    }
}

fn broken(error: TransportError) -> DownReason {
    DownReason::Transport {
        text: error.to_string(),
    }
}
