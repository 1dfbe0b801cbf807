//! Running other programs, cargo above all.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::output;

/// Which packages a step works on.
#[derive(Debug)]
pub(crate) struct Scope {
    packages: Vec<String>,
}

impl Scope {
    /// These packages; all of the workspace if there are none.
    pub(crate) fn of(packages: &[String]) -> Self {
        Self {
            packages: packages.to_vec(),
        }
    }

    /// Whether it is the whole workspace.
    pub(crate) fn is_everything(&self) -> bool {
        self.packages.is_empty()
    }

    /// The packages as cargo's arguments, `all` if there is no choice.
    fn args(&self, all: &'static str) -> Vec<String> {
        if self.packages.is_empty() {
            return vec![all.to_owned()];
        }
        self.packages
            .iter()
            .flat_map(|package| ["-p".to_owned(), package.clone()])
            .collect()
    }
}

/// A program with its arguments, shown before it runs.
pub(crate) struct Program {
    command: Command,
}

impl Program {
    /// A program of the system.
    pub(crate) fn new(name: &str, args: &[&str]) -> Self {
        let mut command = Command::new(name);
        command.args(args).stdin(Stdio::null());
        Self { command }
    }

    /// The cargo that runs this program, or the one in the path.
    pub(crate) fn cargo(args: &[&str]) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command.args(args).stdin(Stdio::null());
        // `cargo run` tells this program about its own package. Build scripts that watch these
        // variables would run again when they disappear with the next plain `cargo build`.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(name);
            }
        }
        Self { command }
    }

    /// Cargo on the packages of a scope.
    pub(crate) fn cargo_on(scope: &Scope, args: &[&str]) -> Self {
        let mut program = Self::cargo(args);
        program.command.args(scope.args("--workspace"));
        program
    }

    /// `cargo fmt`, which knows no profile and has its own word for the whole workspace.
    pub(crate) fn cargo_fmt(scope: &Scope) -> Self {
        let mut program = Self::cargo(&["fmt", "--check"]);
        program.command.args(scope.args("--all"));
        program
    }

    /// More arguments.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it cannot be started, or ends with anything but success.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        output::command(&self);
        let name = self.to_string();
        let status = self
            .command
            .status()
            .with_context(|| format!("cannot start `{name}`"))?;
        if !status.success() {
            bail!("`{name}` ended with {status}");
        }
        Ok(())
    }

    /// Runs it to its end and tells its exit code.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn code(mut self) -> anyhow::Result<Option<i32>> {
        output::command(&self);
        let status = self.command.status();
        Ok(status
            .with_context(|| format!("cannot start `{self}`"))?
            .code())
    }

    /// Runs it to its end with what it says in a file, and tells whether it ended with success.
    ///
    /// # Errors
    /// If it cannot be started, or the file cannot be written.
    pub(crate) fn run_into(mut self, log: &Path) -> anyhow::Result<bool> {
        output::command(&self);
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        self.command.stdout(file.try_clone()?).stderr(file);
        let status = self.command.status();
        let status = status.with_context(|| format!("cannot start `{self}`"))?;
        Ok(status.success())
    }

    /// What it says, if it can be started and ends with success.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.command.output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(text)
    }

    /// Whether it can be started and ends with success. Its output is not shown.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// Starts it and leaves it to the caller. Its output is not shown.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(mut self) -> std::io::Result<std::process::Child> {
        output::command(&self);
        self.command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                write!(f, "{}={:?} ", name.display(), value.display().to_string())?;
            }
        }
        let program = Path::new(self.command.get_program());
        write!(f, "{}", program.file_name().unwrap_or_default().display())?;
        self.command
            .get_args()
            .try_for_each(|arg| write!(f, " {}", arg.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_workspace_or_its_packages() {
        assert_eq!(Scope::of(&[]).args("--workspace"), ["--workspace"]);
        let two = Scope::of(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(two.args("--workspace"), ["-p", "a", "-p", "b"]);
    }

    #[test]
    fn a_program_shows_as_one_would_type_it() {
        let program = Program::new("/usr/bin/thing", &["one"])
            .args(&["two"])
            .env("FLAGS", "-D all");
        assert_eq!(program.to_string(), "FLAGS=\"-D all\" thing one two");
    }

    #[test]
    fn a_failing_program_is_named_in_the_error() {
        let error = Program::new("false", &["x"]).run().unwrap_err();
        assert!(
            error.to_string().starts_with("`false x` ended with"),
            "{error}"
        );
        let error = Program::new("no-such-program-here", &[]).run().unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program-here`");
        assert!(Program::new("true", &[]).succeeds());
        assert!(!Program::new("false", &[]).succeeds());
    }
}
