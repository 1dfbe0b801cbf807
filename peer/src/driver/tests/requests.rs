//! What a stranger gets before somebody has said yes.

use super::bench::Bench;
use super::links::knock;

#[tokio::test]
async fn regression_nobody_is_dialed_or_answered_before_acceptance() {
    let (mut ann, mut bob) = (Bench::new("ann"), Bench::new("bob"));
    let invite = ann.invite(2);
    let request = bob.ask(&mut ann, &invite);
    ann.take_request(&invite, 1, request);
    let theirs = bob.server();
    let dialed = |ann: &Bench| {
        ann.driver.wanted_relays().connected.contains(&theirs)
            || ann.driver.wanted_signals().connected.contains(&theirs)
    };
    knock(&mut ann, &bob, 1);
    assert!(!dialed(&ann));
    assert_eq!(ann.contact().link.attempt(), None);

    let who = bob.driver.identity;
    ann.driver.decide(&who, true).unwrap().unwrap();
    knock(&mut ann, &bob, 2);
    assert!(dialed(&ann));
    assert!(ann.contact().link.attempt().is_some());
}
