//! A conversation as text: day by day, a line for each message.

use std::io::Write;

use serde_json::Value;

use super::Writing;
use crate::cli::lines::said;
use crate::cli::values::{local_time, text};
use crate::printable::printable;

/// See the module.
#[derive(Default)]
pub(super) struct Text {
    day: String,
}

impl Writing for Text {
    fn begin(&mut self, out: &mut dyn Write, about: &Value) -> std::io::Result<()> {
        let name = printable(&text(&about["contact"]));
        writeln!(out, "Conversation with {name}, {}", text(&about["address"]))?;
        writeln!(
            out,
            "of {}, exported at {}",
            printable(&text(&about["own_name"])),
            text(&about["exported_at"])
        )
    }

    fn item(&mut self, out: &mut dyn Write, item: &Value) -> std::io::Result<()> {
        let at = local_time(&item["sent_at"]);
        let (day, time) = at.split_once(' ').unwrap_or((&at, ""));
        if self.day != day {
            day.clone_into(&mut self.day);
            writeln!(out, "\n{day}")?;
        }
        writeln!(out, "{time}  {}", said(item))
    }

    fn end(&mut self, _: &mut dyn Write) -> std::io::Result<()> {
        Ok(())
    }
}
