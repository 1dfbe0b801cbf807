//! The real surroundings of a driver: the machine's clocks and randomness, MLS, sockets.

use tincan_core::{Instant, Now};
use tincan_mls::{GroupCrypto, LoadError, Mls};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::handle::{Dial, ServerHandle};
use super::relay::{RelayClient, RelayCommand};
use super::signaling::{SignalClient, SignalCommand};
use crate::clock::unix_ms;
use crate::driver::{InputSender, LinkStart, Outlet, Surroundings};
use crate::store::{ConversationNo, JournalEvent};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    runtime: Handle,
    driver: InputSender,
    journal: watch::Sender<u64>,
    start: std::time::Instant,
}

impl Network {
    /// Connections run in `runtime` and tell `driver`; `journal` follows the cursor of the last event.
    pub(crate) fn new(runtime: Handle, driver: InputSender, journal: watch::Sender<u64>) -> Self {
        Self {
            runtime,
            driver,
            journal,
            start: std::time::Instant::now(),
        }
    }

    /// Whether nobody holds the profile any more.
    pub(crate) fn is_unheard(&self) -> bool {
        self.journal.is_closed()
    }
}

impl Surroundings for Network {
    fn now(&self) -> Now {
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now {
            instant: Instant::from_micros(micros),
            unix_ms: unix_ms(),
        }
    }

    fn fill_random(&mut self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }

    fn load_groups(
        &mut self,
        key: DeviceKey,
        cert: DeviceCert,
        rows: Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Box<dyn GroupCrypto>, LoadError> {
        Ok(Box::new(Mls::load(key, cert, rows)?))
    }

    fn dial_relay(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<RelayCommand>> {
        let client = RelayClient::new(dial.server.clone(), number);
        ServerHandle::spawn(dial, client, self.driver.clone(), &self.runtime)
    }

    fn dial_signaling(&mut self, dial: Dial, number: u64) -> Box<dyn Outlet<SignalCommand>> {
        let client = SignalClient::new(dial.server.clone(), number);
        ServerHandle::spawn(dial, client, self.driver.clone(), &self.runtime)
    }

    fn start_link(&mut self, no: ConversationNo, attempt: u64, start: LinkStart) {
        let driver = self.driver.clone();
        self.runtime
            .spawn(super::link::run(no, attempt, start, driver));
    }

    fn journal_grew(&mut self, end: u64, _new: &[JournalEvent]) {
        self.journal.send_replace(end);
    }
}
