//! The text that is being written to one contact: a message, an answer or an edit.
//!
//! It stays with its contact as long as the program runs, whatever is opened meanwhile, and what is written of it and not
//! sent is kept in the profile.

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
    /// What was written before an edit began.
    aside: Option<(String, Writing)>,
    /// What the profile keeps of it.
    kept: String,
    /// What it is being told to keep.
    keeping: Option<String>,
    /// What could not be sent and has come back, as it stands at the beginning of the text.
    returned: String,
    /// The id under which this text may have been sent already.
    attempt: Option<(String, MsgId)>,
}

impl Composer {
    /// With what the profile keeps.
    pub(crate) fn new(kept: &str) -> Self {
        Self {
            area: area_of(kept),
            writing: Writing::New,
            aside: None,
            kept: kept.to_owned(),
            keeping: None,
            returned: String::new(),
            attempt: None,
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

    /// Rows that the text takes.
    pub(crate) fn rows(&self, width: usize) -> usize {
        // The cursor needs a cell too.
        wrap(&self.text(), width.saturating_sub(1)).len()
    }

    // What is kept.

    /// What the profile is to be told to keep now, if it does not and is not being told.
    pub(crate) fn next_to_keep(&mut self) -> Option<String> {
        let draft = self.draft();
        if self.keeping.is_some() || draft == self.kept {
            return None;
        }
        self.keeping = Some(draft.clone());
        Some(draft)
    }

    /// The profile keeps it, or could not.
    pub(crate) fn handle_kept(&mut self, is_kept: bool) {
        if let Some(keeping) = self.keeping.take()
            && is_kept
        {
            self.kept = keeping;
        }
    }

    /// All that is written and not sent.
    fn draft(&self) -> String {
        match &self.aside {
            None => self.text(),
            Some((before, _)) => joined(before, &self.text()),
        }
    }

    // Writing.

    pub(crate) fn key(&mut self, key: KeyEvent) {
        super::field::type_into(&mut self.area, key);
    }

    /// Text as if it were typed, but for what a terminal would obey.
    pub(crate) fn insert(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let kept = text
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
        self.area.insert_str(kept.collect::<String>());
    }

    pub(crate) fn newline(&mut self) {
        self.area.insert_newline();
    }

    /// Another text in the place of what there is.
    pub(crate) fn set(&mut self, text: &str) {
        self.area = area_of(text);
    }

    /// Takes what is written, and begins anew. With the id that it goes under: the same one, if the same text may have
    /// been sent already.
    pub(crate) fn take(&mut self) -> (String, Writing, MsgId) {
        let text = self.text();
        let attempt = self.attempt.take().filter(|(tried, _)| *tried == text);
        let id = attempt.map_or_else(MsgId::now_v7, |(_, id)| id);
        let (next, writing) = self.aside.take().unwrap_or_default();
        let taken = std::mem::replace(&mut self.writing, writing);
        self.returned = String::new();
        self.set(&next);
        (text, taken, id)
    }

    /// Puts back a message that could not be sent, before what has been written since and after what came back before it.
    pub(crate) fn put_back(&mut self, text: &str, reply: Option<(MsgId, String)>, id: MsgId) {
        let since = match &self.aside {
            Some((before, _)) => before.clone(),
            None => self.text(),
        };
        let is_first = since.is_empty();
        let rest = match since.strip_prefix(&self.returned) {
            Some(rest) if !self.returned.is_empty() => rest.trim_start_matches('\n').to_owned(),
            _ => {
                self.returned = String::new();
                since
            }
        };
        self.returned = joined(&self.returned, text);
        let all = joined(&self.returned, &rest);
        let writing = match reply {
            Some((id, to)) if is_first => Some(Writing::Answer { id, to }),
            _ => None,
        };
        if is_first {
            self.attempt = Some((text.to_owned(), id));
        }
        match &mut self.aside {
            Some((before, aside)) => {
                *before = all;
                if let Some(writing) = writing {
                    *aside = writing;
                }
            }
            None => {
                self.set(&all);
                if let Some(writing) = writing {
                    self.writing = writing;
                }
            }
        }
    }

    /// Begins an edit. Refused while another one is under way that would be lost.
    pub(crate) fn edit(&mut self, id: MsgId, text: &str) -> bool {
        if self.aside.is_some() {
            return false;
        }
        let writing = std::mem::replace(&mut self.writing, Writing::Edit { id });
        self.aside = Some((self.text(), writing));
        self.area = area_of(text);
        true
    }

    /// Begins an answer. Refused during an edit.
    pub(crate) fn answer(&mut self, id: MsgId, to: String) -> bool {
        if self.aside.is_some() {
            return false;
        }
        self.writing = Writing::Answer { id, to };
        true
    }

    /// Back to a message of its own; the text of an edit goes. Returns whether it was anything else.
    pub(crate) fn only_write(&mut self) -> bool {
        if let Some((before, writing)) = self.aside.take() {
            self.set(&before);
            self.writing = writing;
            return true;
        }
        std::mem::take(&mut self.writing) != Writing::New
    }
}

fn joined(before: &str, after: &str) -> String {
    match (before, after) {
        ("", after) => after.to_owned(),
        (before, "") => before.to_owned(),
        (before, after) => format!("{before}\n{after}"),
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

    const ID: MsgId = MsgId::nil();

    fn answer() -> Writing {
        Writing::Answer {
            id: ID,
            to: "hi".to_owned(),
        }
    }

    #[test]
    fn an_edit_leaves_what_was_written_as_it_was() {
        let mut composer = Composer::new("half a ");
        composer.insert("sentence");
        composer.answer(ID, "hi".to_owned());
        assert!(composer.edit(ID, "helo"));
        assert!(!composer.edit(ID, "another") && !composer.answer(ID, String::new()));
        assert_eq!(composer.text(), "helo");
        composer.insert("!");
        let (text, writing, _) = composer.take();
        assert_eq!(
            (text.as_str(), writing),
            ("helo!", Writing::Edit { id: ID })
        );
        assert_eq!(
            (composer.text().as_str(), &composer.writing),
            ("half a sentence", &answer())
        );
        composer.edit(ID, "helo");
        assert!(composer.only_write());
        assert_eq!(
            (composer.text().as_str(), &composer.writing),
            ("half a sentence", &answer())
        );
        assert!(composer.only_write());
        assert!(!composer.only_write());
    }

    #[test]
    fn what_could_not_be_sent_comes_back_in_its_order_and_before_what_was_written_since() {
        let mut composer = Composer::new("");
        let mut sent = |text: &str| {
            composer.insert(text);
            composer.take().2
        };
        let (one, two) = (sent("one"), sent("two"));
        composer.insert("three");
        composer.put_back("one", None, one);
        composer.put_back("two", None, two);
        assert_eq!(composer.text(), "one\ntwo\nthree");
    }

    #[test]
    fn what_could_not_be_sent_does_not_get_into_an_edit() {
        let mut composer = Composer::new("");
        composer.insert("one");
        let (.., id) = composer.take();
        composer.edit(ID, "helo");
        composer.put_back("one", Some((ID, "hi".to_owned())), id);
        assert_eq!(composer.text(), "helo");
        composer.only_write();
        assert_eq!(
            (composer.text().as_str(), &composer.writing),
            ("one", &answer())
        );
    }

    /// Its first attempt may have been saved, although nobody heard of it.
    #[test]
    fn the_same_text_goes_under_the_same_id_again() {
        let mut composer = Composer::new("");
        composer.insert("one");
        let (.., id) = composer.take();
        composer.put_back("one", None, id);
        assert_eq!(composer.take().2, id);
        composer.put_back("one", None, id);
        composer.insert("!");
        assert_ne!(composer.take().2, id);
    }

    #[test]
    fn what_is_written_is_kept_and_tried_again_if_it_could_not_be() {
        let mut composer = Composer::new("");
        assert_eq!(composer.next_to_keep(), None);
        composer.insert("one");
        assert_eq!(composer.next_to_keep().as_deref(), Some("one"));
        assert_eq!(composer.next_to_keep(), None, "one call at a time");
        composer.handle_kept(false);
        assert_eq!(composer.next_to_keep().as_deref(), Some("one"));
        composer.insert("!");
        composer.handle_kept(true);
        assert_eq!(composer.next_to_keep().as_deref(), Some("one!"));
        composer.handle_kept(true);
        assert_eq!(composer.next_to_keep(), None);
        // Also what is written as an edit.
        composer.edit(ID, "helo");
        assert_eq!(composer.next_to_keep().as_deref(), Some("one!\nhelo"));
    }

    #[test]
    fn pasted_text_has_nothing_in_it_that_a_terminal_obeys() {
        let mut composer = Composer::new("");
        composer.insert("a\u{1b}[31m\r\nb\rc\u{7}");
        assert_eq!(composer.text(), "a[31m\nb\nc");
    }
}
