//! What the user sees: everything that this program prints is printed here. The steps' own output
//! goes straight to the terminal.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the one place that prints"
)]

use std::fmt;
use std::time::Duration;

/// One line of the closing table.
#[derive(Debug)]
pub(crate) struct Line {
    /// The step's name.
    pub(crate) name: &'static str,
    /// How long it took.
    pub(crate) took: Duration,
    /// What the user should know although the step did not fail.
    pub(crate) note: Option<String>,
}

/// Begins a step.
pub(crate) fn heading(name: &str) {
    eprintln!("\n==== {name}");
}

/// Ends a step that passed.
pub(crate) fn done(line: &Line) {
    eprintln!("---- {}", row(line));
}

/// Shows a command before it runs.
pub(crate) fn command(command: &impl fmt::Display) {
    eprintln!("$ {command}");
}

/// Shows something that a step found out.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

/// The closing table, if there is more than one line to show.
pub(crate) fn table(lines: &[Line]) {
    if lines.len() < 2 {
        return;
    }
    let took = lines.iter().map(|line| line.took).sum();
    eprintln!();
    for line in lines {
        eprintln!("{}", row(line));
    }
    eprintln!(
        "{}",
        row(&Line {
            name: "all",
            took,
            note: None
        })
    );
}

/// The error that ended the run, with its causes.
pub(crate) fn failure(error: &anyhow::Error) {
    eprintln!("\nfailed: {error:#}");
}

/// Help that was asked for.
pub(crate) fn help(text: &str) {
    println!("{text}");
}

/// Help that was not asked for.
pub(crate) fn wrong_use(error: &impl fmt::Display, help: &str) {
    eprintln!("{error}\n\n{help}");
}

fn row(line: &Line) -> String {
    let row = format!("{:<12} {:>7.1} s", line.name, line.took.as_secs_f64());
    match &line.note {
        Some(note) => format!("{row}  {note}"),
        None => row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_step_duration_and_note() {
        let mut line = Line {
            name: "docs",
            took: Duration::from_millis(61_540),
            note: None,
        };
        assert_eq!(row(&line), "docs            61.5 s");
        line.note = Some("half of it".to_owned());
        assert_eq!(row(&line), "docs            61.5 s  half of it");
    }
}
