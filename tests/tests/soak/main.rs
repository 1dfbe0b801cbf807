//! What grows and what does not: many messages, many that wait at a relay, many reconnects, and a peer that has nothing to do.
//!
//! | variable | |
//! |---|---|
//! | `SOAK_MESSAGES` | messages between the two (default 80,000; the long form is 2,000,000) |
//! | `SOAK_WAITING` | messages that wait at the relay for one who is away (default 24,000; the long form is 240,000) |
//! | `SOAK_RECONNECTS` | how often they connect again (default 19; the long form is 500) |
//! | `SOAK_IDLE_S` | seconds of doing nothing that are measured (default 20; the long form is 120) |
//! | `SOAK_OUT` | a folder for `soak.csv`, `soak.svg` and `reconnects.csv`; made if it is not there |
//! | `E2E_KEEP` | keeps the folder with all logs and profiles |
//!
//! ```text
//! SOAK_MESSAGES=2000000 SOAK_WAITING=240000 SOAK_RECONNECTS=500 SOAK_IDLE_S=120 SOAK_OUT=target/soak \
//!     cargo test --release --workspace --test soak -- --nocapture --test-threads 1
//! ```
//!
//! "Flat", for memory: the median of the last third of all samples is not above that of the middle
//! third by more than [`series::NOISE_KIB`] (and a few KiB for each reconnect between the two). The
//! first third is left out: caches fill in it. For descriptors and threads the same with
//! [`series::FEW`]. The memory of peers that write is compared from the first third on, and what keeps the
//! history must grow, with the messages and no faster: see [`messages`].

mod files;
mod idle;
mod links;
mod mailboxes;
mod member;
mod messages;
mod picture;
mod reconnects;
mod series;
mod talker;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The value of a variable, or what stands for it.
fn variable<T>(name: &'static str, default: T) -> Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let value = std::env::var(name).ok();
    let value = value.map(|value| value.parse().context(name)).transpose()?;
    Ok(value.unwrap_or(default))
}

/// For logs and profiles.
fn folder() -> Result<tempfile::TempDir> {
    let keep = std::env::var_os("E2E_KEEP").is_some();
    let mut builder = tempfile::Builder::new();
    Ok(builder.prefix("tincan-").disable_cleanup(keep).tempdir()?)
}

/// Where figures go, if somebody wants them.
fn out(file: &str) -> Result<Option<PathBuf>> {
    let Some(folder) = std::env::var_os("SOAK_OUT").map(PathBuf::from) else {
        return Ok(None);
    };
    // Tests run in their package's folder, people are in the workspace's.
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    std::fs::create_dir_all(&folder)?;
    Ok(Some(folder.join(file)))
}

#[allow(clippy::print_stdout, reason = "figures are for people")]
fn print(line: &str) {
    println!("{line}");
}
