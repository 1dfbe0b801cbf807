//! The text that is being written: a message, an answer or an edit.

use crossterm::event::KeyEvent;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};

use crate::MsgId;
use crate::tui::layout::wrap::wrap;

/// What becomes of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Writing {
    /// A message.
    #[default]
    New,
    /// A message that answers this one, of which so much is shown.
    Answer { id: MsgId, to: String },
    /// Another text for this own message.
    Edit { id: MsgId },
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Composer {
    area: TextArea<'static>,
    pub(crate) writing: Writing,
    /// Whether the text is not kept yet as it is.
    pub(crate) is_unsaved: bool,
    /// What was written before an edit began.
    aside: Option<String>,
}

impl Composer {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            area: area_of(text),
            writing: Writing::New,
            is_unsaved: false,
            aside: None,
        }
    }

    pub(crate) const fn area(&self) -> &TextArea<'static> {
        &self.area
    }

    pub(crate) fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// What is to be kept for later: the text of a message, not that of an edit.
    pub(crate) fn draft(&self) -> String {
        self.aside.clone().unwrap_or_else(|| self.text())
    }

    /// Rows that the text takes.
    pub(crate) fn rows(&self, width: usize) -> usize {
        // The cursor needs a cell too.
        wrap(&self.text(), width.saturating_sub(1)).len()
    }

    pub(crate) fn key(&mut self, key: KeyEvent) {
        self.is_unsaved |= self.area.input(key);
    }

    /// Text as if it were typed, but for what a terminal would obey.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let kept = text
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
        self.is_unsaved |= self.area.insert_str(kept.collect::<String>());
    }

    pub(crate) fn newline(&mut self) {
        self.area.insert_newline();
        self.is_unsaved = true;
    }

    /// Another text in the place of what there is.
    pub(crate) fn set(&mut self, text: &str) {
        self.area = area_of(text);
        self.is_unsaved = true;
    }

    /// Takes what is written, and begins anew.
    pub(crate) fn take(&mut self) -> (String, Writing) {
        let text = self.text();
        let writing = std::mem::take(&mut self.writing);
        let next = self.aside.take().unwrap_or_default();
        self.set(&next);
        (text, writing)
    }

    /// Puts back what could not be sent, before what has been written since.
    pub(crate) fn put_back(&mut self, text: &str) {
        let since = self.text();
        let joined = if since.is_empty() {
            text.to_owned()
        } else {
            format!("{text}\n{since}")
        };
        self.set(&joined);
    }

    pub(crate) fn edit(&mut self, id: MsgId, text: &str) {
        self.leave_edit();
        self.aside = Some(self.text());
        self.writing = Writing::Edit { id };
        self.area = area_of(text);
    }

    pub(crate) fn answer(&mut self, id: MsgId, to: String) {
        self.leave_edit();
        self.writing = Writing::Answer { id, to };
    }

    /// Back to a message of its own. Returns whether it was anything else.
    pub(crate) fn only_write(&mut self) -> bool {
        let was_more = self.writing != Writing::New;
        self.leave_edit();
        self.writing = Writing::New;
        was_more
    }

    fn leave_edit(&mut self) {
        if let Some(before) = self.aside.take() {
            self.set(&before);
            self.writing = Writing::New;
        }
    }
}

fn area_of(text: &str) -> TextArea<'static> {
    let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
    area.set_wrap_mode(WrapMode::WordOrGlyph);
    area.set_cursor_line_style(ratatui::style::Style::default());
    // The terminal's own cursor stands there: screen readers and input methods look for it.
    area.set_cursor_style(ratatui::style::Style::default());
    area.move_cursor(CursorMove::Bottom);
    area.move_cursor(CursorMove::End);
    area
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_leaves_what_was_written_as_it_was() {
        let mut composer = Composer::new("half a ");
        composer.insert("sentence");
        composer.edit(MsgId::nil(), "helo");
        assert_eq!(
            (composer.text().as_str(), composer.draft().as_str()),
            ("helo", "half a sentence")
        );
        composer.insert("!");
        let taken = composer.take();
        assert_eq!(
            taken,
            ("helo!".to_owned(), Writing::Edit { id: MsgId::nil() })
        );
        assert_eq!(
            (composer.text().as_str(), &composer.writing),
            ("half a sentence", &Writing::New)
        );
        composer.edit(MsgId::nil(), "helo");
        assert!(composer.only_write());
        assert_eq!(composer.text(), "half a sentence");
    }

    #[test]
    fn what_could_not_be_sent_comes_back_before_what_was_written_since() {
        let mut composer = Composer::new("");
        composer.insert("one");
        assert_eq!(composer.take().0, "one");
        composer.insert("two");
        composer.put_back("one");
        assert_eq!(composer.text(), "one\ntwo");
    }

    #[test]
    fn pasted_text_has_nothing_in_it_that_a_terminal_obeys() {
        let mut composer = Composer::new("");
        composer.insert("a\u{1b}[31m\r\nb\rc\u{7}");
        assert_eq!(composer.text(), "a[31m\nb\nc");
    }
}
