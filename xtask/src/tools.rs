//! What the steps need besides Rust, and how it gets onto the machine.

use anyhow::Context;

use crate::cargo::Program;
use crate::debian::{self, Package};
use crate::output;
use crate::steps::Note;

/// Debian packages, each with a program that shows it is there.
const PACKAGES: &[Package] = &[
    // The TURN server that ours is compared with, and the client that tries ours.
    Package {
        name: "coturn",
        program: "turnutils_uclient",
    },
    // libFuzzer is written in C++.
    Package {
        name: "g++",
        program: "c++",
    },
    // A terminal to run the peer in.
    Package {
        name: "tmux",
        program: "tmux",
    },
    // Looks at the wire for what must not be there.
    Package {
        name: "tcpdump",
        program: "tcpdump",
    },
    // Networks of the tests' own, with NATs and with lines that fail.
    Package {
        name: "iproute2",
        program: "ip",
    },
    Package {
        name: "iptables",
        program: "iptables",
    },
    // A keyring for the peer's key, and the bus on which it answers.
    Package {
        name: "gnome-keyring",
        program: "gnome-keyring-daemon",
    },
    Package {
        name: "dbus",
        program: "dbus-daemon",
    },
    // A terminal for the terminal interface.
    Package {
        name: "tmux",
        program: "tmux",
    },
    // Runs the Python client.
    Package {
        name: "python3",
        program: "python3",
    },
];

/// A cargo subcommand from crates.io.
struct Tool {
    /// As in `cargo NAME`.
    subcommand: &'static str,
    /// The crate's name.
    krate: &'static str,
    /// The version installed where there is none; another one that is already there is taken.
    version: &'static str,
    /// More arguments for `cargo install`.
    args: &'static [&'static str],
    /// Optimisation. Each level costs minutes once and saves what the tool itself computes.
    opt_level: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        subcommand: "nextest",
        krate: "cargo-nextest",
        version: "0.9.151",
        // Leaves out the self-update, and with it an HTTP client.
        args: &["--no-default-features", "--features", "default-no-update"],
        // It starts processes and waits. Unoptimised it takes 230 s of processor time to compile, at
        // level 1 410 s.
        opt_level: "0",
    },
    Tool {
        subcommand: "deny",
        krate: "cargo-deny",
        version: "0.20.2",
        args: &[],
        // It compares every licence text with every known one. 175 s of processor time to compile.
        opt_level: "1",
    },
];

/// Wanted for mutants alone.
const MUTANTS: Tool = Tool {
    subcommand: "mutants",
    krate: "cargo-mutants",
    version: "27.1.0",
    args: &[],
    // It starts cargo. 150 s of processor time to compile.
    opt_level: "0",
};

/// These tools run for seconds and compile for minutes: link-time optimisation of the whole program
/// on one core, which their own release profiles ask for, would cost more than it ever gives back.
const QUICK_PROFILE: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

/// Installs what is missing.
///
/// # Errors
/// If something is missing and cannot be installed; the error names it.
pub(crate) fn install() -> anyhow::Result<Note> {
    debian::install(PACKAGES)?;
    let tools: Vec<&Tool> = TOOLS.iter().filter(|tool| !tool.is_there()).collect();
    for tool in &tools {
        tool.install()?;
    }
    if tools.is_empty() {
        output::note("cargo tools: nothing to install");
    }
    Ok(None)
}

/// Installs cargo-mutants if it is missing.
///
/// # Errors
/// If it cannot be installed.
pub(crate) fn install_mutants() -> anyhow::Result<()> {
    if MUTANTS.is_there() {
        return Ok(());
    }
    MUTANTS.install()
}

impl Tool {
    fn is_there(&self) -> bool {
        Program::cargo(&[self.subcommand, "--version"]).succeeds()
    }

    fn install(&self) -> anyhow::Result<()> {
        let program =
            Program::cargo(&["install", "--locked", "--version", self.version, self.krate]);
        let program = program
            .args(self.args)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.opt_level);
        let program = QUICK_PROFILE
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value));
        program.run().with_context(|| {
            format!(
                "cargo-{0} is missing; `cargo install --locked {1}` installs it",
                self.subcommand, self.krate
            )
        })
    }
}
