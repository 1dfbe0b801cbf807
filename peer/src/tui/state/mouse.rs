//! What the mouse does: the wheel scrolls, a click opens a conversation or selects a message.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{App, Line, Pane};

/// Rows that one step of the wheel scrolls.
const WHEEL_ROWS: isize = 3;

impl App {
    pub(super) fn handle_mouse(&mut self, mouse: MouseEvent) {
        if self.overlay.is_some() {
            return;
        }
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::ScrollUp => self.wheel(at, -WHEEL_ROWS),
            MouseEventKind::ScrollDown => self.wheel(at, WHEEL_ROWS),
            MouseEventKind::Down(MouseButton::Left) => self.click(at),
            _ => {}
        }
    }

    fn wheel(&mut self, at: Position, rows: isize) {
        if self.areas().list.is_some_and(|list| list.contains(at)) {
            self.people.move_cursor(rows > 0);
            return;
        }
        if let Some(open) = &mut self.open {
            open.timeline.scroll(rows);
        }
    }

    fn click(&mut self, at: Position) {
        let areas = self.areas();
        if let Some(list) = areas.list.filter(|list| list.contains(at)) {
            let lines = self.people.lines();
            let first = first_line(lines.len(), self.people.cursor(), list.height.into());
            match lines.get(first + usize::from(at.y - list.y)) {
                Some(Line::Requests(_)) => self.show_requests(),
                Some(Line::Contact(contact)) => {
                    let address = contact.address.clone();
                    self.open_conversation(&address);
                }
                None => {}
            }
            return;
        }
        let Some((open, areas)) = self.open.as_mut().zip(areas.conversation) else {
            return;
        };
        self.pane = Pane::Conversation;
        if !areas.timeline.contains(at) {
            open.selected = None;
            return;
        }
        let visible = open.timeline.visible();
        // They stand at the bottom.
        let empty = usize::from(areas.timeline.height).saturating_sub(visible.len());
        let row = usize::from(at.y - areas.timeline.y).checked_sub(empty);
        let id = row.and_then(|row| visible.get(row)).map(|one| one.id);
        open.selected = id.filter(|id| open.timeline.message(*id).is_some());
    }
}

/// The line at the top of a list of so many rows, so that the cursor is seen.
pub(crate) const fn first_line(count: usize, cursor: usize, rows: usize) -> usize {
    let last_top = count.saturating_sub(rows);
    let wanted = cursor.saturating_sub(rows.saturating_sub(1));
    if wanted < last_top { wanted } else { last_top }
}
