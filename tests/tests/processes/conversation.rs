//! A conversation line by line, and as a file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::{Binary, Profile, World};
use serde_json::Value;

/// `peer chat --plain`, with lines in and out.
struct Chat {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Chat {
    /// For people: without `--json`.
    fn start(who: &Profile, with: &str) -> Result<Self> {
        let mut command = Command::new(Binary::Peer.path()?);
        command
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("TZ", "UTC");
        command
            .arg("--home")
            .arg(who.home())
            .args(["chat", with, "--plain"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self {
            child,
            stdin,
            stdout,
        })
    }

    fn types(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.stdin, "{line}")?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "it has ended");
        Ok(line.trim_end().to_owned())
    }

    /// Its next line with this in it.
    fn line_with(&mut self, part: &str) -> Result<String> {
        loop {
            let line = self.line()?;
            if line.contains(part) {
                return Ok(line);
            }
        }
    }

    /// Nothing more is typed; its exit code and what it said on stderr.
    fn ends(self) -> Result<(Option<i32>, String)> {
        drop(self.stdin);
        drop(self.stdout);
        let output = self.child.wait_with_output()?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    }
}

#[tokio::test]
async fn people_talk_line_by_line() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    bob.run(&["send", "ann", "are you there?", "--wait", "sent"])?;
    let (mut here, mut there) = (Chat::start(&ann, "bob")?, Chat::start(&bob, "ann")?);
    here.line_with("are you there?")?;
    there.line_with("are you there?")?;
    here.types("yes")?;
    let line = there.line_with(": yes")?;
    ensure!(line.starts_with("#2  "), "{line}");
    there.types("/react #2 \u{1f44d}")?;
    here.line_with("\u{1f44d}")?;
    there.types("/reply #2 good")?;
    here.line_with("(to ann: yes) good")?;
    there.types("/sned nothing")?;
    there.types("//etc is a folder")?;
    here.line_with(": /etc is a folder")?;
    here.types("/mute --for 8h")?;
    here.line_with("bob is muted until ")?;
    // What is printed counts as read.
    bob.run(&[
        "send",
        "ann",
        "really?",
        "--wait",
        "read",
        "--timeout",
        "60s",
    ])?;
    let (code, stderr) = there.ends()?;
    assert_eq!(code, Some(0), "{stderr}");
    ensure!(stderr.contains("no command /sned"), "{stderr}");
    assert_eq!(here.ends()?.0, Some(0));
    let texts: Vec<Value> = ann
        .run(&["history", "bob"])?
        .into_iter()
        .map(|one| one["text"].clone())
        .collect();
    assert_eq!(
        texts,
        [
            "are you there?",
            "yes",
            "good",
            "/etc is a folder",
            "really?"
        ]
    );
    Ok(())
}

#[tokio::test]
async fn lines_of_a_pipe_are_messages_and_nobody_is_talked_to_in_vain() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let sent = ann.answer_to(&["chat", "bob", "--plain"], "one\n\ntwo\n".to_owned())?;
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let heard = bob.run(&["listen", "--count", "2", "--timeout", "60s"])?;
    assert_eq!(
        (&heard[0]["text"], &heard[1]["text"]),
        (&"one".into(), &"two".into())
    );
    let nobody = ann.answer(&["chat", "nobody", "--plain"])?;
    assert_eq!(nobody.code, Some(4));
    let no_terminal = ann.answer(&["chat", "bob"])?;
    assert_eq!(no_terminal.code, Some(2));
    Ok(())
}

#[tokio::test]
async fn a_conversation_becomes_a_file_of_each_kind() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let lines: String = (0..1200).map(|n| format!("line {n:04} <b>&\n")).collect();
    let sent = ann.answer_to(&["send", "bob", "-"], lines)?;
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    ann.run(&["disappear", "bob", "7d"])?;
    bob.run(&["listen", "--count", "1200", "--timeout", "60s"])?;
    for (who, with) in [(&ann, "bob"), (&bob, "ann")] {
        let file = |name: &str| world.path(&format!("{with}.{name}")).display().to_string();
        for format in ["text", "json", "html"] {
            let done = who.run(&["export", with, &file(format), "--format", format])?;
            assert_eq!(
                (&done[0]["type"], &done[0]["messages"]),
                (&"exported".into(), &1200.into())
            );
        }
        let json: Value = serde_json::from_str(&std::fs::read_to_string(file("json"))?)?;
        let messages = json["messages"].as_array().context("no messages")?;
        let texts = messages
            .iter()
            .filter(|one| one["type"] == "message")
            .map(|one| &one["text"]);
        for (n, text) in texts.enumerate() {
            assert_eq!(*text, format!("line {n:04} <b>&"));
        }
        assert_eq!(json["contact"], with);
        let text = std::fs::read_to_string(file("text"))?;
        assert_eq!(
            text.lines().filter(|line| line.contains(": line ")).count(),
            1200
        );
        let html = std::fs::read_to_string(file("html"))?;
        assert_eq!(html.matches("<article").count(), 1200);
        ensure!(html.contains("line 0000 &lt;b&gt;&amp;") && !html.contains("<b>"));
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file("json"))?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = who.answer(&["export", with, &file("json")])?;
        assert_eq!(again.code, Some(2), "{again:?}");
    }
    Ok(())
}
