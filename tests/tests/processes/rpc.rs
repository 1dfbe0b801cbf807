//! `peer rpc`: programs that drive a profile over stdio, and what they are told that there is.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Answer, Profile, World, invite};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

/// What takes longer than this does not come.
const SOON: Duration = Duration::from_secs(60);

/// A program that speaks with `peer rpc`.
struct Program {
    process: Child,
    stdin: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    next_id: u64,
    /// Answers that nobody has asked for yet.
    early: BTreeMap<u64, Value>,
}

impl Program {
    fn start(profile: &Profile) -> Result<Self> {
        let mut process = tokio::process::Command::from(profile.command(&["rpc"])?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().context("no stdout")?;
        Ok(Self {
            stdin: process.stdin.take(),
            process,
            answers: BufReader::new(stdout).lines(),
            next_id: 0,
            early: BTreeMap::new(),
        })
    }

    /// Calls, and does not wait.
    async fn ask(&mut self, method: &str, params: Value) -> Result<u64> {
        self.next_id += 1;
        let id = self.next_id;
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let stdin = self.stdin.as_mut().context("no stdin")?;
        stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(id)
    }

    /// The answer to a call; they come in any order.
    async fn answer_to(&mut self, id: u64) -> Result<Value> {
        loop {
            if let Some(answer) = self.early.remove(&id) {
                return Ok(answer);
            }
            let line = timeout(SOON, self.answers.next_line()).await??;
            let answer: Value = serde_json::from_str(&line.context("it has ended")?)?;
            let answered = answer["id"].as_u64().context("an answer to nothing")?;
            self.early.insert(answered, answer);
        }
    }

    async fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.ask(method, params).await?;
        let mut answer = self.answer_to(id).await?;
        ensure!(answer["error"].is_null(), "{method}: {answer}");
        Ok(answer["result"].take())
    }

    /// Nothing more is said to it.
    async fn ends(mut self) -> Result<Option<i32>> {
        drop(self.stdin.take());
        Ok(timeout(SOON, self.process.wait()).await??.code())
    }
}

#[tokio::test]
async fn a_program_answers_what_it_is_told_while_it_waits_for_more() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut bot = Program::start(&bob)?;
    let last = bot.call("cursor.get", json!({"name": "bot"})).await?["last"].take();
    let news = bot
        .ask("events.next", json!({"after": last, "timeout_ms": 60_000}))
        .await?;
    // The one that waits keeps no other one waiting.
    let id = bot.ask("id", json!({})).await?;
    let answer = bot.answer_to(id).await?;
    ensure!(answer["result"]["name"] == "bob", "{answer}");
    ann.run(&["send", "bob", "hello"])?;
    let mut answer = bot.answer_to(news).await?;
    let said = loop {
        let events = answer["result"]["events"].as_array().context("no events")?;
        if let Some(said) = events.iter().find(|event| event["type"] == "message") {
            break said.clone();
        }
        let cursor = answer["result"]["cursor"].clone();
        let params = json!({"after": cursor, "timeout_ms": 60_000});
        let news = bot.ask("events.next", params).await?;
        answer = bot.answer_to(news).await?;
    };
    assert_eq!(said["text"], "hello");
    let echo = json!({"to": said["address"], "texts": [said["text"]], "reply_to": said["id"]});
    bot.call("send", echo).await?;
    bot.call("read", json!({"from": said["address"], "seq": said["seq"]}))
        .await?;
    let heard = ann.run(&["listen", "--count", "1", "--timeout", "60s"])?;
    let echoed = heard
        .iter()
        .find(|one| one["type"] == "message")
        .context("no echo")?;
    assert_eq!(echoed["reply_to"]["text"], "hello");
    assert_eq!(bot.ends().await?, Some(0));
    Ok(())
}

/// It waited for news as long as it had wanted to, and its parent was gone.
#[tokio::test]
async fn regression_it_ends_with_its_stdin_also_while_it_waits() -> Result<()> {
    let world = World::start()?;
    let bob = world.profile("bob")?;
    let mut bot = Program::start(&bob)?;
    bot.call("id", json!({})).await?;
    bot.ask(
        "events.next",
        json!({"after": 1_000_000, "timeout_ms": 600_000}),
    )
    .await?;
    assert_eq!(bot.ends().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn it_goes_on_when_the_process_that_ran_the_profile_ends() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let mut daemon = bob.daemon().await?;
    let mut bot = Program::start(&bob)?;
    let status = bot.call("status", json!({})).await?;
    assert_eq!(status["process"]["id"], daemon.process.id());
    daemon.kill()?;
    let ids = bot
        .call("send", json!({"to": "ann", "texts": ["still here"]}))
        .await?;
    ensure!(
        ids["ids"].as_array().is_some_and(|ids| ids.len() == 1),
        "{ids}"
    );
    let heard = ann.run(&["listen", "--count", "1", "--timeout", "60s"])?;
    assert!(
        heard.iter().any(|one| one["text"] == "still here"),
        "{heard:?}"
    );
    let status = bot.call("status", json!({})).await?;
    assert_eq!(
        status["process"]["id"],
        bot.process.id().context("it has ended")?
    );
    assert_eq!(bot.ends().await?, Some(0));
    Ok(())
}

#[tokio::test]
async fn what_is_served_is_what_the_schema_says() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let Answer { objects, .. } = ann.answer(&["rpc", "--schema"])?;
    let document = objects.first().context("no document")?;
    bob.run(&["send", "ann", "hello"])?;
    let mut program = Program::start(&ann)?;
    let heard = program
        .call("events.next", json!({"after": 0, "timeout_ms": 60_000}))
        .await?;
    ensure!(
        heard["events"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
    let sent = program
        .call("send", json!({"to": "bob", "texts": ["one", "two"]}))
        .await?;
    let (one, two) = (&sent["ids"][0], &sent["ids"][1]);
    let link = invite(&bob, 2)?;
    let carol = world.profile("carol")?;
    let with_request = program.call("invite", json!({"uses": 2})).await?["link"].take();
    for name in ["dave", "erin"] {
        let link = with_request.as_str().context("no link")?;
        world.profile(name)?.run(&["add", link])?;
    }
    asked(&mut program, 2).await?;
    let calls = [
        ("id", json!({})),
        ("invite", json!({"uses": 1, "expires_ms": 60_000})),
        ("requests", json!({})),
        ("accept", json!({"id": "dave"})),
        ("reject", json!({"id": "erin"})),
        ("contacts", json!({})),
        ("rename", json!({"name": "dave", "to": "david"})),
        ("mute", json!({"name": "david", "for_ms": 60_000})),
        ("unmute", json!({"name": "david"})),
        ("disappear", json!({"name": "bob", "after_s": 60})),
        ("verify", json!({"name": "bob", "confirmed": true})),
        ("edit", json!({"to": "bob", "id": one, "text": "eins"})),
        (
            "react",
            json!({"to": "bob", "id": one, "emoji": "\u{1f44d}"}),
        ),
        (
            "send",
            json!({"to": "bob", "texts": ["three"], "reply_to": one}),
        ),
        ("delete", json!({"to": "bob", "id": two})),
        ("forward", json!({"from": "bob", "id": one, "to": "david"})),
        ("state", json!({"to": "bob", "id": one})),
        ("draft", json!({"name": "bob", "text": "fo"})),
        ("history", json!({"to": "bob", "around": one})),
        ("read", json!({"from": "bob", "seq": 1})),
        ("block", json!({"name": "david"})),
        ("unblock", json!({"name": "david"})),
        ("remove", json!({"name": "david"})),
        ("events.next", json!({"after": 0})),
        ("cursor.get", json!({"name": "x"})),
        ("cursor.set", json!({"name": "x", "cursor": 1})),
        ("status", json!({})),
        (
            "backup.export",
            json!({"file": world.path("ann.backup"), "passphrase": "correct horse"}),
        ),
    ];
    let mut called: Vec<&str> = Vec::new();
    for (method, params) in calls {
        let described = described(document, method)?;
        fits_params(document, described, &params).with_context(|| method.to_owned())?;
        let answer = program.call(method, params).await?;
        fits(document, &described["result"]["schema"], &answer)
            .with_context(|| method.to_owned())?;
        called.push(method);
    }
    // By somebody else, who has not met bob yet.
    let mut other = Program::start(&carol)?;
    let added = other
        .call("add", json!({"link": link, "message": "it's carol"}))
        .await?;
    fits(
        document,
        &described(document, "add")?["result"]["schema"],
        &added,
    )?;
    called.push("add");
    let methods = document["methods"].as_array().context("no methods")?;
    for method in methods.iter().filter_map(|method| method["name"].as_str()) {
        assert!(called.contains(&method), "{method} is not tried here");
    }
    let refused = program.ask("history", json!({"to": "nobody"})).await?;
    let error = program.answer_to(refused).await?["error"].take();
    fits(
        document,
        &document["components"]["errors"]["failure"]["data"],
        &error["data"],
    )?;
    assert_eq!(
        error["code"],
        document["components"]["errors"]["failure"]["code"]
    );
    Ok(())
}

/// Waits until so many ask.
async fn asked(program: &mut Program, count: usize) -> Result<()> {
    let asked = async {
        loop {
            let requests = program.call("requests", json!({})).await?;
            if requests.as_array().is_some_and(|all| all.len() == count) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, asked).await?
}

fn described<'a>(document: &'a Value, method: &str) -> Result<&'a Value> {
    let methods = document["methods"].as_array().context("no methods")?;
    let found = methods.iter().find(|one| one["name"] == method);
    found.with_context(|| format!("{method} is not in the document"))
}

/// Whether a value is what a schema of the document says.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<()> {
    let mut schema = schema.clone();
    // Shapes with a name are found from the root.
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema)?;
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    ensure!(problems.is_empty(), "{value}: {problems:?}");
    Ok(())
}

/// Whether each parameter is known, and what its schema says, and none is missing.
fn fits_params(document: &Value, method: &Value, params: &Value) -> Result<()> {
    let known = method["params"].as_array().context("no parameters")?;
    let given = params.as_object().context("no object")?;
    for (name, value) in given {
        let parameter = known.iter().find(|one| one["name"] == **name);
        let parameter = parameter.with_context(|| format!("{name} is not in the document"))?;
        fits(document, &parameter["schema"], value)?;
    }
    for required in known.iter().filter(|one| one["required"] == true) {
        let name = required["name"].as_str().context("no name")?;
        ensure!(given.contains_key(name), "{name} is required");
    }
    Ok(())
}
