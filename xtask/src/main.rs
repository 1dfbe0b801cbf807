//! `cargo xtask`: the project's own commands. See the library's head.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::run(std::env::args().skip(1))
}
