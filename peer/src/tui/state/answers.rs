//! What calls were answered.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::event::Typed;
use super::timeline::{PAGE, id_of};
use super::{App, Overlay, Pane, Part, Purpose};
use crate::MsgId;
use crate::rpc::RpcError;
use crate::rpc::objects::HistoryObject;

impl App {
    pub(super) fn handle_answer(&mut self, purpose: Purpose, result: Result<Value, RpcError>) {
        if purpose.is_writing() {
            self.saving = self.saving.saturating_sub(1);
        }
        match result {
            Ok(answer) => self.handle_success(purpose, answer),
            Err(error) => self.handle_failure(purpose, &error),
        }
        self.end_if_saved();
    }

    fn handle_success(&mut self, purpose: Purpose, answer: Value) {
        match purpose {
            Purpose::Me => self.me = read(answer),
            Purpose::Contacts => {
                if let Some(contacts) = read(answer) {
                    self.people.set_contacts(contacts);
                }
                self.is_ready = true;
                self.leave_removed();
                self.open_first();
                if self.contacts.answered() {
                    self.call("contacts", serde_json::json!({}), Purpose::Contacts);
                }
            }
            Purpose::Requests => {
                self.people.set_requests(read(answer).unwrap_or_default());
                if self.requests.answered() {
                    self.call("requests", serde_json::json!({}), Purpose::Requests);
                }
            }
            Purpose::Status => {
                self.status = read(answer);
                if self.statuses.answered() {
                    self.call(
                        "status",
                        serde_json::json!({"outbox": false}),
                        Purpose::Status,
                    );
                }
            }
            Purpose::Page {
                address,
                part,
                number,
            } => {
                if self.is_awaited(&address, number) {
                    self.handle_page(part, read(answer).unwrap_or_default());
                }
            }
            Purpose::Sent { address, .. } => {
                self.handle_stale(&address);
                self.ask_contacts();
            }
            Purpose::Edited { .. } => {}
            Purpose::Draft { address } => {
                if let Some(composer) = self.composers.get_mut(&address) {
                    composer.handle_kept(true);
                }
            }
            Purpose::Read { .. } => self.ask_contacts(),
            Purpose::Invite => {
                if let Some(Overlay::Invite { invite, .. }) = &mut self.overlay {
                    *invite = read(answer);
                }
            }
            Purpose::Verification { address } | Purpose::Verified { address } => {
                if let Some(Overlay::Verify {
                    address: shown,
                    verification,
                }) = &mut self.overlay
                    && *shown == address
                {
                    *verification = read(answer);
                }
                self.ask_contacts();
            }
            Purpose::Done(line, _) | Purpose::Added(line, _) => {
                let text = (line.0)(&answer);
                let is_page = text.lines().count() > 1;
                if is_page && self.overlay.is_none() {
                    self.overlay = Some(Overlay::page("", &text));
                } else if !text.is_empty() && !is_page {
                    self.say(text);
                }
                self.ask_contacts();
                self.ask_requests();
            }
        }
    }

    fn handle_failure(&mut self, purpose: Purpose, error: &RpcError) {
        match purpose {
            Purpose::Sent {
                address,
                text,
                id,
                reply_to,
            } => {
                self.put_back(&address, &text, id, reply_to);
                self.refuse_end();
            }
            Purpose::Edited { address, text, id } => {
                if let Some(composer) = self.composers.get_mut(&address)
                    && !composer.edit(id, &text)
                {
                    // Another edit is under way: beside it, as a text.
                    composer.put_back(&text, None, MsgId::now_v7());
                }
                self.refuse_end();
            }
            Purpose::Draft { address } => {
                if let Some(composer) = self.composers.get_mut(&address) {
                    composer.handle_kept(false);
                }
                self.refuse_end();
            }
            Purpose::Read { address, ids } => {
                if let Some(open) = &mut self.open
                    && open.address == address
                {
                    self.unread_again.extend(ids);
                }
            }
            Purpose::Page {
                address,
                part,
                number,
            } => {
                if !self.is_awaited(&address, number) {
                    return;
                }
                self.handle_missing_page(part);
                // A message that is gone meanwhile is no news.
                if error.is_not_found() {
                    return;
                }
            }
            Purpose::Contacts => self.contacts.failed(),
            Purpose::Requests => self.requests.failed(),
            Purpose::Status => self.statuses = super::Asked::default(),
            Purpose::Invite => {
                if matches!(self.overlay, Some(Overlay::Invite { invite: None, .. })) {
                    self.overlay = None;
                }
            }
            Purpose::Verification { address } => {
                let is_shown = |overlay: &Overlay| matches!(overlay, Overlay::Verify { address: shown, verification: None } if *shown == address);
                self.overlay = self.overlay.take().filter(|overlay| !is_shown(overlay));
            }
            Purpose::Done(_, typed) | Purpose::Added(_, typed) => {
                self.type_again(typed);
                self.refuse_end();
            }
            Purpose::Me | Purpose::Verified { .. } => {}
        }
        self.fail(error);
    }

    fn is_awaited(&mut self, address: &str, number: u64) -> bool {
        let open = self.open.as_mut();
        open.is_some_and(|open| open.address == address && open.is_answer(number))
    }

    fn handle_page(&mut self, part: Part, items: Vec<HistoryObject>) {
        let Some(open) = &mut self.open else {
            return;
        };
        let is_full = items.len() >= PAGE;
        match part {
            Part::Begin(around) | Part::Again(around) => {
                let at = around.and_then(|id| items.iter().position(|item| id_of(item) == id));
                if around.is_some() && at.is_none() {
                    return self.ask_page(Part::Begin(None));
                }
                let has_older = at.map_or(is_full, |at| at >= PAGE / 2);
                let has_newer = at.is_some() && is_full;
                let is_first = !std::mem::replace(&mut open.is_begun, true);
                if matches!(part, Part::Again(_)) && !is_first {
                    open.timeline.renew(items, has_older, has_newer);
                    open.timeline.catch_up();
                } else {
                    open.timeline.begin(items, has_older, has_newer);
                }
                if around.is_some() && matches!(part, Part::Begin(_)) {
                    open.timeline.show_unread();
                }
            }
            Part::Older => open.timeline.prepend(items, is_full),
            Part::Newer => open.timeline.append(items, is_full),
        }
        if !self.has_focus {
            open.timeline.mark_unread_anew();
        }
    }

    /// A part could not be had: the message that it is around may be gone.
    fn handle_missing_page(&mut self, part: Part) {
        let Some(open) = &mut self.open else {
            return;
        };
        match part {
            Part::Begin(Some(_)) | Part::Again(Some(_)) => self.ask_page(Part::Begin(None)),
            _ => {
                // Again when some time has passed, and not as fast as it fails.
                open.block();
                open.handle_stale();
            }
        }
    }

    /// Something in a conversation is not as it is loaded.
    pub(super) fn handle_stale(&mut self, address: &str) {
        if let Some(open) = &mut self.open
            && open.address == address
        {
            open.handle_stale();
        }
    }

    /// Nothing that was written is lost, wherever the person is by now.
    fn put_back(&mut self, address: &str, text: &str, id: MsgId, reply_to: Option<MsgId>) {
        let open = self.open.as_ref().filter(|open| open.address == address);
        let reply = reply_to.map(|id| {
            let message = open.and_then(|open| open.timeline.message(id));
            (
                id,
                message.map(super::messages::beginning).unwrap_or_default(),
            )
        });
        if let Some(composer) = self.composers.get_mut(address) {
            composer.put_back(text, reply, id);
        }
    }

    /// A command that could not be done stands where it was typed, if nothing else does by now.
    fn type_again(&mut self, typed: Typed) {
        match typed {
            Some((Some(address), text)) => {
                if let Some(composer) = self.composers.get_mut(&address)
                    && composer.is_empty()
                {
                    composer.set(&text);
                }
            }
            Some((None, text)) if self.overlay.is_none() => {
                self.overlay = Some(Overlay::Command(super::Field::new(&text)));
            }
            _ => {}
        }
    }

    fn open_first(&mut self) {
        let Some(wanted) = self.opens_at.take() else {
            return;
        };
        let mut contacts = self.people.contacts().iter();
        let found = contacts.find(|contact| {
            contact.address == wanted || crate::names::same(&contact.name, &wanted)
        });
        match found.map(|contact| contact.address.clone()) {
            Some(address) => self.open_conversation(&address),
            None => self.refuse(format!("no contact is called {wanted}")),
        }
    }

    /// Who is no contact any more has no conversation.
    fn leave_removed(&mut self) {
        if let Some(open) = &self.open
            && self.people.contact(&open.address).is_none()
        {
            self.open = None;
            self.pane = Pane::List;
        }
    }
}

/// What an answer of this program's own is; nothing if another version has answered something else.
fn read<T: DeserializeOwned>(answer: Value) -> Option<T> {
    serde_json::from_value(answer).ok()
}
