//! A network of its own for a test, where nobody else's packets are.

use std::process::Command;

/// Set in the process that runs there.
const INSIDE: &str = "TINCAN_TEST_NETWORK";

/// Runs this test again in a network of its own, with nothing but loopback. False if that is where
/// it runs already: then the caller goes on. Fails as the other run does.
pub(crate) fn run_alone() -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let exe = std::env::current_exe().unwrap();
    // A test runs in a thread of its name.
    let this = std::thread::current();
    let test = this.name().unwrap();
    let mut command = Command::new("unshare");
    // Nobody has to be root to run the test: the right to make a network comes with a user namespace.
    if !rustix::process::getuid().is_root() {
        command.args(["--map-current-user", "--keep-caps"]);
    }
    command
        .args(["--net", "--kill-child", "--fork", "sh", "-c"])
        .arg(r#"ip link set lo up && exec "$0" "$@""#)
        .arg(exe)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1");
    let status = command.status().expect(
        "unshare is missing: install it with `apt-get install util-linux iproute2 tcpdump`",
    );
    assert!(
        status.success(),
        "the test failed in a network of its own (made with `unshare --net`): {status}"
    );
    true
}
