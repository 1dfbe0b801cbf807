//! Two who are never there at the same time: everything goes through the relay, which keeps it until the other
//! one is back, and then nothing of it but its id: up to 10,000 ids a mailbox, so that what is deposited again is
//! recognised. Measured: 0.35 MB of the file and of memory for 160,000 messages, some 20 ids for a thousand.

use anyhow::{Context as _, Result, ensure};
use e2e::{Profile, RelayServer, ServerOptions, SignalServer, Usage, acquaint};

use crate::files::{database, on_disk};
use crate::series::{NOISE_KIB, Series};
use crate::talker::send;
use crate::{folder, out, print, variable};

/// Messages that wait in all; both sides write, in turn.
const WAITING: usize = 24_000;

/// So many wait at the same time; then a sample is taken. With ten times as many, what malloc keeps of memory that
/// was freed varies by 800 KiB.
const TURN: usize = 1_000;

/// What the relay's file may take more of the disk in the last third than in the middle third, bytes: redb makes
/// its file longer in steps.
const STEP: u64 = 1024 * 1024;

/// Bytes of a text.
const TEXT: usize = 200;

const COLUMNS: [&str; 5] = [
    "messages",
    "relay_anon_kib",
    "relay_descriptors",
    "relay_threads",
    "relay_db_bytes",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_at_a_relay_of_what_was_fetched() -> Result<()> {
    let count = variable("SOAK_WAITING", WAITING)?;
    let folder = folder()?;
    let options = ServerOptions {
        without_relay: true,
        ..ServerOptions::default()
    };
    let signal = SignalServer::start(&folder.path().join("signal"), options)?;
    let mut relay = RelayServer::start(&folder.path().join("relay"))?;
    let people = ["ann", "bob"].map(|name| {
        let home = folder.path().join(name);
        Profile::init(&home, name, signal.url(), relay.url())
    });
    let [ann, bob] = people;
    let (ann, bob) = (ann?, bob?);
    acquaint(&ann, &bob)?;
    let file = database(&relay.data().join("relay"))?;

    let mut series = Series::new(&COLUMNS);
    let turns = count.div_ceil(TURN);
    for turn in 0..turns {
        let (from, to, name) = match turn % 2 {
            0 => (&ann, &bob, "bob"),
            _ => (&bob, &ann, "ann"),
        };
        let texts: Vec<String> = (0..TURN).map(|n| text(turn, n)).collect();
        send(from, name, texts.clone(), "sent").await?;
        fetch(to, &texts)
            .await
            .with_context(|| format!("turn {turn}"))?;
        let usage = Usage::of(relay.process().id()).context("relay")?;
        series.push(vec![
            ((turn + 1) * TURN) as u64,
            usage.anon_kib,
            usage.descriptors,
            usage.threads,
            on_disk(&file)?,
        ])?;
    }
    if let Some(file) = out("mailboxes.csv")? {
        series.write(&file)?;
    }
    for name in &COLUMNS[1..] {
        let [first, middle, last] = series.thirds(name)?;
        print(&format!(
            "{} messages that waited; {name}: {first}, {middle} and {last} in the three thirds",
            turns * TURN
        ));
    }
    series.check_flat("relay_anon_kib", NOISE_KIB)?;
    series.check_flat("relay_descriptors", 0)?;
    series.check_flat("relay_threads", 0)?;
    series.check_flat("relay_db_bytes", STEP)
}

/// Whoever was away prints exactly these.
async fn fetch(who: &Profile, texts: &[String]) -> Result<()> {
    let (who, count) = (who.clone(), texts.len().to_string());
    let listening = move || who.answer(&["listen", "--count", &count, "--timeout", "120s"]);
    let answer = tokio::task::spawn_blocking(listening).await??;
    let printed = answer.objects.iter().map(|message| &message["text"]);
    ensure!(
        answer.code == Some(0) && printed.eq(texts),
        "{:?}, {} of {} messages: {}",
        answer.code,
        answer.objects.len(),
        texts.len(),
        answer.stderr
    );
    Ok(())
}

fn text(turn: usize, n: usize) -> String {
    format!("{:.<TEXT$}", format!("{turn} {n} "))
}
