//! What calls were answered.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::timeline::PAGE;
use super::{App, Overlay, Part, Purpose};
use crate::MsgId;
use crate::rpc::RpcError;
use crate::rpc::objects::HistoryObject;

impl App {
    pub(super) fn handle_answer(&mut self, purpose: Purpose, result: Result<Value, RpcError>) {
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
                if self.contacts.answered() {
                    self.call("contacts", serde_json::json!({}), Purpose::Contacts);
                }
            }
            Purpose::Requests => {
                self.people.requests = read(answer).unwrap_or_default();
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
            Purpose::Page { address, part } => {
                let items: Vec<HistoryObject> = read(answer).unwrap_or_default();
                self.handle_page(&address, part, items);
            }
            Purpose::Sent { address, .. } => {
                self.unsaved -= 1;
                self.look_for_newer(&address);
                self.ask_contacts();
            }
            Purpose::Edited { .. } | Purpose::Draft { .. } => self.unsaved -= 1,
            Purpose::Read { .. } => self.ask_contacts(),
            Purpose::Invite => {
                if let Some(Overlay::Invite { invite, .. }) = &mut self.overlay {
                    *invite = read(answer);
                }
            }
            Purpose::Verification => {
                if let Some(Overlay::Verify(verification)) = &mut self.overlay {
                    *verification = read(answer);
                }
                self.ask_contacts();
            }
            Purpose::Done(line) => {
                let text = (line.0)(&answer);
                if text.lines().count() > 1 {
                    self.overlay = Some(Overlay::page("", &text));
                } else if !text.is_empty() {
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
                reply_to,
            } => {
                self.unsaved -= 1;
                self.put_back(&address, &text, reply_to);
            }
            Purpose::Edited { address, text, id } => {
                self.unsaved -= 1;
                self.edit_again(&address, &text, id);
            }
            Purpose::Draft { address } => {
                self.unsaved -= 1;
                if let Some(open) = &mut self.open
                    && open.address == address
                {
                    open.composer.is_unsaved = true;
                }
            }
            Purpose::Read { address, ids } => {
                if let Some(open) = &mut self.open
                    && open.address == address
                {
                    open.timeline.not_read(&ids);
                }
            }
            Purpose::Page { address, .. } => {
                if let Some(open) = &mut self.open
                    && open.address == address
                {
                    open.is_loading = false;
                    open.is_begun = true;
                }
            }
            Purpose::Contacts => self.contacts = super::Asked::default(),
            Purpose::Requests => self.requests = super::Asked::default(),
            Purpose::Status => self.statuses = super::Asked::default(),
            Purpose::Invite | Purpose::Verification => self.overlay = None,
            Purpose::Me | Purpose::Done(_) => {}
        }
        // What is not saved keeps the program here, with the reason on the screen.
        if std::mem::take(&mut self.is_ending) {
            self.has_failed_to_end = true;
        }
        self.fail(error);
    }

    fn handle_page(&mut self, address: &str, part: Part, items: Vec<HistoryObject>) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.address != address {
            return;
        }
        open.is_loading = false;
        let is_full = items.len() >= PAGE;
        match part {
            Part::Begin(around) | Part::Again(around) => {
                open.is_begun = true;
                let at = around.and_then(|id| {
                    items
                        .iter()
                        .position(|item| super::timeline::id_of(item) == id)
                });
                let (has_older, has_newer) = match at {
                    Some(at) => (at >= PAGE / 2, is_full),
                    None => (is_full, false),
                };
                if let Part::Begin(_) = part {
                    open.timeline.begin(items, has_older, has_newer);
                } else {
                    open.timeline.renew(items, has_older, has_newer);
                }
            }
            Part::Older => open.timeline.prepend(items, is_full),
            Part::Newer => open.timeline.append(items, is_full),
        }
        if !self.has_focus || !open.timeline.has_unread_line() {
            open.timeline.mark_unread();
        }
    }

    /// Something of ours is in the conversation that is not loaded.
    pub(super) fn look_for_newer(&mut self, address: &str) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.address != address {
            return;
        }
        if open.is_begun {
            open.is_behind = true;
        } else if !open.is_loading {
            open.is_loading = true;
            let address = open.address.clone();
            self.ask_page(address, Part::Begin(None));
        }
    }

    /// Nothing that was written is lost, wherever the person is by now.
    fn put_back(&mut self, address: &str, text: &str, reply_to: Option<MsgId>) {
        if let Some(open) = &mut self.open
            && open.address == address
        {
            open.composer.put_back(text);
            let answered = reply_to.and_then(|id| open.timeline.message(id).cloned());
            if let Some(message) = answered {
                open.composer
                    .answer(message.id, super::messages::beginning(&message));
            }
            return;
        }
        let unsent = self.unsent.entry(address.to_owned()).or_default();
        if !unsent.is_empty() {
            unsent.push('\n');
        }
        unsent.push_str(text);
    }

    fn edit_again(&mut self, address: &str, text: &str, id: MsgId) {
        if let Some(open) = &mut self.open
            && open.address == address
        {
            open.composer.edit(id, text);
        }
    }

    /// Who is no contact any more has no conversation.
    fn leave_removed(&mut self) {
        if let Some(open) = &self.open
            && self.people.contact(&open.address).is_none()
        {
            self.open = None;
            self.pane = super::Pane::List;
        }
    }
}

/// What an answer of this program's own is; nothing if another version has answered something else.
fn read<T: DeserializeOwned>(answer: Value) -> Option<T> {
    serde_json::from_value(answer).ok()
}
