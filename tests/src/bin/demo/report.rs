//! What the demo prints.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the output module"
)]

use std::time::Instant;

use crate::exchange::Figures;

/// A line for each step, and a table.
pub(crate) struct Report {
    start: Instant,
}

impl Report {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn step(&self, text: &str) {
        println!("[{:6.2} s] {text}", self.start.elapsed().as_secs_f64());
    }

    pub(crate) fn failed(&self, error: &anyhow::Error) {
        eprintln!(
            "[{:6.2} s] FAILED: {error:#}",
            self.start.elapsed().as_secs_f64()
        );
    }

    pub(crate) fn summary(&self, paths: &[Figures], counts: &(usize, usize)) {
        println!();
        println!(
            "{:<20} {:>10} {:>10} {:>14}",
            "path", "p50 (ms)", "p99 (ms)", "messages/s"
        );
        for path in paths {
            let (p50, p99) = (
                path.p50.as_secs_f64() * 1000.0,
                path.p99.as_secs_f64() * 1000.0,
            );
            println!(
                "{:<20} {p50:>10.2} {p99:>10.2} {:>14.0}",
                path.name, path.per_second
            );
        }
        println!();
        println!(
            "ann sent {}, bob sent {}: lost 0, doubled 0, out of order 0",
            counts.0, counts.1
        );
    }
}
