//! Lines on the socket of a profile.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tincan_peer::Peer;
use tincan_peer::rpc::Server;
use tokio::runtime::Runtime;

use super::profile;

/// An answer that takes longer will never come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Codes of errors, as `RpcError` documents them.
const CODES: [&str; 6] = [
    "failed",
    "usage",
    "timeout",
    "not_found",
    "refused",
    "ended",
];

struct Serving {
    home: PathBuf,
    _server: Server,
    _runtime: Runtime,
    _folder: tempfile::TempDir,
}

static SERVING: LazyLock<Serving> = LazyLock::new(|| {
    let (folder, home) = profile::make();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(async {
        let peer = Peer::builder().home(&home).offline().spawn().await.unwrap();
        Server::spawn(peer).unwrap()
    });
    Serving {
        home,
        _server: server,
        _runtime: runtime,
        _folder: folder,
    }
});

/// Any lines: each gets one answer, with its own id, and the profile goes on.
pub fn socket_command(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    if lines.iter().any(|line| waits(line) || writes_a_file(line)) {
        return;
    }
    let mut expected = BTreeMap::<String, usize>::new();
    for line in &lines {
        *expected.entry(id(line)).or_default() += 1;
    }
    let stream = UnixStream::connect(SERVING.home.join("peer.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut writer, reader) = (stream.try_clone().unwrap(), BufReader::new(stream));
    writer
        .write_all(data)
        .and_then(|()| writer.write_all(b"\n"))
        .unwrap();
    for line in reader.lines().take(lines.len()) {
        let line = line.expect("no answer");
        assert!(
            line.len() <= data.len() * 8 + (1 << 20),
            "{} bytes",
            line.len()
        );
        let answer: Value = serde_json::from_str(&line).unwrap();
        check(&answer);
        let count = expected.get_mut(&answer["id"].to_string());
        let count = count.unwrap_or_else(|| panic!("an answer that nobody asked for: {line}"));
        *count = count.checked_sub(1).expect("two answers to one request");
    }
    assert!(
        expected.values().all(|count| *count == 0),
        "no answers for {expected:?}"
    );
}

fn check(answer: &Value) {
    assert_eq!(answer["jsonrpc"], "2.0");
    let error = &answer["error"];
    if error.is_null() {
        assert!(answer.get("result").is_some(), "{answer}");
        return;
    }
    let code = error["data"]["code"].as_str().unwrap();
    assert!(CODES.contains(&code), "{answer}");
    assert_ne!(code, "ended", "the profile has ended");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert!(error["data"]["help"].is_string());
}

/// Whether it asks for news and would wait for them.
fn waits(line: &[u8]) -> bool {
    let request: Value = serde_json::from_slice(line).unwrap_or_default();
    let wait = &request["params"]["timeout_ms"];
    // In JSON the last of two fields of one name counts, and numbers have many forms: rather too many
    // are left out than one too few.
    !wait.is_null() && *wait != 0
}

/// Whether it could write a file anywhere, and take as long as a passphrase takes.
fn writes_a_file(line: &[u8]) -> bool {
    let request: Value = serde_json::from_slice(line).unwrap_or_default();
    let file = request["params"]["file"].as_str().unwrap_or_default();
    // Of two fields of one name the last one counts, here and there.
    file.starts_with('/')
}

/// The id that an answer to this line has: `null` for what is no request.
fn id(line: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Request {
        #[serde(default)]
        id: Value,
        #[serde(rename = "method")]
        _method: String,
        // Read as the server reads it: what is only skipped may hold what is no text.
        #[serde(default, rename = "params")]
        _params: Value,
    }
    serde_json::from_slice(line)
        .map_or("null".to_owned(), |request: Request| request.id.to_string())
}
