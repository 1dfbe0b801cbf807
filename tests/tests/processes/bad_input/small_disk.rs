//! A small disk of its own, in memory.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// It is unmounted when it goes.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many bytes. None, with the reason on stderr, if the system refuses.
    pub(crate) fn mount(bytes: u64) -> Option<Self> {
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let options = format!("size={bytes},mode=700");
        let mount = mount(&["-t", "tmpfs", "-o", &options, "tincan-test"], disk.path());
        if let Err(reason) = mount {
            // For root, whom CI runs as, there is no excuse.
            assert!(!rustix::process::getuid().is_root(), "{reason}");
            skip(&reason);
            return None;
        }
        Some(disk)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Until not a byte fits any more.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        let error = loop {
            if let Err(error) = file.write_all(&[7; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    /// Makes room.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    pub(crate) fn set_read_only(&self, read_only: bool) {
        let option = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        mount(&["-o", option], self.path()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what is still open there goes with its process.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(args: &[&str], at: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(args).arg(at).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[allow(
    clippy::print_stderr,
    reason = "the one who runs the test must learn of it"
)]
fn skip(reason: &str) {
    eprintln!("SKIPPED: no disk can be mounted here (it needs CAP_SYS_ADMIN): {reason}");
}
