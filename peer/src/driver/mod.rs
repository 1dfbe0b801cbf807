//! The driver: one thread that owns everything a profile is, and one loop.
//!
//! A turn takes all inputs that are ready, runs them through the sessions, applies what they want
//! persisted to one open transaction, commits it **once**, and only then lets out what depends on
//! it: frames, deposits, acknowledgements, events, answers to callers. So a disk sync is paid per
//! turn and not per message, and nothing leaves before it is durable.
//!
//! The driver itself knows no socket, no clock and no thread: it lives in [`surroundings`]. In its
//! [`shell`] it is a thread and not a task, because a sync and a decryption block. It never waits for
//! a socket: connections are tasks that hand in what comes and take what goes through bounded queues.
//!
//! | module | owns |
//! |---|---|
//! | [`surroundings`] | what it needs of everything around it; [`shell`] the thread |
//! | [`turn`] | the open transaction, what waits for its commit |
//! | [`load`] | the state from disk |
//! | [`sessions`] | inputs to sessions, their outputs |
//! | [`commands`] | what callers of [`crate::Peer`] want |
//! | [`messages`] | what is sent, and what is done with messages; [`removals`] what goes |
//! | [`contact_changes`] | what a person decides about a contact |
//! | [`contacts`] | contact rows; [`invites`], [`asking`] and [`asked`] how people become contacts |
//! | [`anew`] | conversations that are begun anew; [`lost`] those whose keys are lost |
//! | [`reaches`] | how contacts are reached, as it changes |
//! | [`unknown_contents`] | the bound of what only a later version can read |
//! | [`links`] | direct links: who offers, glare, retries; [`link_slot`] their state, [`link_signals`] their signals, [`pace`] how many; [`turn_servers`] of which servers |
//! | [`servers`] | signaling servers and relays; [`wanted_servers`] which ones, [`ended_queues`] mailboxes to be deleted there |
//! | [`status`] | the report; [`views`] what a simulated world looks at |

mod anew;
mod asked;
mod asking;
mod commands;
mod contact_changes;
mod contacts;
mod conversation;
mod ended_queues;
mod invites;
mod link_signals;
mod link_slot;
mod links;
mod load;
mod lost;
mod messages;
mod news;
mod pace;
mod reaches;
mod removals;
mod servers;
mod sessions;
mod shell;
mod status;
mod surroundings;
#[cfg(test)]
mod tests;
mod turn;
mod turn_servers;
mod unknown_contents;
mod views;
mod wanted_servers;

use std::collections::BTreeMap;
use std::time::Duration;

use tincan_core::{Instant, Now, VaultError};
use tincan_link::{IcePolicy, LinkEvent};
use tincan_mls::{GroupCrypto, GroupId};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::link::{SESSION_KEPT_MS, SeenSessions};
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::{IdentityId, QueueId, SignalAddress};
use tokio::sync::mpsc;

use asking::{PendingAdd, PendingAsk};
pub use commands::{AddRequest, Command, Reply};
use conversation::Conversation;
use invites::PendingInvite;
use pace::Pace;
use servers::{RelayState, SignalState};
pub(crate) use shell::{DriverHandle, spawn};
pub use shell::{RELOAD_FIRST, RELOAD_LONGEST};
pub use surroundings::{Link, LinkStart, LinkStarted, Outlet, Surroundings};
use turn::{After, Turn};
pub use turn_servers::TurnServers;

use crate::net::{RelayEvent, SignalEvent};
use crate::store::{
    ConversationNo, EndedQueueRow, InviteRow, JournalEvent, ProfileRow, StoreError,
};

/// What nobody waits for is committed with the next thing that somebody waits for, or after this
/// time.
const LAZY_COMMIT: Duration = Duration::from_millis(20);

/// An expired invite's queue is read this long: requests that were made in time may wait there as
/// long as a relay keeps them. Milliseconds.
const INVITE_KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

/// How long the end waits for receipts to be stored by somebody.
const LAST_RECEIPTS: Duration = Duration::from_secs(2);

pub(crate) type InputSender = mpsc::Sender<Input>;

/// Everything that reaches the driver.
#[derive(Debug)]
pub enum Input {
    /// A caller wants something.
    Command(Command),
    /// A relay said something, on the connection with this number
    /// ([`Surroundings::dial_relay`]): what an earlier one has said last is not taken for its word.
    Relay(ServerUrl, u64, RelayEvent),
    /// A signaling server said something, the same way.
    Signal(ServerUrl, u64, SignalEvent),
    /// A link is there, or could not be made.
    LinkStarted(ConversationNo, LinkStarted),
    /// With the number of the attempt it belongs to.
    Link(ConversationNo, u64, LinkEvent),
}

/// What does not change while the driver runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which paths links may take.
    pub ice: IcePolicy,
    /// No connection to anybody.
    pub offline: bool,
}

/// Why a turn failed: the store's fault. Everything in memory is dropped then, and loaded again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// Reading or writing.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Reading or writing on behalf of a session.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The group state.
    #[error("mls: {0}")]
    Mls(String),
}

/// The last moments: receipts still go out, then links say goodbye.
struct Ending {
    reply: Reply<()>,
    deadline: Instant,
}

/// One profile's state. See the module.
pub(crate) struct Driver {
    turn: Turn,
    mls: Box<dyn GroupCrypto>,
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
    /// Who waits for a key package to begin anew with.
    pending_lost: BTreeMap<u64, ConversationNo>,
    relays: BTreeMap<ServerUrl, RelayState>,
    /// Key packages that were made.
    packages: Pace,
    signals: BTreeMap<ServerUrl, SignalState>,
    seen_sessions: SeenSessions,
    settings: Settings,
    around: Box<dyn Surroundings>,
    next_attempt: u64,
    prune_at: Instant,
    /// When something is to be taken out of a conversation.
    removals_at: Instant,
    /// Something failed where it could not be returned; the turn fails.
    broken: Option<DriverError>,
    ending: Option<Ending>,
}

impl Driver {
    /// Before the first turn.
    pub(crate) fn begin(&mut self) {
        let end = self.turn.journal_end();
        self.around.journal_grew(end, &[]);
        self.sync_servers();
    }

    /// One turn: takes the inputs, does what is due, commits, lets out. True when the end has come.
    pub(crate) fn turn(
        &mut self,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Result<bool, DriverError> {
        for input in inputs {
            self.handle(input)?;
        }
        self.handle_timers()?;
        self.flush_sessions()?;
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.end_turn()?;
        let ended = self.has_ended();
        if ended && self.has_uncommitted() {
            self.commit()?;
        }
        Ok(ended)
    }

    fn handle(&mut self, input: Input) -> Result<(), DriverError> {
        match input {
            Input::Command(command) => self.handle_command(command),
            Input::Relay(server, number, event) => {
                let relay = self.relays.get(&server);
                match relay.and_then(|relay| relay.connection.as_ref()) {
                    Some(connection) if connection.number == number => {
                        self.handle_relay(&server, event)
                    }
                    _ => Ok(()),
                }
            }
            Input::Signal(server, number, event) => match self.signals.get(&server) {
                Some(signal) if signal.connection.number == number => {
                    self.handle_signal(&server, event)
                }
                _ => Ok(()),
            },
            Input::LinkStarted(no, started) => self.handle_link_started(no, started),
            Input::Link(no, attempt, event) => self.handle_link(no, attempt, event),
        }
    }

    /// When the driver must wake up without any input.
    pub(crate) fn deadline(&self) -> Instant {
        let now = self.around.now().instant;
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
        let requests = self
            .conversations
            .values()
            .filter_map(|conversation| conversation.request_again_at);
        let adds = self.pending_adds.values().map(|add| add.deadline);
        let asks = self.pending_asks.values().map(|ask| ask.deadline);
        sessions
            .chain(links)
            .chain(reaches)
            .chain(requests)
            .chain(self.pending_invites.iter().map(|invite| invite.deadline))
            .chain(adds)
            .chain(asks)
            .chain(
                self.conversations
                    .values()
                    .filter_map(Conversation::news_due),
            )
            .chain(self.turn.due())
            .chain(self.ending.as_ref().map(|ending| ending.deadline))
            .chain([self.prune_at, self.removal_due()])
            .min()
            .unwrap_or_else(|| now.after(Duration::from_secs(60)))
    }

    fn handle_timers(&mut self) -> Result<(), DriverError> {
        let now = self.around.now();
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
        self.remove_due()?;
        self.answer_invites();
        self.expire_adds();
        self.deposit_due_requests();
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
        let now = self.around.now().instant;
        for conversation in self.conversations.values_mut() {
            conversation.session.hasten(now);
        }
        self.ending = Some(Ending {
            reply,
            deadline: now.after(LAST_RECEIPTS),
        });
    }

    fn has_ended(&self) -> bool {
        let now = self.around.now().instant;
        self.ending.as_ref().is_some_and(|ending| {
            ending.deadline <= now
                || self
                    .conversations
                    .values()
                    .all(|conversation| conversation.session.owes_nothing())
        })
    }

    /// Links say goodbye, so that the other side need not find out by silence. True if there are any.
    pub(crate) fn say_goodbye(&mut self) -> bool {
        let mut any = false;
        for conversation in self.conversations.values_mut() {
            any |= conversation.link.close("shutting down");
        }
        any
    }

    /// Whom to tell when the database is closed.
    pub(crate) fn into_reply(self) -> Reply<()> {
        self.ending
            .map_or_else(Reply::nobody, |ending| ending.reply)
    }

    fn journal(&mut self, event: JournalEvent) {
        self.turn.journal(event);
    }

    fn after(&mut self, after: After) {
        self.turn.after(after);
    }
}
