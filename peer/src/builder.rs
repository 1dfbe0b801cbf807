//! Making and opening a profile.

use tincan_link::IcePolicy;
use tincan_protocol::WriteToken;
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::limits::NAME_MAX;
use tincan_protocol::origin::ServerUrl;
use tincan_protocol::phrase::Phrase;

use crate::driver::{self, DriverError, Settings, unix_ms};
use crate::home::{Home, HomeError};
use crate::peer::Peer;
use crate::store::{
    DataKey, DataKeyError, KeyFile, KeySource, ProfileRow, Store, StoreError, contained,
};

/// How a peer is opened.
#[derive(Debug)]
pub struct Builder {
    home: Option<Home>,
    key: KeySource,
    ice: IcePolicy,
    offline: bool,
    stays: bool,
}

/// What a new profile is made of.
#[derive(Debug)]
pub struct NewProfile {
    /// What its owner calls themselves: 1 to 128 bytes.
    pub name: String,
    /// Where it listens for signals: 1 to 3.
    pub signal_servers: Vec<ServerUrl>,
    /// Where its mailboxes are.
    pub relay: ServerUrl,
    /// The phrase of an identity that exists already.
    pub restore: Option<Phrase>,
}

/// Why no profile was made. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// There is one already.
    #[error("there is a profile in {path} already")]
    Exists {
        /// The folder.
        path: std::path::PathBuf,
    },
    /// The name is empty or too long.
    #[error("a name has 1 to {NAME_MAX} bytes")]
    Name,
    /// None, or more than an invite can hold.
    #[error("a profile has 1 to {max} signaling servers")]
    Servers {
        /// How many are allowed.
        max: usize,
    },
    /// The folder's reason.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The key file's reason.
    #[error(transparent)]
    Key(#[from] DataKeyError),
    /// The database's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a profile was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process runs it.
    #[error("this profile is in use by another process")]
    InUse,
    /// There is none.
    #[error("there is no profile in {path}")]
    NoProfile {
        /// The folder.
        path: std::path::PathBuf,
    },
    /// The folder's reason.
    #[error(transparent)]
    Home(HomeError),
    /// The key file's reason.
    #[error(transparent)]
    Key(#[from] DataKeyError),
    /// The database's reason.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is in the database does not fit together.
    #[error("the profile cannot be loaded: {0}")]
    State(String),
}

impl From<HomeError> for OpenError {
    fn from(error: HomeError) -> Self {
        match error {
            HomeError::InUse => Self::InUse,
            HomeError::Empty { path } => Self::NoProfile { path },
            other => Self::Home(other),
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            home: None,
            key: KeySource::Plain,
            ice: IcePolicy::All,
            offline: false,
            stays: true,
        }
    }
}

impl Builder {
    /// The profile's folder; without it, the standard one.
    #[must_use]
    pub fn home(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.home = Some(Home::at(path));
        self
    }

    /// Where the data key of a new profile is kept (without this, in clear), or the passphrase of one
    /// that needs it.
    #[must_use]
    pub fn key(mut self, key: KeySource) -> Self {
        self.key = key;
        self
    }

    /// Which network paths direct links may use.
    #[must_use]
    pub const fn ice_policy(mut self, policy: IcePolicy) -> Self {
        self.ice = policy;
        self
    }

    /// Opens the profile without any connection: for reading, and for writing what goes out later.
    #[must_use]
    pub const fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Whether this process runs the profile until somebody ends it: true, unless it says that it is
    /// there for one command only. Other processes that want the profile wait for such a one.
    #[must_use]
    pub const fn stays(mut self, stays: bool) -> Self {
        self.stays = stays;
        self
    }

    /// Makes a profile. Returns its phrase, which is not kept anywhere in readable form: whoever
    /// has the words has the identity.
    ///
    /// # Errors
    /// [`InitError`].
    pub fn init(self, new: NewProfile) -> Result<Phrase, InitError> {
        let home = self.resolve_home()?;
        check(&new)?;
        home.create()?;
        let _lock = home.lock()?;
        if home.has_profile() {
            return Err(InitError::Exists {
                path: home.path().to_owned(),
            });
        }
        // What an interrupted attempt may have left: a database that no key opens.
        let _ = std::fs::remove_file(home.database());
        let key = DataKey::generate();
        let phrase = new
            .restore
            .clone()
            .unwrap_or_else(|| Phrase::from_entropy(rand::random()));
        let row = profile_row(&new, &phrase);
        let store = Store::create(&home.database(), &key)?;
        let batch = store.begin()?;
        batch.put_profile(&row)?;
        batch.commit()?;
        store.close();
        // The key file makes the profile: it comes last.
        let device = DeviceKey::from_seed(&row.device_seed).device();
        KeyFile::new(home.key_file()).write(&key, &self.key, &device.to_string())?;
        Ok(phrase)
    }

    /// Opens the profile and goes online.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn spawn(self) -> Result<Peer, OpenError> {
        let home = self.resolve_home()?;
        let (key, settings) = (
            self.key,
            Settings {
                ice: self.ice,
                offline: self.offline,
            },
        );
        let stays = self.stays;
        // Argon2id takes a while, and the database may have to be repaired.
        let opened = tokio::task::spawn_blocking(move || open(home, &key)).await;
        let (home, lock, store, profile) =
            opened.map_err(|error| OpenError::State(error.to_string()))??;
        let driver = driver::spawn(store.clone(), settings, lock).map_err(|error| match error {
            DriverError::Store(error) => OpenError::Store(error),
            other => OpenError::State(other.to_string()),
        })?;
        Ok(Peer::new(home, store, driver, &profile, stays))
    }

    fn resolve_home(&self) -> Result<Home, HomeError> {
        self.home.clone().map_or_else(Home::standard, Ok)
    }
}

type Opened = (Home, crate::home::HomeLock, Store, ProfileRow);

fn open(home: Home, source: &KeySource) -> Result<Opened, OpenError> {
    // A folder that is not there is no profile; one that is there must be ours before it is read.
    home.check()?;
    if !home.has_profile() {
        return Err(OpenError::NoProfile {
            path: home.path().to_owned(),
        });
    }
    let lock = home.lock()?;
    let key = KeyFile::new(home.key_file()).read(source)?;
    let store = Store::open(&home.database(), &key)?;
    let profile = contained(|| store.begin()?.profile())?;
    let path = home.path().to_owned();
    let profile = profile.ok_or(OpenError::NoProfile { path })?;
    Ok((home, lock, store, profile))
}

fn check(new: &NewProfile) -> Result<(), InitError> {
    if new.name.trim().is_empty() || new.name.len() > NAME_MAX {
        return Err(InitError::Name);
    }
    let max = tincan_protocol::limits::SIGNAL_SERVERS_MAX;
    if new.signal_servers.is_empty() || new.signal_servers.len() > max {
        return Err(InitError::Servers { max });
    }
    Ok(())
}

fn profile_row(new: &NewProfile, phrase: &Phrase) -> ProfileRow {
    let device_seed: [u8; 32] = rand::random();
    let device = DeviceKey::from_seed(&device_seed).device();
    let cert = DeviceCert::issue(&phrase.identity_key(), device, unix_ms());
    ProfileRow {
        name: crate::names::clean(&new.name),
        entropy: *phrase.entropy(),
        device_seed,
        cert: cert.encode(),
        signal_servers: new.signal_servers.clone(),
        relay: new.relay.clone(),
        key_package_seed: rand::random(),
        key_package_token: WriteToken::from_bytes(rand::random()),
        next_conversation: 1,
    }
}
