//! What is written: sent, kept, or obeyed if it is a command.

use serde_json::json;

use super::event::Typed;
use super::{App, Effect, Overlay, Purpose, Say, Writing};
use crate::cli::typed::{self, About};

impl App {
    /// Sends what is written, or does what it says.
    pub(super) fn send(&mut self) {
        let Some(composer) = self.composer() else {
            return;
        };
        let text = composer.text();
        if text.trim().is_empty() {
            return;
        }
        let is_new = !matches!(composer.writing, Writing::Edit { .. });
        match text.strip_prefix('/').filter(|_| is_new) {
            None => self.send_text(&text),
            Some(rest) if rest.starts_with('/') => self.send_text(rest),
            Some(line) => {
                let address = self.open.as_ref().map(|open| open.address.clone());
                if self.obey(line, Some((address, text.clone()))) {
                    self.clear_composer();
                }
            }
        }
    }

    fn send_text(&mut self, text: &str) {
        let Some(open) = &mut self.open else {
            return;
        };
        let Some(composer) = self.composers.get_mut(&open.address) else {
            return;
        };
        let (_, writing, id) = composer.take();
        open.timeline.forget_unread();
        open.selected = None;
        let (address, text) = (open.address.clone(), text.to_owned());
        if let Writing::Edit { id } = writing {
            let params = json!({"to": address, "id": id, "text": text});
            self.write("edit", params, Purpose::Edited { address, text, id });
            return;
        }
        let reply_to = match writing {
            Writing::Answer { id, .. } => Some(id),
            Writing::New | Writing::Edit { .. } => None,
        };
        // With an id it is one message, however often it has to be asked for.
        let params = json!({"to": address, "texts": [text], "ids": [id], "reply_to": reply_to});
        let purpose = Purpose::Sent {
            address,
            text,
            id,
            reply_to,
        };
        self.write("send", params, purpose);
        self.scroll_to_end();
        self.keep_drafts();
    }

    /// A command, without its slash, and where it was typed. Returns whether it was one.
    pub(super) fn obey(&mut self, line: &str, typed: Typed) -> bool {
        let name = line.split_whitespace().next().unwrap_or_default();
        match name {
            "help" => self.show_help(),
            "quit" => {
                self.clear_composer();
                self.end();
            }
            "invite" if line.trim() == "invite" => self.show_invite(),
            "verify" if line.trim() == "verify" => self.show_verification(),
            "requests" => self.show_requests(),
            "remove" if line.trim() == "remove" => self.ask_whether_to_remove(),
            _ => {
                let about = match self.about(name) {
                    Ok(about) => about,
                    Err(wrong) => {
                        self.refuse(wrong);
                        return false;
                    }
                };
                let call = match typed::call(line, about) {
                    Ok(call) => call,
                    Err(wrong) => {
                        self.refuse_command(&wrong);
                        return false;
                    }
                };
                let say = Say(call.line);
                // It waits for servers of others.
                if call.method == "add" {
                    self.call(call.method, call.params, Purpose::Added(say, typed));
                } else {
                    self.write(call.method, call.params, Purpose::Done(say, typed));
                }
            }
        }
        true
    }

    fn ask_whether_to_remove(&mut self) {
        let Some(contact) = self
            .open
            .as_ref()
            .and_then(|open| self.people.contact(&open.address))
        else {
            return self.refuse("no conversation is open");
        };
        self.overlay = Some(Overlay::Remove {
            address: contact.address.clone(),
            name: contact.name.clone(),
        });
    }

    /// Help of several lines is a page.
    fn refuse_command(&mut self, wrong: &str) {
        if wrong.lines().count() > 1 {
            self.overlay = Some(Overlay::page("Help", wrong));
        } else {
            self.refuse(wrong);
        }
    }

    /// What a command means if no message is selected: one's own last message is edited, somebody else's reacted to.
    fn about(&self, command: &str) -> Result<About<'_>, &'static str> {
        let Some(open) = &self.open else {
            return Ok(About::default());
        };
        let mut messages = open.timeline.messages().rev();
        let last = match command {
            "edit" => messages.find(|message| message.outgoing && !message.deleted),
            "react" => messages.find(|message| !message.outgoing && !message.deleted),
            _ => None,
        };
        // What is last must be on the screen, or the person means another one.
        let is_sure = !open.timeline.has_newer && self.saving == 0 && !open.is_loading();
        if open.selected.is_none() && last.is_some() && !is_sure {
            return Err("select the message first (Ctrl-Up): it is not sure which one is the last");
        }
        Ok(About {
            contact: Some(&open.address),
            message: open.selected.or(last.map(|message| message.id)),
        })
    }

    fn clear_composer(&mut self) {
        if let Some(composer) = self.composer_mut() {
            composer.set("");
        }
    }

    pub(super) fn handle_edited(&mut self, text: &str) {
        if let Some(composer) = self.composer_mut() {
            composer.set(text.trim_end_matches('\n'));
        }
    }

    pub(super) fn edit_elsewhere(&mut self) {
        if let Some(composer) = self.composer() {
            self.effects.push(Effect::Edit(composer.text()));
        }
    }

    /// Keeps what is written and not sent, for later and for other faces.
    pub(super) fn keep_drafts(&mut self) {
        let known = |address: &str| self.people.contact(address).is_some();
        let mut drafts = Vec::new();
        for (address, composer) in &mut self.composers {
            if known(address)
                && let Some(text) = composer.next_to_keep()
            {
                drafts.push((address.clone(), text));
            }
        }
        for (address, text) in drafts {
            let params = json!({"name": address, "text": text});
            self.write("draft", params, Purpose::Draft { address });
        }
    }

    /// Whether something is written to somebody and not sent.
    pub(crate) fn has_draft(&self, address: &str) -> bool {
        match self.composers.get(address) {
            Some(composer) => !composer.is_empty(),
            None => self
                .people
                .contact(address)
                .is_some_and(|contact| !contact.draft.is_empty()),
        }
    }

    /// Completes a command, if what is written begins one.
    pub(super) fn complete(&mut self) -> bool {
        let Some(composer) = self.composer_mut() else {
            return false;
        };
        let completed = completed(&composer.text());
        if let Some(completed) = &completed {
            composer.set(completed);
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
