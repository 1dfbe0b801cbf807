//! The tables of `docs/connectivity.md`: outcomes that must be as they stand there, times that must be
//! below the ceilings that stand there, and what was measured once, which is compared with nothing.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};

/// Set to have the tests write what they find. Ceilings are left as they are.
const WRITE: &str = "E2E_WRITE_CONNECTIVITY";

/// Begins the line that says when and where the times were measured.
const MEASURED: &str = "Measured on";

/// Stands before a ceiling, which ends the part of a cell that says how long something took.
const BELOW: &str = " (< ";

/// A cell for what never comes.
const NEVER: &str = "none";

/// A row: its first cells name it, the next one is its outcome, and the rest are times.
#[derive(Debug)]
pub(crate) struct Row {
    name: Vec<String>,
    outcome: String,
    times: Vec<Vec<Time>>,
    flaw: Option<String>,
}

/// How long something took; `None` if it never comes.
#[derive(Debug)]
pub(crate) struct Time {
    what: String,
    took: Option<Duration>,
}

/// Finds a row, and compares it with the document or writes it there. The machine may be busy for a moment
/// with something else: what was too late, or has a flaw, is found once more.
pub(crate) async fn settle<F>(find: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<Row>>,
{
    let Some(late) = find().await?.settle()? else {
        return Ok(());
    };
    eprintln!("{late}; once more");
    match find().await?.settle()? {
        None => Ok(()),
        Some(again) => bail!("{late}; and then {again}"),
    }
}

impl Time {
    pub(crate) fn new(what: &str, took: impl Into<Option<Duration>>) -> Self {
        Self {
            what: what.to_owned(),
            took: took.into(),
        }
    }
}

impl Row {
    /// Times stand in cells, some of them together in one.
    pub(crate) fn new(name: &[&str], outcome: &str, times: Vec<Vec<Time>>) -> Self {
        Self {
            name: name.iter().map(|&cell| cell.to_owned()).collect(),
            outcome: outcome.to_owned(),
            times,
            flaw: None,
        }
    }

    /// The same with something that is not as it should be.
    pub(crate) fn with_flaw(self, flaw: Option<&str>) -> Self {
        Self {
            flaw: flaw.map(str::to_owned),
            ..self
        }
    }

    /// Returns what is later than it should be, or the flaw.
    fn settle(&self) -> Result<Option<String>> {
        let path = PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../docs/connectivity.md"
        ));
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        // Other tests write rows of their own.
        file.lock()?;
        let document = fs::read_to_string(&path)?;
        let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
        let line = lines.iter_mut().find(|line| self.is_named_by(line));
        let line = line.with_context(|| format!("docs/connectivity.md has no {:?}", self.name))?;
        let writing = std::env::var_os(WRITE).is_some();
        if !writing {
            self.compare(line)?;
        }
        let ceilings = self.ceilings(line)?;
        let found = self.line(&ceilings);
        eprintln!("{found}");
        let late = self.late(&ceilings).or_else(|| self.flaw.clone());
        if let Some(late) = late {
            return Ok(Some(format!("{:?}: {late}", self.name)));
        }
        if writing {
            *line = found;
            let measured = lines.iter_mut().find(|line| line.starts_with(MEASURED));
            *measured.context("no line of date and hardware")? = date_and_hardware()?;
            fs::write(&path, lines.join("\n") + "\n")?;
        }
        Ok(None)
    }

    fn is_named_by(&self, line: &str) -> bool {
        let cells = cells(line);
        cells.len() > self.name.len()
            && cells
                .iter()
                .zip(&self.name)
                .all(|(cell, name)| cell == name)
    }

    /// As it stands in the document, in the order of the times; `None` for what never comes.
    fn ceilings(&self, line: &str) -> Result<Vec<Option<Duration>>> {
        let cells = cells(line);
        let cells = cells.get(self.name.len() + 1..).unwrap_or_default();
        let there = cells.iter().flat_map(|cell| cell.split(", "));
        let there: Vec<&str> = there.collect();
        let here: Vec<&Time> = self.times.iter().flatten().collect();
        ensure!(there.len() == here.len(), "not {here:?}: {line}");
        let ceilings = here.iter().zip(there).map(|(time, part)| {
            ensure!(part.starts_with(&time.what), "not {time:?}: {line}");
            ceiling(part).with_context(|| line.to_owned())
        });
        ceilings.collect()
    }

    /// The first time that is not below its ceiling.
    fn late(&self, ceilings: &[Option<Duration>]) -> Option<String> {
        let mut times = self.times.iter().flatten().zip(ceilings);
        let late = times.find(|(time, ceiling)| match (time.took, ceiling) {
            (Some(took), Some(ceiling)) => took >= *ceiling,
            (took, ceiling) => took.is_some() != ceiling.is_some(),
        });
        late.map(|(time, ceiling)| format!("not below {ceiling:?}: {time:?}"))
    }

    fn line(&self, ceilings: &[Option<Duration>]) -> String {
        let mut ceilings = ceilings.iter();
        let times = self.times.iter().map(|cell| {
            let parts: Vec<String> = cell
                .iter()
                .zip(ceilings.by_ref())
                .map(|(time, ceiling)| part(time, *ceiling))
                .collect();
            parts.join(", ")
        });
        let mut cells = self.name.clone();
        cells.push(self.outcome.clone());
        cells.extend(times);
        format!("| {} |", cells.join(" | "))
    }

    fn compare(&self, line: &str) -> Result<()> {
        let cells = cells(line);
        let documented = cells.get(self.name.len()).copied().unwrap_or_default();
        ensure!(
            documented == self.outcome,
            "docs/connectivity.md has {documented:?} for {:?}, but it is {:?}; {WRITE}=1 rewrites it",
            self.name,
            self.outcome
        );
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

/// Of a part of a cell.
fn ceiling(part: &str) -> Result<Option<Duration>> {
    if part == NEVER {
        return Ok(None);
    }
    let (_, ceiling) = part.rsplit_once(BELOW).context("no ceiling")?;
    let seconds = ceiling.strip_suffix(" s)").context("no seconds")?;
    Ok(Some(Duration::from_secs(seconds.parse()?)))
}

/// A part of a cell.
fn part(time: &Time, ceiling: Option<Duration>) -> String {
    let (Some(took), Some(ceiling)) = (time.took, ceiling) else {
        return NEVER.to_owned();
    };
    let (took, ceiling) = (took.as_secs_f64(), ceiling.as_secs());
    format!("{} {took:.2} s{BELOW}{ceiling} s)", time.what)
        .trim_start()
        .to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "| a line | direct | first after 0.50 s (< 2 s), last after 3.00 s (< 4 s) | none |";

    fn found(first: u64, last: u64) -> Row {
        let after = |what, ms| Time::new(what, Duration::from_millis(ms));
        let both = vec![after("first after", first), after("last after", last)];
        Row::new(&["a line"], "direct", vec![both, vec![Time::new("", None)]])
    }

    #[test]
    fn a_row_is_read_as_it_is_written() {
        let row = found(500, 3_000);
        let ceilings = row.ceilings(LINE).unwrap();
        assert!(row.is_named_by(LINE));
        assert_eq!(row.line(&ceilings), LINE);
        row.compare(LINE).unwrap();
    }

    #[test]
    fn what_is_not_as_the_document_has_it_is_found() {
        let late = |row: Row| row.late(&row.ceilings(LINE).unwrap()).is_some();
        assert!(!late(found(1_999, 3_999)));
        assert!(late(found(2_000, 3_999)));
        assert!(late(found(1_999, 4_000)));
        let mut comes = found(500, 3_000);
        comes.times[1][0].took = Some(Duration::ZERO);
        assert!(late(comes));
        let mut never = found(500, 3_000);
        never.times[0][0].took = None;
        assert!(late(never));

        let mut other = found(500, 3_000);
        "TURN".clone_into(&mut other.outcome);
        other.compare(LINE).unwrap_err();
        let no_ceiling = LINE.replace(" (< 4 s)", "");
        found(500, 3_000).ceilings(&no_ceiling).unwrap_err();
        let something_else = LINE.replace("last after", "then after");
        found(500, 3_000).ceilings(&something_else).unwrap_err();
    }
}
