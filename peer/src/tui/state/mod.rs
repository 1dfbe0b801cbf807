//! Everything that the terminal interface decides, without a terminal, a socket or a clock: what happens goes in, what
//! is to be done comes out.
//!
//! Invariants:
//! - A message counts as read when it was drawn to its end in a terminal that has the focus, with nothing above it.
//! - What is typed is never sent by mistake (an unknown command is an error), and never lost: it stands in the composer
//!   until it is durable, and is kept when another conversation is opened and at the end.
//! - The number beside a contact is the store's.

mod above;
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

pub(crate) use above::chosen_request;
pub(crate) use clock::Clock;
pub(crate) use composer::{Composer, Writing};
pub(crate) use conversation::Conversation;
pub(crate) use event::{Call, Effect, Event, News, Part, Purpose, Say};
pub(crate) use field::Field;
pub(crate) use keyboard::stay_text;
pub(crate) use keys::{Action, Keys, Place};
pub(crate) use mouse::first_line;
pub(crate) use overlay::{Overlay, SIGNS};
pub(crate) use people::{Line, People};
pub(crate) use switcher::{Switcher, Wanted};
pub(crate) use timeline::{PAGE, Timeline};

use crate::MsgId;
use crate::cli::typed::{self, Known};
use crate::rpc::RpcError;
use crate::rpc::objects::{IdObject, StatusObject};
use crate::tui::layout::screen::Areas;

/// What is said in the last row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) is_error: bool,
    /// For how long it was there, in ticks.
    age: u32,
}

/// So long a notice stays if no key is pressed, ticks. Chosen: time enough to read it.
const NOTICE_TICKS: u32 = 4;

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
    /// What is written to whom, by their addresses.
    composers: BTreeMap<String, Composer>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) notice: Option<Notice>,
    pub(crate) status: Option<StatusObject>,
    pub(crate) pane: Pane,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    /// Whether the contacts are here.
    pub(crate) is_ready: bool,
    /// Who is to be talked to as soon as the contacts are here.
    opens_at: Option<String>,
    has_focus: bool,
    size: Size,
    contacts: Asked,
    requests: Asked,
    statuses: Asked,
    /// Messages of the open conversation that were shown, which could not be saved: they are shown again after some time.
    unread_again: Vec<MsgId>,
    /// Of the last question for a part of a conversation.
    page_number: u64,
    /// Calls that save something and were not answered yet.
    saving: usize,
    end: End,
    effects: Vec<Effect>,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    No,
    /// As soon as everything is saved.
    Wanted,
    /// Something could not be saved: the person has been told, and may end all the same.
    Refused,
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

    /// It is asked for again when some time has passed.
    const fn failed(&mut self) {
        self.is_asked = false;
        self.is_again = true;
    }

    const fn is_due(&self) -> bool {
        self.is_again && !self.is_asked
    }
}

impl App {
    /// With the name or address of a contact whose conversation is opened at first.
    pub(crate) fn new(keys: Keys, clock: Clock, at: Option<&str>) -> Self {
        Self {
            me: None,
            people: People::default(),
            open: None,
            composers: BTreeMap::new(),
            overlay: None,
            notice: None,
            status: None,
            pane: Pane::List,
            keys,
            clock,
            is_ready: false,
            opens_at: at.map(str::to_owned),
            has_focus: true,
            size: Size::default(),
            contacts: Asked::default(),
            requests: Asked::default(),
            statuses: Asked::default(),
            unread_again: Vec::new(),
            page_number: 0,
            saving: 0,
            end: End::No,
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
            Event::Tick(now) => self.handle_tick(now),
            Event::Answer(purpose, result) => self.handle_answer(purpose, result),
            Event::News(events) => self.handle_news(events),
            Event::Deaf(error) => self.fail(&error),
            Event::Heard => self.ask_everything(),
            Event::Edited(text) => self.handle_edited(&text),
            Event::NotEdited(why) => self.refuse(why),
            Event::NotNoticed => self.effects.push(Effect::Bell),
            Event::Ended => self.end(),
        }
        self.lay_out();
        self.load();
        std::mem::take(&mut self.effects)
    }

    /// Where everything stands now.
    pub(crate) fn areas(&self) -> Areas {
        let screen = Rect::new(0, 0, self.size.width, self.size.height);
        let is_list = self.pane == Pane::List || self.open.is_none();
        // The width of the composer does not depend on its height.
        let width = Areas::of(screen, 1, is_list).conversation;
        let width = width.map_or(0, |areas| usize::from(areas.composer.width));
        let rows = self.composer().map_or(1, |composer| composer.rows(width));
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

    fn handle_tick(&mut self, now: jiff::Timestamp) {
        self.clock.now = now;
        self.notice = self
            .notice
            .take()
            .filter(|notice| notice.age < NOTICE_TICKS);
        if let Some(notice) = &mut self.notice {
            notice.age += 1;
        }
        self.keep_drafts();
        let again = std::mem::take(&mut self.unread_again);
        if let Some(open) = &mut self.open {
            open.unblock();
            open.timeline.not_read(&again);
        }
        if self.contacts.is_due() {
            self.ask_contacts();
        }
        if self.requests.is_due() {
            self.ask_requests();
        }
        self.ask_status();
    }

    /// Nothing was heard for some time.
    fn ask_everything(&mut self) {
        if let Some(open) = &mut self.open {
            open.handle_stale();
        }
        self.ask_contacts();
        self.ask_requests();
        self.ask_status();
    }

    // Conversations.

    /// What is written in the conversation that is open.
    pub(crate) fn composer(&self) -> Option<&Composer> {
        self.composers.get(&self.open.as_ref()?.address)
    }

    fn composer_mut(&mut self) -> Option<&mut Composer> {
        self.composers.get_mut(&self.open.as_ref()?.address)
    }

    fn open_conversation(&mut self, address: &str) {
        let Some(contact) = self.people.contact(address) else {
            return;
        };
        self.composers
            .entry(address.to_owned())
            .or_insert_with(|| Composer::new(&contact.draft));
        let first_unread = contact.first_unread_id;
        self.pane = Pane::Conversation;
        self.overlay = None;
        self.people.point_to(address);
        self.keep_drafts();
        let is_open = self
            .open
            .as_ref()
            .is_some_and(|open| open.address == address);
        if !is_open {
            let timeline = Timeline::new(&self.clock);
            self.open = Some(Conversation::new(address.to_owned(), timeline));
            self.ask_status();
        }
        let Some(open) = &mut self.open else {
            return;
        };
        let is_here = open.timeline.messages().any(|message| message.unread);
        if is_here {
            open.timeline.mark_unread();
            open.timeline.show_unread();
        } else if !is_open || first_unread.is_some() {
            self.ask_page(Part::Begin(first_unread));
        }
    }

    /// Loads what is about to be scrolled to, or is not as it was.
    fn load(&mut self) {
        if let Some(part) = self.open.as_ref().and_then(Conversation::wanted) {
            self.ask_page(part);
        }
    }

    /// Asks for a part; nothing that was asked for before is waited for any more.
    fn ask_page(&mut self, part: Part) {
        let Some(open) = &mut self.open else {
            return;
        };
        self.page_number += 1;
        let number = self.page_number;
        open.ask(part, number);
        let mut params = json!({"to": open.address, "limit": PAGE});
        let place = match part {
            Part::Begin(around) | Part::Again(around) => ("around", around),
            Part::Older => ("before", open.timeline.edge(true)),
            Part::Newer => ("after", open.timeline.edge(false)),
        };
        if let (name, Some(id)) = place {
            params[name] = json!(id);
        }
        let address = open.address.clone();
        let purpose = Purpose::Page {
            address,
            part,
            number,
        };
        self.call("history", params, purpose);
    }

    fn handle_drawn(&mut self) {
        if !self.has_focus || self.overlay.is_some() || self.areas().conversation.is_none() {
            return;
        }
        let covered = self.completions().len();
        let Some(open) = &mut self.open else {
            return;
        };
        let ids = open.timeline.take_shown(covered);
        if ids.is_empty() {
            return;
        }
        let address = open.address.clone();
        let params = json!({"from": address, "ids": ids});
        self.write("read", params, Purpose::Read { address, ids });
    }

    /// Commands that begin like what is written, as far as they are shown above it.
    pub(crate) fn completions(&self) -> Vec<Known> {
        /// Most of them that are shown.
        const SHOWN: usize = 8;
        let Some(composer) = self.composer() else {
            return Vec::new();
        };
        let text = composer.text();
        let is_edit = matches!(composer.writing, Writing::Edit { .. });
        let beginning = text
            .strip_prefix('/')
            .filter(|rest| !rest.contains(char::is_whitespace));
        let Some(beginning) = beginning.filter(|_| !is_edit) else {
            return Vec::new();
        };
        let rows = self
            .areas()
            .conversation
            .map_or(0, |areas| areas.timeline.height.into());
        let mut known = typed::completions(beginning);
        known.truncate(SHOWN.min(rows));
        known
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
        self.saving += usize::from(purpose.is_writing());
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
            age: 0,
        });
    }

    fn refuse(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice {
            text: text.into(),
            is_error: true,
            age: 0,
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
        if self.end == End::Refused {
            self.effects.push(Effect::Quit);
            return;
        }
        self.end = End::Wanted;
        self.end_if_saved();
    }

    /// Also what is written until then is kept.
    fn end_if_saved(&mut self) {
        if self.end != End::Wanted {
            return;
        }
        self.keep_drafts();
        if self.saving == 0 {
            self.effects.push(Effect::Quit);
        } else {
            self.say("saving…");
        }
    }

    /// What is not saved keeps the program here, with the reason on the screen.
    fn refuse_end(&mut self) {
        if self.end == End::Wanted {
            self.end = End::Refused;
        }
    }
}
