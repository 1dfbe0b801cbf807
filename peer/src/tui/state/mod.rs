//! Everything that the terminal interface decides, without a terminal, a socket or a clock: what happens goes in, what
//! is to be done comes out.
//!
//! Invariants:
//! - A message counts as read when it was drawn to its end in a terminal that has the focus, with nothing above it.
//! - What is typed is never sent by mistake (an unknown command is an error), and never lost: it stands in the composer
//!   until it is durable, and is kept when another conversation is opened and at the end.
//! - The number beside a contact is the store's.

mod answers;
mod clock;
mod composer;
mod conversation;
mod event;
mod field;
mod keyboard;
mod keys;
mod messages;
mod mouse;
mod news;
mod overlay;
mod people;
mod switcher;
mod timeline;
mod writing;

use std::collections::BTreeMap;

use ratatui::layout::{Rect, Size};
use serde_json::{Value, json};

pub(crate) use clock::Clock;
pub(crate) use composer::Writing;
pub(crate) use conversation::Conversation;
pub(crate) use event::{Call, Effect, Event, Part, Purpose, Say};
pub(crate) use field::Field;
pub(crate) use keyboard::stay_text;
pub(crate) use keys::{Keys, Place};
pub(crate) use mouse::first_line;
pub(crate) use overlay::{Overlay, SIGNS};
pub(crate) use people::{Line, People};
pub(crate) use switcher::{Switcher, Wanted};
pub(crate) use timeline::{PAGE, Timeline};

use crate::rpc::RpcError;
use crate::rpc::objects::{IdObject, StatusObject};
use crate::tui::layout::screen::Areas;

/// What is said in the last row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

/// Which part of the screen keys go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pane {
    List,
    Conversation,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) me: Option<IdObject>,
    pub(crate) people: People,
    pub(crate) open: Option<Conversation>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) notice: Option<Notice>,
    pub(crate) status: Option<StatusObject>,
    pub(crate) pane: Pane,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    /// Whether the contacts are here.
    pub(crate) is_ready: bool,
    has_focus: bool,
    size: Size,
    /// Whether they have been asked for, and whether they have changed since.
    contacts: Asked,
    requests: Asked,
    statuses: Asked,
    /// Edits and drafts that are on their way, after which the program may end.
    unsaved: usize,
    is_ending: bool,
    /// Whether something could not be saved at the end: the person has seen that, and may end all the same.
    has_failed_to_end: bool,
    /// What could not be sent, by the contact's address, until their conversation is opened again.
    unsent: BTreeMap<String, String>,
    effects: Vec<Effect>,
}

/// Something that is asked for again when it has changed meanwhile, and by one call at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    is_asked: bool,
    is_again: bool,
}

impl Asked {
    /// Whether to ask now.
    const fn ask(&mut self) -> bool {
        self.is_again = self.is_asked;
        let is_first = !self.is_asked;
        self.is_asked = true;
        is_first
    }

    /// Whether to ask again.
    const fn answered(&mut self) -> bool {
        self.is_asked = false;
        self.is_again && self.ask()
    }
}

impl App {
    pub(crate) fn new(keys: Keys, clock: Clock) -> Self {
        Self {
            me: None,
            people: People::default(),
            open: None,
            overlay: None,
            notice: None,
            status: None,
            pane: Pane::List,
            keys,
            clock,
            is_ready: false,
            has_focus: true,
            size: Size::default(),
            contacts: Asked::default(),
            requests: Asked::default(),
            statuses: Asked::default(),
            unsaved: 0,
            is_ending: false,
            has_failed_to_end: false,
            unsent: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    /// What is asked for at first.
    pub(crate) fn begin(&mut self) -> Vec<Effect> {
        self.call("id", json!({}), Purpose::Me);
        self.ask_contacts();
        self.ask_requests();
        self.ask_status();
        std::mem::take(&mut self.effects)
    }

    /// Shows an invite, for somebody who has nobody to talk to yet.
    pub(crate) fn invite(&mut self) -> Vec<Effect> {
        self.show_invite();
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn handle(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Key(key) => self.handle_key(key),
            Event::Paste(text) => self.handle_paste(&text),
            Event::Mouse(mouse) => self.handle_mouse(mouse),
            Event::Resize(size) => {
                self.size = size;
            }
            Event::Focus(has_focus) => self.has_focus = has_focus,
            Event::Drawn => self.handle_drawn(),
            Event::Tick(now) => {
                self.clock.now = now;
                self.save_draft();
                self.ask_status();
            }
            Event::Answer(purpose, result) => self.handle_answer(purpose, result),
            Event::News(events) => self.handle_news(events),
            Event::Deaf(error) => self.fail(&error),
            Event::Edited(text) => self.handle_edited(&text),
            Event::NotEdited(why) => self.refuse(why),
            Event::Ended => self.end(),
        }
        self.lay_out();
        self.load_more();
        std::mem::take(&mut self.effects)
    }

    /// Where everything stands now.
    pub(crate) fn areas(&self) -> Areas {
        let screen = Rect::new(0, 0, self.size.width, self.size.height);
        let is_list = self.pane == Pane::List || self.open.is_none();
        // The width of the composer does not depend on its height.
        let width = Areas::of(screen, 1, is_list).conversation;
        let width = width.map_or(0, |areas| usize::from(areas.composer.width));
        let rows = self
            .open
            .as_ref()
            .map_or(1, |open| open.composer.rows(width));
        let rows = u16::try_from(rows).unwrap_or(u16::MAX);
        Areas::of(screen, rows, is_list)
    }

    fn lay_out(&mut self) {
        let areas = self.areas();
        let today = self.clock.today();
        if let (Some(open), Some(areas)) = (&mut self.open, areas.conversation) {
            let (width, height) = (areas.timeline.width, areas.timeline.height);
            open.timeline.resize(width.into(), height.into());
            open.timeline.set_today(today);
        }
    }

    // Conversations.

    fn open_conversation(&mut self, address: &str) {
        self.pane = Pane::Conversation;
        self.overlay = None;
        self.people.point_to(address);
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.address == address)
        {
            self.begin_conversation();
            return;
        }
        self.save_draft();
        let Some(contact) = self.people.contact(address) else {
            return;
        };
        let timeline = Timeline::new(&self.clock);
        let mut open = Conversation::new(address.to_owned(), timeline, &contact.draft);
        if let Some(unsent) = self.unsent.remove(address) {
            open.composer.put_back(&unsent);
        }
        self.open = Some(open);
        self.begin_conversation();
        self.ask_status();
    }

    /// Goes to where what is unread begins, or to the end.
    fn begin_conversation(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        let contact = self.people.contact(&open.address);
        let first_unread = contact.and_then(|contact| contact.first_unread_id);
        let is_here = open.timeline.messages().any(|message| message.unread);
        if open.is_begun && first_unread.is_none() || is_here {
            return;
        }
        open.is_loading = true;
        let address = open.address.clone();
        self.ask_page(address, Part::Begin(first_unread));
    }

    /// Loads what is about to be scrolled to.
    fn load_more(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.is_loading || !open.is_begun {
            return;
        }
        let part = match open.timeline.wants() {
            Some(true) => Part::Older,
            Some(false) => Part::Newer,
            None if open.is_behind && !open.timeline.has_newer => {
                open.is_behind = false;
                Part::Newer
            }
            None => return,
        };
        open.is_loading = true;
        let address = open.address.clone();
        self.ask_page(address, part);
    }

    fn ask_page(&mut self, address: String, part: Part) {
        let open = self.open.as_ref();
        let edge = |is_older| open.and_then(|open| open.timeline.edge(is_older));
        let mut params = json!({"to": address, "limit": PAGE});
        let place = match part {
            Part::Begin(around) | Part::Again(around) => ("around", around),
            Part::Older => ("before", edge(true)),
            Part::Newer => ("after", edge(false)),
        };
        if let (name, Some(id)) = place {
            params[name] = json!(id);
        }
        self.call("history", params, Purpose::Page { address, part });
    }

    fn handle_drawn(&mut self) {
        if !self.has_focus || self.overlay.is_some() || self.areas().conversation.is_none() {
            return;
        }
        let Some(open) = &mut self.open else {
            return;
        };
        let ids = open.timeline.take_shown();
        if ids.is_empty() {
            return;
        }
        let address = open.address.clone();
        let params = json!({"from": address, "ids": ids});
        self.write("read", params, Purpose::Read { address, ids });
    }

    // Calls.

    fn ask_contacts(&mut self) {
        if self.contacts.ask() {
            self.call("contacts", json!({}), Purpose::Contacts);
        }
    }

    fn ask_requests(&mut self) {
        if self.requests.ask() {
            self.call("requests", json!({}), Purpose::Requests);
        }
    }

    fn ask_status(&mut self) {
        if self.statuses.ask() {
            self.call("status", json!({"outbox": false}), Purpose::Status);
        }
    }

    fn call(&mut self, method: &'static str, params: Value, purpose: Purpose) {
        self.effects.push(Effect::Call(Call {
            method,
            params,
            purpose,
        }));
    }

    fn write(&mut self, method: &'static str, params: Value, purpose: Purpose) {
        self.effects.push(Effect::Write(Call {
            method,
            params,
            purpose,
        }));
    }

    // What is said.

    fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            is_error: false,
        });
    }

    fn refuse(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            is_error: true,
        });
    }

    fn fail(&mut self, error: &RpcError) {
        let help = match error.help.as_str() {
            "" => String::new(),
            help => format!("; {help}"),
        };
        self.refuse(format!("{error}{help}"));
    }

    // The end.

    fn end(&mut self) {
        if self.has_failed_to_end {
            self.effects.push(Effect::Quit);
            return;
        }
        self.is_ending = true;
        self.save_draft();
        self.end_if_saved();
    }

    fn end_if_saved(&mut self) {
        if self.is_ending && self.unsaved == 0 {
            self.effects.push(Effect::Quit);
        }
    }
}
