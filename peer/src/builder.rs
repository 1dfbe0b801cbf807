//! Making and opening a profile.

use tincan_link::IcePolicy;
use tincan_protocol::WriteToken;
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::limits::NAME_MAX;
use tincan_protocol::origin::{ServerUrl, ServerUrlError};
use tincan_protocol::phrase::Phrase;

use crate::backup::{self, BackupError, BackupReport};
use crate::clock::unix_ms;
use crate::driver::{self, DriverError, Settings};
use crate::home::{Home, HomeError};
use crate::peer::Peer;
use crate::store::{
    DataKey, DataKeyError, KeyFile, KeySource, ProfileRow, Store, StoreError, contained,
    seq_after_loss,
};

/// What the owner of a profile is called who has not said it.
const DEFAULT_NAME: &str = "me";

/// How a peer is opened.
#[derive(Debug)]
pub struct Builder {
    home: Option<Home>,
    key: KeySource,
    ice: IcePolicy,
    offline: bool,
    stays: bool,
    servers: Vec<String>,
    relay: Option<String>,
    name: String,
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
    /// The backup's reason.
    #[error(transparent)]
    Backup(#[from] BackupError),
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
    /// A server's URL that cannot be one.
    #[error(transparent)]
    Server(#[from] ServerUrlError),
    /// There is no profile, and none could be made.
    #[error(transparent)]
    Init(#[from] InitError),
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
            servers: Vec::new(),
            relay: None,
            name: DEFAULT_NAME.to_owned(),
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

    /// A signaling server, up to three: with one, [`Builder::spawn`] makes the profile where there is
    /// none yet. A profile that is there keeps its own.
    #[must_use]
    pub fn server(mut self, url: impl std::fmt::Display) -> Self {
        self.servers.push(url.to_string());
        self
    }

    /// The relay of a new profile; without it, the first signaling server.
    #[must_use]
    pub fn relay(mut self, url: impl std::fmt::Display) -> Self {
        self.relay = Some(url.to_string());
        self
    }

    /// What the owner of a new profile calls themselves; without it, "me".
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
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
        make(&home, &self.key, &new)
    }

    /// Makes a profile of a backup: the same person with a new device, which has everything that was said, and asks
    /// the contacts to go on with it when it is online. The device that the backup was made on must not run any more.
    /// Takes as long as a passphrase is meant to take, and some seconds for a million messages.
    ///
    /// # Errors
    /// [`InitError`]; nothing is left behind.
    pub fn import(
        self,
        backup: &std::path::Path,
        passphrase: &str,
    ) -> Result<BackupReport, InitError> {
        let home = self.resolve_home()?;
        make_with(&home, &self.key, |store| {
            let (profile, report) = backup::import(store, backup, passphrase)?;
            Ok((profile.device_seed, report))
        })
    }

    /// Opens the profile and goes online. With [`Builder::server`], a profile is made where there is
    /// none; [`Peer::phrase`] then has its words.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn spawn(self) -> Result<Peer, OpenError> {
        let home = self.resolve_home()?;
        let new = self.new_profile()?;
        let settings = Settings {
            ice: self.ice,
            offline: self.offline,
        };
        let (key, stays) = (self.key, self.stays);
        // Argon2id takes a while, and the database may have to be repaired.
        let opened = tokio::task::spawn_blocking(move || open_or_make(home, &key, new)).await;
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

    /// What a profile is made of where there is none; `None` if that is not wanted.
    fn new_profile(&self) -> Result<Option<NewProfile>, ServerUrlError> {
        let servers = self.servers.iter().map(|url| url.parse());
        let signal_servers = servers.collect::<Result<Vec<ServerUrl>, _>>()?;
        let relay = self.relay.as_ref().map(|url| url.parse()).transpose()?;
        let relay = relay.or_else(|| signal_servers.first().cloned());
        Ok(relay
            .filter(|_| !signal_servers.is_empty())
            .map(|relay| NewProfile {
                name: self.name.clone(),
                signal_servers,
                relay,
                restore: None,
            }))
    }
}

/// Nothing is thrown away: a file that is in the way gets another name.
fn set_aside(path: &std::path::Path) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.old", unix_ms()));
    match std::fs::rename(path, name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a profile.
fn make(home: &Home, source: &KeySource, new: &NewProfile) -> Result<Phrase, InitError> {
    check(new)?;
    let phrase = new
        .restore
        .clone()
        .unwrap_or_else(|| Phrase::from_entropy(rand::random()));
    let row = profile_row(new, &phrase, unix_ms(), &mut |bytes| rand::fill(bytes));
    make_with(home, source, |store| {
        let batch = store.begin()?;
        batch.put_profile(&row)?;
        batch.commit()?;
        Ok((row.device_seed, ()))
    })?;
    Ok(phrase)
}

/// Makes a profile of what `fill` puts into its database. It returns the device's seed, and what the caller wants to
/// know.
fn make_with<T>(
    home: &Home,
    source: &KeySource,
    fill: impl FnOnce(&Store) -> Result<([u8; 32], T), InitError>,
) -> Result<T, InitError> {
    home.create()?;
    let _lock = home.lock()?;
    if home.has_profile() {
        return Err(InitError::Exists {
            path: home.path().to_owned(),
        });
    }
    // What an interrupted attempt may have left; or one half of a profile, whose other half may come
    // back from a copy.
    for path in [home.database(), home.key_file()] {
        set_aside(&path).map_err(|error| home.io(error))?;
    }
    let key = DataKey::generate();
    let store = Store::create(&home.database(), &key)?;
    let filled = fill(&store);
    store.close();
    let (device_seed, known) = match filled {
        Ok(filled) => filled,
        Err(error) => {
            // Without a key it is nothing; why it could not be filled is what matters.
            let _ = std::fs::remove_file(home.database());
            return Err(error);
        }
    };
    // The key file makes the profile: it comes last.
    let device = DeviceKey::from_seed(&device_seed).device();
    let written = KeyFile::new(home.key_file()).write(&key, source, &device.to_string());
    if let Err(error) = written {
        let _ = std::fs::remove_file(home.database());
        return Err(error.into());
    }
    Ok(known)
}

type Opened = (Home, crate::home::HomeLock, Store, ProfileRow);

fn open_or_make(
    home: Home,
    source: &KeySource,
    new: Option<NewProfile>,
) -> Result<Opened, OpenError> {
    if let Some(new) = new.filter(|_| !home.has_profile()) {
        match make(&home, source, &new) {
            // Another process has just made it.
            Ok(_) | Err(InitError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    open(home, source)
}

fn open(home: Home, source: &KeySource) -> Result<Opened, OpenError> {
    // A folder that is not there is no profile; one that is there must be ours before it is read.
    home.check()?;
    if !home.has_profile() {
        let path = home.path().to_owned();
        return Err(if home.database().exists() {
            let path = home.key_file();
            OpenError::Key(DataKeyError::Missing { path })
        } else {
            OpenError::NoProfile { path }
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

/// `random` fills secrets.
pub(crate) fn profile_row(
    new: &NewProfile,
    phrase: &Phrase,
    now_ms: u64,
    random: &mut dyn FnMut(&mut [u8]),
) -> ProfileRow {
    let (mut device_seed, mut key_package_seed) = ([0; 32], [0; 32]);
    let mut token = [0; 16];
    random(&mut device_seed);
    random(&mut key_package_seed);
    random(&mut token);
    let device = DeviceKey::from_seed(&device_seed).device();
    let cert = DeviceCert::issue(&phrase.identity_key(), device, now_ms);
    let first_seq = match new.restore {
        Some(_) => seq_after_loss(now_ms),
        None => 1,
    };
    ProfileRow {
        name: crate::names::clean(&new.name),
        entropy: *phrase.entropy(),
        device_seed,
        cert: cert.encode(),
        signal_servers: new.signal_servers.clone(),
        relay: new.relay.clone(),
        key_package_seed,
        key_package_token: WriteToken::from_bytes(token),
        next_conversation: 1,
        former_devices: Vec::new(),
        first_seq,
        has_stale_packages: false,
    }
}
