//! What is written: sent, kept, or obeyed if it is a command.

use serde_json::json;

use super::{App, Effect, Overlay, Purpose, Say, Writing};
use crate::MsgId;
use crate::cli::typed::{self, About};

impl App {
    /// Sends what is written, or does what it says.
    pub(super) fn send(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        let text = open.composer.text();
        if text.trim().is_empty() {
            return;
        }
        let is_new = !matches!(open.composer.writing, Writing::Edit { .. });
        if let Some(line) = text.strip_prefix('/').filter(|_| is_new) {
            match line.strip_prefix('/') {
                Some(_) => self.send_text(line.to_owned()),
                None => {
                    if self.obey(line) {
                        self.clear_composer();
                    }
                }
            }
            return;
        }
        self.send_text(text);
    }

    fn send_text(&mut self, text: String) {
        let Some(open) = &mut self.open else {
            return;
        };
        let (_, writing) = open.composer.take();
        open.timeline.forget_unread();
        open.selected = None;
        let address = open.address.clone();
        self.unsaved += 1;
        if let Writing::Edit { id } = writing {
            let params = json!({"to": address, "id": id, "text": text});
            self.write("edit", params, Purpose::Edited { address, text, id });
            return;
        }
        open.timeline.scroll_to_end();
        if open.timeline.has_newer {
            // The end is not what is loaded.
            open.is_begun = false;
        }
        let reply_to = match writing {
            Writing::Answer { id, .. } => Some(id),
            Writing::New | Writing::Edit { .. } => None,
        };
        // With an id it is one message, however often it has to be asked for.
        let params = json!({
            "to": address, "texts": [text], "ids": [MsgId::now_v7()], "reply_to": reply_to,
        });
        self.write(
            "send",
            params,
            Purpose::Sent {
                address,
                text,
                reply_to,
            },
        );
        self.save_draft();
    }

    /// A command, without its slash. Returns whether it was one.
    pub(super) fn obey(&mut self, line: &str) -> bool {
        let name = line.split_whitespace().next().unwrap_or_default();
        match name {
            "help" => self.show_help(),
            "quit" => {
                self.clear_composer();
                self.end();
            }
            "invite" if line.trim() == "invite" => self.show_invite(),
            "verify" if line.trim() == "verify" => self.show_verification(),
            "requests" => self.overlay = Some(Overlay::Requests { at: 0 }),
            _ => {
                let call = match typed::call(line, self.about(name)) {
                    Ok(call) => call,
                    Err(wrong) => {
                        self.refuse_command(&wrong);
                        return false;
                    }
                };
                let purpose = Purpose::Done(Say(call.line));
                self.write(call.method, call.params, purpose);
            }
        }
        true
    }

    /// Help of several lines is a page.
    fn refuse_command(&mut self, wrong: &str) {
        if wrong.lines().count() > 1 {
            self.overlay = Some(Overlay::page("Help", wrong));
        } else {
            self.refuse(wrong);
        }
    }

    /// What a command means if nothing else is said: one's own last message is edited, somebody else's reacted to.
    fn about(&self, command: &str) -> About<'_> {
        let Some(open) = &self.open else {
            return About::default();
        };
        let mut messages = open.timeline.messages().rev();
        let last = match command {
            "edit" => messages.find(|message| message.outgoing && !message.deleted),
            "react" => messages.find(|message| !message.outgoing && !message.deleted),
            _ => None,
        };
        About {
            contact: Some(&open.address),
            message: open.selected.or(last.map(|message| message.id)),
        }
    }

    fn clear_composer(&mut self) {
        if let Some(open) = &mut self.open {
            open.composer.set("");
        }
    }

    pub(super) fn handle_edited(&mut self, text: &str) {
        if let Some(open) = &mut self.open {
            open.composer.set(text.trim_end_matches('\n'));
        }
    }

    pub(super) fn edit_elsewhere(&mut self) {
        if let Some(open) = &self.open {
            self.effects.push(Effect::Edit(open.composer.text()));
        }
    }

    /// Keeps what is written and not sent, for later and for other faces.
    pub(super) fn save_draft(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        if !open.composer.is_unsaved {
            return;
        }
        open.composer.is_unsaved = false;
        let (address, text) = (open.address.clone(), open.composer.draft());
        let Some(contact) = self.people.contact_mut(&address) else {
            return;
        };
        if contact.draft == text {
            return;
        }
        contact.draft.clone_from(&text);
        self.unsaved += 1;
        let params = json!({"name": address, "text": text});
        self.write("draft", params, Purpose::Draft { address });
    }

    /// Completes a command, if there is but one that begins like this.
    pub(super) fn complete(&mut self) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        let completed = completed(&open.composer.text());
        if let Some(completed) = &completed {
            open.composer.set(completed);
        }
        completed.is_some()
    }
}

/// What a command that is being typed can only go on with.
pub(super) fn completed(text: &str) -> Option<String> {
    let beginning = text.strip_prefix('/')?;
    if beginning.contains(char::is_whitespace) {
        return None;
    }
    let known = typed::completions(beginning);
    let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    let common = common_beginning(&names).unwrap_or_else(|| beginning.to_owned());
    let end = if names.len() == 1 { " " } else { "" };
    Some(format!("/{common}{end}"))
}

fn common_beginning(names: &[&str]) -> Option<String> {
    let (first, rest) = names.split_first()?;
    let is_common = |len: usize| rest.iter().all(|name| name.get(..len) == first.get(..len));
    let len = (0..=first.len()).rev().find(|&len| is_common(len))?;
    first.get(..len).map(str::to_owned)
}
