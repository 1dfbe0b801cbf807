//! `peer backup`: everything in one file, and a profile made of one.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use zeroize::Zeroizing;

use super::args::{Backup, BackupFile, Global};
use super::init::{init_error, kept, key_source};
use super::output::Output;
use super::session::{
    Network, Session, Stay, home, passphrase_from, read_passphrase, read_passphrase_or,
};
use super::values::text;
use crate::rpc::RpcError;
use crate::rpc::objects::BackupObject;
use crate::{BackupError, Peer};

pub(super) async fn run(global: &Global, backup: &Backup, output: &Output) -> Result<(), RpcError> {
    match backup {
        Backup::Export(args) => export(global, args, output).await,
        Backup::Import(args) => import(global, args, output).await,
    }
}

async fn export(global: &Global, args: &BackupFile, output: &Output) -> Result<(), RpcError> {
    // Before anything is asked for in vain.
    let file = std::path::absolute(&args.file).map_err(|error| RpcError::usage(error, ""))?;
    if file.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: file }.into());
    }
    let mut session = Session::open(global, Network::Offline, Stay::ForOneCommand).await?;
    let passphrase = new_passphrase(args.with.as_deref());
    let result = match passphrase {
        Ok(passphrase) => call(&mut session, &file, &passphrase).await,
        Err(error) => Err(error),
    };
    let closed = session.close().await;
    let written = result?;
    output.print(&written, || {
        format!(
            "{} contacts and {} messages are in {} ({} bytes). Keep it, and its passphrase, somewhere else: without \
             the passphrase nobody can open it.",
            written["contacts"],
            written["messages"],
            text(&written["file"]),
            written["bytes"]
        )
    });
    output.flush()?;
    closed
}

async fn call(
    session: &mut Session,
    file: &Path,
    passphrase: &str,
) -> Result<serde_json::Value, RpcError> {
    let name = file.to_str().ok_or_else(|| {
        RpcError::usage(
            format!("{} is not UTF-8", file.display()),
            "give the file another name",
        )
    })?;
    let params = json!({"file": name, "passphrase": passphrase});
    loop {
        match session.call_once("backup.export", params.clone()).await {
            // The process that ran the profile has ended; the next one begins it anew.
            Err(error) if error.is_ended() && file.symlink_metadata().is_err() => {}
            result => return result,
        }
    }
}

async fn import(global: &Global, args: &BackupFile, output: &Output) -> Result<(), RpcError> {
    let home = home(global)?;
    if home.has_profile() {
        let path = home.path().to_owned();
        return Err(init_error(crate::InitError::Exists { path }));
    }
    let file: PathBuf = args.file.clone();
    // Before a passphrase is asked for in vain.
    std::fs::File::open(&file).map_err(|source| BackupError::Io {
        path: file.clone(),
        source,
    })?;
    let passphrase = match &args.with {
        Some(file) => passphrase_from(file)?,
        None => read_passphrase_or(
            "Passphrase of the backup: ",
            "give a file whose first line it is: --with FILE",
        )?,
    };
    let key = key_source(global)?;
    let kept = kept(&key);
    let builder = Peer::builder().home(home.path()).key(key);
    // Argon2id takes a while, and so does a long history.
    let made = tokio::task::spawn_blocking(move || builder.import(&file, &passphrase));
    let made = made.await.map_err(|error| RpcError::failed(error, ""))?;
    let report = made.map_err(init_error)?;
    let read = BackupObject::of(&args.file.display().to_string(), report);
    output.print(&json!(read), || {
        format!(
            "{} contacts and {} messages are here.\n{}\nThis is another device now: your contacts are asked to go on with it \
             when they and their relays can be reached; those who had verified you compare again. The device that the \
             backup was made on must not be used any more.\n\nNext: `peer listen`, or `peer` alone.",
            read.contacts, read.messages, kept.text
        )
    });
    output.flush()
}

/// Typed twice, if no file has it.
fn new_passphrase(file: Option<&Path>) -> Result<Zeroizing<String>, RpcError> {
    if let Some(file) = file {
        return passphrase_from(file);
    }
    if !std::io::stdin().is_terminal() {
        return Err(RpcError::usage(
            "a backup needs a passphrase",
            "give a file whose first line it is: --with FILE",
        ));
    }
    let passphrase = read_passphrase("Passphrase for the backup: ")?;
    if passphrase.is_empty() {
        return Err(BackupError::NoPassphrase.into());
    }
    if *passphrase != *read_passphrase("Once more: ")? {
        return Err(RpcError::usage("the two passphrases differ", "try again"));
    }
    Ok(passphrase)
}
