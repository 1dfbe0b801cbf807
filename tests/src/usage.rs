//! What a process uses, as Linux tells it.

use std::fs;

use anyhow::{Context as _, Result};

/// Memory, descriptors, threads and time of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory that is its own and backed by no file (`RssAnon`), KiB: the heap and the stacks.
    /// Without the pages of the program, which come as they are used the first time.
    pub anon_kib: u64,
    /// All resident memory (`VmRSS`), KiB.
    pub rss_kib: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Time of processors that it has used, in ticks of 10 ms (`USER_HZ`), its own and the kernel's.
    pub ticks: u64,
}

impl Usage {
    /// Ticks of one processor in a second: `USER_HZ` is 100 on every architecture that we build for.
    pub const TICKS_PER_S: f64 = 100.0;

    /// What this process uses now.
    ///
    /// # Errors
    /// If it has ended.
    pub fn of(process: u32) -> Result<Self> {
        let folder = format!("/proc/{process}");
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let number = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            Ok(number.context(name.to_owned())?.parse()?)
        };
        Ok(Self {
            anon_kib: number("RssAnon:")?,
            rss_kib: number("VmRSS:")?,
            threads: number("Threads:")?,
            descriptors: fs::read_dir(format!("{folder}/fd"))?.count() as u64,
            ticks: ticks(&fs::read_to_string(format!("{folder}/stat"))?)?,
        })
    }
}

/// `utime` and `stime` of proc(5).
fn ticks(stat: &str) -> Result<u64> {
    let fields = after_name(stat)?;
    let field = |number: usize| -> Result<u64> {
        // The first one after the name has number 3.
        let field = fields.get(number - 3).context("stat is too short")?;
        Ok(field.parse()?)
    };
    Ok(field(14)? + field(15)?)
}

/// The name may have blanks and brackets in it.
fn after_name(stat: &str) -> Result<Vec<&str>> {
    let (_, rest) = stat.rsplit_once(')').context("stat has no name")?;
    Ok(rest.split_whitespace().collect())
}

/// Whether the thread of that name computes or waits for its disk at this moment.
///
/// # Errors
/// If the process has ended.
pub fn thread_is_at_work(process: u32, name: &str) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = thread?.path();
        // A thread may end meanwhile.
        let Ok(stat) = fs::read_to_string(folder.join("stat")) else {
            continue;
        };
        if stat.contains(&format!("({name})")) {
            return Ok(matches!(after_name(&stat)?.first(), Some(&("R" | "D"))));
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_what_it_uses() {
        let before = Usage::of(std::process::id()).unwrap();
        assert!(before.anon_kib > 0 && before.rss_kib >= before.anon_kib);
        let files: Vec<fs::File> = (0..10)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        let mut sum = 0u64;
        while Usage::of(std::process::id()).unwrap().ticks < before.ticks + 5 {
            sum = std::hint::black_box(sum.wrapping_mul(3) + 1);
        }
        let after = Usage::of(std::process::id()).unwrap();
        assert!(after.descriptors >= before.descriptors + files.len() as u64);
    }

    #[test]
    fn a_name_with_brackets_is_no_field() {
        let stat = "7 (a (b) c) R 1 1 1 0 -1 4194304 1 0 0 0 30 12 0 0 20";
        assert_eq!(ticks(stat).unwrap(), 42);
    }
}
