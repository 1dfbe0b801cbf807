//! `peer init`: the one command that makes something out of nothing.

use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::PathBuf;

use serde_json::json;
use tincan_protocol::limits::NAME_MAX;
use zeroize::Zeroizing;

use super::args::{Global, Init};
use super::output::Output;
use super::session::{home, home_help, passphrase_from, read_passphrase};
use crate::rpc::RpcError;
use crate::{
    DataKeyError, Home, HomeError, InitError, KeySource, NewProfile, Peer, Phrase, ServerUrl,
};

/// 24 words are far less.
const PHRASE_MAX: u64 = 4096;

pub(super) async fn run(global: &Global, init: Init, output: &Output) -> Result<(), RpcError> {
    let home = home(global)?;
    let new = profile(&init, &home, output)?;
    let restored = init.restore;
    let key = key_source(global)?;
    let kept = kept(&key);
    let builder = Peer::builder().home(home.path()).key(key);
    // Argon2id takes a while.
    let made = tokio::task::spawn_blocking(move || {
        let name = new.name.clone();
        builder.init(new).map(|phrase| (name, phrase))
    });
    let made = made.await.map_err(|error| RpcError::failed(error, ""))?;
    let (name, phrase) = made.map_err(init_error)?;
    let address = phrase.identity_key().identity().to_string();
    let mut object = json!({
        "type": "id", "address": address, "name": name,
        // It need not be UTF-8.
        "home": home.path().display().to_string(), "key": kept.code,
    });
    if !restored {
        object["phrase"] = json!(phrase.words().as_str());
    }
    output.print(&object, || {
        let mut text = format!("You are {name}, {address}\n{}\n", kept.text);
        if !restored {
            text += &format!(
                "\nThese 24 words are your identity. Write them down and keep them safe; they are \
                 not shown again:\n\n{}\n",
                numbered(&phrase.words())
            );
        }
        text + "\nNext: `peer invite` prints a link for somebody else, `peer add LINK` takes theirs."
    });
    if restored {
        return output.flush();
    }
    output.written().map_err(|error| take_back(&home, &error))
}

/// Nobody has seen the words of a profile that could not be printed, and nobody ever will.
fn take_back(home: &Home, error: &std::io::Error) -> RpcError {
    let unseen = format!("stdout: {error}; nobody has seen the 24 words");
    match remove(home) {
        Ok(()) => RpcError::failed(
            format!("{unseen}, so the new profile has been removed again"),
            "give it somewhere to write to, and run `peer init` again",
        ),
        Err(why) => RpcError::failed(
            format!("{unseen}, and the new profile cannot be removed: {why}"),
            &format!(
                "delete the folder {} and run `peer init` again",
                home.path().display()
            ),
        ),
    }
}

/// The key first: without it the rest is nothing that could be opened.
fn remove(home: &Home) -> Result<(), HomeError> {
    let _lock = home.lock()?;
    let remove = |path: PathBuf| {
        std::fs::remove_file(&path).map_err(|source| HomeError::Io { path, source })
    };
    remove(home.key_file())?;
    remove(home.database())
}

/// Before anything is asked for in vain.
fn refuse_a_second(home: &Home) -> Result<(), RpcError> {
    if !home.has_profile() {
        return Ok(());
    }
    let path = home.path().to_owned();
    Err(init_error(InitError::Exists { path }))
}

fn profile(init: &Init, home: &Home, output: &Output) -> Result<NewProfile, RpcError> {
    let url = |text: &str| {
        text.parse::<ServerUrl>().map_err(|error| {
            RpcError::usage(
                error,
                "`signal-server --dev --relay` starts a server and prints its URL",
            )
        })
    };
    let signal_servers = init
        .server
        .iter()
        .map(|text| url(text))
        .collect::<Result<Vec<_>, _>>()?;
    let relay = match (&init.relay, signal_servers.first()) {
        (Some(text), _) => url(text)?,
        (None, Some(server)) => server.clone(),
        (None, None) => return Err(RpcError::usage("no server is given", "use --server URL")),
    };
    let name = own_name(init)?;
    refuse_a_second(home)?;
    let restore = if init.restore {
        Some(read_phrase(output)?)
    } else {
        None
    };
    Ok(NewProfile {
        name,
        signal_servers,
        relay,
        restore,
    })
}

/// As others will see it. Empty and too long ones are refused by the library.
fn own_name(init: &Init) -> Result<String, RpcError> {
    let login = || std::env::var("USER").ok().filter(|name| !name.is_empty());
    let name = init.name.clone().or_else(login);
    let name = name.unwrap_or_else(|| "me".to_owned());
    if name.trim().is_empty() || name.len() > NAME_MAX {
        return Ok(name);
    }
    let shown = crate::names::clean(&name);
    if shown.split(' ').eq(name.split_whitespace()) {
        return Ok(shown);
    }
    Err(RpcError::usage(
        "this name has characters that cannot be shown, or looks like an address",
        "give another one with --name",
    ))
}

fn read_phrase(output: &Output) -> Result<Phrase, RpcError> {
    let help = "give all 24 words on stdin, separated by spaces";
    let mut words = Zeroizing::new(String::new());
    let stdin = std::io::stdin();
    let read = if stdin.is_terminal() {
        output.ask("The 24 words, then Enter: ");
        stdin.lock().take(PHRASE_MAX).read_line(&mut words)
    } else {
        stdin.lock().take(PHRASE_MAX).read_to_string(&mut words)
    };
    read.map_err(|error| RpcError::usage(format!("the words cannot be read: {error}"), help))?;
    Phrase::parse(&words).map_err(|error| RpcError::usage(error, help))
}

/// Where the key of a profile is, as programs and people are told.
pub(super) struct Kept {
    pub(super) code: &'static str,
    pub(super) text: &'static str,
}

pub(super) const fn kept(key: &KeySource) -> Kept {
    match key {
        KeySource::Keyring => Kept {
            code: "keyring",
            text: "The key of your messages is in your desktop's keyring.",
        },
        KeySource::Passphrase(_) => Kept {
            code: "passphrase",
            text: "The key of your messages is protected by your passphrase.",
        },
        KeySource::Plain => Kept {
            code: "plain",
            text: "The key of your messages is in a file that only you can read.",
        },
    }
}

/// What protects the key, if the command line says so: a passphrase from its file, or nothing.
pub(crate) fn chosen_key(global: &Global) -> Result<Option<KeySource>, RpcError> {
    if let Some(file) = &global.passphrase_file {
        return passphrase_from(file).map(KeySource::Passphrase).map(Some);
    }
    Ok(global.no_keyring.then_some(KeySource::Plain))
}

/// The same; else the keyring, or, where there is none, a passphrase typed twice.
pub(super) fn key_source(global: &Global) -> Result<KeySource, RpcError> {
    if let Some(key) = chosen_key(global)? {
        return Ok(key);
    }
    if let Some(keyring) = KeySource::keyring() {
        return Ok(keyring);
    }
    if !std::io::stdin().is_terminal() {
        return Err(RpcError::usage(
            "nothing protects this profile yet: no keyring answers",
            "give --passphrase-file FILE, or --no-keyring to keep the key in a file that only you can read",
        ));
    }
    let passphrase = read_passphrase("Passphrase for this profile: ")?;
    if passphrase.is_empty() {
        return Err(RpcError::usage(
            "the passphrase is empty",
            "use --no-keyring to go without one: the key is then kept in a file that only you can read",
        ));
    }
    if *passphrase != *read_passphrase("Once more: ")? {
        return Err(RpcError::usage("the two passphrases differ", "try again"));
    }
    Ok(KeySource::Passphrase(passphrase))
}

pub(crate) fn init_error(error: InitError) -> RpcError {
    match error {
        InitError::Exists { .. } => {
            RpcError::usage(error, "use it, or give another folder with --home DIR")
        }
        InitError::Name => RpcError::usage(error, "give a shorter one with --name"),
        InitError::Servers { .. } => {
            RpcError::usage(error, "give --server URL once to three times")
        }
        InitError::Home(HomeError::InUse) => RpcError::usage(
            "there is a profile in this folder already, and another process uses it",
            "use it, or give another folder with --home DIR",
        ),
        InitError::Home(ref home) => RpcError::failed(&error, home_help(home)),
        InitError::Key(DataKeyError::Keyring(_)) => RpcError::failed(
            error,
            "unlock the keyring and try again, or do without it: give --passphrase-file FILE, or \
             --no-keyring to keep the key in a file that only you can read",
        ),
        InitError::Key(_) => RpcError::failed(
            error,
            "check the folder's permissions, or give another one with --home DIR",
        ),
        InitError::Store(error) => error.into(),
        InitError::Backup(error) => error.into(),
    }
}

/// Four words a line, numbered, as people write them down.
fn numbered(words: &str) -> String {
    let words: Vec<String> = words
        .split(' ')
        .enumerate()
        .map(|(at, word)| format!("{:>2} {word:<10}", at + 1))
        .collect();
    let lines: Vec<String> = words
        .chunks(4)
        .map(|line| format!("  {}", line.concat().trim_end()))
        .collect();
    lines.join("\n")
}
