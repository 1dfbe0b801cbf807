//! What is in a backup.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tags;
use crate::BackupReport;

tags!(BackupTag = "backup");

/// A backup that was written, or that a profile was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupObject {
    /// `"backup"`.
    #[serde(rename = "type")]
    pub kind: BackupTag,
    /// The file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Everybody who is known, also who only asks or is blocked.
    pub contacts: u64,
    /// Messages of both sides.
    pub messages: u64,
}

impl BackupObject {
    pub(crate) fn of(file: &str, report: BackupReport) -> Self {
        Self {
            kind: Default::default(),
            file: file.to_owned(),
            bytes: report.bytes,
            contacts: report.contacts,
            messages: report.messages,
        }
    }
}
