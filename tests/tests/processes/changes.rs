//! What people do with messages and contacts, by the commands, one of them away for a while.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Answer, Profile, World};
use serde_json::Value;

/// Long enough for everything that waits at the relay.
const A_WHILE: &str = "2s";

/// What takes longer than this does not come.
const SOON: Duration = Duration::from_secs(60);

/// Fetches what waits.
fn fetches(who: &Profile) -> Result<Vec<Value>> {
    who.run(&["listen", "--timeout", A_WHILE])
}

fn history(who: &Profile, with: &str) -> Result<Vec<Value>> {
    let all = who.run(&["history", with])?;
    Ok(all
        .into_iter()
        .filter(|one| one["type"] == "message")
        .collect())
}

/// Sends a message; its id.
fn says(who: &Profile, to: &str, args: &[&str]) -> Result<String> {
    let sent = who.run(&[&["send", to, "--wait", "sent"], args].concat())?;
    let id = sent.first().and_then(|state| state["id"].as_str());
    Ok(id.context("nothing was sent")?.to_owned())
}

fn contact(who: &Profile, name: &str) -> Result<Value> {
    let contacts = who.run(&["contacts"])?;
    let found = contacts.into_iter().find(|one| one["name"] == name);
    found.with_context(|| format!("{name} is no contact"))
}

#[tokio::test]
async fn edits_deletions_reactions_and_answers_reach_somebody_who_was_away() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let (first, second) = (
        says(&ann, "bob", &["helo"])?,
        says(&ann, "bob", &["secret"])?,
    );
    fetches(&bob)?;
    let answer = says(&bob, "ann", &["hi", "--reply-to", &first])?;
    bob.run(&["react", "ann", &first, "\u{1f44d}"])?;
    ann.run(&["edit", "bob", &first, "hello"])?;
    ann.run(&["delete", "bob", &second])?;
    fetches(&bob)?;
    fetches(&ann)?;
    for (side, with) in [(&ann, "bob"), (&bob, "ann")] {
        let seen = history(side, with)?;
        let one = |id: &str| seen.iter().find(|one| one["id"] == id).context("gone");
        let edited = one(&first)?;
        assert_eq!(
            (&edited["text"], &edited["edited"]),
            (&"hello".into(), &true.into())
        );
        assert_eq!(edited["reactions"][0]["emoji"], "\u{1f44d}");
        let deleted = one(&second)?;
        assert_eq!(
            (&deleted["text"], &deleted["deleted"]),
            (&"".into(), &true.into())
        );
        assert_eq!(one(&answer)?["reply_to"]["text"], "hello");
    }
    // Only its author can.
    let refused = bob.answer(&["edit", "ann", &first, "mine"])?;
    assert_eq!(refused.code, Some(2));
    let nothing = bob.answer(&["react", "ann", "01900000-0000-7000-8000-000000000001", "x"])?;
    assert_eq!(nothing.code, Some(4));
    Ok(())
}

#[tokio::test]
async fn a_forwarded_message_says_so_and_not_from_whom() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let carol = world.profile("carol")?;
    e2e::acquaint(&ann, &carol)?;
    let id = says(&bob, "ann", &["news"])?;
    fetches(&ann)?;
    ann.run(&["forward", "bob", &id, "carol"])?;
    let heard = carol.run(&["listen", "--count", "1", "--timeout", "60s"])?;
    let heard = heard
        .iter()
        .find(|one| one["type"] == "message")
        .context("nothing")?;
    assert_eq!(
        (&heard["text"], &heard["forwarded"]),
        (&"news".into(), &true.into())
    );
    assert!(!heard.to_string().contains("bob"), "{heard}");
    Ok(())
}

#[tokio::test]
async fn both_see_the_same_safety_number_and_a_wrong_one_is_refused() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let number = |who: &Profile, with: &str| -> Result<String> {
        let shown = who.run(&["verify", with])?;
        let number = shown.first().and_then(|one| one["safety_number"].as_str());
        Ok(number.context("no number")?.to_owned())
    };
    let ours = number(&ann, "bob")?;
    assert_eq!(ours, number(&bob, "ann")?);
    assert_eq!(contact(&ann, "bob")?["verified"], false);
    let mut wrong = ours.clone();
    let digit = if wrong.ends_with('0') { "1" } else { "0" };
    wrong.replace_range(wrong.len() - 1.., digit);
    let Answer { code, objects, .. } = ann.answer(&["verify", "bob", &wrong])?;
    assert_eq!((code, &objects[0]["code"]), (Some(5), &"refused".into()));
    assert_eq!(contact(&ann, "bob")?["verified"], false);
    ann.run(&["verify", "bob", &ours])?;
    assert_eq!(contact(&ann, "bob")?["verification"], "verified");
    ann.run(&["verify", "bob", "--revoke"])?;
    bob.run(&["verify", "ann", "--confirm"])?;
    assert_eq!(contact(&ann, "bob")?["verified"], false);
    assert_eq!(contact(&bob, "ann")?["verified"], true);
    Ok(())
}

#[tokio::test]
async fn nothing_of_a_blocked_contact_arrives_and_what_waited_comes_when_they_are_unblocked()
-> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    says(&ann, "bob", &["before"])?;
    fetches(&bob)?;
    bob.run(&["block", "ann"])?;
    assert_eq!(contact(&bob, "ann")?["standing"], "blocked");
    ann.run(&["send", "bob", "while blocked"])?;
    let heard = fetches(&bob)?;
    assert!(
        !heard.iter().any(|one| one["type"] == "message"),
        "{heard:?}"
    );
    let refused = bob.answer(&["send", "ann", "hello"])?;
    assert_eq!(refused.code, Some(5));
    bob.run(&["unblock", "ann"])?;
    let mut daemon = bob.daemon().await?;
    // Ann hears where bob is now, and deposits there.
    ann.run(&[
        "send",
        "bob",
        "after",
        "--wait",
        "delivered",
        "--timeout",
        "60s",
    ])?;
    let deadline = tokio::time::Instant::now() + SOON;
    let texts = loop {
        let texts = daemon.received("ann").await?;
        if texts.len() == 3 || tokio::time::Instant::now() > deadline {
            break texts;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(texts, ["before", "while blocked", "after"]);
    Ok(())
}

/// The first command after its time showed it, and the driver took it out a moment later.
#[tokio::test]
async fn regression_what_disappeared_while_nobody_was_there_is_not_shown_once_more() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    ann.run(&["disappear", "bob", "2s"])?;
    fetches(&bob)?;
    let id = says(&bob, "ann", &["for a moment"])?;
    ann.run(&["listen", "--count", "1", "--timeout", "60s"])?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let seen = history(&ann, "bob")?;
    assert!(seen.iter().all(|one| one["id"] != *id), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn messages_disappear_on_both_sides() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    ann.run(&["disappear", "bob", "1s"])?;
    let id = says(&ann, "bob", &["for a moment"])?;
    let heard = fetches(&bob)?;
    assert!(
        heard
            .iter()
            .any(|one| one["type"] == "timer" && one["expires_s"] == 1)
    );
    assert!(
        heard
            .iter()
            .any(|one| one["id"] == *id && one["expires_s"] == 1),
        "{heard:?}"
    );
    for (side, with) in [(&bob, "ann"), (&ann, "bob")] {
        let deadline = tokio::time::Instant::now() + SOON;
        loop {
            // Ann's goes once she knows that it has arrived.
            fetches(side)?;
            if !history(side, with)?.iter().any(|one| one["id"] == *id) {
                break;
            }
            ensure!(tokio::time::Instant::now() < deadline, "it is still there");
        }
    }
    ann.run(&["disappear", "bob", "off"])?;
    assert_eq!(contact(&ann, "bob")?["expires_s"], 0);
    Ok(())
}

#[tokio::test]
async fn contacts_are_renamed_muted_and_removed() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    ann.run(&["rename", "bob", "Robert"])?;
    assert_eq!(contact(&ann, "Robert")?["muted"], false);
    ann.run(&["mute", "robert", "--for", "8h"])?;
    assert!(contact(&ann, "Robert")?["muted_until"].is_string());
    ann.run(&["mute", "Robert"])?;
    let muted = contact(&ann, "Robert")?;
    assert_eq!(
        (&muted["muted"], &muted["muted_until"]),
        (&true.into(), &Value::Null)
    );
    ann.run(&["unmute", "Robert"])?;
    assert_eq!(contact(&ann, "Robert")?["muted"], false);
    for wrong in ["", "tin1x", "a\nb"] {
        assert_eq!(
            ann.answer(&["rename", "Robert", wrong])?.code,
            Some(2),
            "{wrong:?}"
        );
    }
    says(&bob, "ann", &["hello"])?;
    fetches(&ann)?;
    ann.run(&["remove", "Robert"])?;
    assert!(ann.run(&["contacts"])?.is_empty());
    assert_eq!(ann.answer(&["history", "Robert"])?.code, Some(4));
    assert_eq!(ann.answer(&["remove", "Robert"])?.code, Some(4));
    Ok(())
}

#[tokio::test]
async fn what_was_not_shown_yet_is_counted() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    for text in ["one", "two", "three"] {
        says(&ann, "bob", &[text])?;
    }
    let mut daemon = bob.daemon().await?;
    e2e::wait_for_link(&mut daemon, "ann", "none", SOON).await?;
    let deadline = tokio::time::Instant::now() + SOON;
    while contact(&bob, "ann")?["unread"] != 3 {
        ensure!(
            tokio::time::Instant::now() < deadline,
            "{}",
            contact(&bob, "ann")?
        );
    }
    bob.run(&["listen", "--count", "2", "--timeout", "60s"])?;
    assert_eq!(contact(&bob, "ann")?["unread"], 1);
    bob.run(&["listen", "--count", "1", "--timeout", "60s"])?;
    assert_eq!(contact(&bob, "ann")?["unread"], 0);
    Ok(())
}
