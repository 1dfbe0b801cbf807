//! A running relay: what a server mounts.

use axum::Router;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tincan_protocol::origin::ServerUrl;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::RelayConfig;
use crate::driver::{Driver, INPUTS_MAX};
use crate::limits::RelayLimits;
use crate::origin_policy::OriginPolicy;
use crate::store::{OpenError, RedbStore, Store};
use crate::store_thread::StoreThread;
use crate::websocket::{self, Gate};

/// A running relay. Dropping it ends it as [`Relay::shutdown`] does, without waiting.
pub struct Relay {
    gate: Arc<Gate>,
    store_works: Arc<AtomicBool>,
    driver: JoinHandle<()>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("ready", &self.ready())
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Opens the database and starts the relay. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the database and what to do.
    pub fn open(config: RelayConfig) -> Result<Self, OpenError> {
        let store = RedbStore::open(&config.data, config.limits.clone())?;
        Self::with_store(Box::new(store), config.limits, config.public_url)
    }

    /// Starts the relay on any store. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError::Thread`] if there is no thread for the store.
    pub fn with_store(
        store: Box<dyn Store>,
        limits: RelayLimits,
        public_url: Option<ServerUrl>,
    ) -> Result<Self, OpenError> {
        let store_id = store.id();
        let store = StoreThread::spawn(store).map_err(|reason| OpenError::Thread { reason })?;
        let store_works = Arc::new(AtomicBool::new(true));
        let clock = Clock::start();
        let (inputs, taken) = mpsc::channel(INPUTS_MAX);
        let (stop, stopped) = watch::channel(false);
        let driver = Driver::new(limits.clone(), store, Arc::clone(&store_works), clock);
        let driver = tokio::spawn(driver.run(taken, stopped));
        let gate = Arc::new(Gate {
            origins: OriginPolicy::new(public_url),
            room: Arc::new(Semaphore::new(
                limits.connections.min(Semaphore::MAX_PERMITS),
            )),
            limits,
            store_id,
            inputs,
            stop,
            clock,
            next_connection: AtomicU64::new(0),
        });
        Ok(Self {
            gate,
            store_works,
            driver,
        })
    }

    /// The route `/relay`. The server must provide
    /// [`ConnectInfo<ConnectionAddrs>`](crate::ConnectionAddrs), as [`serve`](crate::serve) does.
    pub fn router(&self) -> Router {
        websocket::router(Arc::clone(&self.gate))
    }

    /// Whether it takes connections and the store's last operation succeeded.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.readiness().is_ready()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        let most = self.gate.limits.connections.min(Semaphore::MAX_PERMITS);
        most.saturating_sub(self.gate.room.available_permits())
    }

    /// [`Self::ready`], for a handler that outlives a borrow of the relay.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness {
            gate: Arc::clone(&self.gate),
            store_works: Arc::clone(&self.store_works),
        }
    }

    /// Takes no more connections and requests, answers what is under way, tells the clients to come
    /// back later and closes the database.
    pub async fn shutdown(mut self) {
        self.gate.stop.send_replace(true);
        // An error means that the driver panicked; there is nothing left to wait for then.
        let _ = (&mut self.driver).await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.gate.stop.send_replace(true);
    }
}

/// Tells whether a relay is ready.
#[derive(Clone)]
pub struct Readiness {
    gate: Arc<Gate>,
    store_works: Arc<AtomicBool>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Readiness").field(&self.is_ready()).finish()
    }
}

impl Readiness {
    /// Whether the relay takes connections and the store's last operation succeeded.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !*self.gate.stop.borrow() && self.store_works.load(Ordering::Relaxed)
    }
}
