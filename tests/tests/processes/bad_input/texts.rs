//! Messages, contacts and commands that do not exist or do not fit.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

use anyhow::Result;
use e2e::{Answer, Profile, World};
use serde_json::Value;

use super::{NOT_FOUND, WRONG_USE, history, is_refused, refuse};

/// Longest text, bytes.
const TEXT_MAX: usize = 16 * 1024;

/// Runs a command with these bytes on its stdin.
fn answer_to(profile: &Profile, args: &[&str], input: &[u8]) -> Result<Answer> {
    let mut command = profile.command(args)?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(input)?;
    to_answer(child.wait_with_output()?)
}

fn to_answer(output: Output) -> Result<Answer> {
    let stdout = String::from_utf8(output.stdout)?;
    let objects = stdout.lines().map(serde_json::from_str);
    Ok(Answer {
        code: output.status.code(),
        objects: objects.collect::<Result<_, _>>()?,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[test]
fn unknown_contacts_are_not_found() -> Result<()> {
    let world = World::start()?;
    let (ann, _bob) = world.ann_and_bob()?;
    let help = ["no such contact", "peer contacts"];
    refuse(&ann, &["send", "nobody", "hello"], NOT_FOUND, &help);
    refuse(&ann, &["history", "nobody"], NOT_FOUND, &help);
    refuse(&ann, &["listen", "--from", "nobody"], NOT_FOUND, &help);
    Ok(())
}

#[test]
fn texts_that_are_empty_or_too_long_are_refused_and_the_longest_one_arrives() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    refuse(&ann, &["send", "bob", ""], WRONG_USE, &["empty"]);
    let too_long = "x".repeat(TEXT_MAX + 1);
    refuse(
        &ann,
        &["send", "bob", &too_long],
        WRONG_USE,
        &["16384", "16385", "split"],
    );
    let longest = "ü".repeat(TEXT_MAX / 2);
    ann.run(&["send", "bob", &longest, "--wait", "sent"])?;
    bob.run(&["listen", "--count", "1", "--timeout", "30s"])?;
    assert_eq!(history(&bob, "ann"), [longest]);
    Ok(())
}

#[test]
fn regression_what_comes_before_a_bad_line_on_stdin_is_sent_as_the_error_says() -> Result<()> {
    let world = World::start()?;
    let (ann, bob) = world.ann_and_bob()?;
    let args = ["send", "bob", "-"];
    let answer = answer_to(&ann, &args, b"one\n\ntwo\n\xff\xfe\nnever\n")?;
    is_refused(
        &answer,
        WRONG_USE,
        &["line 4", "UTF-8", "what came before is sent"],
    );
    assert_eq!(states(&answer), ["sent", "sent"]);
    let long = format!("three\nfour\n{}\nnever\n", "x".repeat(TEXT_MAX + 1));
    let answer = answer_to(&ann, &args, long.as_bytes())?;
    is_refused(
        &answer,
        WRONG_USE,
        &["line 3", "16384", "what came before is sent"],
    );
    assert_eq!(states(&answer), ["sent", "sent"]);
    let expected = ["one", "two", "three", "four"];
    assert_eq!(history(&ann, "bob"), expected);
    bob.run(&["listen", "--count", "4", "--timeout", "30s"])?;
    assert_eq!(history(&bob, "ann"), expected);
    Ok(())
}

/// What is said of each message that was sent.
fn states(answer: &Answer) -> Vec<&str> {
    let states = answer
        .objects
        .iter()
        .filter(|object| object["type"] == "state");
    states
        .filter_map(|object| object["state"].as_str())
        .collect()
}

#[test]
fn regression_arguments_that_are_not_utf_8_are_wrong_use() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ann = Profile::at(&folder.path().join("ann"));
    let mut command = ann.command(&["send", "bob"])?;
    let output = command.arg(OsStr::from_bytes(b"\xff")).output()?;
    is_refused(&to_answer(output)?, WRONG_USE, &["UTF-8", "--help"]);
    Ok(())
}

#[test]
fn regression_an_error_goes_to_stderr_where_stdout_takes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ann = Profile::at(&folder.path().join("ann"));
    let mut command = ann.command(&["id"])?;
    let full = File::options().write(true).open("/dev/full")?;
    let output = command.stdout(full).output()?;
    let said: Value = serde_json::from_slice(&output.stderr)?;
    assert_eq!(said["code"], "not_found", "{said}");
    assert_eq!(output.status.code(), Some(NOT_FOUND));
    Ok(())
}

#[test]
fn wrong_commands_and_arguments_are_wrong_use() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let home = folder.path().join("ann");
    let url = "http://127.0.0.1:1";
    let ann = Profile::init(&home, "ann", url, url)?;
    let wrong: [(&[&str], &str); 13] = [
        (&["sendd", "bob", "hello"], "sendd"),
        (&["send", "bob"], "<TEXT>"),
        (&["send", "bob", "hello", "--wait", "never"], "delivered"),
        (&["send", "bob", "hello", "--timeout", "soon"], "30s"),
        (
            &["send", "bob", "hello", "--timeout", "-5s"],
            "not negative",
        ),
        (&["send", "bob", " \t"], "empty"),
        (&["invite", "--uses", "0"], "0"),
        (&["invite", "--expires", "0s"], "longer than zero"),
        (&["listen", "--count", "0"], "0"),
        (&["listen", "--timeout", "0s"], "longer than zero"),
        (&["history", "bob", "--limit", "0"], "0"),
        (&["history", "bob", "--before", "xyz"], "no message id"),
        (
            &["--no-keyring", "--passphrase-file", "x", "id"],
            "cannot be used with",
        ),
    ];
    for (args, word) in wrong {
        // As an object for programs, and in words for people.
        refuse(&ann, args, WRONG_USE, &[word, "--help"]);
        let plain = ann.command(args)?;
        let plain = Command::new(plain.get_program())
            .args(plain.get_args().filter(|arg| *arg != "--json"))
            .output()?;
        let said = String::from_utf8(plain.stderr)?;
        assert_eq!(plain.status.code(), Some(WRONG_USE), "{args:?}: {said}");
        assert!(
            said.contains(word) && said.contains("--help"),
            "{args:?}: {said}"
        );
    }
    Ok(())
}

#[test]
fn wrong_names_and_servers_make_no_profile() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let home = folder.path().join("ann");
    let url = "http://127.0.0.1:1";
    let init = |name: &str, server: &str| Profile::init(&home, name, server, url);
    for (name, server) in [
        ("", url),
        (&"x".repeat(129), url),
        ("ann", "127.0.0.1:1"),
        ("ann", "ftp://127.0.0.1"),
        ("ann", "http://"),
        ("ann", "http://user@127.0.0.1"),
        ("\u{1b}[31mann", url),
        ("tin1ann", url),
    ] {
        let error = init(name, server).unwrap_err().to_string();
        assert!(error.contains("Some(2)"), "{error}");
        assert!(!home.join("key.json").exists(), "{name} {server}");
    }
    let ann = init("ann", url)?;
    // And not a second one over it.
    let id = ann.run(&["id"])?;
    assert!(
        init("bob", url)
            .unwrap_err()
            .to_string()
            .contains("Some(2)")
    );
    assert_eq!(ann.run(&["id"])?, id);
    Ok(())
}
