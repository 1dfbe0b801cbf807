//! The conversation that is open: its title, what was said, what is being written.

use ratatui::Frame;
use ratatui::layout::{Alignment, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

use super::theme::Theme;
use crate::message::Verification;
use crate::printable::printable;
use crate::rpc::objects::{ContactObject, Presence, Standing};
use crate::tui::layout::screen::ConversationAreas;
use crate::tui::layout::wrap::{shorten, width};
use crate::tui::state::{Action, App, Composer, Conversation, Pane, Writing, stay_text};

/// Columns of a name that are shown at least.
const NAME_MIN: usize = 8;

pub(super) fn draw(frame: &mut Frame<'_>, areas: ConversationAreas, app: &App, theme: &Theme) {
    let Some(open) = &app.open else {
        return draw_nothing(frame, areas, app, theme);
    };
    if let Some(contact) = app.people.contact(&open.address) {
        draw_title(frame, areas.title, contact, theme);
    }
    draw_timeline(frame, areas.timeline, open, theme);
    if let Some(composer) = app.composer() {
        draw_composer(frame, areas.composer, app, composer, theme);
    }
    draw_completions(frame, areas, app, theme);
}

fn draw_nothing(frame: &mut Frame<'_>, areas: ConversationAreas, app: &App, theme: &Theme) {
    let text = match (&app.me, app.is_ready) {
        (Some(me), true) => format!(
            "You are {}. {} shows what the keys do.",
            printable(&me.name),
            app.keys.name_of(Action::Help)
        ),
        _ => "opening…".to_owned(),
    };
    let area = areas.timeline;
    let middle = Rect {
        y: area.y + area.height / 2,
        height: area.height.min(2),
        ..area
    };
    let text = Paragraph::new(text)
        .style(theme.dim())
        .alignment(Alignment::Center);
    frame.render_widget(text, middle);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, contact: &ContactObject, theme: &Theme) {
    let state = match (contact.standing, contact.presence) {
        (Standing::Requested, _) => "asked, not accepted yet",
        (Standing::Blocked, _) => "blocked",
        (_, Presence::Online) => "online",
        (_, Presence::Offline) => "away",
    };
    let verified = match contact.verification {
        Verification::Verified => "verified",
        Verification::Unverified => "not verified",
        Verification::Changed => "another device than the verified one!",
    };
    let mut about = format!("  {state}, {verified}");
    if contact.muted {
        about += ", muted";
    }
    if let Some(stay) = stay_text(contact) {
        about += &format!(", {stay}");
    }
    // What is known of them is shown whatever they call themselves.
    let room = usize::from(area.width);
    let about = shorten(&about, room.saturating_sub(NAME_MIN.min(room)));
    let name = shorten(
        &printable(&contact.name),
        room.saturating_sub(width(&about)),
    );
    let style = match contact.verification {
        Verification::Changed => theme.error(),
        _ => theme.dim(),
    };
    let line = Line::from(vec![
        Span::styled(name, theme.title()),
        Span::styled(about, style),
    ]);
    frame.render_widget(line, area);
}

fn draw_timeline(frame: &mut Frame<'_>, area: Rect, open: &Conversation, theme: &Theme) {
    let visible = open.timeline.visible();
    // At the bottom, beside what is written.
    let empty = usize::from(area.height).saturating_sub(visible.len());
    for (at, one) in visible.iter().enumerate() {
        let y = area.y + u16::try_from(empty + at).unwrap_or(u16::MAX);
        let spans = one
            .row
            .iter()
            .map(|span| Span::styled(span.text.as_str(), theme.role(span.role)));
        let mut line = Line::from(spans.collect::<Vec<_>>());
        if open.selected == Some(one.id) {
            line = line.patch_style(theme.selected());
        }
        frame.render_widget(
            line,
            Rect {
                y,
                height: 1,
                ..area
            },
        );
    }
    if open.is_begun && open.timeline.is_empty() && area.height > 0 {
        let line = Line::styled("nothing was said yet", theme.dim()).alignment(Alignment::Center);
        let y = area.y + area.height / 2;
        frame.render_widget(
            line,
            Rect {
                y,
                height: 1,
                ..area
            },
        );
    }
}

fn draw_composer(frame: &mut Frame<'_>, area: Rect, app: &App, composer: &Composer, theme: &Theme) {
    let title = match &composer.writing {
        Writing::New => String::new(),
        Writing::Answer { to, .. } => format!(" answer to: {to} "),
        Writing::Edit { .. } => " another text for your message (Esc leaves it) ".to_owned(),
    };
    let room = usize::from(area.width).saturating_sub(2);
    let open = app.open.as_ref();
    let is_at_end = open.is_none_or(|open| open.timeline.is_at_end());
    let below = if is_at_end { "" } else { " more below " };
    let title = shorten(&title, room.saturating_sub(width(below)));
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(theme.dim())
        .title(title)
        .title(Line::styled(below, theme.selected()).right_aligned());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if inner.is_empty() {
        return;
    }
    frame.render_widget(composer.area(), inner);
    let is_selecting = open.is_some_and(|open| open.selected.is_some());
    if app.pane == Pane::Conversation && !is_selecting && app.overlay.is_none() {
        set_cursor(frame, inner, composer.area());
    }
}

/// The terminal's own cursor, where the next letter will stand.
pub(super) fn set_cursor(frame: &mut Frame<'_>, area: Rect, text: &ratatui_textarea::TextArea<'_>) {
    let (top, left) = text.scroll_offset();
    let cursor = text.screen_cursor();
    let row = u16::try_from(cursor.row)
        .unwrap_or(u16::MAX)
        .saturating_sub(top);
    let column = u16::try_from(cursor.col)
        .unwrap_or(u16::MAX)
        .saturating_sub(left);
    let x = (area.x + column).min(area.right().saturating_sub(1));
    let y = (area.y + row).min(area.bottom().saturating_sub(1));
    frame.set_cursor_position(Position { x, y });
}

/// Commands that begin like what is written.
fn draw_completions(frame: &mut Frame<'_>, areas: ConversationAreas, app: &App, theme: &Theme) {
    let known = app.completions();
    let height = u16::try_from(known.len()).unwrap_or(0);
    let place = Rect {
        y: areas.timeline.bottom() - height,
        height,
        ..areas.timeline
    };
    frame.render_widget(Clear, place);
    for (at, one) in known.iter().enumerate() {
        let y = place.y + u16::try_from(at).unwrap_or(0);
        let typed = format!("/{} {}", one.name, one.takes);
        let typed = format!("{typed:<20} ");
        let room = usize::from(place.width).saturating_sub(width(&typed));
        let line = Line::from(vec![
            Span::raw(typed),
            Span::styled(shorten(&one.does, room), theme.dim()),
        ]);
        let row = Rect {
            y,
            height: 1,
            ..place
        };
        frame.render_widget(line, row);
    }
}
