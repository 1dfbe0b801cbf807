//! The command line.

use std::fmt;

use crate::fuzz;
use crate::steps::{self, Step};

/// Shown for `help` and after wrong use.
pub(crate) const HELP: &str = "\
Usage: cargo xtask COMMAND [-p PACKAGE]...
       cargo xtask fuzz [--seconds N] [--deep] [TARGET]...

Commands:
  test          everything: install, lint, deny, docs, build, tests, doctests, mutants, fuzz
  lint          formatting and clippy
  deny          licences, banned crates and sources; advisories if their database can be reached
  docs          the documentation, without warnings
  fuzz          the fuzz targets, all if none is named, 30 s each
  mutants       cargo-mutants on protocol and peer/core: takes two hours
  some-mutants  one in four hundred of them, another one for each commit
  install       the Debian packages and cargo tools that the tests need
  help          this text

Options:
  -p, --package PACKAGE  only this package (may be given several times)
  --seconds N            how long each target is fuzzed
  --deep                 with feedback from the crates of others, which are compiled once more

Exit codes: 0 done, 1 a step failed, 2 wrong use.";

/// What the user asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Show [`HELP`].
    Help,
    /// Run steps.
    Run {
        /// In this order.
        steps: &'static [Step],
        /// On these packages; on all of them if empty.
        packages: Vec<String>,
    },
    /// Fuzz.
    Fuzz(fuzz::Options),
}

/// Why the arguments make no command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WrongUse {
    NoCommand,
    UnknownCommand(String),
    UnknownArgument(String),
    PackageWithoutName,
    NoSeconds,
}

impl fmt::Display for WrongUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand => f.write_str("no command given"),
            Self::UnknownCommand(name) => write!(f, "unknown command {name:?}"),
            Self::UnknownArgument(argument) => write!(f, "unknown argument {argument:?}"),
            Self::PackageWithoutName => f.write_str("-p needs the name of a package"),
            Self::NoSeconds => f.write_str("--seconds needs a number above 0"),
        }
    }
}

/// Reads the arguments, without the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, WrongUse> {
    let mut args = args.into_iter();
    let name = args.next().ok_or(WrongUse::NoCommand)?;
    let steps = match name.as_str() {
        "test" => steps::TEST,
        "lint" => steps::LINT,
        "deny" => steps::DENY,
        "docs" => steps::DOCS,
        "mutants" => steps::MUTANTS,
        "some-mutants" => steps::SOME_MUTANTS,
        "install" => steps::INSTALL,
        "fuzz" => return parse_fuzz(args),
        "help" | "-h" | "--help" => return Ok(Command::Help),
        _ => return Err(WrongUse::UnknownCommand(name)),
    };
    let mut packages = Vec::new();
    while let Some(argument) = args.next() {
        match argument.as_str() {
            "-p" | "--package" => packages.push(args.next().ok_or(WrongUse::PackageWithoutName)?),
            "-h" | "--help" => return Ok(Command::Help),
            _ => return Err(WrongUse::UnknownArgument(argument)),
        }
    }
    Ok(Command::Run { steps, packages })
}

fn parse_fuzz(mut args: impl Iterator<Item = String>) -> Result<Command, WrongUse> {
    let mut options = fuzz::Options::default();
    while let Some(argument) = args.next() {
        match argument.as_str() {
            "--seconds" => {
                let seconds = args.next().and_then(|text| text.parse().ok());
                options.seconds = seconds.filter(|it| *it > 0).ok_or(WrongUse::NoSeconds)?;
            }
            "--deep" => options.deep = true,
            "-h" | "--help" => return Ok(Command::Help),
            _ if argument.starts_with('-') => return Err(WrongUse::UnknownArgument(argument)),
            _ => options.targets.push(argument),
        }
    }
    Ok(Command::Fuzz(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, WrongUse> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn packages_are_collected() {
        let Ok(Command::Run { packages, .. }) = parse_line("test -p one --package two") else {
            panic!("not understood");
        };
        assert_eq!(packages, ["one", "two"]);
    }

    #[test]
    fn fuzzing_takes_a_time_and_targets() {
        let Ok(Command::Fuzz(options)) = parse_line("fuzz ids --seconds 5 --deep turn") else {
            panic!("not understood");
        };
        assert_eq!((options.seconds, options.targets.len()), (5, 2));
        assert!(options.deep);
        let Ok(Command::Fuzz(options)) = parse_line("fuzz") else {
            panic!("not understood");
        };
        assert_eq!(options, fuzz::Options::default());
    }

    #[test]
    fn every_command_of_the_help_is_understood() {
        let (_, commands) = HELP.split_once("Commands:\n").unwrap();
        for line in commands.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            assert!(parse_line(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn wrong_use_says_what_is_wrong() {
        let error = |line: &str| parse_line(line).unwrap_err().to_string();
        assert_eq!(error(""), "no command given");
        assert_eq!(error("tset"), "unknown command \"tset\"");
        assert_eq!(error("test now"), "unknown argument \"now\"");
        assert_eq!(
            error("fuzz --seconds 0"),
            "--seconds needs a number above 0"
        );
        assert_eq!(error("fuzz -p"), "unknown argument \"-p\"");
        assert_eq!(error("test -p"), "-p needs the name of a package");
    }
}
