//! A real TURN server on loopback: the `turnserver` of Debian's package `coturn`.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tincan_link::IceServer;

pub(crate) struct Coturn {
    child: Child,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
}

const USER: &str = "tincan";
const PASSWORD: &str = "secret";

impl Coturn {
    pub(crate) fn start() -> Self {
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let child = Command::new("turnserver")
            .args([
                "-n",
                "--listening-ip=127.0.0.1",
                "--relay-ip=127.0.0.1",
                "--allow-loopback-peers",
            ])
            .args([
                "--no-tls",
                "--no-dtls",
                "--no-tcp",
                "--no-cli",
                "--lt-cred-mech",
                "--realm=tincan",
            ])
            .args([
                format!("--listening-port={port}"),
                format!("--user={USER}:{PASSWORD}"),
            ])
            .args([
                format!("--userdb={}", path("db")),
                format!("--pidfile={}", path("pid")),
            ])
            .args([
                format!("--log-file={}", path("log")),
                "--simple-log".to_owned(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("`turnserver` of Debian's package coturn");
        let coturn = Self {
            child,
            port,
            _folder: folder,
        };
        coturn.wait_until_it_answers();
        coturn
    }

    pub(crate) fn ice_server(&self) -> IceServer {
        IceServer {
            urls: vec![format!("turn:127.0.0.1:{}?transport=udp", self.port)],
            username: USER.to_owned(),
            credential: PASSWORD.to_owned(),
        }
    }

    /// Asks with STUN binding requests (RFC 8489) until one is answered.
    fn wait_until_it_answers(&self) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let sent = socket.send(&request);
            if sent.is_ok() && socket.recv(&mut [0; 512]).is_ok() {
                return;
            }
            if sent.is_err() {
                std::thread::yield_now();
            }
        }
        panic!("turnserver does not answer");
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
