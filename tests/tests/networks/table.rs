//! The tables of `docs/connectivity.md`: outcomes that must be as they stand there, and times, which
//! are what was measured once.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};

/// Set to have the tests write what they find, instead of comparing it.
const WRITE: &str = "E2E_WRITE_CONNECTIVITY";

/// Begins the line that says when and where the times were measured.
const MEASURED: &str = "Measured on";

/// A row: its first cells name it, the next one is its outcome, and the rest was measured.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: Vec<String>,
    pub(crate) outcome: String,
    pub(crate) measured: Vec<String>,
}

/// Compares rows with those of the document, or writes them there.
pub(crate) fn settle(rows: &[Row]) -> Result<()> {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/connectivity.md"
    ));
    let writing = std::env::var_os(WRITE).is_some();
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    // Other tests write rows of their own.
    file.lock()?;
    let document = fs::read_to_string(&path)?;
    let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
    for row in rows {
        eprintln!("{}", row.line());
        let line = lines.iter_mut().find(|line| row.is_named_by(line));
        let line = line.with_context(|| format!("docs/connectivity.md has no {:?}", row.name))?;
        if writing {
            *line = row.line();
        } else {
            row.compare(line)?;
        }
    }
    if writing {
        let measured = lines.iter_mut().find(|line| line.starts_with(MEASURED));
        *measured.context("no line of date and hardware")? = date_and_hardware()?;
        fs::write(&path, lines.join("\n") + "\n")?;
    }
    Ok(())
}

impl Row {
    pub(crate) fn new(name: &[&str], outcome: &str, measured: &[String]) -> Self {
        Self {
            name: name.iter().map(|&cell| cell.to_owned()).collect(),
            outcome: outcome.to_owned(),
            measured: measured.to_vec(),
        }
    }

    fn line(&self) -> String {
        let outcome = std::slice::from_ref(&self.outcome);
        let cells = [&self.name[..], outcome, &self.measured[..]].concat();
        format!("| {} |", cells.join(" | "))
    }

    fn is_named_by(&self, line: &str) -> bool {
        let cells = cells(line);
        cells.len() > self.name.len()
            && cells
                .iter()
                .zip(&self.name)
                .all(|(cell, name)| cell == name)
    }

    fn compare(&self, line: &str) -> Result<()> {
        let cells = cells(line);
        let documented = cells.get(self.name.len()).copied().unwrap_or_default();
        if documented != self.outcome {
            bail!(
                "docs/connectivity.md has {documented:?} for {:?}, but it is {:?}; {WRITE}=1 rewrites it",
                self.name,
                self.outcome
            );
        }
        let (there, here) = (cells.len(), self.name.len() + 1 + self.measured.len());
        ensure!(there == here, "{there} cells instead of {here}: {line}");
        Ok(())
    }
}

fn cells(line: &str) -> Vec<&str> {
    let inside = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'));
    let cells = inside.into_iter().flat_map(|line| line.split('|'));
    cells.map(str::trim).collect()
}

/// As the tables have times.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn date_and_hardware() -> Result<String> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let date = now.split('T').next().context("no date")?;
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| Some(line.split_once(':')?.1.trim()));
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    Ok(format!(
        "{MEASURED} {date} on {cores} cores of {}, Linux {kernel}.",
        model.unwrap_or("an unknown processor")
    ))
}
