//! The socket of a profile: in its folder, and between processes of one user only.
//!
//! The folder is this user's alone, so nobody else can connect or put a socket of theirs there; both
//! ends look at who the other one is all the same.

use std::fs::{File, Permissions};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tokio::net::{UnixListener, UnixStream};

use crate::home::Home;

const NAME: &str = "peer.sock";

/// Where the socket is.
pub(super) fn path(home: &Home) -> PathBuf {
    home.path().join(NAME)
}

/// Opens it. A file that an ended process has left there is replaced: the home's lock says that
/// nobody else serves it.
pub(super) fn listen(home: &Home) -> Result<UnixListener> {
    match std::fs::remove_file(path(home)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let address = Address::of(home)?;
    let listener = UnixListener::bind(&address.path)?;
    std::fs::set_permissions(&address.path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to whoever serves it, if that is this user.
pub(super) async fn connect(home: &Home) -> Result<UnixStream> {
    let address = Address::of(home)?;
    let stream = UnixStream::connect(&address.path).await?;
    check(&stream)?;
    Ok(stream)
}

/// Makes sure that the other end is a process of this user.
pub(super) fn check(stream: &UnixStream) -> Result<()> {
    let uid = stream.peer_cred()?.uid();
    if uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let reason = format!("the other end belongs to user {uid}");
    Err(Error::new(ErrorKind::PermissionDenied, reason))
}

/// How the socket is named to the system.
struct Address {
    path: PathBuf,
    _folder: File,
}

impl Address {
    /// On Linux by way of the open folder: a socket's path may have no more than 107 bytes there, and
    /// a folder's has often more. It also leads nowhere but into the folder that was checked.
    fn of(home: &Home) -> Result<Self> {
        let folder = home.open().map_err(Error::other)?;
        let path = if cfg!(target_os = "linux") {
            PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(NAME)
        } else {
            path(home)
        };
        Ok(Self {
            path,
            _folder: folder,
        })
    }
}

#[cfg(test)]
#[allow(clippy::print_stderr, reason = "a test that cannot be made says so")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    #[tokio::test]
    async fn regression_a_long_path_needs_no_folder_that_others_use() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("long".repeat(30)).join("a"));
        home.create().unwrap();
        let listener = listen(&home).unwrap();
        assert!(path(&home).as_os_str().len() > 107);
        assert_eq!(fs::metadata(path(&home)).unwrap().mode() & 0o777, 0o600);
        let (accepted, connected) = tokio::join!(listener.accept(), connect(&home));
        check(&accepted.unwrap().0).unwrap();
        connected.unwrap();
    }

    #[tokio::test]
    async fn what_an_ended_process_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        drop(listen(&home).unwrap());
        connect(&home).await.unwrap_err();
        let _listener = listen(&home).unwrap();
        connect(&home).await.unwrap();
    }

    #[tokio::test]
    async fn the_socket_in_a_folder_that_others_use_is_not_connected_to() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let _listener = listen(&home).unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        connect(&home).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_process_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("not tried: only root can be somebody else");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let listener = listen(&home).unwrap();
        // Somebody has opened it.
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(path(&home), Permissions::from_mode(0o666)).unwrap();
        let path = path(&home);
        // The user of this thread alone, which ends with it.
        let other = std::thread::spawn(move || {
            rustix::thread::set_thread_uid(rustix::thread::Uid::from_raw(65_534)).unwrap();
            std::os::unix::net::UnixStream::connect(path).unwrap()
        });
        let (accepted, _) = listener.accept().await.unwrap();
        let error = check(&accepted).unwrap_err();
        assert!(error.to_string().contains("65534"), "{error}");
        drop(other.join());
    }
}
