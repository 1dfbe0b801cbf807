//! The last row: what was said last, else how things are.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use crate::printable::printable;
use crate::rpc::objects::{ContactStatusObject, LinkName, StatusObject};
use crate::tui::layout::wrap::{shorten, width};
use crate::tui::state::{Action, App};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let room = usize::from(area.width);
    if let Some(notice) = &app.notice {
        let style = if notice.is_error {
            theme.error()
        } else {
            theme.title()
        };
        let text = printable(&notice.text).replace('\n', " ");
        frame.render_widget(Line::styled(shorten(&text, room), style), area);
        return;
    }
    if app
        .open
        .as_ref()
        .is_some_and(|open| open.selected.is_some())
    {
        let actions = [
            (Action::Reply, "answer"),
            (Action::Edit, "edit"),
            (Action::Delete, "delete"),
            (Action::React, "react"),
            (Action::Forward, "forward"),
            (Action::Details, "details"),
            (Action::Copy, "copy"),
            (Action::Back, "back"),
        ];
        let keys = actions.map(|(action, does)| format!("{} {does}", app.keys.name_of(action)));
        frame.render_widget(
            Line::styled(shorten(&keys.join("  "), room), theme.title()),
            area,
        );
        return;
    }
    let left = app
        .status
        .as_ref()
        .map_or_else(String::new, |status| path_text(app, status));
    let right = app.status.as_ref().map_or_else(String::new, servers_text);
    let right = match app.people.unread() {
        0 => right,
        unread => format!("{unread} unread  {right}"),
    };
    let right = shorten(&right, room);
    let left = shorten(&left, room.saturating_sub(width(&right) + 1));
    let gap = " ".repeat(room.saturating_sub(width(&left) + width(&right)));
    let is_cut_off = app
        .status
        .as_ref()
        .is_some_and(|status| !is_connected(status));
    let style = if is_cut_off {
        theme.error()
    } else {
        theme.dim()
    };
    let line = Line::from(vec![
        Span::styled(left, theme.dim()),
        Span::raw(gap),
        Span::styled(right, style),
    ]);
    frame.render_widget(line, area);
}

/// Which way messages take to the contact whose conversation is open.
fn path_text(app: &App, status: &StatusObject) -> String {
    let Some(open) = &app.open else {
        let key = |action| app.keys.name_of(action);
        return format!(
            "{} help  {} find  {} unread",
            key(Action::Help),
            key(Action::Switch),
            key(Action::NextUnread)
        );
    };
    let contact = status
        .contacts
        .iter()
        .find(|contact| contact.address == open.address);
    contact.map_or_else(String::new, contact_text)
}

fn contact_text(contact: &ContactStatusObject) -> String {
    let round_trip = contact
        .round_trip_ms
        .map_or_else(String::new, |ms| format!(" {ms:.1} ms"));
    let path = match contact.link {
        LinkName::Direct => format!("direct{round_trip}"),
        LinkName::Turn => format!("through TURN{round_trip}"),
        LinkName::Connecting => "connecting".to_owned(),
        LinkName::None => "no link; their relay takes it".to_owned(),
    };
    match &contact.waiting {
        // That says where it does not go.
        Some(why) if contact.link == LinkName::None => format!("no link; waits: {why}"),
        Some(why) => format!("{path}; waits: {why}"),
        None => path,
    }
}

fn servers_text(status: &StatusObject) -> String {
    if is_connected(status) {
        return "online".to_owned();
    }
    let servers = status.signal_servers.iter().chain(&status.relays);
    let problem = servers
        .filter_map(|server| server.problem.as_deref())
        .next();
    match problem {
        Some(problem) => format!("no server: {}", printable(problem)),
        None => "connecting to the server".to_owned(),
    }
}

fn is_connected(status: &StatusObject) -> bool {
    let mut servers = status.signal_servers.iter().chain(&status.relays);
    servers.any(|server| server.up)
}
