//! The driver: one thread that owns everything a profile is, and one loop.
//!
//! A turn takes all inputs that are ready, runs them through the sessions, applies what they want
//! persisted to one open transaction, commits it **once**, and only then lets out what depends on
//! it: frames, deposits, acknowledgements, events, answers to callers. So a disk sync is paid per
//! turn and not per message, and nothing leaves before it is durable.
//!
//! It is a thread and not a task, because a sync and a decryption block. It never waits for a
//! socket: connections are tasks that hand in what comes and take what goes through bounded queues.
//!
//! | module | owns |
//! |---|---|
//! | [`turn`] | the open transaction, what waits for its commit |
//! | [`load`] | the state from disk |
//! | [`sessions`] | inputs to sessions, their outputs |
//! | [`commands`] | what callers of [`crate::Peer`] want |
//! | [`contacts`] | contact rows; [`invites`], [`asking`] and [`asked`] how people become contacts |
//! | [`reaches`] | how contacts are reached, as it changes |
//! | [`unknown_contents`] | the bound of what only a later version can read |
//! | [`links`] | direct links: who offers, glare, retries; [`link_slot`] their state, [`link_signals`] their signals, [`offer_pace`] how many |
//! | [`servers`] | signaling servers and relays; [`wanted_servers`] which ones, [`ended_queues`] mailboxes to be deleted there |
//! | [`status`] | the report |

mod asked;
mod asking;
mod commands;
mod contacts;
mod conversation;
mod ended_queues;
mod invites;
mod link_signals;
mod link_slot;
mod links;
mod load;
mod news;
mod pace;
mod reaches;
mod servers;
mod sessions;
mod status;
#[cfg(test)]
mod tests;
mod turn;
mod unknown_contents;
mod wanted_servers;

use std::collections::BTreeMap;
use std::time::Duration;

use tincan_core::{Instant, Now, VaultError};
use tincan_link::{IcePolicy, LinkEvent};
use tincan_mls::{GroupId, Mls};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::link::{SESSION_KEPT_MS, SeenSessions};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{IdentityId, QueueId, SignalAddress};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use asking::{PendingAdd, PendingAsk};
pub(crate) use commands::{AddRequest, Command, Reply};
use conversation::Conversation;
use invites::PendingInvite;
use links::LinkStarted;
use pace::Pace;
use servers::{RelayState, SignalState};
use turn::{After, Turn};

use crate::home::HomeLock;
use crate::net::{RelayEvent, SignalEvent};
use crate::store::{
    ConversationNo, EndedQueueRow, InviteRow, JournalEvent, ProfileRow, Store, StoreError,
    contained,
};

/// Inputs that wait for the driver. Senders wait when it is full, which closes the windows of their
/// connections: at 60 KiB a frame this is 15 MB at most.
const INPUTS: usize = 256;

/// Inputs of one turn. Chosen: at this number the sync is a small part of the turn, and a caller
/// waits for at most some tens of milliseconds.
const TURN_INPUTS: usize = 256;

/// What nobody waits for is committed with the next thing that somebody waits for, or after this
/// time.
const LAZY_COMMIT: Duration = Duration::from_millis(20);

/// First and longest wait before the state is loaded again after the store failed.
const RELOAD_FIRST: Duration = Duration::from_millis(500);
const RELOAD_LONGEST: Duration = Duration::from_secs(30);

/// An expired invite's queue is read this long: requests that were made in time may wait there as
/// long as a relay keeps them. Milliseconds.
const INVITE_KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

/// openmls wants a deep stack where it is not optimised.
const STACK: usize = 8 * 1024 * 1024;

/// How long links may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(300);

/// How long the end waits for receipts to be stored by somebody.
const LAST_RECEIPTS: Duration = Duration::from_secs(2);

pub(crate) type InputSender = mpsc::Sender<Input>;

/// Everything that reaches the driver.
#[derive(Debug)]
pub(crate) enum Input {
    Command(Command),
    Relay(ServerUrl, RelayEvent),
    Signal(ServerUrl, SignalEvent),
    LinkStarted(ConversationNo, LinkStarted),
    /// With the number of the attempt it belongs to.
    Link(ConversationNo, u64, LinkEvent),
}

/// What does not change while the driver runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ice: IcePolicy,
    /// No connection to anybody.
    pub(crate) offline: bool,
}

/// Why a turn failed: the store's fault. Everything in memory is dropped then, and loaded again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("mls: {0}")]
    Mls(String),
}

/// The driver's thread and the ways to it.
#[derive(Debug)]
pub(crate) struct DriverHandle {
    pub(crate) inputs: InputSender,
    /// The cursor of the last event in the journal.
    pub(crate) journal: watch::Receiver<u64>,
    /// Ends when the thread ends.
    pub(crate) ended: watch::Receiver<bool>,
}

/// Loads the state and starts the thread.
pub(crate) fn spawn(
    store: Store,
    settings: Settings,
    lock: HomeLock,
) -> Result<DriverHandle, DriverError> {
    let (sender, inputs) = mpsc::channel(INPUTS);
    let (journal_out, journal) = watch::channel(0);
    let (ended_out, ended) = watch::channel(false);
    let runtime = Handle::current();
    let shell = Shell {
        store,
        settings,
        runtime,
        sender: sender.clone(),
        journal: journal_out,
        _lock: lock,
    };
    let driver = contained(|| Driver::load(&shell))?;
    std::thread::Builder::new()
        .name("tincan-driver".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            shell.run(driver, inputs);
            // Whoever waits for the end may open the profile again.
            drop(shell);
            ended_out.send_replace(true);
        })
        .map_err(|error| DriverError::Store(StoreError::Io(error)))?;
    Ok(DriverHandle {
        inputs: sender,
        journal,
        ended,
    })
}

/// What outlives a failure of the store.
pub(crate) struct Shell {
    store: Store,
    settings: Settings,
    runtime: Handle,
    sender: InputSender,
    journal: watch::Sender<u64>,
    /// The profile is this process's until the database is closed.
    _lock: HomeLock,
}

impl Shell {
    /// Runs drivers until one ends in order.
    fn run(&self, first: Driver, mut inputs: mpsc::Receiver<Input>) {
        let mut wait = RELOAD_FIRST;
        let mut driver = Some(first);
        loop {
            let result = match driver.take() {
                Some(driver) => contained(|| driver.run(self, &mut inputs)),
                None => self.load_again().and_then(|driver| {
                    wait = RELOAD_FIRST;
                    contained(|| driver.run(self, &mut inputs))
                }),
            };
            let error = match result {
                Ok(reply) => {
                    self.store.close();
                    return reply.send(());
                }
                Err(error) => error,
            };
            tracing::error!(%error, "the store failed; loading again");
            let ended = self.wait(wait, &mut inputs);
            wait = (wait * 2).min(RELOAD_LONGEST);
            if ended || self.journal.is_closed() {
                return self.store.close();
            }
        }
    }

    /// Whoever waits for an answer, or asks meanwhile, learns of the failure, because the answer's
    /// channel is gone. True if somebody ends the peer: then nothing is waited for.
    fn wait(&self, wait: Duration, inputs: &mut mpsc::Receiver<Input>) -> bool {
        self.runtime.block_on(async {
            let until = tokio::time::Instant::now() + wait;
            loop {
                match tokio::time::timeout_at(until, inputs.recv()).await {
                    Ok(Some(Input::Command(Command::Shutdown { .. })) | None) => return true,
                    Ok(Some(_)) => {}
                    Err(_) => return false,
                }
            }
        })
    }

    /// From the disk, which may have become well again: redb refuses a file after a failed write
    /// until it is opened anew.
    fn load_again(&self) -> Result<Driver, DriverError> {
        self.store.reopen()?;
        contained(|| Driver::load(self))
    }
}

/// The last moments: receipts still go out, then links say goodbye.
struct Ending {
    reply: Reply<()>,
    deadline: Instant,
}

/// One profile's state. See the module.
pub(crate) struct Driver {
    turn: Turn,
    mls: Mls,
    profile: ProfileRow,
    identity: IdentityId,
    device: DeviceKey,
    cert: DeviceCert,
    conversations: BTreeMap<ConversationNo, Conversation>,
    by_group: BTreeMap<GroupId, ConversationNo>,
    by_queue: BTreeMap<QueueId, ConversationNo>,
    by_address: BTreeMap<SignalAddress, ConversationNo>,
    invites: BTreeMap<QueueId, InviteRow>,
    ended_queues: BTreeMap<QueueId, EndedQueueRow>,
    pending_invites: Vec<PendingInvite>,
    pending_adds: BTreeMap<u64, PendingAdd>,
    pending_asks: BTreeMap<ConversationNo, PendingAsk>,
    relays: BTreeMap<ServerUrl, RelayState>,
    /// Key packages that were made.
    packages: Pace,
    signals: BTreeMap<ServerUrl, SignalState>,
    seen_sessions: SeenSessions,
    settings: Settings,
    runtime: Handle,
    sender: InputSender,
    clock: Clock,
    next_attempt: u64,
    prune_at: Instant,
    /// Something failed where it could not be returned; the turn fails.
    broken: Option<DriverError>,
    ending: Option<Ending>,
}

impl Driver {
    /// Until somebody ends it; returns whom to tell, when the database is closed.
    fn run(
        mut self,
        shell: &Shell,
        inputs: &mut mpsc::Receiver<Input>,
    ) -> Result<Reply<()>, DriverError> {
        shell.journal.send_replace(self.turn.journal_end());
        self.sync_servers();
        loop {
            let deadline = self.deadline();
            let wait = deadline.since(self.clock.now().instant);
            let first = shell
                .runtime
                .block_on(async { tokio::time::timeout(wait, inputs.recv()).await });
            match first {
                Ok(Some(input)) => {
                    self.handle(input)?;
                    for _ in 1..TURN_INPUTS {
                        let Ok(input) = inputs.try_recv() else { break };
                        self.handle(input)?;
                    }
                }
                Ok(None) => self.begin_end(Reply::nobody()),
                Err(_) => {}
            }
            self.handle_timers()?;
            self.flush_sessions()?;
            if let Some(error) = self.broken.take() {
                return Err(error);
            }
            self.end_turn(shell)?;
            if self.has_ended() {
                self.commit(shell)?;
                self.say_goodbye();
                let ending = self.ending.take();
                return Ok(ending.map_or_else(Reply::nobody, |ending| ending.reply));
            }
        }
    }

    fn handle(&mut self, input: Input) -> Result<(), DriverError> {
        match input {
            Input::Command(command) => self.handle_command(command),
            Input::Relay(server, event) => self.handle_relay(&server, event),
            Input::Signal(server, event) => self.handle_signal(&server, event),
            Input::LinkStarted(no, started) => self.handle_link_started(no, started),
            Input::Link(no, attempt, event) => self.handle_link(no, attempt, event),
        }
    }

    /// When the driver must wake up without any input.
    fn deadline(&self) -> Instant {
        let now = self.clock.now().instant;
        let sessions = self
            .conversations
            .values()
            .filter_map(Conversation::deadline);
        let links = self
            .conversations
            .values()
            .filter_map(|conversation| self.link_due(conversation));
        let reaches = self
            .conversations
            .values()
            .filter_map(Conversation::reach_due);
        let adds = self.pending_adds.values().map(|add| add.deadline);
        let asks = self.pending_asks.values().map(|ask| ask.deadline);
        sessions
            .chain(links)
            .chain(reaches)
            .chain(self.pending_invites.iter().map(|invite| invite.deadline))
            .chain(adds)
            .chain(asks)
            .chain(
                self.conversations
                    .values()
                    .filter_map(Conversation::news_due),
            )
            .chain(self.turn.commit_due())
            .chain(self.ending.as_ref().map(|ending| ending.deadline))
            .chain([self.prune_at])
            .min()
            .unwrap_or_else(|| now.after(Duration::from_secs(60)))
    }

    fn handle_timers(&mut self) -> Result<(), DriverError> {
        let now = self.clock.now();
        let due = self.conversations.iter().filter(|(_, conversation)| {
            conversation.deadline().is_some_and(|at| at <= now.instant)
        });
        let due: Vec<ConversationNo> = due.map(|(&no, _)| no).collect();
        for no in due {
            self.session_timeout(no)?;
        }
        self.apply_due_reaches()?;
        self.start_due_links()?;
        self.tell_due_news();
        self.answer_invites();
        self.expire_adds();
        if self.prune_at <= now.instant {
            self.prune_at = now.instant.after(Duration::from_secs(6 * 3600));
            self.prune(now)?;
        }
        Ok(())
    }

    /// Old marks and ended invites go.
    fn prune(&mut self, now: Now) -> Result<(), DriverError> {
        let batch = self.turn.batch()?;
        batch.prune_seen(now.unix_ms)?;
        batch.prune_link_sessions(now.unix_ms.saturating_sub(SESSION_KEPT_MS))?;
        self.prune_ended_queues(now.unix_ms)?;
        let ended = self
            .invites
            .values()
            .filter(|invite| invite.expires_ms.saturating_add(INVITE_KEPT_MS) <= now.unix_ms);
        let ended: Vec<QueueId> = ended.map(|invite| invite.queue_key().queue()).collect();
        for queue in ended {
            self.end_invite(&queue)?;
        }
        if let Err(error) = self.mls.forget_ended_key_packages(now.unix_ms) {
            tracing::warn!(%error, "old key packages not forgotten");
        }
        Ok(())
    }

    /// What is owed goes out at once.
    fn begin_end(&mut self, reply: Reply<()>) {
        if self.ending.is_some() {
            return;
        }
        let now = self.clock.now().instant;
        for conversation in self.conversations.values_mut() {
            conversation.session.hasten(now);
        }
        self.ending = Some(Ending {
            reply,
            deadline: now.after(LAST_RECEIPTS),
        });
    }

    fn has_ended(&self) -> bool {
        let now = self.clock.now().instant;
        self.ending.as_ref().is_some_and(|ending| {
            ending.deadline <= now
                || self
                    .conversations
                    .values()
                    .all(|conversation| conversation.session.owes_nothing())
        })
    }

    /// Links say goodbye, so that the other side need not find out by silence.
    fn say_goodbye(&mut self) {
        let mut any = false;
        for conversation in self.conversations.values_mut() {
            any |= conversation.link.close("shutting down");
        }
        if any {
            std::thread::sleep(GOODBYE);
        }
    }

    fn journal(&mut self, event: JournalEvent) {
        self.turn.journal(event);
    }

    fn after(&mut self, after: After) {
        self.turn.after(after);
    }
}

/// The two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: std::time::Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Now {
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now {
            instant: Instant::from_micros(micros),
            unix_ms: unix_ms(),
        }
    }
}

/// The wall clock, Unix milliseconds.
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
