//! What lies above the conversation.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};
use ratatui_textarea::TextArea;

use super::conversation::set_cursor;
use super::theme::Theme;
use crate::cli::qr::Code;
use crate::cli::typed;
use crate::message::{MessageState, Verification};
use crate::printable::printable;
use crate::rpc::objects::{InviteObject, MessageObject, RequestObject, VerificationObject};
use crate::tui::layout::wrap::{cut, shorten, wrap};
use crate::tui::state::{App, Overlay, SIGNS, Switcher, Wanted, chosen_request, first_line};

/// Columns of a box, if there is room.
const WIDTH: u16 = 76;

/// Lines of what somebody says who asks. Chosen: what fits on most screens beside the rest.
const WORDS_MAX: usize = 8;

/// Digits of a safety number in a row: as they are read aloud.
const GROUPS: usize = 4;

pub(super) fn draw(frame: &mut Frame<'_>, overlay: &Overlay, app: &App, theme: &Theme) {
    match overlay {
        Overlay::Switcher(switcher) => draw_switcher(frame, switcher, theme),
        Overlay::Command(field) => {
            let beginning = field.text().strip_prefix('/').unwrap_or_default();
            let known = match beginning.contains(char::is_whitespace) {
                true => Vec::new(),
                false => typed::completions(beginning),
            };
            let lines = known.iter().map(|one| {
                let typed = format!("/{} {}", one.name, one.takes);
                Line::raw(format!("{typed:<20} {}", one.does))
            });
            draw_with_field(frame, "Command", lines.collect(), field.area(), theme);
        }
        Overlay::Requests { chosen } => {
            draw_requests(frame, chosen.as_deref(), app.people.requests(), theme);
        }
        Overlay::Invite { invite, as_code } => match invite {
            None => draw_box(frame, "Invite", vec![Line::raw("making a link…")], theme),
            Some(invite) if *as_code => draw_code(frame, &invite.link, theme),
            Some(invite) => draw_invite(frame, invite, theme),
        },
        Overlay::Verify { verification, .. } => {
            draw_verification(frame, verification.as_ref(), theme);
        }
        Overlay::React { field, .. } => {
            let signs = SIGNS.iter().enumerate();
            let signs = signs.map(|(at, sign)| format!("{} {sign}", at + 1));
            let lines = vec![
                Line::raw(signs.collect::<Vec<_>>().join("   ")),
                Line::styled(
                    "a digit, or type an emoji and Enter; 0 takes yours back",
                    theme.dim(),
                ),
                Line::raw(""),
            ];
            draw_with_field(frame, "React", lines, field.area(), theme);
        }
        Overlay::Delete { is_own, .. } => {
            let mut lines = Vec::new();
            if *is_own {
                lines.push(Line::raw(
                    "b  on both sides; theirs goes once they hear of it",
                ));
            }
            lines.push(Line::raw("h  here only; the other side keeps it"));
            lines.push(Line::styled("Esc leaves it", theme.dim()));
            draw_box(frame, "Delete", lines, theme);
        }
        Overlay::Remove { name, .. } => {
            let name = printable(name);
            let mut lines = wrapped(
                frame,
                &format!(
                    "{name} is no contact any more then, and everything that was said is gone here. They are not told."
                ),
                Style::new(),
            );
            lines.push(Line::styled("y remove  Esc leave it", theme.title()));
            draw_box(frame, "Remove", lines, theme);
        }
        Overlay::Details(message) => {
            draw_box(frame, "Message", details(frame, app, message), theme)
        }
        Overlay::Page { title, lines, top } => {
            let area = place(frame, u16::MAX, u16::MAX);
            let inner = draw_frame(frame, area, title, theme);
            let width = usize::from(inner.width);
            let rows = lines.iter().flat_map(|line| wrap(&printable(line), width));
            let rows: Vec<Line<'_>> = rows.map(Line::raw).collect();
            // Its last row is not scrolled past.
            let last = rows.len().saturating_sub(inner.height.into());
            let rows: Vec<Line<'_>> = rows.into_iter().skip((*top).min(last)).collect();
            frame.render_widget(Paragraph::new(rows), inner);
        }
    }
}

fn draw_switcher(frame: &mut Frame<'_>, switcher: &Switcher, theme: &Theme) {
    let title = match switcher.wanted {
        Wanted::Open => "Find a conversation",
        Wanted::Forward { .. } => "Forward to",
    };
    let height = cells(switcher.found.len() + 3);
    let area = place(frame, 40, height.max(4));
    let inner = draw_frame(frame, area, title, theme);
    let field = Rect {
        height: inner.height.min(1),
        ..inner
    };
    let rows = usize::from(inner.height.saturating_sub(1));
    let first = first_line(switcher.found.len(), switcher.at, rows);
    for (row, (at, (_, name))) in switcher
        .found
        .iter()
        .enumerate()
        .skip(first)
        .take(rows)
        .enumerate()
    {
        let y = field.bottom() + cells(row);
        let style = if at == switcher.at {
            theme.selected()
        } else {
            Style::new()
        };
        let name = shorten(&printable(name), inner.width.into());
        frame.render_widget(
            Line::styled(name, style),
            Rect {
                y,
                height: 1,
                ..inner
            },
        );
    }
    frame.render_widget(switcher.field.area(), field);
    set_cursor(frame, field, switcher.field.area());
}

/// Who asks, and everything about the one who is meant.
fn draw_requests(
    frame: &mut Frame<'_>,
    chosen: Option<&str>,
    requests: &[RequestObject],
    theme: &Theme,
) {
    let mut about = Vec::new();
    let at = chosen_request(requests, chosen);
    match at.and_then(|at| requests.get(at)) {
        Some(request) => {
            about.push(Line::raw(""));
            about.extend(wrapped(frame, &request.id, theme.dim()));
            let words = wrapped(frame, &printable(&request.text), Style::new());
            let is_long = words.len() > WORDS_MAX;
            about.extend(words.into_iter().take(WORDS_MAX));
            if is_long {
                about.push(Line::raw("…"));
            }
            about.push(Line::styled(
                "a accept  r drop it  b block  Esc back",
                theme.dim(),
            ));
        }
        None => {
            about.push(Line::raw("Nobody asks."));
            about.push(Line::styled("Esc back", theme.dim()));
        }
    }
    let screen = usize::from(frame.area().height);
    let rows = screen
        .saturating_sub(about.len() + 2)
        .clamp(1, requests.len().max(1));
    let first = first_line(requests.len(), at.unwrap_or_default(), rows);
    let names = requests.iter().enumerate().skip(first).take(rows);
    let mut lines: Vec<Line<'_>> = names
        .map(|(n, request)| {
            let style = if Some(n) == at {
                theme.selected()
            } else {
                theme.title()
            };
            Line::styled(printable(&request.name), style)
        })
        .collect();
    lines.extend(about);
    draw_box(frame, "Who asks to become your contact", lines, theme);
}

fn draw_invite(frame: &mut Frame<'_>, invite: &InviteObject, theme: &Theme) {
    let uses = match invite.uses {
        1 => "Whoever uses it first becomes your contact.".to_owned(),
        uses => format!("{uses} people can use it; you are asked each time."),
    };
    let mut lines = vec![Line::raw(uses), Line::raw("")];
    let width = usize::from(frame.area().width.min(WIDTH)).saturating_sub(2);
    lines.extend(cut(&invite.link, width).into_iter().map(Line::raw));
    lines.push(Line::raw(""));
    let say = "They type /add and the link here, or peer add and the link. If y does not copy it, \
               peer invite in another terminal prints one.";
    lines.extend(
        wrap(say, width)
            .into_iter()
            .map(|line| Line::styled(line, theme.dim())),
    );
    lines.push(Line::raw("y copy  c QR code  Esc back"));
    draw_box(frame, "Invite", lines, theme);
}

/// Nothing but the code, on as much of the screen as it needs.
fn draw_code(frame: &mut Frame<'_>, content: &str, theme: &Theme) {
    let screen = frame.area();
    let Ok(code) = Code::of(content) else {
        return;
    };
    let (width, height) = (cells(code.width()), cells(code.lines().len()));
    if width > screen.width || height > screen.height {
        let say = format!(
            "The QR code is {width} columns wide and {height} rows high, this terminal {} and {}: make it larger, or \
             its letters smaller.",
            screen.width, screen.height
        );
        let columns = usize::from(WIDTH.min(screen.width)).saturating_sub(2);
        let mut lines: Vec<Line<'_>> = wrap(&say, columns).into_iter().map(Line::raw).collect();
        lines.push(Line::raw("c the link  Esc back"));
        return draw_box(frame, "QR code", lines, theme);
    }
    let area = place(frame, width, height);
    frame.render_widget(Clear, screen);
    frame.render_widget(Paragraph::new(code_lines(&code)), area);
}

/// Black on white, whatever the theme: scanners want it.
fn code_lines(code: &Code) -> Vec<Line<'static>> {
    let style = Style::new().fg(Color::Indexed(16)).bg(Color::Indexed(231));
    let lines = code.lines().into_iter();
    lines.map(|line| Line::styled(line, style)).collect()
}

fn draw_verification(
    frame: &mut Frame<'_>,
    verification: Option<&VerificationObject>,
    theme: &Theme,
) {
    let Some(verification) = verification else {
        return draw_box(frame, "Safety number", vec![Line::raw("…")], theme);
    };
    let name = printable(&verification.name);
    let groups: Vec<&str> = verification.safety_number.split(' ').collect();
    let mut lines = wrapped(
        frame,
        &format!(
            "Both you and {name} see these digits, unless somebody is in between. Compare them over another way: in \
             person, on the phone."
        ),
        Style::new(),
    );
    lines.push(Line::raw(""));
    lines.extend(
        groups
            .chunks(GROUPS)
            .map(|row| Line::styled(format!("    {}", row.join(" ")), theme.title())),
    );
    lines.push(Line::raw(""));
    let (state, style) = match verification.verification {
        Verification::Verified => (format!("{name} is verified."), theme.title()),
        Verification::Unverified => (format!("{name} is not verified."), theme.title()),
        Verification::Changed => (
            format!(
                "{name} was verified, and uses another device since: ask them, and compare again."
            ),
            theme.error(),
        ),
    };
    lines.extend(wrapped(frame, &state, style));
    lines.extend(wrapped(
        frame,
        "c they are the same  u not verified  Esc back",
        theme.dim(),
    ));
    let digits = verification.safety_number.replace(' ', "");
    draw_with_code(frame, "Safety number", lines, &digits, theme);
}

fn details(frame: &Frame<'_>, app: &App, message: &MessageObject) -> Vec<Line<'static>> {
    let state = match message.state {
        MessageState::Received => "received here",
        MessageState::Pending => "here only; it goes out when there is a way",
        MessageState::Sent => "at their device or relay, not confirmed by them yet",
        MessageState::Delivered => "stored by their device",
        MessageState::Read => "shown to them",
        MessageState::Failed => "not delivered within 14 days",
    };
    let from = if message.outgoing {
        "you".to_owned()
    } else {
        printable(&message.from)
    };
    let at = |time: &str| app.clock.date_time(time);
    let mut facts = vec![
        format!("from      {from}"),
        format!("said at   {}", at(&message.sent_at)),
        format!("here at   {}", at(&message.received_at)),
        format!("state     {state}"),
        format!("id        {}", message.id),
    ];
    let status = app.status.as_ref();
    let contact = status.and_then(|status| {
        let mut contacts = status.contacts.iter();
        contacts.find(|contact| contact.address == message.address)
    });
    if message.state == MessageState::Pending
        && let Some(why) = contact.and_then(|contact| contact.waiting.as_deref())
    {
        facts.push(format!("waits     {}", printable(why)));
    }
    for (is, note) in [
        (message.edited, "edited"),
        (message.deleted, "deleted"),
        (message.forwarded, "forwarded from elsewhere"),
    ] {
        if is {
            facts.push(format!("          {note}"));
        }
    }
    let lines = facts.iter();
    lines
        .flat_map(|fact| wrapped(frame, fact, Style::new()))
        .collect()
}

// Boxes.

/// A text as lines of a box.
fn wrapped(frame: &Frame<'_>, text: &str, style: Style) -> Vec<Line<'static>> {
    let columns = usize::from(WIDTH.min(frame.area().width)).saturating_sub(2);
    let lines = wrap(text, columns).into_iter();
    lines.map(|line| Line::styled(line, style)).collect()
}

/// A box of lines in the middle.
fn draw_box(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>, theme: &Theme) {
    let height = cells(lines.len());
    let area = place(frame, WIDTH, height.saturating_add(2));
    let inner = draw_frame(frame, area, title, theme);
    frame.render_widget(Paragraph::new(lines), inner);
}

/// With something that is typed below.
fn draw_with_field(
    frame: &mut Frame<'_>,
    title: &str,
    lines: Vec<Line<'_>>,
    field: &TextArea<'_>,
    theme: &Theme,
) {
    let rows = cells(lines.len());
    let area = place(frame, WIDTH, rows.saturating_add(3));
    let inner = draw_frame(frame, area, title, theme);
    let text = Rect {
        height: rows.min(inner.height.saturating_sub(1)),
        ..inner
    };
    frame.render_widget(Paragraph::new(lines), text);
    let below = Rect {
        y: text.bottom(),
        height: (inner.height - text.height).min(1),
        ..inner
    };
    frame.render_widget(field, below);
    set_cursor(frame, below, field);
}

/// With the same as a QR code below, if there is room for it.
fn draw_with_code(
    frame: &mut Frame<'_>,
    title: &str,
    mut lines: Vec<Line<'_>>,
    content: &str,
    theme: &Theme,
) {
    let screen = frame.area();
    let room = (
        screen.width.saturating_sub(2),
        screen.height.saturating_sub(2),
    );
    let code = Code::of(content).ok();
    let text_rows = cells(lines.len());
    match code {
        Some(code)
            if cells(code.width()) <= room.0
                && text_rows.saturating_add(cells(code.lines().len())) <= room.1 =>
        {
            let margin = usize::from(WIDTH).saturating_sub(2 + code.width()) / 2;
            let margin = " ".repeat(margin);
            lines.extend(code_lines(&code).into_iter().map(|mut line| {
                line.spans.insert(0, Span::raw(margin.clone()));
                line
            }));
            let width = cells(code.width()).saturating_add(2);
            let area = place(
                frame,
                WIDTH.max(width),
                cells(lines.len()).saturating_add(2),
            );
            let inner = draw_frame(frame, area, title, theme);
            frame.render_widget(Paragraph::new(lines), inner);
        }
        _ => draw_box(frame, title, lines, theme),
    }
}

fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

fn draw_frame(frame: &mut Frame<'_>, area: Rect, title: &str, theme: &Theme) -> Rect {
    let title = match title {
        "" => String::new(),
        title => format!(" {title} "),
    };
    let block = Block::bordered().border_style(theme.dim()).title(title);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    inner
}

/// In the middle of the screen, no larger than it.
fn place(frame: &Frame<'_>, width: u16, height: u16) -> Rect {
    let screen = frame.area();
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    Rect {
        x: (screen.width - width) / 2,
        y: (screen.height - height) / 2,
        width,
        height,
    }
}
