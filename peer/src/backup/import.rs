//! A backup's rows into an empty database, for a new device.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use prost::Message as _;
use tincan_core::{LeftAt, Snapshot};
use tincan_protocol::EnvelopeId;
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::phrase::Phrase;

use super::records::{self, Head, Row};
use super::sealed_file::{OpenError, SealedReader};
use super::{BackupError, BackupReport};
use crate::clock::unix_ms;
use crate::store::{
    Batch, CONTACTS_TABLE, ContactRow, LEFT_TABLE, Loading, OUTBOX_ENVELOPES_TABLE, OUTBOX_TABLE,
    OutboxMeta, PROFILE_TABLE, ProfileRow, SCHEMA_VERSION, SESSIONS_TABLE, Store, left_bytes,
    read_left, seq_after_loss,
};

/// Written in one transaction, bytes. Chosen: what redb keeps in memory anyway.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Numbers that the lost device may have given out after the backup was made. Chosen: nobody sends four billion
/// messages between two backups.
const SEQS_LOST: u64 = 1 << 32;

/// Fills the database; returns the profile of the new device.
pub(crate) fn import(
    store: &Store,
    path: &Path,
    passphrase: &str,
) -> Result<(ProfileRow, BackupReport), BackupError> {
    let file = File::open(path).map_err(|source| BackupError::Io {
        path: path.to_owned(),
        source,
    })?;
    let bytes = file.metadata().map(|metadata| metadata.len());
    let mut import = Import {
        path,
        now_ms: unix_ms(),
        profile: None,
        report: BackupReport::default(),
        contacts: Vec::new(),
        sessions: Vec::new(),
    };
    let mut reader = import.open(BufReader::new(file), passphrase)?;
    import.read_rows(store, &mut reader)?;
    let batch = store.begin()?;
    import.begin_sessions(&batch)?;
    let profile = import.profile.take();
    let profile = profile.ok_or_else(|| import.damaged("it has no profile"))?;
    batch.put_profile(&profile)?;
    batch.commit()?;
    let report = BackupReport {
        bytes: bytes.unwrap_or_default(),
        ..import.report
    };
    Ok((profile, report))
}

struct Import<'a> {
    path: &'a Path,
    now_ms: u64,
    profile: Option<ProfileRow>,
    report: BackupReport,
    /// Keys of the conversations, and of those whose sessions are there.
    contacts: Vec<Bytes>,
    sessions: Vec<Bytes>,
}

impl Import<'_> {
    fn open<R: Read>(&self, file: R, passphrase: &str) -> Result<SealedReader<R>, BackupError> {
        let path = self.path.to_owned();
        let mut reader = SealedReader::new(file, passphrase).map_err(|error| match error {
            OpenError::NotABackup => BackupError::NotABackup { path },
            OpenError::Cost(error) => self.damaged(error),
            OpenError::Io(error) => self.failed(error),
        })?;
        if reader.opens().map_err(|error| self.failed(error))? {
            Ok(reader)
        } else {
            let path = self.path.to_owned();
            Err(BackupError::WrongPassphrase { path })
        }
    }

    fn read_rows(&mut self, store: &Store, from: &mut impl Read) -> Result<(), BackupError> {
        let head: Option<Head> = records::read(from).map_err(|error| self.failed(error))?;
        let head = head.ok_or_else(|| self.damaged("it is empty"))?;
        if head.schema > SCHEMA_VERSION {
            let path = self.path.to_owned();
            return Err(BackupError::Newer { path });
        }
        let mut is_at_end = false;
        while !is_at_end {
            let batch = store.begin()?;
            let mut loading = batch.loading()?;
            let mut bytes = 0;
            while bytes < BATCH_BYTES {
                let row: Option<Row> = records::read(from).map_err(|error| self.failed(error))?;
                let Some(row) = row else {
                    is_at_end = true;
                    break;
                };
                bytes += row.key.len() + row.value.len();
                self.report.count(&row.table, &row.value);
                self.take(&mut loading, &row)?;
            }
            drop(loading);
            // What is older is brought up to date when the database is opened next.
            batch.put_schema(head.schema)?;
            batch.commit()?;
        }
        Ok(())
    }

    fn take(&mut self, loading: &mut Loading<'_>, row: &Row) -> Result<(), BackupError> {
        let key = row.key.clone();
        let value = match row.table.as_str() {
            PROFILE_TABLE => {
                self.profile = Some(self.new_device(&row.value)?);
                return Ok(());
            }
            CONTACTS_TABLE => {
                let _: ContactRow = self.json(&row.value)?;
                self.contacts.push(key.clone());
                row.value.clone()
            }
            SESSIONS_TABLE => {
                self.sessions.push(key.clone());
                let snapshot =
                    Snapshot::decode(row.value.clone()).map_err(|error| self.damaged(error))?;
                self.go_on(snapshot).encode_to_vec().into()
            }
            LEFT_TABLE => self.left_further_on(&row.value)?,
            OUTBOX_TABLE => {
                loading.put(OUTBOX_ENVELOPES_TABLE, &key, &[])?;
                let meta: OutboxMeta = self.json(&row.value)?;
                let unsealed = OutboxMeta {
                    id: EnvelopeId::of(&[]),
                    pending: true,
                    at_relay: false,
                    ..meta
                };
                let json = serde_json::to_vec(&unsealed).map_err(|error| self.damaged(error))?;
                json.into()
            }
            _ => row.value.clone(),
        };
        loading.put(&row.table, &key, &value)?;
        Ok(())
    }

    fn new_device(&self, value: &[u8]) -> Result<ProfileRow, BackupError> {
        let mut profile: ProfileRow = self.json(value)?;
        profile.device_seed = rand::random();
        let device = DeviceKey::from_seed(&profile.device_seed).device();
        let identity = Phrase::from_entropy(profile.entropy).identity_key();
        profile.cert = DeviceCert::issue(&identity, device, self.now_ms).encode();
        profile.first_seq = self.seq_after(profile.first_seq);
        profile.has_stale_packages = true;
        Ok(profile)
    }

    /// Above every number that the lost device can have given out, which knew of this one.
    fn seq_after(&self, next_seq: u64) -> u64 {
        let lost = next_seq.saturating_add(SEQS_LOST);
        lost.max(seq_after_loss(self.now_ms))
    }

    fn go_on(&self, snapshot: Snapshot) -> Snapshot {
        let next_seq = self.seq_after(snapshot.next_seq);
        let snapshot = Snapshot {
            // Envelopes that nobody has any more.
            resend_asks: Vec::new(),
            resend_ids: Vec::new(),
            resend_wanted: Vec::new(),
            ..snapshot
        };
        snapshot.continued_at(next_seq)
    }

    fn left_further_on(&self, value: &Bytes) -> Result<Bytes, BackupError> {
        let left =
            read_left(value).ok_or_else(|| self.damaged("a row of table left is too short"))?;
        let next_seq = self.seq_after(left.next_seq);
        Ok(left_bytes(LeftAt { next_seq, ..left }).to_vec().into())
    }

    /// Also where nothing had been said when the backup was made.
    fn begin_sessions(&self, batch: &Batch) -> Result<(), BackupError> {
        let mut loading = batch.loading()?;
        let fresh = Snapshot {
            next_seq: 1,
            next_shown: 1,
            ..Snapshot::default()
        };
        let fresh = self.go_on(fresh).encode_to_vec();
        for key in &self.contacts {
            if !self.sessions.contains(key) {
                loading.put(SESSIONS_TABLE, key, &fresh)?;
            }
        }
        Ok(())
    }

    fn json<T: serde::de::DeserializeOwned>(&self, value: &[u8]) -> Result<T, BackupError> {
        serde_json::from_slice(value).map_err(|error| self.damaged(error))
    }

    fn failed(&self, source: std::io::Error) -> BackupError {
        match source.kind() {
            std::io::ErrorKind::InvalidData => self.damaged(source),
            _ => BackupError::Io {
                path: self.path.to_owned(),
                source,
            },
        }
    }

    fn damaged(&self, detail: impl ToString) -> BackupError {
        BackupError::Damaged {
            path: self.path.to_owned(),
            detail: detail.to_string(),
        }
    }
}
