//! Help, and what was typed wrongly: for people as clap prints it, for programs as an error object.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Error;
use clap::error::ErrorKind;

use super::args::Args;
use super::output::Output;
use crate::rpc::RpcError;

pub(super) fn refuse(error: Error) -> ExitCode {
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if is_help || !asks_for_json(std::env::args_os()) {
        // It has nowhere else to say so if that fails.
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let error = as_object(&error);
    Output::new(true).error(&error);
    ExitCode::from(error.exit_code())
}

/// For whoever wants the terminal interface where there is none: help, if nothing else was asked for.
pub(super) fn no_interface(is_bare: bool, json: bool) -> ExitCode {
    use clap::CommandFactory as _;
    if is_bare && !json {
        let help = Args::command().render_help().to_string();
        Output::new(false).note(&help);
        Output::new(false).note("(without a command: the terminal interface, which needs a terminal on stdin and stdout)");
        return ExitCode::from(2);
    }
    let error = RpcError::usage(
        "the terminal interface needs a terminal on stdin and stdout",
        "use `peer chat --plain NAME`, or another command; `peer --help` shows them",
    );
    Output::new(json).error(&error);
    ExitCode::from(error.exit_code())
}

/// The arguments could not be read, so this is all that is known of them. They need not be UTF-8.
fn asks_for_json(args: impl Iterator<Item = OsString>) -> bool {
    args.take_while(|arg| *arg != *"--")
        .any(|arg| *arg == *"--json")
}

/// Its first paragraph is what is wrong; the others are hints, the usage, and where to find help.
fn as_object(error: &Error) -> RpcError {
    let text = error.render().to_string();
    let mut paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty());
    let first = paragraphs.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(&first);
    let help = paragraphs.collect::<Vec<_>>().join("; ");
    RpcError::usage(message, &help)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_wrong_argument_becomes_one_line_and_what_to_do_about_it() {
        let typed = ["peer", "send", "bob", "hello", "--wait", "never", "--json"];
        let error = as_object(&Args::try_parse_from(typed).unwrap_err());
        assert_eq!(error.code, "usage");
        assert!(error.message.contains("never"), "{error:?}");
        assert!(error.message.contains("delivered"), "{error:?}");
        assert!(error.help.contains("--help"), "{error:?}");
        assert!(!format!("{error:?}").contains("\\n"), "{error:?}");
    }

    #[test]
    fn json_is_asked_for_before_the_end_of_options_only() {
        let args = |typed: &str| asks_for_json(typed.split(' ').map(OsString::from));
        assert!(args("peer sendd --json"));
        assert!(!args("peer send bob -- --json"));
    }
}
