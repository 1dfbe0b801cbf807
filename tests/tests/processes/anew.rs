//! Contacts that were removed and are added again, and a contact who comes back with another device.

use anyhow::{Context as _, Result};
use e2e::{Profile, World};
use serde_json::Value;

/// Long enough for everything that waits at the relay.
const A_WHILE: &str = "3s";

fn texts(who: &Profile, with: &str) -> Result<Vec<String>> {
    let all = who.run(&["history", with])?;
    let messages = all.iter().filter(|one| one["type"] == "message");
    let texts = messages.map(|one| one["text"].as_str().unwrap_or_default().to_owned());
    Ok(texts.collect())
}

fn standing(who: &Profile, name: &str) -> Result<Value> {
    let contacts = who.run(&["contacts"])?;
    let found = contacts.into_iter().find(|one| one["name"] == name);
    Ok(found.context("no contact")?["standing"].clone())
}

fn fetches(who: &Profile) -> Result<()> {
    who.run(&["listen", "--timeout", A_WHILE])?;
    Ok(())
}

fn invite(who: &Profile) -> Result<String> {
    let made = who.run(&["invite"])?;
    let link = made.first().and_then(|one| one["link"].as_str());
    Ok(link.context("no link")?.to_owned())
}

#[tokio::test]
async fn whoever_was_removed_goes_on_when_they_are_added_again() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    ann.run(&["send", "bob", "one", "--wait", "sent"])?;
    fetches(&bob)?;
    fetches(&ann)?;
    // What bob says is at the relay when he removes her, and not lost.
    bob.run(&["send", "ann", "two", "--wait", "sent"])?;
    bob.run(&["remove", "ann"])?;
    ann.run(&["send", "bob", "three"])?;
    bob.run(&["add", &invite(&ann)?, "--message", "it's bob again"])?;
    fetches(&ann)?;
    fetches(&bob)?;
    assert_eq!(standing(&bob, "ann")?, "accepted");
    bob.run(&["send", "ann", "four", "--wait", "sent"])?;
    ann.run(&["send", "bob", "five", "--wait", "sent"])?;
    fetches(&ann)?;
    fetches(&bob)?;
    fetches(&ann)?;
    let mut of_ann = texts(&ann, "bob")?;
    assert_eq!(of_ann.len(), 6, "{of_ann:?}");
    of_ann.sort();
    assert_eq!(
        of_ann,
        ["five", "four", "it's bob again", "one", "three", "two"]
    );
    assert_eq!(
        texts(&bob, "ann")?,
        ["three", "it's bob again", "four", "five"]
    );
    for (who, with) in [(&ann, "bob"), (&bob, "ann")] {
        for one in who.run(&["history", with])? {
            let state = one["state"].as_str().context("no state")?;
            assert!(["delivered", "read", "received"].contains(&state), "{one}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn whoever_was_removed_can_ask_once_more() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    bob.run(&["remove", "ann"])?;
    ann.run(&["send", "bob", "are you there?"])?;
    let link = invite(&bob)?;
    let refused = ann.answer(&["add", &link])?;
    assert_eq!(refused.code, Some(2));
    let help = refused.objects[0]["help"].as_str();
    assert!(
        help.is_some_and(|help| help.contains("--again")),
        "{help:?}"
    );
    ann.run(&["add", &link, "--again"])?;
    assert_eq!(standing(&ann, "bob")?, "requested");
    fetches(&bob)?;
    fetches(&ann)?;
    assert_eq!(standing(&ann, "bob")?, "accepted");
    assert_eq!(texts(&bob, "ann")?, ["are you there?"]);
    Ok(())
}

#[tokio::test]
async fn a_verified_contact_on_another_device_is_told_about_and_gets_nothing_before_that()
-> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    ann.run(&["verify", "bob", "--confirm"])?;
    ann.run(&["send", "bob", "for bob"])?;
    let phone = world.same_person_elsewhere(&bob, "bob's phone")?;
    phone.run(&["add", &invite(&ann)?])?;
    let heard = ann.run(&["listen", "--timeout", A_WHILE])?;
    let told = heard.iter().filter(|one| one["type"] == "contact_changed");
    let told: Vec<_> = told.map(|one| &one["verification"]).collect();
    assert_eq!(told, ["changed"]);
    let contacts = ann.run(&["contacts"])?;
    assert_eq!(contacts.len(), 1, "{contacts:?}");
    assert_eq!(contacts[0]["verification"], "changed");
    let refused = ann.answer(&["send", "bob", "who is it?"])?;
    assert_eq!(refused.code, Some(5), "{:?}", refused.objects);
    fetches(&phone)?;
    assert_eq!(standing(&phone, "ann")?, "requested");
    ann.run(&["verify", "bob", "--confirm"])?;
    fetches(&ann)?;
    fetches(&phone)?;
    assert_eq!(standing(&phone, "ann")?, "accepted");
    assert_eq!(texts(&phone, "ann")?, ["for bob"]);
    Ok(())
}
