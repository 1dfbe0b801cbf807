//! What a message costs: sealing, opening and taking the changed rows, with one and with many
//! groups loaded, and how large the rows are that are written for it.
//!
//! `cargo bench -p tincan-mls`. Times are medians of single operations, so that the process that
//! shares the machine does not count.

#![allow(clippy::print_stdout, reason = "the bench's result is its output")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use tincan_mls::{GroupId, Mls, Row};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::{DeviceKey, IdentityKey};
use tincan_protocol::limits::PAYLOAD_MAX;

const NOW_MS: u64 = 1_800_000_000_000;
const GROUPS: [usize; 2] = [1, 500];
const PAYLOADS: [usize; 2] = [200, 50 * 1024];
const MESSAGES: usize = 1_000;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Disk = BTreeMap<Vec<u8>, Vec<u8>>;

fn main() -> Outcome<()> {
    start()?;
    for groups in GROUPS {
        let (mut alice, mut bob, group) = meet(groups)?;
        println!("{groups} group(s) loaded");
        for payload in PAYLOADS {
            messages(&mut alice, &mut bob, &group, payload)?;
        }
    }
    reordered()?;
    batch()
}

/// Two devices with many groups between them; one of the groups.
fn meet(groups: usize) -> Outcome<(Mls, Mls, GroupId)> {
    let (mut alice, mut bob) = (device(1)?, device(2)?);
    let identity = IdentityKey::from_seed(&[2; 32]).identity();
    let (mut creating, mut joining) = (Vec::new(), Vec::new());
    let mut sizes = (0, 0);
    for _ in 0..groups {
        let key_package = bob.create_key_package(false)?;
        let (new, time) = timed(|| alice.create_direct_group(&key_package, &identity, NOW_MS));
        let new = new?;
        creating.push(time);
        let (joined, time) = timed(|| bob.join(&new.welcome, NOW_MS));
        joined?;
        joining.push(time);
        sizes = (key_package.len(), new.welcome.len());
    }
    println!(
        "key package {} B, welcome {} B; create a group {:?}, join {:?}",
        sizes.0,
        sizes.1,
        median(&mut creating),
        median(&mut joining)
    );
    let rows = alice.take_changes();
    println!(
        "rows of {groups} group(s) at their creator: {}, {} B",
        rows.len(),
        bytes(&rows)
    );
    if groups == 1 {
        for row in rows {
            let table = row.key.first().copied().unwrap_or_default();
            println!(
                "  table {table:2}: key {} B, value {} B",
                row.key.len(),
                value_len(&row)
            );
        }
    }
    let rows = bob.take_changes();
    println!(
        "rows of {groups} group(s) at the other side: {}, {} B",
        rows.len(),
        bytes(&rows)
    );
    let group = alice.groups().next().ok_or("no group")?.clone();
    Ok((alice, bob, group))
}

/// One message at a time, in order.
fn messages(alice: &mut Mls, bob: &mut Mls, group: &GroupId, payload: usize) -> Outcome<()> {
    let payload = vec![7; payload.min(PAYLOAD_MAX)];
    let (mut sealing, mut opening) = (Vec::new(), Vec::new());
    let (mut taking_sealed, mut taking_opened) = (Vec::new(), Vec::new());
    let (mut sealed_rows, mut opened_rows, mut envelope) = (Vec::new(), Vec::new(), 0);
    for _ in 0..MESSAGES {
        let (sealed, time) = timed(|| alice.seal(group, &payload));
        let sealed = sealed?;
        envelope = sealed.len();
        sealing.push(time);
        let time;
        (sealed_rows, time) = timed(|| alice.take_changes());
        taking_sealed.push(time);
        let (opened, time) = timed(|| bob.open(&sealed));
        opened?;
        opening.push(time);
        let time;
        (opened_rows, time) = timed(|| bob.take_changes());
        taking_opened.push(time);
    }
    println!(
        "  {} B -> {envelope} B: seal {:?} + take {:?} ({} row, {} B); open {:?} + take {:?} ({} row, {} B)",
        payload.len(),
        median(&mut sealing),
        median(&mut taking_sealed),
        sealed_rows.len(),
        bytes(&sealed_rows),
        median(&mut opening),
        median(&mut taking_opened),
        opened_rows.len(),
        bytes(&opened_rows),
    );
    Ok(())
}

/// The worst row: 255 messages are missing, each leaves its key.
fn reordered() -> Outcome<()> {
    let (mut alice, mut bob, group) = meet(1)?;
    let mut sealed = Vec::new();
    for _ in 0..512 {
        sealed.push(alice.seal(&group, &[7; 200])?);
    }
    let (opened, jump) = timed(|| bob.open(&sealed[255]));
    opened?;
    let rows = bob.take_changes();
    let mut late = Vec::new();
    for sealed in &sealed[..64] {
        let (opened, time) = timed(|| bob.open(sealed));
        opened?;
        late.push(time);
    }
    println!(
        "255 messages missing: open {jump:?}, row {} B; each late one {:?}",
        bytes(&rows),
        median(&mut late)
    );
    Ok(())
}

/// A batch pays for the row once when it is taken, but openmls writes it for every message.
fn batch() -> Outcome<()> {
    let (mut alice, mut bob, group) = meet(1)?;
    let payload = vec![7; 16 * 1024];
    let mut sealed = Vec::new();
    let (result, sealing) = timed(|| -> Outcome<()> {
        for _ in 0..640 {
            sealed.push(alice.seal(&group, &payload)?);
            if sealed.len().is_multiple_of(64) {
                let _ = alice.take_changes();
            }
        }
        Ok(())
    });
    result?;
    let (result, opening) = timed(|| -> Outcome<()> {
        for chunk in sealed.chunks(64) {
            for sealed in chunk {
                bob.open(sealed)?;
            }
            let _ = bob.take_changes();
        }
        Ok(())
    });
    result?;
    println!(
        "16 KiB in batches of 64: seal {:?}, open {:?} each",
        sealing / 640,
        opening / 640
    );
    Ok(())
}

/// What a start costs, and what a group costs in memory. Runs first: what was freed before would
/// be used again and not count.
fn start() -> Outcome<()> {
    let (mut alice, mut bob) = (device(1)?, device(2)?);
    let peer = IdentityKey::from_seed(&[2; 32]).identity();
    let mut disk = Disk::new();
    for _ in 0..500 {
        let key_package = bob.create_key_package(false)?;
        alice.create_direct_group(&key_package, &peer, NOW_MS)?;
        for row in alice.take_changes() {
            disk.insert(row.key, row.value.unwrap_or_default());
        }
    }
    let before = resident();
    let (key, cert) = identity(1);
    let rows = disk.clone();
    let (loaded, time) = timed(|| Mls::load(key, cert, rows));
    let loaded = loaded?;
    let groups = loaded.groups().count();
    let memory = resident().saturating_sub(before) / groups / 1024;
    println!("load {groups} groups: {time:?}, {memory} KiB of memory each");
    drop((alice, bob, loaded));
    Ok(())
}

fn device(seed: u8) -> Outcome<Mls> {
    let (key, cert) = identity(seed);
    Ok(Mls::load(key, cert, [])?)
}

fn identity(seed: u8) -> (DeviceKey, DeviceCert) {
    let key = DeviceKey::from_seed(&[seed + 100; 32]);
    let cert = DeviceCert::issue(&IdentityKey::from_seed(&[seed; 32]), key.device(), NOW_MS);
    (key, cert)
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = run();
    (result, start.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn bytes(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.key.len() + value_len(row)).sum()
}

fn value_len(row: &Row) -> usize {
    row.value.as_ref().map_or(0, Vec::len)
}

/// Resident memory of this process, bytes; zero where `/proc` does not tell.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| {
            text.split(' ')
                .nth(1)
                .and_then(|pages| pages.parse::<usize>().ok())
        });
    pages.unwrap_or_default() * 4096
}
