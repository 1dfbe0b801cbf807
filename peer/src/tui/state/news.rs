//! What the journal tells.

use std::collections::BTreeMap;

use super::{App, Effect, News};
use crate::printable::printable;
use crate::rpc::objects::{EventObject, HistoryObject, MessageObject, StateEvent, TimerObject};

/// Characters of a message that are shown elsewhere. Chosen: what a desktop has room for.
const BODY_CHARS: usize = 200;

impl App {
    pub(super) fn handle_news(&mut self, events: Vec<EventObject>) {
        let mut unseen = Vec::new();
        for event in events {
            unseen.extend(self.unseen(&event));
            self.handle_event(event);
        }
        if let Some(open) = &mut self.open {
            if !self.has_focus || !open.timeline.is_at_end() {
                open.timeline.mark_unread_anew();
            }
            open.timeline.catch_up();
        }
        self.notice(unseen);
    }

    /// What is to be noticed of an event, if something is.
    fn unseen(&self, event: &EventObject) -> Option<News> {
        match event {
            EventObject::Message(message) => {
                let address = &message.address;
                let is_open = self
                    .open
                    .as_ref()
                    .is_some_and(|open| open.address == *address);
                let contact = self.people.contact(address);
                let is_muted = contact.is_some_and(|contact| contact.muted);
                let is_seen = is_open && self.has_focus && self.overlay.is_none();
                (!is_muted && !is_seen).then(|| News {
                    about: address.clone(),
                    title: printable(&message.from),
                    body: printable(&message.text),
                })
            }
            EventObject::Request(request) => Some(News {
                about: request.id.clone(),
                title: printable(&request.name),
                body: "asks to become your contact".to_owned(),
            }),
            _ => None,
        }
    }

    /// One for each contact, however much came.
    fn notice(&mut self, unseen: Vec<News>) {
        let mut counted: BTreeMap<String, (u64, News)> = BTreeMap::new();
        for news in unseen {
            let counts = counted.entry(news.about.clone());
            let (count, last) = counts.or_insert_with(|| (0, news.clone()));
            *count += 1;
            *last = news;
        }
        for (count, mut news) in counted.into_values() {
            if count > 1 {
                news.body = format!("{count} new messages; the last one: {}", news.body);
            }
            news.body = news.body.chars().take(BODY_CHARS).collect();
            self.effects.push(Effect::Notice(news));
        }
    }

    fn handle_event(&mut self, event: EventObject) {
        match event {
            EventObject::Message(message) => self.handle_message(*message),
            EventObject::Timer(timer) => {
                self.handle_timer(timer);
                self.ask_contacts();
            }
            EventObject::State(state) => self.handle_state(&state),
            EventObject::Changed(changed) => {
                if let Some(open) = &mut self.open
                    && open.address == changed.address
                {
                    match changed.message {
                        Some(message) => open.timeline.replace(*message),
                        None => {
                            open.timeline.remove(changed.id);
                            open.selected = open.selected.filter(|id| *id != changed.id);
                        }
                    }
                    if open.is_loading() {
                        open.handle_stale();
                    }
                }
                self.ask_contacts();
            }
            EventObject::Request(request) => {
                self.say(format!(
                    "{} asks to become your contact (Ctrl-R)",
                    request.name
                ));
                self.ask_requests();
            }
            EventObject::Accepted(accepted) => {
                self.say(format!("{} is your contact now", accepted.name));
                self.overlay = self
                    .overlay
                    .take()
                    .filter(|one| !matches!(one, super::Overlay::Invite { .. }));
                self.ask_contacts();
                self.ask_requests();
                self.ask_status();
            }
            EventObject::Presence(presence) => {
                self.people
                    .set_presence(&presence.address, presence.presence);
            }
            EventObject::Link(_) => self.ask_status(),
            EventObject::Read(_) | EventObject::Contact(_) | EventObject::Removed(_) => {
                self.ask_contacts();
                self.ask_requests();
            }
            EventObject::Gap(gap) => {
                self.handle_stale(&gap.address);
                self.ask_contacts();
            }
            EventObject::Missed(_) => self.ask_everything(),
        }
    }

    fn handle_message(&mut self, message: MessageObject) {
        let is_open = self
            .open
            .as_ref()
            .is_some_and(|open| open.address == message.address);
        if is_open {
            self.take_place(HistoryObject::Message(Box::new(message)));
        }
        self.ask_contacts();
    }

    fn handle_timer(&mut self, timer: TimerObject) {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.address == timer.address)
        {
            self.take_place(HistoryObject::Timer(timer));
        }
    }

    /// At the end, where that is loaded; what came late has its place before.
    fn take_place(&mut self, item: HistoryObject) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.is_loading() || !open.is_begun {
            // It may be in what is on its way, or not.
            open.handle_stale();
        } else if !open.timeline.comes_last(&item) {
            open.handle_stale();
        } else if !open.timeline.has_newer {
            open.timeline.append(vec![item], false);
        }
    }

    fn handle_state(&mut self, state: &StateEvent) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.address != state.address {
            return;
        }
        let are_loaded = open.timeline.set_state(&state.ids, state.state);
        if open.is_loading() || !are_loaded && !open.timeline.has_newer {
            // Written by another face, or what is no message.
            open.handle_stale();
        }
    }
}
