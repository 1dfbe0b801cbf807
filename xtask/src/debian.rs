//! Installing Debian packages, without starting the services in them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cargo::Program;
use crate::output;

/// Asked by Debian's packages before they start a service; 101 forbids it (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";
const POLICY_TEXT: &str = "#!/bin/sh\nexit 101\n";

/// Where programs of system administration are, which a plain user's path may lack.
const ADMIN_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A package and a program of it.
#[derive(Debug)]
pub(crate) struct Package {
    /// Debian's name.
    pub(crate) name: &'static str,
    /// If this program is there, the package is.
    pub(crate) program: &'static str,
}

/// Installs the packages that are missing.
///
/// # Errors
/// If there are any and this user or system cannot install them; the error names them.
pub(crate) fn install(packages: &[Package]) -> anyhow::Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| !is_there(package.program))
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        output::note("Debian packages: nothing to install");
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_root() || !is_there("apt-get") {
        bail!(
            "missing programs from these Debian packages: {names}; install them as root: \
             apt-get install --no-install-recommends {names}"
        );
    }
    apt_install(&missing).with_context(|| format!("cannot install the Debian packages {names}"))
}

fn apt_install(names: &[&str]) -> anyhow::Result<()> {
    // A package source that does not answer is no reason to stop: the others may be enough.
    if let Err(error) = apt_get(&["update"]).run() {
        output::note(&format!(
            "{error:#}; going on with the package lists that are there"
        ));
    }
    {
        let _policy = StartNoServices::begin(Path::new(POLICY))?;
        apt_get(&["install", "--yes", "--no-install-recommends"])
            .args(names)
            .run()?;
    }
    // Nor at the next boot: the tests start their own coturn, on their own ports.
    if names.contains(&"coturn")
        && let Err(error) = Program::new("update-rc.d", &["coturn", "disable"]).run()
    {
        output::note(&format!(
            "{error:#}; Debian's coturn may start at the next boot"
        ));
    }
    Ok(())
}

fn apt_get(args: &[&str]) -> Program {
    Program::new("apt-get", &["-qq", "--option", "DPkg::Lock::Timeout=300"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ADMIN_FOLDERS.iter().map(Into::into))
        .any(|folder| folder.join(program).is_file())
}

pub(crate) fn is_root() -> bool {
    // A process's folder belongs to its effective user.
    fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}

/// While it lives, no package starts its service. A policy that the system already has stays.
struct StartNoServices {
    ours: Option<PathBuf>,
}

impl StartNoServices {
    fn begin(policy: &Path) -> anyhow::Result<Self> {
        if policy.exists() {
            return Ok(Self { ours: None });
        }
        let write = || {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o755)
                .open(policy)?;
            file.write_all(POLICY_TEXT.as_bytes())
        };
        write().with_context(|| format!("cannot write {}", policy.display()))?;
        Ok(Self {
            ours: Some(policy.to_owned()),
        })
    }
}

impl Drop for StartNoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.ours
            && let Err(error) = fs::remove_file(policy)
        {
            output::note(&format!(
                "remove {0}, or no package will start its service: {error}",
                policy.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-here"));
    }

    #[test]
    fn nothing_is_done_where_nothing_is_missing() {
        install(&[Package {
            name: "dash",
            program: "sh",
        }])
        .unwrap();
    }

    #[test]
    fn the_policy_against_services_goes_and_one_that_was_there_stays() {
        let policy = std::env::temp_dir().join(format!("tincan-policy-{}", std::process::id()));
        let first = StartNoServices::begin(&policy).unwrap();
        assert_eq!(fs::metadata(&policy).unwrap().mode() & 0o700, 0o700);
        drop(StartNoServices::begin(&policy).unwrap());
        assert!(policy.exists());
        drop(first);
        assert!(!policy.exists());
    }
}
