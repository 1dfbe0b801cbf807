//! One line that is typed into something that lies above the conversation.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::{CursorMove, TextArea};

/// As shells and editors have taught people to expect; the rest is the text area's own.
pub(super) fn type_into(area: &mut TextArea<'static>, key: KeyEvent) -> bool {
    let is_control = key.modifiers == KeyModifiers::CONTROL;
    match key.code {
        KeyCode::Char('u') if is_control => area.delete_line_by_head(),
        KeyCode::Char('z') if is_control => area.undo(),
        KeyCode::Char('y') if is_control => area.redo(),
        _ => area.input(key),
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    area: TextArea<'static>,
}

impl Field {
    pub(crate) fn new(text: &str) -> Self {
        let mut area = TextArea::new(vec![text.replace('\n', " ")]);
        area.set_cursor_line_style(ratatui::style::Style::default());
        area.set_cursor_style(ratatui::style::Style::default());
        area.move_cursor(CursorMove::End);
        Self { area }
    }

    /// What is typed does not show.
    pub(crate) fn hidden() -> Self {
        let mut field = Self::new("");
        field.area.set_mask_char('•');
        field
    }

    pub(crate) const fn area(&self) -> &TextArea<'static> {
        &self.area
    }

    pub(crate) fn text(&self) -> &str {
        self.area.lines().first().map_or("", String::as_str)
    }

    /// Returns whether the text has changed.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        !matches!(key.code, KeyCode::Enter | KeyCode::Tab) && type_into(&mut self.area, key)
    }

    pub(crate) fn insert(&mut self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        self.area.insert_str(text);
    }
}
