//! A profile's rows into a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tincan_protocol::keys::DeviceKey;

use super::records::{self, Head, Row};
use super::sealed_file::SealedWriter;
use super::{BackupError, BackupReport};
use crate::store::{
    CONTACTS_TABLE, ContactRow, ContactState, PROFILE_TABLE, ProfileRow, SCHEMA_VERSION, Store,
    StoreError,
};

/// Writes a backup to a file that is not there yet, as the profile is now. It takes its name when it is whole and
/// durable.
pub(crate) fn export(
    store: &Store,
    path: &Path,
    passphrase: &str,
) -> Result<BackupReport, BackupError> {
    if passphrase.is_empty() {
        return Err(BackupError::NoPassphrase);
    }
    let exists = || BackupError::Exists {
        path: path.to_owned(),
    };
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let failed = |source: io::Error| BackupError::Io {
        path: path.to_owned(),
        source,
    };
    // Another export to the same file does not meet this one.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{:08x}.unfinished", rand::random::<u32>()));
    let unfinished = Path::new(&unfinished);
    let file = make(unfinished).map_err(failed)?;
    let written = write(store, file, passphrase, &failed).and_then(|report| {
        name(unfinished, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => failed(error),
        })?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(report)
    });
    if written.is_err() {
        // Why there is no backup matters more than that this is left.
        let _ = fs::remove_file(unfinished);
    }
    written
}

/// Gives a file its name, and takes it from nobody.
fn name(unfinished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(unfinished, path) {
        Ok(()) => fs::remove_file(unfinished),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links, as memory sticks have.
        Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(unfinished, path),
    }
}

/// For this user only, where the file system has users: others need not know how much was said.
fn make(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn write(
    store: &Store,
    file: File,
    passphrase: &str,
    failed: &dyn Fn(io::Error) -> BackupError,
) -> Result<BackupReport, BackupError> {
    let mut sealed = SealedWriter::new(BufWriter::new(file), passphrase).map_err(failed)?;
    let head = Head {
        schema: SCHEMA_VERSION,
    };
    records::write(&mut sealed, &head).map_err(failed)?;
    let mut report = BackupReport::default();
    store.dump::<BackupError>(|table, key, value| {
        let value = match table {
            PROFILE_TABLE => without_keys::<ProfileRow>(table, &value, forget_device)?,
            CONTACTS_TABLE => without_keys::<ContactRow>(table, &value, forget_groups)?,
            _ => value,
        };
        report.count(table, &value);
        let row = Row {
            table: table.to_owned(),
            key: Bytes::copy_from_slice(key),
            value: value.into(),
        };
        records::write(&mut sealed, &row).map_err(failed)
    })?;
    let (file, bytes) = sealed.finish().map_err(failed)?;
    let mut file = file
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.flush().map_err(failed)?;
    file.sync_all().map_err(failed)?;
    report.bytes = bytes;
    Ok(report)
}

fn without_keys<T: Serialize + DeserializeOwned>(
    table: &'static str,
    value: &[u8],
    forget: fn(&mut T),
) -> Result<Vec<u8>, StoreError> {
    let error = |error: serde_json::Error| StoreError::Row {
        table,
        detail: error.to_string(),
    };
    let mut row: T = serde_json::from_slice(value).map_err(error)?;
    forget(&mut row);
    serde_json::to_vec(&row).map_err(error)
}

/// The next device knows this one, and has not its key.
fn forget_device(profile: &mut ProfileRow) {
    let device = DeviceKey::from_seed(&profile.device_seed).device();
    profile.former_devices.push(device);
    profile.device_seed = [0; 32];
    profile.cert.clear();
}

/// A request of this device is answered in a group that the next one is not in.
fn forget_groups(contact: &mut ContactRow) {
    contact.groups.clear();
    contact.unconfirmed.clear();
    contact.retired.clear();
    (contact.relay_store, contact.mailbox_store) = (None, None);
    match &mut contact.state {
        ContactState::Accepted => contact.state = ContactState::Lost,
        // Whoever was a contact before is one that is lost; of others it is only known how they were asked.
        ContactState::Requesting(_) if contact.their_reach.is_some() => {
            contact.state = ContactState::Lost;
        }
        ContactState::Requesting(stage) => {
            stage.envelope.clear();
            stage.before.clear();
            stage.deposited = false;
        }
        ContactState::Lost | ContactState::Asked { .. } | ContactState::Blocked => {}
    }
}
