//! The driver's thread: waits for inputs and for time, runs turns, and begins again from the disk when the
//! store has failed.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::surroundings::Surroundings as _;
use super::{Command, Driver, DriverError, Input, InputSender, Reply, Settings};
use crate::home::HomeLock;
use crate::net::Network;
use crate::store::{Store, StoreError, contained};

/// Inputs that wait for the driver. Senders wait when it is full, which closes the windows of their
/// connections: at 60 KiB a frame this is 15 MB at most.
const INPUTS: usize = 256;

/// Inputs of one turn. Chosen: at this number the sync is a small part of the turn, and a caller
/// waits for at most some tens of milliseconds.
const TURN_INPUTS: usize = 256;

/// First wait before the state is loaded again after the store failed.
pub const RELOAD_FIRST: Duration = Duration::from_millis(500);

/// And the longest.
pub const RELOAD_LONGEST: Duration = Duration::from_secs(30);

/// openmls wants a deep stack where it is not optimised.
const STACK: usize = 8 * 1024 * 1024;

/// How long links may take to say goodbye.
const GOODBYE: Duration = Duration::from_millis(300);

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
        network: Network::new(runtime.clone(), sender.clone(), journal_out),
        runtime,
        _lock: lock,
    };
    let mut driver = shell.load()?;
    if let Err(error) = contained(|| driver.remove_all_due()) {
        // With a full disk there is still something to read.
        tracing::warn!(%error, "what is due stays for now");
        driver = shell.load_again()?;
    }
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
struct Shell {
    store: Store,
    settings: Settings,
    network: Network,
    runtime: Handle,
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
                Some(driver) => contained(|| self.run_driver(driver, &mut inputs)),
                None => self.load_again().and_then(|driver| {
                    wait = RELOAD_FIRST;
                    contained(|| self.run_driver(driver, &mut inputs))
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
            if ended || self.network.is_unheard() {
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
        self.load()
    }

    fn load(&self) -> Result<Driver, DriverError> {
        let around = Box::new(self.network.clone());
        contained(|| Driver::load(&self.store, self.settings.clone(), around))
    }

    /// Until somebody ends it; returns whom to tell, when the database is closed.
    fn run_driver(
        &self,
        mut driver: Driver,
        inputs: &mut mpsc::Receiver<Input>,
    ) -> Result<Reply<()>, DriverError> {
        driver.begin();
        let mut taken = Vec::with_capacity(TURN_INPUTS);
        loop {
            let wait = driver.deadline().since(self.network.now().instant);
            let next = inputs.recv_many(&mut taken, TURN_INPUTS);
            let first = self
                .runtime
                .block_on(async { tokio::time::timeout(wait, next).await });
            if first == Ok(0) {
                let reply = Reply::nobody();
                taken.push(Input::Command(Command::Shutdown { reply }));
            }
            if driver.turn(taken.drain(..))? {
                if driver.say_goodbye() {
                    std::thread::sleep(GOODBYE);
                }
                return Ok(driver.into_reply());
            }
        }
    }
}
