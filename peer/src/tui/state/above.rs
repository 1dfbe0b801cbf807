//! What keys do in what lies above the conversation, and how it gets there.

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::json;

use super::keys::Action;
use super::{App, Field, Overlay, Place, Purpose, Say, Switcher, Wanted};
use crate::rpc::objects::RequestObject;

impl App {
    pub(super) fn handle_overlay_key(&mut self, key: KeyEvent, action: Option<Action>) {
        if action == Some(Action::Back) {
            self.overlay = None;
            return;
        }
        match self.overlay.take() {
            Some(Overlay::Switcher(switcher)) => self.handle_switcher_key(switcher, key),
            Some(Overlay::Command(field)) => self.handle_command_key(field, key),
            Some(Overlay::Requests { chosen }) => self.handle_request_key(chosen, key),
            Some(Overlay::Verify {
                address,
                verification,
            }) => {
                if let (Some(_), KeyCode::Char(c @ ('c' | 'u'))) = (&verification, key.code) {
                    let params = json!({"name": address, "confirmed": c == 'c'});
                    let address = address.clone();
                    self.write("verify", params, Purpose::Verified { address });
                }
                self.overlay = Some(Overlay::Verify {
                    address,
                    verification,
                });
            }
            Some(Overlay::React { id, field }) => self.handle_sign_key(id, field, key),
            Some(Overlay::Remove { address, name }) => {
                if key.code == KeyCode::Char('y') {
                    let say = Say(|_| "removed, with everything that was said".to_owned());
                    self.write("remove", json!({"name": address}), Purpose::Done(say, None));
                } else {
                    self.overlay = Some(Overlay::Remove { address, name });
                }
            }
            Some(Overlay::Delete { id, is_own }) => self.handle_delete_key(id, is_own, key),
            Some(Overlay::Page { title, lines, top }) => {
                let last = lines.len().saturating_sub(1);
                let top = match key.code {
                    KeyCode::Up => top.saturating_sub(1),
                    KeyCode::Down => (top + 1).min(last),
                    KeyCode::PageUp => top.saturating_sub(10),
                    KeyCode::PageDown => (top + 10).min(last),
                    _ => top,
                };
                self.overlay = Some(Overlay::Page { title, lines, top });
            }
            Some(Overlay::Invite { invite, as_code }) => {
                let as_code = as_code != (key.code == KeyCode::Char('c'));
                if let (Some(invite), KeyCode::Char('y')) = (&invite, key.code) {
                    self.effects.push(super::Effect::Copy(invite.link.clone()));
                    self.say("copied, if the terminal lets programs do that");
                }
                self.overlay = Some(Overlay::Invite { invite, as_code });
            }
            other => self.overlay = other,
        }
    }

    fn handle_switcher_key(&mut self, mut switcher: Switcher, key: KeyEvent) {
        match key.code {
            KeyCode::Up => switcher.move_by(false),
            KeyCode::Down => switcher.move_by(true),
            KeyCode::Enter => return self.choose(&switcher),
            _ => {
                if switcher.field.key(key) {
                    switcher.look(self.people.contacts());
                }
            }
        }
        self.overlay = Some(Overlay::Switcher(switcher));
    }

    fn handle_command_key(&mut self, mut field: Field, key: KeyEvent) {
        match key.code {
            KeyCode::Enter => {
                let text = field.text().to_owned();
                let is_done = match text.strip_prefix('/') {
                    Some(line) => self.obey(line, Some((None, text.clone()))),
                    None => {
                        self.refuse(
                            "a command begins with a slash; to write a text, open a conversation",
                        );
                        false
                    }
                };
                if !is_done && self.overlay.is_none() {
                    self.overlay = Some(Overlay::Command(field));
                }
                return;
            }
            KeyCode::Tab => {
                if let Some(completed) = super::writing::completed(field.text()) {
                    field = Field::new(&completed);
                }
            }
            _ => {
                field.key(key);
            }
        }
        self.overlay = Some(Overlay::Command(field));
    }

    fn choose(&mut self, switcher: &Switcher) {
        let Some(address) = switcher.chosen() else {
            return;
        };
        match &switcher.wanted {
            Wanted::Open => self.open_conversation(address),
            Wanted::Forward { from, id } => self.forward(from, *id, address),
        }
    }

    pub(super) fn show_requests(&mut self) {
        self.overlay = Some(Overlay::Requests { chosen: None });
    }

    /// Keys mean the one who is shown, whoever else asks or is answered meanwhile.
    fn handle_request_key(&mut self, chosen: Option<String>, key: KeyEvent) {
        let requests = self.people.requests();
        let at = chosen_request(requests, chosen.as_deref());
        let next = match key.code {
            KeyCode::Up => at.map(|at| at.saturating_sub(1)),
            KeyCode::Down => at.map(|at| (at + 1).min(requests.len() - 1)),
            _ => at,
        };
        let address = |at: Option<usize>| Some(requests.get(at?)?.id.clone());
        let (id, chosen) = (address(at), address(next));
        self.overlay = Some(Overlay::Requests { chosen });
        let Some(id) = id else {
            return;
        };
        match key.code {
            KeyCode::Char('a') => {
                let say = Say(|contact| {
                    let name = contact["name"].as_str().unwrap_or_default();
                    format!("{name} is your contact now")
                });
                self.write("accept", json!({"id": id}), Purpose::Done(say, None));
            }
            KeyCode::Char('r') => {
                let say = Say(|_| "request dropped; they are not told".to_owned());
                self.write("reject", json!({"id": id}), Purpose::Done(say, None));
            }
            KeyCode::Char('b') => {
                let say = Say(|_| "blocked; they are not told".to_owned());
                self.write("block", json!({"name": id}), Purpose::Done(say, None));
            }
            _ => {}
        }
    }

    pub(super) fn show_invite(&mut self) {
        self.overlay = Some(Overlay::Invite {
            invite: None,
            as_code: false,
        });
        self.call("invite", json!({}), Purpose::Invite);
    }

    pub(super) fn show_verification(&mut self) {
        let Some(open) = &self.open else {
            return self.refuse("no conversation is open");
        };
        let address = open.address.clone();
        let params = json!({"name": address});
        self.overlay = Some(Overlay::Verify {
            address: address.clone(),
            verification: None,
        });
        self.call("verify", params, Purpose::Verification { address });
    }

    pub(super) fn show_help(&mut self) {
        let mut text = String::new();
        for (title, place) in [
            ("", Place::Everywhere),
            ("\nWith a message that was selected:\n", Place::Message),
        ] {
            text += title;
            for (keys, does) in self.keys.help(place) {
                text += &format!("  {keys:<26} {does}\n");
            }
        }
        text += "\nWriting: Ctrl-W deletes a word, Ctrl-U to the beginning of the line, Ctrl-Z takes back, Ctrl-Y does again.\n";
        text += "\nCommands; what they are about is on the screen, and /NAME --help tells more:\n";
        for known in crate::cli::typed::completions("") {
            let typed = format!("/{} {}", known.name, known.takes);
            text += &format!("  {typed:<26} {}\n", known.does);
        }
        text += "  /quit                      End; what is written is kept\n";
        text += "\n// begins a text with a slash.\n\
                 Messages: .. waits here, ✓ at their device or relay, ✓✓ delivered, ✓✓ in the colour of the unread line: \
                 shown to them, !! not delivered.\n\
                 Contacts: ● online, ○ away, ? asked and not accepted yet, x blocked, v verified, z muted, + something is \
                 written and not sent.\n";
        self.overlay = Some(Overlay::page("Help", &text));
    }
}

/// Where the request stands that is meant.
pub(crate) fn chosen_request(requests: &[RequestObject], chosen: Option<&str>) -> Option<usize> {
    let known = requests
        .iter()
        .position(|request| Some(request.id.as_str()) == chosen);
    known.or_else(|| (!requests.is_empty()).then_some(0))
}
