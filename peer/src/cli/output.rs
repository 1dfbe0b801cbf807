//! The only place that writes to the terminal.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the output module"
)]

use std::io::Write as _;

use serde_json::{Value, json};

use crate::rpc::RpcError;

/// Plain text for people, or JSON objects for programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    pub(super) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// An object, or the line that says the same to people.
    pub(super) fn print(self, object: &Value, line: impl FnOnce() -> String) {
        if self.json {
            self.raw(&object.to_string());
        } else {
            self.raw(&line());
        }
    }

    /// A line for people only.
    pub(super) fn say(self, line: &str) {
        if !self.json {
            self.raw(line);
        }
    }

    /// A remark that is no result.
    pub(super) fn note(self, line: &str) {
        eprintln!("{line}");
    }

    /// Everything printed so far is with whoever reads it.
    pub(super) fn flush(self) -> Result<(), RpcError> {
        std::io::stdout().flush().map_err(|error| closed(&error))
    }

    pub(super) fn error(self, error: &RpcError) {
        if self.json {
            let RpcError {
                code,
                message,
                help,
            } = error;
            self.raw(
                &json!({"type": "error", "code": code, "message": message, "help": help})
                    .to_string(),
            );
        } else {
            eprintln!("error: {}", error.message);
            if !error.help.is_empty() {
                eprintln!("  {}", error.help);
            }
        }
    }

    fn raw(self, line: &str) {
        // A reader that has gone away ends the command at the next flush.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn closed(error: &std::io::Error) -> RpcError {
    RpcError::failed(format!("stdout: {error}"), "")
}

/// Text of others, fit for a terminal: no control characters, no escape sequences. Line breaks stay
/// and are indented.
pub(super) fn visible(text: &str) -> String {
    let safe = |c: char| match c {
        '\n' => "\n    ".to_owned(),
        '\t' => "    ".to_owned(),
        c if c.is_control() || is_direction(c) => "\u{fffd}".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(safe).collect()
}

/// Marks that reorder the text around them.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
}
