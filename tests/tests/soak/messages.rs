//! Two peers with a direct link exchange very many messages. The history is kept, so the databases
//! grow: by the same number of bytes for every message, below a limit. Nothing else does.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Profile, RelayServer, ServerOptions, SignalServer, Usage, acquaint};
use serde_json::json;
use tincan_peer::Home;
use tincan_peer::rpc::Client;

use crate::series::{FEW, NOISE_KIB, Series};
use crate::talker::{Talker, text};
use crate::{out, picture, print, variable};

const MESSAGES: usize = 50_000;

/// Samples of a run, and so also turns: they write in turn.
const SAMPLES: usize = 60;

/// A turn takes no longer than this, also on a busy machine.
const TURN: Duration = Duration::from_secs(300);

/// A link may take this long: the attempt itself, and the wait after one that failed.
const LINK: Duration = Duration::from_secs(30);

/// Both databases grow by no more than this for a message of 200 bytes, bytes.
const BYTES_PER_MESSAGE: u64 = 1_000;

/// And in the last third by no more of what it is in the middle third, in hundredths, and one step: a file
/// grows in steps of half a megabyte and more.
const STEADY_PERCENT: u64 = 125;
const STEP: u64 = 1024 * 1024;

/// Less than this is left in memory of a message, bytes.
const LEFT_BYTES: u64 = 8;

/// Pages that a peer's database keeps in memory, KiB (`peer/src/store/file.rs`). Until they are full,
/// memory grows by what the database does.
const CACHE_KIB: u64 = 16 * 1024;

/// The relay has nothing to do with messages that go directly; it may write this much, bytes.
const RELAY_BYTES: u64 = 4 * 1024 * 1024;

const COLUMNS: [&str; 18] = [
    "ms",
    "messages",
    "ann_anon_kib",
    "ann_rss_kib",
    "ann_descriptors",
    "ann_threads",
    "bob_anon_kib",
    "bob_rss_kib",
    "bob_descriptors",
    "bob_threads",
    "relay_anon_kib",
    "signal_anon_kib",
    "ann_db_bytes",
    "bob_db_bytes",
    "relay_db_bytes",
    "ann_ticks",
    "bob_ticks",
    "relay_ticks",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_and_the_databases_grow_with_the_messages_alone() -> Result<()> {
    let count = variable("SOAK_MESSAGES", MESSAGES)?;
    let mut pair = Pair::connect().await?;
    let mut series = Series::new(&COLUMNS);
    let began = Instant::now();
    let turn = count.div_ceil(SAMPLES);
    let (mut by_ann, mut by_bob) = (0, 0);
    for number in 0..SAMPLES {
        let (from, to, name, done) = if number % 2 == 0 {
            (&pair.ann, &mut pair.bob, "bob", &mut by_ann)
        } else {
            (&pair.bob, &mut pair.ann, "ann", &mut by_bob)
        };
        from.send(name, *done..*done + turn)
            .await
            .with_context(|| format!("turn {number}"))?;
        *done += turn;
        to.has_printed(*done, TURN).await?;
        series.push(pair.sample(began, by_ann + by_bob)?)?;
    }
    let took = began.elapsed();
    if let Some(file) = out("soak.csv")? {
        series.write(&file)?;
        picture::draw(&series, &file.with_extension("svg"))?;
    }
    print(&format!(
        "{} messages in {:.0} s, {:.0} a second",
        by_ann + by_bob,
        took.as_secs_f64(),
        (by_ann + by_bob) as f64 / took.as_secs_f64()
    ));
    check(&series)?;
    pair.starts_again_after_a_kill(by_bob - 1).await
}

fn check(series: &Series) -> Result<()> {
    let (middle, last) = series.medians("messages")?;
    let left = (last - middle) * LEFT_BYTES / 1024;
    for (name, room) in [
        ("ann_anon_kib", cached(series, "ann_db_bytes")?),
        ("bob_anon_kib", cached(series, "bob_db_bytes")?),
        ("relay_anon_kib", 0),
        ("signal_anon_kib", 0),
    ] {
        let (middle, last) = series.check_flat(name, NOISE_KIB + left + room)?;
        print(&format!(
            "{name}: {middle} in the middle third, {last} in the last"
        ));
    }
    for name in [
        "ann_descriptors",
        "ann_threads",
        "bob_descriptors",
        "bob_threads",
    ] {
        let (middle, last) = series.check_flat(name, FEW)?;
        print(&format!(
            "{name}: {middle} in the middle third, {last} in the last"
        ));
    }
    for name in ["ann_db_bytes", "bob_db_bytes"] {
        grows_with_the_messages(series, name)?;
    }
    let (middle, last) = series.check_flat("relay_db_bytes", RELAY_BYTES)?;
    print(&format!(
        "relay_db_bytes: {middle} in the middle third, {last} in the last"
    ));
    Ok(())
}

/// By how much the pages in memory can have grown from the middle third to the last one, KiB, with a
/// quarter for what keeps track of them.
fn cached(series: &Series, database: &str) -> Result<u64> {
    let (middle, last) = series.medians(database)?;
    let [middle, last] = [middle, last].map(|bytes| CACHE_KIB.min(bytes / 1024));
    Ok((last - middle) * 5 / 4)
}

fn grows_with_the_messages(series: &Series, name: &str) -> Result<()> {
    let (messages, bytes) = (series.column("messages")?, series.column(name)?);
    let per_message = |from: usize, to: usize| {
        bytes[to].saturating_sub(bytes[from]) / (messages[to] - messages[from])
    };
    let end = messages.len() - 1;
    let (middle, last) = (
        per_message(end / 3, 2 * end / 3),
        per_message(2 * end / 3, end),
    );
    let all = bytes[end] / messages[end];
    print(&format!(
        "{name}: {all} bytes a message; {middle} in the middle third, {last} in the last"
    ));
    ensure!(all <= BYTES_PER_MESSAGE, "{name}: {all} bytes a message");
    let step = STEP / (messages[end] - messages[2 * end / 3]);
    ensure!(
        last * 100 <= middle * STEADY_PERCENT + step * 100,
        "{name} grows faster and faster: {middle} bytes a message, then {last}: {bytes:?}"
    );
    Ok(())
}

/// Two who have a direct link, and their servers.
struct Pair {
    ann: Talker,
    bob: Talker,
    relay: RelayServer,
    signal: SignalServer,
    databases: [PathBuf; 3],
    _folder: tempfile::TempDir,
}

impl Pair {
    async fn connect() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("tincan-")
            .disable_cleanup(std::env::var_os("E2E_KEEP").is_some())
            .tempdir()?;
        let options = ServerOptions {
            without_relay: true,
            ..ServerOptions::default()
        };
        let signal = SignalServer::start(&folder.path().join("signal"), options)?;
        let relay = RelayServer::start(&folder.path().join("relay"))?;
        let home = |name: &str| folder.path().join(name);
        let [ann, bob] =
            ["ann", "bob"].map(|name| Profile::init(&home(name), name, signal.url(), relay.url()));
        let (ann, bob) = (ann?, bob?);
        acquaint(&ann, &bob)?;
        let databases = [ann.home(), bob.home(), &relay.data().join("relay")].map(database);
        let [ann_db, bob_db, relay_db] = databases;
        let pair = Self {
            ann: Talker::start(&ann)?,
            bob: Talker::start(&bob)?,
            relay,
            signal,
            databases: [ann_db?, bob_db?, relay_db?],
            _folder: folder,
        };
        linked(&ann, "bob").await?;
        linked(&bob, "ann").await?;
        Ok(pair)
    }

    /// Ann is killed, and her history ends with bob's last message. How long the start takes is told: the
    /// database is checked from one end to the other.
    async fn starts_again_after_a_kill(&mut self, by_bob: usize) -> Result<()> {
        self.ann.process.kill()?;
        let began = Instant::now();
        let mut ann = self.ann.profile.daemon().await?;
        print(&format!(
            "started {:.1} s after a kill, with a database of {} MB",
            began.elapsed().as_secs_f64(),
            on_disk(&self.databases[0])? / 1_000_000
        ));
        let last = ann
            .call("history", json!({"to": "bob", "limit": 1}))
            .await?;
        ensure!(last[0]["text"] == text(by_bob), "not the last one: {last}");
        Ok(())
    }

    fn sample(&mut self, began: Instant, messages: usize) -> Result<Vec<u64>> {
        let ann = Usage::of(self.ann.process.id()).context("ann")?;
        let bob = Usage::of(self.bob.process.id()).context("bob")?;
        let relay = Usage::of(self.relay.process().id()).context("relay")?;
        let signal = Usage::of(self.signal.process().id()).context("signal-server")?;
        let mut row = vec![u64::try_from(began.elapsed().as_millis())?, messages as u64];
        for peer in [&ann, &bob] {
            row.extend([peer.anon_kib, peer.rss_kib, peer.descriptors, peer.threads]);
        }
        row.extend([relay.anon_kib, signal.anon_kib]);
        for database in &self.databases {
            row.push(on_disk(database)?);
        }
        row.extend([ann.ticks, bob.ticks, relay.ticks]);
        Ok(row)
    }
}

async fn linked(profile: &Profile, with: &str) -> Result<()> {
    let mut client = Client::connect(&Home::at(profile.home())).await?;
    let deadline = Instant::now() + LINK;
    loop {
        let status = client.call("status", json!({})).await?;
        let mut contacts = status["contacts"].as_array().into_iter().flatten();
        if contacts.any(|contact| contact["name"] == with && contact["link"] == "direct") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no link to {with}: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The one database in a folder.
fn database(folder: &Path) -> Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "redb")
        {
            return Ok(path);
        }
    }
    anyhow::bail!("no database in {}", folder.display())
}

/// What a file takes of the disk: one that was made longer and not yet written takes nothing there.
fn on_disk(file: &Path) -> Result<u64> {
    // stat(2) counts in units of 512 bytes, whatever the disk's blocks are.
    Ok(file.metadata()?.blocks() * 512)
}
