use std::time::Duration;

use super::bench::{ann_and_bob, reach};

#[tokio::test]
async fn regression_a_contact_that_changes_servers_all_the_time_gets_one_change_a_minute() {
    let (mut ann, _bob) = ann_and_bob();
    let no = ann.no();
    ann.driver.handle_reach(no, reach(1)).unwrap();
    assert_eq!(ann.row().their_reach, Some(reach(1)));
    for n in [2, 3] {
        ann.driver.handle_reach(no, reach(n)).unwrap();
    }
    assert_eq!(ann.row().their_reach, Some(reach(1)));
    let due = ann.contact().reach_due().unwrap();
    let now = ann.driver.around.now().instant;
    assert!(due.since(now) > Duration::from_secs(50));
    assert!(ann.driver.deadline() <= due);

    // The newest one wins, and outlives a restart.
    ann.restart();
    assert_eq!(ann.row().their_reach, Some(reach(1)));
    ann.driver.handle_timers().unwrap();
    assert_eq!(ann.row().their_reach, Some(reach(3)));
    assert_eq!(ann.row().next_reach, None);
}

#[tokio::test]
async fn a_reach_that_is_known_changes_nothing() {
    let (mut ann, _bob) = ann_and_bob();
    let (no, known) = (ann.no(), ann.row().their_reach.clone().unwrap());
    ann.driver.handle_reach(no, known).unwrap();
    ann.driver.handle_reach(no, reach(1)).unwrap();
    assert_eq!(ann.row().their_reach, Some(reach(1)));
}
