//! What is done with a message that was selected.

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::json;

use super::keys::Action;
use super::{App, Effect, Field, Overlay, Purpose, SIGNS, Say, Switcher, Wanted};
use crate::MsgId;
use crate::printable::printable;
use crate::rpc::objects::MessageObject;

/// Characters that are shown of the message that is answered.
const BEGINNING: usize = 60;

impl App {
    /// The message before or after the one that is selected.
    pub(super) fn select(&mut self, is_before: bool) {
        let Some(open) = &mut self.open else {
            return;
        };
        self.pane = super::Pane::Conversation;
        let next = open.timeline.next_to(open.selected, is_before);
        match next {
            Some(id) => {
                open.timeline.show(id);
                open.timeline.hold();
                open.selected = Some(id);
            }
            // Below the last one is what is written.
            None if !is_before => open.selected = None,
            None => {}
        }
    }

    pub(super) fn handle_message_action(&mut self, action: Action) {
        let Some(open) = &mut self.open else {
            return;
        };
        let selected = open.selected.and_then(|id| open.timeline.message(id));
        let Some(message) = selected.cloned() else {
            open.selected = None;
            return;
        };
        if message.deleted && !matches!(action, Action::Delete | Action::Details) {
            return self.refuse("this message was deleted");
        }
        match action {
            Action::Reply => {
                self.begin_writing(|composer| composer.answer(message.id, beginning(&message)))
            }
            Action::Edit if message.outgoing => {
                self.begin_writing(|composer| composer.edit(message.id, &message.text));
            }
            Action::Edit => self.refuse("only who has written a message can edit it"),
            Action::Delete => {
                self.overlay = Some(Overlay::Delete {
                    id: message.id,
                    is_own: message.outgoing && !message.deleted,
                });
            }
            Action::React => {
                self.overlay = Some(Overlay::React {
                    id: message.id,
                    field: Field::new(""),
                });
            }
            Action::Forward => {
                let wanted = Wanted::Forward {
                    from: message.address.clone(),
                    id: message.id,
                };
                let switcher = Switcher::new(wanted, self.people.contacts());
                self.overlay = Some(Overlay::Switcher(switcher));
            }
            Action::Details => self.overlay = Some(Overlay::Details(Box::new(message))),
            Action::Copy => {
                // It may be pasted into a shell.
                self.effects.push(Effect::Copy(printable(&message.text)));
                self.say("copied, if the terminal lets programs do that");
            }
            _ => {}
        }
    }

    /// Begins an answer or an edit, unless an edit would be lost.
    fn begin_writing(&mut self, begin: impl FnOnce(&mut super::composer::Composer) -> bool) {
        if self.composer_mut().is_some_and(begin) {
            self.unselect();
        } else {
            self.refuse("finish the edit first (Enter), or leave it (Esc)");
        }
    }

    pub(super) fn forward(&mut self, from: &str, id: MsgId, to: &str) {
        let params = json!({"from": from, "id": id, "to": to, "copy": MsgId::now_v7()});
        let say = Say(|_| "forwarded".to_owned());
        self.write("forward", params, Purpose::Done(say, None));
        self.overlay = None;
        self.unselect();
    }

    pub(super) fn handle_sign_key(&mut self, id: MsgId, mut field: Field, key: KeyEvent) {
        let chosen = match key.code {
            KeyCode::Char(digit @ '1'..='6') if field.text().is_empty() => {
                let at = digit.to_digit(10).unwrap_or(1) as usize - 1;
                SIGNS.get(at).map(|sign| (*sign).to_owned())
            }
            KeyCode::Char('0') if field.text().is_empty() => Some(String::new()),
            KeyCode::Enter if !field.text().trim().is_empty() => {
                Some(field.text().trim().to_owned())
            }
            KeyCode::Enter => None,
            _ => {
                field.key(key);
                None
            }
        };
        let Some(emoji) = chosen else {
            self.overlay = Some(Overlay::React { id, field });
            return;
        };
        let say = match emoji.as_str() {
            "" => Say(|_| "reaction taken back".to_owned()),
            _ => Say(|_| String::new()),
        };
        self.write_about(id, "react", json!({"emoji": emoji}), say);
    }

    pub(super) fn handle_delete_key(&mut self, id: MsgId, is_own: bool, key: KeyEvent) {
        let here = match key.code {
            KeyCode::Char('b') if is_own => false,
            KeyCode::Char('h') => true,
            _ => {
                self.overlay = Some(Overlay::Delete { id, is_own });
                return;
            }
        };
        let say = match here {
            true => Say(|_| "taken out of your history; the other side keeps it".to_owned()),
            false => {
                Say(|_| "taken back; it goes on the other side once they hear of it".to_owned())
            }
        };
        self.write_about(id, "delete", json!({"here": here}), say);
    }

    fn write_about(
        &mut self,
        id: MsgId,
        method: &'static str,
        mut params: serde_json::Value,
        say: Say,
    ) {
        let Some(open) = &self.open else {
            return;
        };
        params["to"] = json!(open.address);
        params["id"] = json!(id);
        self.write(method, params, Purpose::Done(say, None));
        self.overlay = None;
        self.unselect();
    }

    fn unselect(&mut self) {
        if let Some(open) = &mut self.open {
            open.selected = None;
        }
    }
}

/// What is shown of a message that is answered.
pub(super) fn beginning(message: &MessageObject) -> String {
    let text = printable(&message.text).replace('\n', " ");
    text.chars().take(BEGINNING).collect()
}
