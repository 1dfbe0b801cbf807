//! The key file of a profile.

use std::fs;
use std::sync::LazyLock;

use tincan_peer::{OpenError, Peer};
use tokio::runtime::Runtime;

use super::profile;

/// Bytes that an error may have beside a part of the file.
const ERROR_MAX: usize = 1024;

struct Closed {
    runtime: Runtime,
    home: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

static CLOSED: LazyLock<Closed> = LazyLock::new(|| {
    let (folder, home) = profile::make();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    Closed {
        runtime: runtime.unwrap(),
        home,
        _folder: folder,
    }
});

/// Any bytes in the place of the key file: the profile is not opened with them, and they stay.
///
/// No passphrase is given, so that no input can ask for a gigabyte of Argon2id.
pub fn key_file(data: &[u8]) {
    let path = CLOSED.home.join("key.json");
    fs::write(&path, data).unwrap();
    let opened = Peer::builder().home(&CLOSED.home).offline().spawn();
    let error = match CLOSED.runtime.block_on(opened) {
        Ok(_) => panic!("opened with a key that nobody made"),
        Err(error) => error,
    };
    assert!(!matches!(error, OpenError::State(_)), "{error}");
    let text = error.to_string();
    assert!(text.len() <= data.len() + ERROR_MAX, "{text}");
    assert_eq!(fs::read(&path).unwrap(), data, "the file was changed");
}
