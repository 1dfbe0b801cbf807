//! Where the programs are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};

/// A program of this workspace.
#[derive(Clone, Copy, Debug)]
pub enum Binary {
    /// `peer`
    Peer,
    /// `signal-server`
    SignalServer,
    /// `relay`
    Relay,
}

impl Binary {
    const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::SignalServer => "signal-server",
            Self::Relay => "relay",
        }
    }

    /// The program, beside the one that is running.
    ///
    /// # Errors
    /// If it has not been built, or not since its sources have changed: cargo builds tests without the
    /// programs of other packages, and what is tested must not be yesterday's.
    pub fn path(self) -> Result<PathBuf> {
        let path = folder()?.join(self.name());
        let Ok(built) = modified(&path) else {
            bail!("{} is not built; {BUILD}", path.display());
        };
        for source in sources(&path.with_extension("d"))? {
            // What is gone is for the next build to complain about.
            if modified(&source).is_ok_and(|changed| changed > built) {
                let (path, source) = (path.display(), source.display());
                bail!("{path} is older than {source}; {BUILD}");
            }
        }
        Ok(path)
    }
}

/// In the profile of the test.
const BUILD: &str = if cfg!(debug_assertions) {
    "run `cargo build --workspace --bins` first"
} else {
    "run `cargo build --release --workspace --bins` first"
};

fn modified(path: &Path) -> std::io::Result<SystemTime> {
    std::fs::metadata(path)?.modified()
}

/// What a program was made of, after cargo's dep-info: `program: source source`, as in a makefile.
fn sources(dep_info: &Path) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(dep_info).context("dep-info")?;
    let (_, sources) = text.split_once(": ").context("dep-info has no sources")?;
    // A space that belongs to a name is escaped.
    let joined = sources.trim_end().replace("\\ ", "\0");
    let sources = joined.split(' ').map(|path| path.replace('\0', " ").into());
    Ok(sources.collect())
}

/// Builds the programs: `cargo run --bin demo` alone builds only the demo.
///
/// # Errors
/// If cargo fails.
pub fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace, as `cargo run` and the tests select it: with a selection of its own cargo
    // would build the dependencies again with other features.
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--bins"]);
    // In the profile of whoever asks.
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // `cargo run` has told this program about its package. Build scripts that watch these variables (that of
    // ring does) would run again, and with them half of the build.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let status = command.current_dir(workspace).status().context("cargo")?;
    if !status.success() {
        bail!("the programs were not built");
    }
    Ok(())
}

/// `target/debug`, say, whether a test (in `deps`) or a program asks.
fn folder() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let mut folder = exe.parent().context("no folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("no folder")?;
    }
    Ok(folder.to_owned())
}
