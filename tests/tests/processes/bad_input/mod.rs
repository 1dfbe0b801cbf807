//! What people and machines do wrong: every refusal is one clear line that says what to do, ends
//! with the documented exit code, and loses nothing.

mod disk;
mod links;
mod mailbox;
mod profile;
mod servers;
mod small_disk;
mod texts;

use std::time::Duration;

use e2e::{Answer, Profile};

/// Nothing here takes this long, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

// Exit codes.
const FAILED: i32 = 1;
const WRONG_USE: i32 = 2;
const TIMED_OUT: i32 = 3;
const NOT_FOUND: i32 = 4;
const REFUSED: i32 = 5;

/// The command ends with this code and says these words; in one line what is wrong, and in one what
/// to do about it.
#[track_caller]
fn is_refused(answer: &Answer, code: i32, words: &[&str]) {
    assert_eq!(answer.code, Some(code), "{answer:?}");
    let error = answer
        .objects
        .last()
        .unwrap_or_else(|| panic!("nothing said: {answer:?}"));
    assert_eq!(error["type"], "error", "{answer:?}");
    let (message, help) = (
        error["message"].as_str().unwrap(),
        error["help"].as_str().unwrap(),
    );
    for line in [message, help] {
        assert!(!line.is_empty() && !line.contains('\n'), "{error}");
    }
    let all = format!("{message}; {help}");
    for word in words {
        assert!(all.contains(word), "{word:?} is not in {all:?}");
    }
    has_not_panicked(answer);
}

#[track_caller]
fn has_not_panicked(answer: &Answer) {
    assert!(
        !answer.stderr.contains("panicked") && !answer.stderr.contains("RUST_BACKTRACE"),
        "{}",
        answer.stderr
    );
}

/// Runs a command that is refused.
#[track_caller]
fn refuse(profile: &Profile, args: &[&str], code: i32, words: &[&str]) {
    is_refused(&profile.answer(args).unwrap(), code, words);
}

/// The texts in a conversation, as `history` prints them.
#[track_caller]
fn history(profile: &Profile, contact: &str) -> Vec<String> {
    let messages = profile
        .run(&["history", contact, "--limit", "1000000"])
        .unwrap();
    let texts = messages
        .iter()
        .map(|message| message["text"].as_str().unwrap().to_owned());
    texts.collect()
}
