//! A message or a notice of a conversation as rows.

use std::time::Duration;

use jiff::civil::DateTime;

use super::wrap::{shorten, width, wrap};
use super::{Role, Row, Span};
use crate::message::MessageState;
use crate::printable::printable;
use crate::rpc::objects::{HistoryObject, MessageObject, QuoteObject, TimerObject};

/// Columns for the marks before a text.
const GUTTER: usize = 3;

/// A message so long after the one before, minutes, tells its time again. Chosen: what is said in one go.
const SAME_GO_MIN: i64 = 5;

/// What stands around an item, as far as it shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    /// Columns there are.
    pub(crate) width: usize,
    /// What stands before it, and when that was said.
    pub(crate) before: Option<(&'a HistoryObject, DateTime)>,
    /// Whether what nobody has read begins with it.
    pub(crate) is_first_unread: bool,
    /// For the names of days.
    pub(crate) today: jiff::civil::Date,
}

/// The rows of an item that was said at that time.
pub(crate) fn rows(item: &HistoryObject, at: DateTime, around: Around<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    let is_new_day = around
        .before
        .is_none_or(|(_, before)| before.date() != at.date());
    if is_new_day {
        let day = day_name(at.date(), around.today);
        rows.push(line_across(&day, around.width, Role::DayLine));
    }
    if around.is_first_unread {
        rows.push(line_across("unread", around.width, Role::UnreadLine));
    }
    match item {
        HistoryObject::Message(message) => {
            let goes_on = !around.is_first_unread && !is_new_day && goes_on(message, at, around);
            if !goes_on {
                rows.push(header(message, at, around.width));
            }
            rows.extend(message_rows(message, around.width));
        }
        HistoryObject::Timer(timer) => {
            let notice = format!("{} ({})", timer_text(timer), clock_time(at));
            rows.extend(plain(&notice, around.width, Role::Dim));
        }
    }
    rows
}

/// Whether a message needs no name, because the one before was said in the same go.
fn goes_on(message: &MessageObject, at: DateTime, around: Around<'_>) -> bool {
    let Some((HistoryObject::Message(before), before_at)) = around.before else {
        return false;
    };
    let passed = at.duration_since(before_at).as_mins();
    before.outgoing == message.outgoing && (0..SAME_GO_MIN).contains(&passed)
}

fn header(message: &MessageObject, at: DateTime, columns: usize) -> Row {
    let time = clock_time(at);
    let (name, role) = if message.outgoing {
        ("You".to_owned(), Role::OwnName)
    } else {
        (printable(&message.from), Role::TheirName)
    };
    let room = columns.saturating_sub(GUTTER + 2 + width(&time));
    vec![
        Span::new(" ".repeat(GUTTER), Role::Text),
        Span::new(shorten(&name, room), role),
        Span::new(format!("  {time}"), Role::Dim),
    ]
}

fn message_rows(message: &MessageObject, columns: usize) -> Vec<Row> {
    let room = columns.saturating_sub(GUTTER);
    let mut parts: Vec<Row> = Vec::new();
    if message.forwarded {
        parts.push(vec![Span::new("forwarded", Role::Dim)]);
    }
    if let Some(quote) = &message.reply_to {
        parts.push(vec![Span::new(quote_text(quote, room), Role::Quote)]);
    }
    let (text, role) = if message.deleted {
        ("deleted".to_owned(), Role::Dim)
    } else {
        (printable(&message.text), Role::Text)
    };
    let text_at = parts.len();
    let lines = wrap(&text, room).into_iter();
    parts.extend(lines.map(|line| vec![Span::new(line, role)]));
    for note in notes(message) {
        let row = parts.last_mut();
        let used = row.as_ref().map_or(0, |row| row_width(row));
        let note = format!(" {note}");
        match row {
            Some(row) if used + width(&note) <= room => row.push(Span::new(note, Role::Dim)),
            _ => parts.push(vec![Span::new(note.trim_start().to_owned(), Role::Dim)]),
        }
    }
    if !message.reactions.is_empty() {
        let signs = message.reactions.iter().map(|sign| {
            let who = if sign.outgoing { "you" } else { &sign.from };
            format!("{} {}", printable(&sign.emoji), printable(who))
        });
        let signs = signs.collect::<Vec<_>>().join("  ");
        parts.push(vec![Span::new(shorten(&signs, room), Role::Reaction)]);
    }
    let rows = parts.into_iter().enumerate().map(|(at, mut row)| {
        let gutter = match mark(message) {
            Some((mark, role)) if at == text_at => Span::new(format!("{mark:<GUTTER$}"), role),
            _ => Span::new(" ".repeat(GUTTER), Role::Text),
        };
        row.insert(0, gutter);
        row
    });
    rows.collect()
}

/// How far an own message has come.
pub(crate) const fn mark(message: &MessageObject) -> Option<(&'static str, Role)> {
    Some(match message.state {
        MessageState::Received => return None,
        MessageState::Pending => ("..", Role::Waiting),
        MessageState::Sent => ("✓", Role::Sent),
        MessageState::Delivered => ("✓✓", Role::Delivered),
        MessageState::Read => ("✓✓", Role::Read),
        MessageState::Failed => ("!!", Role::Failed),
    })
}

fn notes(message: &MessageObject) -> Vec<String> {
    let mut notes = Vec::new();
    if message.edited && !message.deleted {
        notes.push("(edited)".to_owned());
    }
    if message.expires_s > 0 {
        notes.push(format!("(goes after {})", time_text(message.expires_s)));
    }
    if message.state == MessageState::Failed {
        notes.push("(not delivered)".to_owned());
    }
    notes
}

fn quote_text(quote: &QuoteObject, room: usize) -> String {
    let who = match (&quote.from, quote.outgoing) {
        (Some(_), true) => "you".to_owned(),
        (Some(from), false) => printable(from),
        (None, _) => return shorten("┃ a message that is not here", room),
    };
    let said = match &quote.text {
        Some(text) => printable(text).replace('\n', " "),
        None => "deleted".to_owned(),
    };
    shorten(&format!("┃ {who}: {said}"), room)
}

fn timer_text(timer: &TimerObject) -> String {
    let who = if timer.outgoing {
        "You have".to_owned()
    } else {
        format!("{} has", printable(&timer.from))
    };
    match timer.expires_s {
        0 => format!("{who} set messages to stay"),
        seconds => format!(
            "{who} set messages to go {} after they were shown",
            time_text(seconds)
        ),
    }
}

/// A time that passes, as people say it.
pub(crate) fn time_text(seconds: u32) -> String {
    humantime::format_duration(Duration::from_secs(seconds.into())).to_string()
}

/// Rows of a text with nothing before it.
fn plain(text: &str, columns: usize, role: Role) -> Vec<Row> {
    let lines = wrap(text, columns.saturating_sub(GUTTER)).into_iter();
    let rows = lines.map(|line| vec![Span::new(" ".repeat(GUTTER), role), Span::new(line, role)]);
    rows.collect()
}

/// A word in the middle of a line.
fn line_across(word: &str, columns: usize, role: Role) -> Row {
    let word = shorten(&format!(" {word} "), columns);
    let left = columns.saturating_sub(width(&word));
    let before = left / 2;
    let line = format!("{}{word}{}", "─".repeat(before), "─".repeat(left - before));
    vec![Span::new(line, role)]
}

fn day_name(date: jiff::civil::Date, today: jiff::civil::Date) -> String {
    let name = date.strftime("%A, %-d %B %Y").to_string();
    match today.since(date).map(|span| span.get_days()) {
        Ok(0) => format!("Today, {}", date.strftime("%-d %B")),
        Ok(1) => format!("Yesterday, {}", date.strftime("%-d %B")),
        _ => name,
    }
}

fn clock_time(at: DateTime) -> String {
    at.strftime("%H:%M").to_string()
}

/// Cells of a row.
pub(crate) fn row_width(row: &Row) -> usize {
    row.iter().map(|span| width(&span.text)).sum()
}
