//! The real coturn, with the configuration of `turn-config/`, in the place of the embedded TURN.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Daemon, Journal, Process, ServerOptions, States, World, ids, wait_for_link};
use serde_json::json;
use tempfile::TempDir;

/// The secret that coturn and the signaling server share.
const SECRET: &str = "a-secret-of-the-tests";

/// Nothing here takes this long, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A running coturn; its folder goes with it.
struct Coturn {
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Coturn {
    /// Only what the configuration says must be changed is changed; files and ports are the test's
    /// own, and its own address, which is a loopback one here, may be relayed to.
    fn start() -> Result<Self> {
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../turn-config/turnserver.conf");
        let mut config = fs::read_to_string(template)?;
        let folder = tempfile::tempdir()?;
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let at = |file: &str| folder.path().join(file).display().to_string();
        for (from, to) in [
            ("192.0.2.10", "127.0.0.1"),
            ("CHANGE-ME", SECRET),
            ("listening-port=3478", &format!("listening-port={port}")),
            ("\nsyslog", &format!("\nlog-file={}\nverbose", at("log"))),
        ] {
            ensure!(config.contains(from), "{from} is not in the configuration");
            config = config.replace(from, to);
        }
        config += &format!(
            "allow-loopback-peers\nallowed-peer-ip=127.0.0.1\npidfile={}\nuserdb={}\n",
            at("pid"),
            at("db")
        );
        fs::write(at("conf"), config)?;
        let mut command = Command::new("turnserver");
        command.args(["-c", &at("conf")]);
        let process = Process::start(&mut command, &folder.path().join("stderr"))
            .expect("turnserver is missing: install it with `apt-get install coturn`");
        wait_for_stun(port);
        Ok(Self {
            port,
            folder,
            process,
        })
    }

    /// How often its log speaks of a new session: what came through it is proved by that.
    fn sessions(&self) -> Result<usize> {
        let mut log = String::new();
        // coturn adds the day to the name.
        for entry in fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("log"))
            {
                log += &fs::read_to_string(path)?;
            }
        }
        Ok(log.matches("ALLOCATE processed, success").count())
    }
}

/// Until it answers a Binding request.
fn wait_for_stun(port: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut request = [0; 20];
    request[1] = 1;
    request[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    for _ in 0..200 {
        let _ = socket.send_to(&request, ("127.0.0.1", port));
        if socket.recv(&mut [0; 256]).is_ok() {
            return;
        }
    }
    panic!("coturn does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_peers_that_may_only_relay_link_and_talk_through_coturn() -> Result<()> {
    let mut coturn = Coturn::start()?;
    let secret = coturn.folder.path().join("secret");
    fs::write(&secret, SECRET)?;
    let args = [
        "--no-turn".to_owned(),
        "--turn-url".to_owned(),
        format!("turn:127.0.0.1:{}?transport=udp", coturn.port),
        "--turn-secret-file".to_owned(),
        secret.display().to_string(),
    ];
    let world = World::with(ServerOptions {
        args: args.to_vec(),
        ..ServerOptions::default()
    })?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut a = ann.with_args(&["--ice", "relay"]).daemon().await?;
    let mut b = bob.with_args(&["--ice", "relay"]).daemon().await?;
    wait_for_link(&mut a, "bob", "turn", LIMIT).await?;
    wait_for_link(&mut b, "ann", "turn", LIMIT).await?;

    all_arrive(&mut a, "bob", &mut b, "ann").await?;
    all_arrive(&mut b, "ann", &mut a, "bob").await?;
    // It is still that link, and coturn has carried it.
    wait_for_link(&mut a, "bob", "turn", Duration::ZERO).await?;
    wait_for_link(&mut b, "ann", "turn", Duration::ZERO).await?;
    assert!(coturn.sessions()? >= 2, "coturn has relayed for nobody");
    for daemon in [&mut a, &mut b] {
        assert_eq!(daemon.process.terminate()?, Some(0));
    }
    coturn.process.kill()?;
    Ok(())
}

/// Sends many messages at once; each arrives once and in order, and its sender learns of it.
async fn all_arrive(from: &mut Daemon, to: &str, at: &mut Daemon, name: &str) -> Result<()> {
    let texts: Vec<String> = (0..300).map(|number| format!("message {number}")).collect();
    let mut told = Journal::from_now(from).await?;
    let sent = from.call("send", json!({"to": to, "texts": texts})).await?;
    let (mut states, ids) = (States::default(), ids(&sent)?);
    told.until("delivery", LIMIT, |event| {
        states.note(event);
        states.all_reached(&ids, "delivered")
    })
    .await?;
    states.check_forward()?;
    assert_eq!(at.received(name).await?, texts);
    Ok(())
}
