//! The list of conversations.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Block, Borders};

use super::theme::Theme;
use crate::printable::printable;
use crate::rpc::objects::{ContactObject, Presence, Standing};
use crate::tui::layout::wrap::{shorten, width};
use crate::tui::state::{App, Line, Pane, first_line};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let block = Block::new()
        .borders(Borders::RIGHT)
        .border_style(theme.dim());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let lines = app.people.lines();
    let rows = usize::from(inner.height);
    let first = first_line(lines.len(), app.people.cursor(), rows);
    let open = app.open.as_ref().map(|open| open.address.as_str());
    for (row, (at, line)) in lines.iter().enumerate().skip(first).take(rows).enumerate() {
        let y = inner.y + u16::try_from(row).unwrap_or(u16::MAX);
        let room = usize::from(inner.width);
        let (text, is_open) = match line {
            Line::Requests(count) => (requests_line(*count, room, theme), false),
            Line::Contact(contact) => {
                let is_open = open == Some(contact.address.as_str());
                let has_draft = app.has_draft(&contact.address);
                (contact_line(contact, has_draft, room, theme), is_open)
            }
        };
        let is_at_cursor = app.pane == Pane::List && at == app.people.cursor();
        let style = match (is_at_cursor, is_open) {
            (true, _) => theme.selected(),
            (false, true) => Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            (false, false) => Style::new(),
        };
        let place = Rect {
            y,
            height: 1,
            ..inner
        };
        frame.render_widget(text.style(style), place);
    }
    if lines.is_empty() && app.is_ready {
        let help = [
            "Nobody here yet.",
            "",
            "/invite makes a link",
            "for somebody, /add LINK",
            "takes theirs.",
        ];
        for (row, text) in help.iter().enumerate().take(rows) {
            let y = inner.y + u16::try_from(row).unwrap_or(u16::MAX);
            let text = shorten(text, usize::from(inner.width));
            let place = Rect {
                y,
                height: 1,
                ..inner
            };
            frame.render_widget(TextLine::styled(text, theme.dim()), place);
        }
    }
}

fn requests_line(count: usize, room: usize, theme: &Theme) -> TextLine<'static> {
    let text = format!("! {count} asking");
    TextLine::styled(shorten(&text, room), theme.unread())
}

fn contact_line(
    contact: &ContactObject,
    has_draft: bool,
    room: usize,
    theme: &Theme,
) -> TextLine<'static> {
    let (dot, dot_style) = match (contact.standing, contact.presence) {
        (Standing::Blocked, _) => ("x ", theme.dim()),
        (Standing::Requested, _) => ("? ", theme.dim()),
        (_, Presence::Online) => ("● ", theme.online()),
        (_, Presence::Offline) => ("○ ", theme.dim()),
    };
    let mut marks = String::new();
    if contact.verified {
        marks += " v";
    }
    if contact.muted {
        marks += " z";
    }
    if has_draft {
        marks += " +";
    }
    let count = match contact.unread {
        0 => String::new(),
        count => format!(" {count}"),
    };
    let name_room = room.saturating_sub(width(dot) + width(&marks) + width(&count));
    let name = shorten(&printable(&contact.name), name_room);
    let gap = " ".repeat(name_room.saturating_sub(width(&name)));
    let name_style = match contact.standing {
        Standing::Accepted if contact.unread > 0 => theme.title(),
        Standing::Accepted => Style::new(),
        _ => theme.dim(),
    };
    let count_style = if contact.muted {
        theme.dim()
    } else {
        theme.unread()
    };
    TextLine::from(vec![
        Span::styled(dot, dot_style),
        Span::styled(name, name_style),
        Span::raw(gap),
        Span::styled(marks, theme.dim()),
        Span::styled(count, count_style),
    ])
}
