//! Everything in one file.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::peer::Peer;
use crate::rpc::error::RpcError;
use crate::rpc::method::Method;
use crate::rpc::objects::BackupObject;

/// Writes a backup: identity, contacts and all that was said, under a passphrase. `peer backup import` makes a
/// profile of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    /// The file, by its whole path; it must not be there yet.
    file: String,
    /// What it is to be opened with.
    passphrase: String,
}

impl Method for Export {
    const NAME: &'static str = "backup.export";
    const ONCE: bool = true;
    const LONG: bool = true;
    type Answer = BackupObject;

    async fn call(self, peer: &Peer) -> Result<BackupObject, RpcError> {
        let file = Path::new(&self.file);
        if !file.is_absolute() {
            return Err(RpcError::usage(
                format!("{} is not the whole path of a file", self.file),
                "begin it with /: it is written by the process that runs the profile, wherever that is",
            ));
        }
        let report = peer.export_backup(file, &self.passphrase).await?;
        Ok(BackupObject::of(&self.file, report))
    }
}
