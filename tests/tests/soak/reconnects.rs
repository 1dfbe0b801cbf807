//! Two who connect again and again: what a connection took is given back when it ends.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::{Profile, RelayServer, ServerOptions, SignalServer, Usage, acquaint, quiet_address};
use serde_json::{Value, json};
use tincan_peer::rpc::Client;

use crate::links::wait_for_link;
use crate::member::Member;
use crate::series::{FEW, Series};
use crate::talker::send;
use crate::{folder, out, print, variable};

/// Chosen: a contact takes 20 offers in a minute (`peer/src/driver/link_signals.rs`); with more of them the
/// next ones would wait.
const RECONNECTS: usize = 19;

/// Of so many reconnects one is that to the servers, and one that of two who both live on; in the others one
/// of the two is a new process. In the short form there is one of each: it takes ten seconds and more.
const ONE_OF: usize = 10;

/// Fewer samples than this say nothing about memory: malloc has more to say than a link.
const SAMPLES: usize = 9;

/// A connection to a server that lives shorter is made again ever more slowly
/// (`peer/src/net/reconnect.rs`).
const STABLE: Duration = Duration::from_millis(10_500);

/// A link or a server is back within this time. Most are back in a second; but a contact takes 20 offers in a
/// minute (`peer/src/driver/link_signals.rs`), and in the long form one may wait for the next minute, with
/// attempts of 20 s each that fail. Measured: 66 s.
const BACK: Duration = Duration::from_secs(120);

/// By no more than this is memory larger in the last third than in the middle third, KiB, and by so much for each
/// reconnect between the two: pages of the database, which fill with what is written. Measured: 4 to 104 in the short
/// form (six reconnects between the two, 5 runs), 16 to 220 in the long one (133). So a leak of 34 KiB for each
/// reconnect is always found in the short form, and one of 3.4 KiB in the long one.
const GROWTH_KIB: u64 = 192;
const PAGES_KIB: u64 = 2;

/// In this order.
const PROCESSES: [&str; 4] = ["ann", "bob", "relay", "signal"];

/// Of the four processes, as far as they live on.
const COLUMNS: [&str; 12] = [
    "ann_anon_kib",
    "ann_descriptors",
    "ann_threads",
    "bob_anon_kib",
    "bob_descriptors",
    "bob_threads",
    "relay_anon_kib",
    "relay_descriptors",
    "relay_threads",
    "signal_anon_kib",
    "signal_descriptors",
    "signal_threads",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_connection_that_has_ended() -> Result<()> {
    let count = variable("SOAK_RECONNECTS", RECONNECTS)?;
    let few = (count / ONE_OF).max(1);
    let mut pair = Pair::connect().await?;

    let mut phase = Phase::begin("links anew with a new process", "reconnects.csv");
    for number in 0..count.saturating_sub(2 * few) {
        pair.bob_comes_back(number)
            .await
            .with_context(|| format!("bob, time {number}"))?;
        phase.series.push(pair.sample()?)?;
    }
    check(&phase.end()?, &["ann", "relay", "signal"])?;

    let before = pair.usage()?;
    let mut phase = Phase::begin("links anew between the same two", "reconnects-silence.csv");
    for number in 0..few {
        pair.bob_is_silent(number)
            .await
            .with_context(|| format!("silence {number}"))?;
        phase.series.push(pair.sample()?)?;
    }
    let series = phase.end()?;
    if few >= SAMPLES {
        check(&series, &PROCESSES)?;
    }
    pair.has_given_back(&before, &PROCESSES).await?;

    let before = pair.usage()?;
    let mut phase = Phase::begin("times both servers anew", "reconnects-servers.csv");
    for number in 0..few {
        pair.servers_come_back()
            .await
            .with_context(|| format!("servers, time {number}"))?;
        phase.series.push(pair.sample()?)?;
    }
    let series = phase.end()?;
    if few >= SAMPLES {
        check(&series, &["ann", "bob"])?;
    }
    pair.has_given_back(&before, &["ann", "bob"]).await
}

/// Reconnects of one kind.
struct Phase {
    what: &'static str,
    file: &'static str,
    series: Series,
    began: Instant,
}

impl Phase {
    fn begin(what: &'static str, file: &'static str) -> Self {
        Self {
            what,
            file,
            series: Series::new(&COLUMNS),
            began: Instant::now(),
        }
    }

    fn end(self) -> Result<Series> {
        let (count, took) = (self.series.len(), self.began.elapsed().as_secs_f64());
        print(&format!("{count} {} in {took:.0} s", self.what));
        if let Some(file) = out(self.file)? {
            self.series.write(&file)?;
        }
        Ok(self.series)
    }
}

/// Whether these have not grown.
fn check(series: &Series, who: &[&str]) -> Result<()> {
    // The medians of two thirds are a third apart.
    let pages = series.len() as u64 / 3 * PAGES_KIB;
    for who in who {
        for (what, bound) in [
            ("anon_kib", GROWTH_KIB + pages),
            ("descriptors", FEW),
            ("threads", FEW),
        ] {
            let name = format!("{who}_{what}");
            let [_, middle, last] = series.thirds(&name)?;
            print(&format!(
                "{name}: {middle} in the middle third, {last} in the last"
            ));
            series.check_flat(&name, bound)?;
        }
    }
    Ok(())
}

struct Pair {
    ann: Member,
    bob: Member,
    relay: RelayServer,
    signal: SignalServer,
    _folder: tempfile::TempDir,
}

impl Pair {
    async fn connect() -> Result<Self> {
        let folder = folder()?;
        let options = ServerOptions {
            listen: Some(quiet_address()?),
            without_relay: true,
            ..ServerOptions::default()
        };
        let signal = SignalServer::start(&folder.path().join("signal"), options)?;
        let relay = RelayServer::start_at(&folder.path().join("relay"), &quiet_address()?)?;
        let home = |name: &str| folder.path().join(name);
        let [ann, bob] =
            ["ann", "bob"].map(|name| Profile::init(&home(name), name, signal.url(), relay.url()));
        let (ann, bob) = (ann?, bob?);
        acquaint(&ann, &bob)?;
        let mut pair = Self {
            ann: Member::start(&ann).await?,
            bob: Member::start(&bob).await?,
            relay,
            signal,
            _folder: folder,
        };
        // Else he may die with an offer of hers that nobody has read, which stands against his next one until it
        // has failed, for 20 s.
        pair.linked().await?;
        Ok(pair)
    }

    async fn linked(&mut self) -> Result<()> {
        wait_for_link(&mut self.ann.client, "bob", true, BACK).await?;
        wait_for_link(&mut self.bob.client, "ann", true, BACK).await
    }

    /// Both write these, and are told that they have arrived.
    async fn both_write(&self, texts: &[String]) -> Result<()> {
        let (ann, bob) = (&self.ann.profile, &self.bob.profile);
        tokio::try_join!(
            send(ann, "bob", texts.to_vec(), "delivered"),
            send(bob, "ann", texts.to_vec(), "delivered")
        )?;
        Ok(())
    }

    /// He dies or ends, in turn, and is linked again.
    async fn bob_comes_back(&mut self, number: usize) -> Result<()> {
        if number.is_multiple_of(2) {
            self.bob.process.kill()?;
        } else {
            ensure!(self.bob.process.terminate()? == Some(0), "bob does not end");
        }
        self.bob = Member::start(&self.bob.profile).await?;
        wait_for_link(&mut self.bob.client, "ann", true, BACK).await?;
        wait_for_link(&mut self.ann.client, "bob", true, BACK).await?;
        self.both_write(&[format!("after {number}")]).await
    }

    /// He says nothing until the link is given up, and both live on.
    async fn bob_is_silent(&mut self, number: usize) -> Result<()> {
        self.bob.process.pause()?;
        let given_up = wait_for_link(&mut self.ann.client, "bob", false, BACK).await;
        self.bob.process.resume()?;
        given_up?;
        // She has the new one; he may still think that he has the old one.
        self.linked().await?;
        self.both_write(&[format!("after silence {number}")]).await
    }

    async fn servers_come_back(&mut self) -> Result<()> {
        tokio::time::sleep(STABLE).await;
        self.relay.process().kill()?;
        self.signal.process().kill()?;
        for member in [&mut self.ann, &mut self.bob] {
            reaches_servers(&mut member.client, false).await?;
        }
        self.relay.restart()?;
        self.signal.restart()?;
        for member in [&mut self.ann, &mut self.bob] {
            reaches_servers(&mut member.client, true).await?;
        }
        Ok(())
    }

    /// Waits until these have no more descriptors and threads than before: a link that has ended may take a
    /// moment to close what it had.
    async fn has_given_back(&mut self, before: &[Usage; 4], who: &[&str]) -> Result<()> {
        let deadline = Instant::now() + BACK;
        loop {
            let now = self.usage()?;
            let grows = |place: usize| {
                let (before, now) = (&before[place], &now[place]);
                now.descriptors > before.descriptors || now.threads > before.threads
            };
            let grown = (0..4).find(|&place| who.contains(&PROCESSES[place]) && grows(place));
            let Some(place) = grown else {
                return Ok(());
            };
            ensure!(
                Instant::now() < deadline,
                "{} keeps what it needed: {:?}, before {:?}",
                PROCESSES[place],
                now[place],
                before[place]
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn sample(&mut self) -> Result<Vec<u64>> {
        let usage = self.usage()?.into_iter();
        Ok(usage
            .flat_map(|usage| [usage.anon_kib, usage.descriptors, usage.threads])
            .collect())
    }

    /// Of [`PROCESSES`].
    fn usage(&mut self) -> Result<[Usage; 4]> {
        Ok([
            Usage::of(self.ann.process.id())?,
            Usage::of(self.bob.process.id())?,
            Usage::of(self.relay.process().id())?,
            Usage::of(self.signal.process().id())?,
        ])
    }
}

/// Waits until both servers are connected, or neither is.
async fn reaches_servers(client: &mut Client, up: bool) -> Result<()> {
    let deadline = Instant::now() + BACK;
    loop {
        let status = client.call("status", json!({"outbox": false})).await?;
        let servers: Vec<&Value> = ["signal_servers", "relays"]
            .into_iter()
            .flat_map(|kind| status[kind].as_array().into_iter().flatten())
            .collect();
        if servers.iter().all(|server| server["up"] == up) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "up is not {up}: {status}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
