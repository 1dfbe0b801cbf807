//! The only place that writes to the terminal.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the output module"
)]

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::printable::{harmless, is_direction, printable};
use crate::rpc::RpcError;

/// What to do about a stdout that takes nothing.
const UNWRITTEN: &str = "give it somewhere to write to; what was done before stays done";

/// Plain text for people, or JSON objects for programs.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    /// The first line that could not be written; nothing is written after it.
    broken: RefCell<Option<std::io::Error>>,
    abandoned: Cell<bool>,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self {
            json,
            broken: RefCell::new(None),
            abandoned: Cell::new(false),
        }
    }

    /// Whether a person sees remarks at once.
    pub(super) fn is_watched(&self) -> bool {
        !self.json && std::io::stderr().is_terminal()
    }

    /// Columns of the terminal that stdout is; `None` if it is none.
    pub(super) fn terminal_width(&self) -> Option<usize> {
        let stdout = std::io::stdout();
        let size = stdout
            .is_terminal()
            .then(|| rustix::termios::tcgetwinsize(&stdout));
        let columns = usize::from(size?.ok()?.ws_col);
        // Some terminals do not know.
        (columns > 0).then_some(columns)
    }

    /// An object, or the line that says the same to people.
    pub(super) fn print(&self, object: &Value, line: impl FnOnce() -> String) {
        if self.json {
            self.raw(&json_line(object));
        } else {
            self.raw(&harmless(&line()));
        }
    }

    /// A document for programs, which people read too.
    pub(super) fn document(&self, document: &Value) {
        let text = if self.json {
            serde_json::to_string(document)
        } else {
            serde_json::to_string_pretty(document)
        };
        // A value of ours has nothing in it that is no JSON.
        self.raw(&text.unwrap_or_default());
    }

    /// Text that is for a shell or a pager, whoever asks for it.
    pub(super) fn page(&self, text: &str) {
        self.raw(text.trim_end());
    }

    /// A line for people only.
    pub(super) fn say(&self, line: &str) {
        if !self.json {
            self.raw(&harmless(line));
        }
    }

    /// The same with colours of our own in it, and nothing of others.
    pub(super) fn draw(&self, picture: &str) {
        if !self.json {
            self.raw(picture);
        }
    }

    /// A remark that is no result.
    pub(super) fn note(&self, line: &str) {
        to_stderr(&format!("{}\n", harmless(line)));
    }

    /// Asks a person at the terminal for the line that is read next.
    pub(super) fn ask(&self, question: &str) {
        to_stderr(question);
    }

    /// Everything printed so far is with whoever reads it.
    pub(super) fn flush(&self) -> Result<(), RpcError> {
        self.flush_or(UNWRITTEN)
    }

    /// The same, with what there is to do if not.
    pub(super) fn flush_or(&self, help: &str) -> Result<(), RpcError> {
        self.written().map_err(|error| {
            self.abandoned.set(error.kind() == ErrorKind::BrokenPipe);
            RpcError::failed(format!("stdout: {error}"), help)
        })
    }

    /// The same, for what must be read by somebody: a reader that has gone away is a failure too.
    pub(super) fn written(&self) -> std::io::Result<()> {
        let broken = self.broken.take();
        broken.map_or_else(|| std::io::stdout().flush(), Err)
    }

    /// Whether the reader of stdout has gone away, as `head` does when it has seen enough: no failure.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.get()
    }

    pub(super) fn error(&self, error: &RpcError) {
        if self.json {
            let RpcError {
                code,
                message,
                help,
            } = error;
            let object = json!({"type": "error", "code": code, "message": message, "help": help});
            self.raw(&json_line(&object));
            // Nobody would know why it failed.
            if self.broken.borrow().is_some() {
                self.note(&json_line(&object));
            }
        } else {
            self.note(&format!("error: {}", error.message));
            if !error.help.is_empty() {
                self.note(&format!("  {}", error.help));
            }
        }
    }

    fn raw(&self, line: &str) {
        let mut broken = self.broken.borrow_mut();
        if broken.is_none() {
            *broken = writeln!(std::io::stdout(), "{line}").err();
        }
    }
}

/// If that fails too, there is nowhere left to say so.
fn to_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// In one line, and with what a terminal would obey in JSON's escapes: serde_json leaves all but ASCII as it is.
fn json_line(object: &Value) -> String {
    let mut line = String::new();
    for c in object.to_string().chars() {
        if c.is_control() || is_direction(c) {
            // They are all below 0x10000.
            line.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            line.push(c);
        }
    }
    line
}

/// Text of others as a part of a line: its line breaks are indented, so that it cannot pretend to be another
/// line.
pub(super) fn visible(text: &str) -> String {
    printable(text).replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(
            visible("a\u{1b}]0;title\u{7}b\u{202e}c\nd"),
            "a\u{fffd}]0;title\u{fffd}b\u{fffd}c\n    d"
        );
        assert_eq!(visible("Grüße 🥫 שלום"), "Grüße 🥫 שלום");
    }

    #[test]
    fn regression_json_has_nothing_in_it_that_a_terminal_obeys() {
        let object = serde_json::json!({"text": "a\u{1b}\u{9b}\u{7f}\u{202e}ü🥫\"\n"});
        let line = json_line(&object);
        assert_eq!(line, r#"{"text":"a\u001b\u009b\u007f\u202eü🥫\"\n"}"#);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), object);
    }
}
