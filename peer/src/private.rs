//! Opening the files of a profile so that they are this user's alone.
//!
//! A file that somebody else has put there, or to which a link leads, is not used: it could be read
//! later, or hold another key. One that others may read is closed to them.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// What a file may allow: reading and writing, to its owner.
const FILE_MODE: u32 = 0o600;

/// The permissions of a group and of everybody.
const OTHERS: u32 = 0o077;

/// Opens a plain file of this user; one that is made is closed to others from the start.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    // Without blocking: a pipe would wait for its other end.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options
        .mode(FILE_MODE)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => refused("it is a symbolic link; put the file itself there"),
            _ => error,
        })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused("it is not a plain file"));
    }
    if !is_ours(&metadata) {
        return Err(refused("it belongs to another user"));
    }
    if is_open_to_others(&metadata) {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// Whether it belongs to the user who runs this process.
pub(crate) fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Whether others may do anything with it.
pub(crate) fn is_open_to_others(metadata: &Metadata) -> bool {
    metadata.mode() & OTHERS != 0
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_private_and_an_open_one_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        open(&new, File::options().create(true).write(true)).unwrap();
        assert_eq!(mode(&new), 0o600);
        fs::write(&old, "x").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
        open(&old, File::options().read(true)).unwrap();
        assert_eq!(mode(&old), 0o600);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "x").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let error = open(&link, File::options().read(true)).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        open(&target, File::options().read(true)).unwrap();
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(FILE_MODE);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let error = open(&path, File::options().read(true)).unwrap_err();
        assert!(error.to_string().contains("not a plain file"), "{error}");
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        // The file of a root that is not us; root finds one that belongs to somebody else.
        let folder = tempfile::tempdir().unwrap();
        let path = if rustix::process::geteuid().is_root() {
            let path = folder.path().join("theirs");
            fs::write(&path, "x").unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            path
        } else {
            "/etc/passwd".into()
        };
        let error = open(&path, File::options().read(true)).unwrap_err();
        assert!(error.to_string().contains("another user"), "{error}");
    }
}
