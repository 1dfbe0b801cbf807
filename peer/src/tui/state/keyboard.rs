//! What keys do, depending on where they go.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};

use super::keys::Action;
use super::{App, Field, Line, Overlay, Pane, Place, Switcher, Wanted};
use crate::rpc::objects::ContactObject;
use crate::tui::layout::item::time_text;

/// Rows that a screen up or down leaves of the one before.
const KEPT_ROWS: usize = 2;

impl App {
    pub(super) fn handle_key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        self.notice = None;
        // Whoever types looks at it, whatever the terminal has told of its focus.
        self.has_focus = true;
        let action = self.keys.action(key, Place::Everywhere);
        if action == Some(Action::Quit) {
            return self.end();
        }
        // Who goes on after that has not left.
        if self.end == super::End::Refused {
            self.end = super::End::No;
        }
        if self.overlay.is_some() {
            return self.handle_overlay_key(key, action);
        }
        let is_selecting = self.pane == Pane::Conversation
            && self
                .open
                .as_ref()
                .is_some_and(|open| open.selected.is_some());
        if is_selecting && let Some(action) = self.keys.action(key, Place::Message) {
            return self.handle_message_action(action);
        }
        match action {
            Some(action) => self.handle_action(action, key),
            None => self.handle_other_key(key, is_selecting),
        }
    }

    pub(super) fn handle_paste(&mut self, text: &str) {
        self.notice = None;
        match &mut self.overlay {
            Some(Overlay::Switcher(switcher)) => {
                switcher.field.insert(text);
                switcher.look(self.people.contacts());
            }
            Some(Overlay::React { field, .. } | Overlay::Command(field)) => field.insert(text),
            Some(_) => {}
            None => {
                self.pane = Pane::Conversation;
                self.write_here(|composer| composer.insert(text));
            }
        }
    }

    fn handle_action(&mut self, action: Action, key: KeyEvent) {
        match action {
            Action::Send => match self.pane {
                Pane::List => self.open_line(),
                Pane::Conversation => self.send(),
            },
            Action::Newline => self.write_here(|composer| composer.newline()),
            Action::Editor => self.edit_elsewhere(),
            Action::NextUnread => self.go_to_unread(),
            Action::Switch => {
                let switcher = Switcher::new(Wanted::Open, self.people.contacts());
                self.overlay = Some(Overlay::Switcher(switcher));
            }
            Action::NextConversation => self.go_to_next(true),
            Action::PreviousConversation => self.go_to_next(false),
            Action::List => self.change_pane(),
            Action::PageUp => self.scroll_screen(false),
            Action::PageDown => self.scroll_screen(true),
            Action::Begin => self.scroll(|timeline| timeline.scroll_to_begin()),
            Action::End => self.scroll_to_end(),
            Action::SelectPrevious => self.select(true),
            Action::SelectNext => self.select(false),
            Action::Requests => self.show_requests(),
            Action::Verify => self.show_verification(),
            Action::Help => self.show_help(),
            Action::Back => self.back(),
            _ => self.handle_other_key(key, false),
        }
    }

    /// A key with no meaning of its own is typed.
    fn handle_other_key(&mut self, key: KeyEvent, is_selecting: bool) {
        if self.pane == Pane::List {
            match key.code {
                KeyCode::Up => self.people.move_cursor(false),
                KeyCode::Down => self.people.move_cursor(true),
                KeyCode::Right => self.open_line(),
                KeyCode::Char('/') => self.overlay = Some(Overlay::Command(Field::new("/"))),
                _ => {}
            }
            return;
        }
        let nothing_written = self.composer().is_some_and(|composer| composer.is_empty());
        match key.code {
            KeyCode::Up if is_selecting || nothing_written => self.select(true),
            KeyCode::Down if is_selecting => self.select(false),
            // A command about the message.
            KeyCode::Char('/') if is_selecting => {
                self.overlay = Some(Overlay::Command(Field::new("/")));
            }
            // Letters have a meaning here, so none is taken for text.
            _ if is_selecting => self.say("Esc goes back to writing"),
            _ => self.write_here(|composer| composer.key(key)),
        }
    }

    fn write_here(&mut self, write: impl FnOnce(&mut super::composer::Composer)) {
        if self.pane != Pane::Conversation {
            return;
        }
        if let Some(open) = &mut self.open
            && let Some(composer) = self.composers.get_mut(&open.address)
        {
            open.selected = None;
            write(composer);
        }
    }

    fn back(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        let was_selecting = open.selected.take().is_some();
        if was_selecting
            || self
                .composer_mut()
                .is_some_and(|composer| composer.only_write())
        {
            return;
        }
        if self.areas().list.is_none() {
            self.pane = Pane::List;
        } else if self.pane == Pane::List {
            self.pane = Pane::Conversation;
        }
    }

    fn change_pane(&mut self) {
        if self.pane == Pane::Conversation && self.complete() {
            return;
        }
        self.pane = match self.pane {
            Pane::List if self.open.is_some() => Pane::Conversation,
            _ => Pane::List,
        };
    }

    fn open_line(&mut self) {
        let lines = self.people.lines();
        match lines.get(self.people.cursor()) {
            Some(Line::Requests(_)) => self.show_requests(),
            Some(Line::Contact(contact)) => {
                let address = contact.address.clone();
                self.open_conversation(&address);
            }
            None => {}
        }
    }

    fn go_to_unread(&mut self) {
        let here = self.open.as_ref().map(|open| open.address.as_str());
        match self.people.next_unread(here) {
            Some(address) => self.open_conversation(&address),
            None => self.say("nothing is unread"),
        }
    }

    fn go_to_next(&mut self, down: bool) {
        let here = self.open.as_ref().map(|open| open.address.as_str());
        if let Some(address) = self.people.next_to(here, down) {
            self.open_conversation(&address);
        }
    }

    // Scrolling.

    fn scroll(&mut self, scroll: impl FnOnce(&mut super::timeline::Timeline)) {
        if let Some(open) = &mut self.open {
            scroll(&mut open.timeline);
        }
    }

    fn scroll_screen(&mut self, down: bool) {
        self.scroll(|timeline| {
            let rows = timeline.height().saturating_sub(KEPT_ROWS).max(1);
            let rows = isize::try_from(rows).unwrap_or(isize::MAX);
            timeline.scroll(if down { rows } else { -rows });
        });
    }

    /// Also if it is not loaded.
    pub(super) fn scroll_to_end(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        open.selected = None;
        open.timeline.scroll_to_end();
        if open.timeline.has_newer {
            self.ask_page(super::Part::Begin(None));
        }
    }
}

/// How long messages stay, in the title of a conversation.
pub(crate) fn stay_text(contact: &ContactObject) -> Option<String> {
    (contact.expires_s > 0).then(|| format!("messages go after {}", time_text(contact.expires_s)))
}
