//! What goes over the wire, by tcpdump.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::Process;

use super::search::Canary;

/// tcpdump starts and ends within this time, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A running capture of the loopback interface.
pub(crate) struct Capture {
    process: Process,
    file: PathBuf,
    log: PathBuf,
    /// Where the controls go to.
    control: TcpListener,
}

impl Capture {
    /// Captures all of UDP and these ports of TCP, into a file in `folder`.
    pub(crate) fn start(folder: &Path, ports: &[u16]) -> Self {
        let (file, log) = (folder.join("wire.pcap"), folder.join("tcpdump.log"));
        let control = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut filter = "udp".to_owned();
        for port in ports.iter().chain([&control.local_addr().unwrap().port()]) {
            filter += &format!(" or tcp port {port}");
        }
        let mut command = Command::new("tcpdump");
        // As it comes; a large buffer in the kernel, in KiB, so that nothing is lost.
        command
            .args(["-i", "lo", "-n", "-U", "-s", "0", "-B", "65536", "-w"])
            .arg(&file);
        if rustix::process::getuid().is_root() {
            // It would become somebody who may not write here.
            command.args(["-Z", "root"]);
        }
        command.arg(&filter);
        let process = Process::start(&mut command, &log).expect(
            "tcpdump is missing: install it with `apt-get install tcpdump`; it needs CAP_NET_RAW",
        );
        let mut capture = Self {
            process,
            file,
            log,
            control,
        };
        capture.until("it listens", |capture| {
            fs::read_to_string(&capture.log).is_ok_and(|log| log.contains("listening on"))
        });
        capture
    }

    /// Sends bytes over TCP and UDP, in clear.
    pub(crate) fn send_in_clear(&self, bytes: &[u8]) {
        let address = self.control.local_addr().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let (mut other, _) = self.control.accept().unwrap();
        stream.write_all(bytes).unwrap();
        drop(stream);
        let mut received = Vec::new();
        other.read_to_end(&mut received).unwrap();
        assert_eq!(received, bytes);
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(bytes, sink.local_addr().unwrap()).unwrap();
    }

    /// Everything that was captured until now: waits until a last word is in the file.
    pub(crate) fn end(mut self) -> Vec<u8> {
        let last = Canary::new();
        self.send_in_clear(last.text.as_bytes());
        self.until("the last word is captured", |capture| {
            fs::read(&capture.file).is_ok_and(|bytes| !last.found_in(&bytes).is_empty())
        });
        self.process.terminate().unwrap();
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(log.contains("\n0 packets dropped by kernel"), "{log}");
        fs::read(&self.file).unwrap()
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(self) {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "tcpdump: not in time: {what}: {log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
