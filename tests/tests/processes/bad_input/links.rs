//! Invite links.

use anyhow::Result;
use e2e::{World, invite};

use super::{FAILED, NOT_FOUND, REFUSED, WRONG_USE, refuse};

#[test]
fn a_link_that_is_no_whole_invite_is_refused_and_the_whole_one_works_afterwards() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = (world.profile("ann")?, world.profile("bob")?);
    let link = invite(&ann, 1)?;
    let help = ["copy the whole link again"];
    for wrong in [
        "",
        "hello",
        "https://example.org",
        "tincan:",
        "tincan: ",
        "tincan:hello",
    ] {
        refuse(&bob, &["add", wrong], WRONG_USE, &help);
    }
    let after_scheme = link.strip_prefix("tincan:").unwrap();
    refuse(&bob, &["add", after_scheme], WRONG_USE, &help);
    for cut in [8, link.len() / 2, link.len() - 1] {
        refuse(&bob, &["add", &link[..cut]], WRONG_USE, &help);
    }
    for at in [8, 40, link.len() / 2, link.len() - 1] {
        let other = if link.as_bytes()[at] == b'q' {
            "p"
        } else {
            "q"
        };
        let changed = format!("{}{other}{}", &link[..at], &link[at + 1..]);
        refuse(&bob, &["add", &changed], WRONG_USE, &help);
    }
    let doubled = format!("{link}{link}");
    refuse(&bob, &["add", &doubled], WRONG_USE, &help);

    assert!(bob.run(&["contacts"])?.is_empty(), "somebody was added");
    bob.run(&["add", &link])?;
    ann.run(&["contacts"])?;
    assert_eq!(bob.run(&["contacts"])?[0]["standing"], "accepted");
    Ok(())
}

#[test]
fn an_expired_link_is_refused() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = (world.profile("ann")?, world.profile("bob")?);
    let made = ann.run(&["invite", "--expires", "1ms"])?;
    let link = made[0]["link"].as_str().unwrap();
    refuse(
        &bob,
        &["add", link],
        FAILED,
        &["expired", "ask them for a new invite"],
    );
    Ok(())
}

#[test]
fn ones_own_link_and_a_link_of_a_contact_are_refused() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let link = invite(&ann, 2)?;
    refuse(&ann, &["add", &link], WRONG_USE, &["your own invite"]);
    refuse(&bob, &["add", &link], WRONG_USE, &["contact already"]);
    Ok(())
}

#[test]
fn a_used_up_link_is_refused() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let carol = world.profile("carol")?;
    // One that was used, and one whose owner was online when it was.
    let link = invite(&ann, 1)?;
    carol.run(&["add", &link])?;
    assert_eq!(ann.run(&["contacts"])?.len(), 2);
    let dave = world.profile("dave")?;
    refuse(&dave, &["add", &link], REFUSED, &["used up", "new invite"]);
    // Nobody was added, so nothing waits for an answer that never comes.
    assert!(dave.run(&["contacts"])?.is_empty());
    assert_eq!(ann.run(&["contacts"])?.len(), 2);
    drop(bob);
    Ok(())
}

#[test]
fn nobody_can_be_accepted_who_has_not_asked() -> Result<()> {
    let world = World::start()?;
    let (ann, _bob) = world.ann_and_bob()?;
    for who in ["carol", "bob", ""] {
        for command in ["accept", "reject"] {
            refuse(
                &ann,
                &[command, who],
                NOT_FOUND,
                &["nobody", "peer requests"],
            );
        }
    }
    Ok(())
}
