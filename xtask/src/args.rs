//! The command line.

use std::fmt;

use crate::steps::{self, Step};

/// Shown for `help` and after wrong use.
pub(crate) const HELP: &str = "\
Usage: cargo xtask COMMAND [-p PACKAGE]...

Commands:
  test     everything: install, lint, deny, docs, build, tests, doctests
  lint     formatting and clippy
  deny     licences, banned crates and sources; advisories if their database can be reached
  docs     the documentation, without warnings
  install  the Debian packages and cargo tools that the tests need
  help     this text

Options:
  -p, --package PACKAGE  only this package (may be given several times)

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
}

/// Why the arguments make no command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum WrongUse {
    NoCommand,
    UnknownCommand(String),
    UnknownArgument(String),
    PackageWithoutName,
}

impl fmt::Display for WrongUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand => f.write_str("no command given"),
            Self::UnknownCommand(name) => write!(f, "unknown command {name:?}"),
            Self::UnknownArgument(argument) => write!(f, "unknown argument {argument:?}"),
            Self::PackageWithoutName => f.write_str("-p needs the name of a package"),
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
        "install" => steps::INSTALL,
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
        assert_eq!(error("test -p"), "-p needs the name of a package");
    }
}
