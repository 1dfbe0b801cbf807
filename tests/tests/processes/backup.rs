//! A profile that is lost, and goes on with its backup on another device.

use std::fs;

use anyhow::{Context as _, Result};
use e2e::{Answer, Profile, World};
use serde_json::Value;

/// Long enough for everything that waits at the relay.
const A_WHILE: &str = "3s";

fn texts(who: &Profile, with: &str) -> Result<Vec<String>> {
    let all = who.run(&["history", with])?;
    let messages = all.iter().filter(|one| one["type"] == "message");
    let texts = messages.map(|one| one["text"].as_str().unwrap_or_default().to_owned());
    Ok(texts.collect())
}

fn contact(who: &Profile, name: &str) -> Result<Value> {
    let contacts = who.run(&["contacts"])?;
    let found = contacts.into_iter().find(|one| one["name"] == name);
    found.with_context(|| format!("{name} is no contact"))
}

fn fetches(who: &Profile) -> Result<()> {
    who.run(&["listen", "--timeout", A_WHILE])?;
    Ok(())
}

fn says(who: &Profile, to: &str, text: &str) -> Result<String> {
    let sent = who.run(&["send", to, text, "--wait", "sent"])?;
    let id = sent.first().and_then(|state| state["id"].as_str());
    Ok(id.context("nothing was sent")?.to_owned())
}

#[tokio::test]
async fn whoever_has_lost_everything_goes_on_with_a_backup() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let passphrase = world.path("passphrase");
    fs::write(&passphrase, "correct horse battery\n")?;
    let with = passphrase.to_str().context("a path")?;
    let first = says(&ann, "bob", "one")?;
    fetches(&bob)?;
    says(&bob, "ann", "two")?;
    fetches(&ann)?;
    bob.run(&["verify", "ann", "--confirm"])?;
    ann.run(&["verify", "bob", "--confirm"])?;
    ann.run(&["rename", "bob", "bobby"])?;
    // One that is at the relay when the backup is made.
    says(&ann, "bobby", "waiting")?;
    let file = world.path("ann.backup");
    let file = file.to_str().context("a path")?;
    let made = ann.run(&["backup", "export", file, "--with", with])?;
    assert_eq!(
        (&made[0]["contacts"], &made[0]["messages"]),
        (&1.into(), &3.into())
    );

    // What comes after it: one that arrived, one that is at the relay, and one of bob that nobody has read.
    says(&ann, "bobby", "after the backup")?;
    fetches(&bob)?;
    says(&ann, "bobby", "still at the relay")?;
    says(&bob, "ann", "for the new device")?;
    fs::remove_dir_all(ann.home())?;

    let ann = Profile::at(&world.path("ann's next"));
    ann.run(&["--no-keyring", "backup", "import", file, "--with", with])?;
    let kept = texts(&ann, "bobby")?;
    assert_eq!(kept, ["one", "two", "waiting"], "at once and offline");
    // What is written before anybody could be asked waits as well.
    ann.run(&["send", "bobby", "it is me again"])?;
    assert_eq!(contact(&ann, "bobby")?["standing"], "requested");
    // Bob had verified the other device.
    fetches(&bob)?;
    assert_eq!(contact(&bob, "ann")?["verification"], "changed");
    assert!(texts(&bob, "ann")?.contains(&"still at the relay".to_owned()));
    bob.run(&["verify", "ann", "--confirm"])?;
    fetches(&bob)?;
    fetches(&ann)?;
    let bobby = contact(&ann, "bobby")?;
    assert_eq!(
        (&bobby["standing"], &bobby["verification"]),
        (&"accepted".into(), &"verified".into())
    );
    fetches(&bob)?;
    says(&bob, "ann", "welcome back")?;
    ann.run(&["react", "bobby", &first, "\u{1f44d}"])?;
    ann.run(&["edit", "bobby", &first, "one, edited"])?;
    fetches(&ann)?;
    fetches(&bob)?;
    assert_eq!(
        texts(&ann, "bobby")?,
        [
            "one, edited",
            "two",
            "waiting",
            "for the new device",
            "it is me again",
            "welcome back"
        ]
    );
    assert_eq!(
        texts(&bob, "ann")?,
        [
            "one, edited",
            "two",
            "waiting",
            "after the backup",
            "still at the relay",
            "for the new device",
            "it is me again",
            "welcome back"
        ]
    );
    let shown = bob.run(&["history", "ann"])?;
    assert_eq!(shown[0]["reactions"][0]["emoji"], "\u{1f44d}");
    // And she is found by an invite that was made before, or one that is made now.
    let carol = world.profile("carol")?;
    e2e::acquaint(&ann, &carol)?;
    says(&carol, "ann", "hello")?;
    fetches(&ann)?;
    assert_eq!(texts(&ann, "carol")?, ["hello"]);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_backup_is_said_and_nothing_is_left() -> Result<()> {
    let world = World::start()?;
    let ann = world.profile("ann")?;
    let (right, wrong) = (world.path("right"), world.path("wrong"));
    fs::write(&right, "correct horse\n")?;
    fs::write(&wrong, "wrong horse\n")?;
    let path = |path: &std::path::Path| path.to_str().unwrap_or_default().to_owned();
    let file = path(&world.path("ann.backup"));
    let export = ["backup", "export", &file, "--with", &path(&right)];
    ann.run(&export)?;
    let Answer { code, objects, .. } = ann.answer(&export)?;
    assert_eq!(
        (code, &objects[0]["code"]),
        (Some(2), &"usage".into()),
        "nothing is written over"
    );
    let no_passphrase = ann.answer(&["backup", "export", &path(&world.path("other"))])?;
    assert_eq!(no_passphrase.code, Some(2));

    let next = Profile::at(&world.path("next"));
    let import = |file: &str, with: &std::path::Path| {
        next.answer(&[
            "--no-keyring",
            "backup",
            "import",
            file,
            "--with",
            &path(with),
        ])
    };
    let missing = import(&path(&world.path("missing")), &right)?;
    assert_eq!(missing.code, Some(1));
    let refused = import(&file, &wrong)?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.objects[0]["message"]
            .to_string()
            .contains("passphrase")
    );
    let bytes = fs::read(&file)?;
    for (name, bytes) in [
        ("cut", bytes[..bytes.len() - 1].to_vec()),
        ("text", b"dear diary".to_vec()),
        ("empty", Vec::new()),
    ] {
        let damaged = world.path(name);
        fs::write(&damaged, bytes)?;
        let answer = import(&path(&damaged), &right)?;
        assert!(matches!(answer.code, Some(1 | 2)), "{name}: {answer:?}");
        assert!(!answer.objects[0]["help"].to_string().is_empty());
    }
    assert!(!next.home().join("key.json").exists());
    let made = import(&file, &right)?;
    assert_eq!(made.code, Some(0), "{:?}", made.objects);
    let again = import(&file, &right)?;
    assert_eq!(again.code, Some(2), "a profile is not written over");
    let devices = [&ann, &next].map(|one| one.run(&["id"]));
    let [one, other] = devices;
    let (one, other) = (one?, other?);
    assert_eq!(one[0]["address"], other[0]["address"]);
    assert_ne!(one[0]["device"], other[0]["device"]);
    Ok(())
}
