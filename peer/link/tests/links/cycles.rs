//! What is left of links that are over. Counts what the process has: nextest gives each test one.

use std::time::Duration;

use tincan_link::DownReason;

use crate::support::{DEADLINE, connected, loopback, put};

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn cycle() {
    let (mut ann, mut bob) = connected(loopback(), loopback()).await;
    ann.handle.send(put(1, 100)).await.unwrap();
    bob.put().await;
    ann.handle.close("cycle");
    assert!(matches!(ann.down().await, DownReason::ClosedHere { .. }));
    assert!(matches!(
        bob.down().await,
        DownReason::ClosedByRemote { .. }
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_links_leave_no_task_and_no_socket() {
    cycle().await;
    let tasks = tokio::runtime::Handle::current().metrics();
    let settled = |files: usize, alive: usize| async move {
        while open_files() > files || tasks.num_alive_tasks() > alive {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, settled(usize::MAX, 0))
        .await
        .expect("no task is left");
    let files = open_files();
    for _ in 0..50 {
        cycle().await;
    }
    let tasks = tokio::runtime::Handle::current().metrics();
    let left = async {
        while open_files() > files || tasks.num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(DEADLINE, left).await.is_err() {
        panic!(
            "{} files before, {} after; {} tasks",
            files,
            open_files(),
            tasks.num_alive_tasks()
        );
    }
}
