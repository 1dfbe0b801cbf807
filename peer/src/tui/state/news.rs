//! What the journal tells.

use super::{App, Effect};
use crate::rpc::objects::{EventObject, HistoryObject, MessageObject, StateEvent, TimerObject};

impl App {
    pub(super) fn handle_news(&mut self, events: Vec<EventObject>) {
        for event in events {
            self.handle_event(event);
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
                        None => open.timeline.remove(changed.id),
                    }
                }
                self.ask_contacts();
            }
            EventObject::Request(request) => {
                self.say(format!(
                    "{} asks to become your contact (Ctrl-R)",
                    request.name
                ));
                self.effects.push(Effect::Bell);
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
            EventObject::Gap(_) | EventObject::Missed(_) => {
                self.look_again();
                self.ask_contacts();
            }
        }
    }

    fn handle_message(&mut self, message: MessageObject) {
        let address = message.address.clone();
        let is_open = self
            .open
            .as_ref()
            .is_some_and(|open| open.address == address);
        let is_muted = self
            .people
            .contact(&address)
            .is_some_and(|contact| contact.muted);
        let is_seen = is_open && self.has_focus;
        if !(is_muted || is_seen) {
            self.effects.push(Effect::Bell);
        }
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
        if !open.is_begun || open.timeline.has_newer {
            open.is_behind = true;
            return;
        }
        if open.timeline.comes_last(&item) {
            open.timeline.append(vec![item], false);
            if !self.has_focus && !open.timeline.has_unread_line() || !open.timeline.is_at_end() {
                open.timeline.mark_unread();
            }
        } else {
            self.look_again();
        }
    }

    /// The part that is loaded is not what it was.
    fn look_again(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.is_begun && !open.is_loading {
            open.is_loading = true;
            let address = open.address.clone();
            let around = if open.timeline.is_at_end() {
                None
            } else {
                open.timeline.visible().first().map(|one| one.id)
            };
            self.ask_page(address, super::Part::Again(around));
        } else {
            open.is_behind = true;
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
        if !are_loaded && !open.timeline.has_newer {
            // Written by another face, or what is no message.
            open.is_behind = true;
        }
    }
}
