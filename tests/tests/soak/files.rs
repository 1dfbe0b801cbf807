//! How large databases are.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// The one database in a folder.
pub(crate) fn database(folder: &Path) -> Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "redb")
        {
            return Ok(path);
        }
    }
    anyhow::bail!("no database in {}", folder.display())
}

/// What a file takes of the disk: one that was made longer and not yet written takes nothing there.
pub(crate) fn on_disk(file: &Path) -> Result<u64> {
    // stat(2) counts in units of 512 bytes, whatever the disk's blocks are.
    Ok(file.metadata()?.blocks() * 512)
}
