//! Opening the profile for one command: here, or where it runs already; and again, if it ends there.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::args::{Global, Ice};
use super::output::Output;
use super::values::{items, text};
use crate::rpc::{Client, ConnectError, LOOK_AGAIN, RpcError, SERVING_SOON, Server};
use crate::{
    DataKeyError, Home, HomeError, IcePolicy, KeySource, KeyringError, OpenError, Peer, StoreError,
};

/// A command whose profile nobody runs stays this long, so that what it has written leaves at once
/// where that is possible. What cannot leave goes out when the profile runs again.
const GRACE: Duration = Duration::from_secs(5);

/// How often the state is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(25);

/// On a full disk it is looked so often whether there is room.
pub(crate) const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// So long after its start a profile that stays says whether nothing can be reached.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(2);

/// At its end, a process that runs the profile for others too answers what they have asked already.
/// Chosen: what takes longer is asked again elsewhere.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// A profile opened for one command.
pub(crate) struct Session {
    opening: Opening,
    client: Client,
    here: Option<Here>,
}

/// The profile runs in this process.
struct Here {
    peer: Peer,
    server: Server,
}

/// How the profile is opened.
struct Opening {
    home: Home,
    global: Global,
    network: Network,
    stay: Stay,
    /// Once it is known: nobody is asked twice.
    key: Option<KeySource>,
    /// Whether somebody can be asked for a passphrase: the terminal may belong to something else by now.
    may_ask: bool,
}

/// Whether a command talks to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Online,
    Offline,
}

/// Whether a process that runs a profile does so until somebody ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    UntilEnded,
    ForOneCommand,
}

impl Session {
    pub(crate) async fn open(
        global: &Global,
        network: Network,
        stay: Stay,
    ) -> Result<Self, RpcError> {
        Self::open_with(global, network, stay, None).await
    }

    /// With the key, if it is known already.
    pub(crate) async fn open_with(
        global: &Global,
        network: Network,
        stay: Stay,
        key: Option<KeySource>,
    ) -> Result<Self, RpcError> {
        let mut opening = Opening::of(global, network, stay, key)?;
        let (client, here) = opening.open().await?;
        Ok(Self {
            opening,
            client,
            here,
        })
    }

    /// Without asking anybody for a passphrase.
    pub(super) async fn open_unasked(global: &Global) -> Result<Self, RpcError> {
        let mut opening = Opening::of(global, Network::Online, Stay::UntilEnded, None)?;
        opening.may_ask = false;
        let (client, here) = opening.open().await?;
        Ok(Self {
            opening,
            client,
            here,
        })
    }

    /// From now on nobody is asked for a passphrase: without it, the profile is not opened again here.
    pub(super) const fn ask_nothing_more(&mut self) {
        self.opening.may_ask = false;
    }

    /// Calls a method. If the process that runs the profile ends meanwhile, the profile is opened
    /// again and the call repeated there.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        loop {
            match self.call_once(method, params.clone()).await {
                Err(error) if error.is_ended() => {}
                result => return result,
            }
        }
    }

    /// The same for what must not be repeated before somebody has looked whether it was done: the error that
    /// says so ([`RpcError::is_ended`]) is the caller's, and the profile is open again.
    pub(super) async fn call_once(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Value, RpcError> {
        let result = self.client.call(method, params).await;
        if result.as_ref().is_err_and(RpcError::is_ended) {
            self.open_again().await?;
        }
        result
    }

    /// Opens the profile anew: here, if nobody else runs it any more.
    pub(super) async fn open_again(&mut self) -> Result<(), RpcError> {
        (self.client, self.here) = self.opening.open().await?;
        Ok(())
    }

    /// The profile, if it runs in this process.
    pub(super) fn local(&self) -> Option<Peer> {
        self.here.as_ref().map(|here| here.peer.clone())
    }

    /// Another session of a profile that runs in this process.
    pub(super) fn beside(global: &Global, peer: Peer) -> Result<Self, RpcError> {
        let mut opening = Opening::of(global, Network::Online, Stay::UntilEnded, None)?;
        opening.may_ask = false;
        Ok(Self {
            opening,
            client: Client::Local(peer),
            here: None,
        })
    }

    /// Whether the profile runs in this process, and so ends with it.
    pub(super) const fn is_here(&self) -> bool {
        self.here.is_some()
    }

    /// Waits until `done` holds for the profile's status, or a few seconds have passed. Returns the
    /// last status.
    pub(super) async fn settle(
        &mut self,
        done: impl Fn(&Value) -> bool,
    ) -> Result<Value, RpcError> {
        let deadline = Instant::now() + GRACE;
        loop {
            let status = self.call("status", json!({"outbox": false})).await?;
            if done(&status) || Instant::now() >= deadline {
                return Ok(status);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Says so if no server is connected: whoever waits for messages would wait in vain.
    pub(super) async fn note_if_cut_off(&mut self, output: &Output) -> Result<(), RpcError> {
        let status = self.call("status", json!({"outbox": false})).await?;
        let servers = || items(&status["signal_servers"]).chain(items(&status["relays"]));
        if servers().any(|server| server["up"] == true) {
            return Ok(());
        }
        // One URL may be both.
        let urls: BTreeSet<String> = servers().map(|server| text(&server["url"])).collect();
        for url in urls {
            output.note(&format!("note: {url} cannot be reached now; trying again"));
        }
        Ok(())
    }

    pub(super) async fn close(self) -> Result<(), RpcError> {
        let Some(Here { peer, server }) = self.here else {
            return Ok(());
        };
        server.drain(LAST_ANSWERS).await;
        // Its socket goes before the profile is free: whoever has that next makes one of the same name.
        drop(server);
        peer.shutdown().await.map_err(|error| {
            RpcError::failed(
                error,
                "the log (-v) says why; if it stays so, look after the disk, and open the profile again",
            )
        })
    }
}

impl Opening {
    fn of(
        global: &Global,
        network: Network,
        stay: Stay,
        key: Option<KeySource>,
    ) -> Result<Self, RpcError> {
        Ok(Self {
            home: home(global)?,
            global: global.clone(),
            network,
            stay,
            key,
            may_ask: true,
        })
    }

    /// Through the socket of whoever runs the profile, which needs no key; else here. Between the two
    /// are moments in which another process begins or ends: they are waited for.
    async fn open(&mut self) -> Result<(Client, Option<Here>), RpcError> {
        let deadline = Instant::now() + SERVING_SOON;
        loop {
            let other = Client::try_connect(&self.home, deadline).await;
            if let Some(client) = other.map_err(no_answer)? {
                return Ok((client, None));
            }
            if let Some(here) = self.open_here().await? {
                return Ok((Client::Local(here.peer.clone()), Some(here)));
            }
            if Instant::now() >= deadline {
                return Err(no_answer(ConnectError));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// `None` if another process has the profile.
    async fn open_here(&mut self) -> Result<Option<Here>, RpcError> {
        let key = match &self.key {
            Some(key) => key.clone(),
            None => {
                // It would be asked for in vain.
                if self.home.has_profile() && matches!(self.home.lock(), Err(HomeError::InUse)) {
                    return Ok(None);
                }
                key_source(&self.global, &self.home, self.may_ask)?
            }
        };
        self.key = Some(key.clone());
        let mut builder = Peer::builder()
            .home(self.home.path())
            .key(key)
            .stays(self.stay == Stay::UntilEnded)
            .ice_policy(match self.global.ice {
                Ice::All => IcePolicy::All,
                Ice::Relay => IcePolicy::RelayOnly,
            });
        if self.network == Network::Offline {
            builder = builder.offline();
        }
        match builder.spawn().await {
            Ok(peer) => {
                let server = Server::spawn(peer.clone())
                    .map_err(|error| RpcError::failed(error, "check the folder's permissions"))?;
                Ok(Some(Here { peer, server }))
            }
            Err(OpenError::InUse) => Ok(None),
            Err(OpenError::Store(StoreError::DiskFull)) => Err(RpcError::disk_full(
                "the profile cannot be opened",
                self.home.path(),
            )),
            Err(error) => Err(open_error(error)),
        }
    }
}

fn no_answer(error: ConnectError) -> RpcError {
    RpcError::failed(
        error,
        "end that process (`fuser` shows it), or wait until it is done",
    )
}

pub(crate) fn home(global: &Global) -> Result<Home, RpcError> {
    match &global.home {
        Some(path) => Ok(Home::at(path)),
        None => {
            Home::standard().map_err(|error| RpcError::failed(error, "give it with --home DIR"))
        }
    }
}

/// The passphrase, from its file or typed; for a key in clear none is needed.
fn key_source(global: &Global, home: &Home, may_ask: bool) -> Result<KeySource, RpcError> {
    if let Some(file) = &global.passphrase_file {
        return passphrase_from(file).map(KeySource::Passphrase);
    }
    home.check().map_err(|error| open_error(error.into()))?;
    let needed = home.has_profile()
        && home
            .needs_passphrase()
            .map_err(|error| open_error(error.into()))?;
    if !needed {
        return Ok(KeySource::Plain);
    }
    if !may_ask || !std::io::stdin().is_terminal() {
        return Err(open_error(DataKeyError::PassphraseNeeded.into()));
    }
    read_passphrase("Passphrase: ").map(KeySource::Passphrase)
}

pub(super) fn passphrase_from(file: &std::path::Path) -> Result<Zeroizing<String>, RpcError> {
    let text = std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|error| {
            RpcError::usage(
                format!("passphrase file {}: {error}", file.display()),
                "give a file that you can read",
            )
        })?;
    let passphrase = text.lines().next().unwrap_or_default();
    if passphrase.is_empty() {
        let message = format!(
            "passphrase file {}: its first line is empty",
            file.display()
        );
        return Err(RpcError::usage(
            message,
            "write the passphrase into its first line",
        ));
    }
    Ok(Zeroizing::new(passphrase.to_owned()))
}

pub(super) fn read_passphrase(prompt: &str) -> Result<Zeroizing<String>, RpcError> {
    read_passphrase_or(prompt, "use --passphrase-file FILE")
}

/// `else_use`: what to do where nobody can be asked.
pub(super) fn read_passphrase_or(
    prompt: &str,
    else_use: &str,
) -> Result<Zeroizing<String>, RpcError> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| RpcError::failed(format!("no passphrase: {error}"), else_use))
}

pub(crate) fn open_error(error: OpenError) -> RpcError {
    match error {
        OpenError::NoProfile { .. } => RpcError::not_found(
            error,
            "make one with `peer init --server URL`, or give its folder with --home DIR",
        ),
        OpenError::Key(DataKeyError::WrongPassphrase) => RpcError::failed(
            error,
            "check the passphrase and try again; nothing has changed",
        ),
        OpenError::Key(DataKeyError::Missing { .. }) => RpcError::failed(
            error,
            "if `peer init` or `peer backup import` was interrupted here, run it again: it keeps what is there under \
             another name. Else bring the file back from a copy: without it the messages cannot be read",
        ),
        OpenError::Key(DataKeyError::PassphraseNeeded) => {
            RpcError::usage(error, "give it with --passphrase-file FILE")
        }
        OpenError::Key(DataKeyError::Keyring(ref keyring)) => {
            RpcError::failed(&error, keyring_help(keyring))
        }
        OpenError::Key(_) => RpcError::failed(
            error,
            "restore key.json from a copy; without it the messages cannot be read. `peer init --restore` \
             in another folder brings the identity back from its 24 words",
        ),
        OpenError::Store(error) => error.into(),
        OpenError::Home(ref home) => RpcError::failed(&error, home_help(home)),
        OpenError::InUse => RpcError::failed(error, "end the other process"),
        OpenError::Init(error) => super::init::init_error(error),
        OpenError::Server(_) => {
            RpcError::usage(error, "give the server's URL, like http://127.0.0.1:8443")
        }
        OpenError::State(_) => RpcError::failed(
            error,
            "look after the disk and keep the folder; `peer init --restore` in another one brings the identity back",
        ),
    }
}

/// What to do about a keyring that does not give the key. Without the key nothing of the profile can
/// be read; the identity is in the 24 words.
const fn keyring_help(error: &KeyringError) -> &'static str {
    match error {
        KeyringError::Absent { .. } => {
            "run this in the desktop session whose keyring holds the key (DBUS_SESSION_BUS_ADDRESS names \
             it); if that keyring is lost, `peer init --restore` in another folder brings the identity \
             back from its 24 words"
        }
        KeyringError::NoKey { .. } => {
            "use the keyring with which this profile was made, or bring its entry back from a backup; if \
             that is lost, `peer init --restore` in another folder brings the identity back from its 24 \
             words"
        }
        _ => {
            "unlock the keyring and try again; if its password is lost, `peer init --restore` in another \
             folder brings the identity back from its 24 words"
        }
    }
}

/// What to do about a folder that cannot be used.
pub(super) const fn home_help(error: &HomeError) -> &'static str {
    match error {
        HomeError::Io { .. } => {
            "check the folder's permissions, or give another one with --home DIR"
        }
        HomeError::NotAFolder { .. } | HomeError::NoPlace => "give a folder with --home DIR",
        HomeError::NotOurs { .. } => {
            "run this as that user, or give a folder of yours with --home DIR"
        }
        HomeError::Shared { .. } => "give an empty folder or a new one with --home DIR",
        HomeError::InUse => "end the other process",
        HomeError::Empty { .. } => "make a profile with `peer init --server URL`",
    }
}
