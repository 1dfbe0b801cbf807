//! A profile for one process.

use std::path::PathBuf;

use tempfile::TempDir;
use tincan_peer::{NewProfile, Peer, ServerUrl};

/// In memory where there is such a folder: nobody needs these profiles after a power cut, and every
/// commit would wait for the disk.
const MEMORY: &str = "/dev/shm";

/// A folder with a new profile. It goes when the value does.
pub(super) fn make() -> (TempDir, PathBuf) {
    let folder = match std::fs::metadata(MEMORY) {
        Ok(_) => tempfile::tempdir_in(MEMORY),
        Err(_) => tempfile::tempdir(),
    };
    let folder = folder.unwrap();
    let home = folder.path().join("ann");
    let url: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
    let new = NewProfile {
        name: "ann".to_owned(),
        signal_servers: vec![url.clone()],
        relay: url,
        restore: None,
    };
    Peer::builder().home(&home).init(new).unwrap();
    (folder, home)
}
