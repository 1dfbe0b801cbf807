//! Which key does what. Every action has a name, by which a file can give it other keys.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Send,
    Newline,
    Editor,
    NextUnread,
    Switch,
    NextConversation,
    PreviousConversation,
    List,
    PageUp,
    PageDown,
    Begin,
    End,
    SelectPrevious,
    SelectNext,
    Requests,
    Verify,
    Help,
    Back,
    Quit,
    Reply,
    Edit,
    Delete,
    React,
    Forward,
    Details,
    Copy,
}

/// Where an action is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Everywhere,
    /// With a message that was selected.
    Message,
}

struct Known {
    action: Action,
    name: &'static str,
    place: Place,
    keys: &'static [&'static str],
    does: &'static str,
}

const fn known(
    action: Action,
    name: &'static str,
    place: Place,
    keys: &'static [&'static str],
    does: &'static str,
) -> Known {
    Known {
        action,
        name,
        place,
        keys,
        does,
    }
}

use Place::{Everywhere, Message};

const KNOWN: &[Known] = &[
    known(
        Action::Send,
        "send",
        Everywhere,
        &["enter"],
        "send what is written",
    ),
    known(
        Action::Newline,
        "newline",
        Everywhere,
        &["ctrl-j", "alt-enter", "shift-enter"],
        "begin a new line",
    ),
    known(
        Action::Editor,
        "editor",
        Everywhere,
        &["ctrl-e"],
        "write in $EDITOR",
    ),
    known(
        Action::NextUnread,
        "next-unread",
        Everywhere,
        &["alt-a"],
        "go to what is unread",
    ),
    known(
        Action::Switch,
        "switch",
        Everywhere,
        &["ctrl-k"],
        "find a conversation",
    ),
    known(
        Action::NextConversation,
        "next-conversation",
        Everywhere,
        &["alt-down", "alt-n"],
        "next conversation",
    ),
    known(
        Action::PreviousConversation,
        "previous-conversation",
        Everywhere,
        &["alt-up", "alt-p"],
        "previous conversation",
    ),
    known(
        Action::List,
        "list",
        Everywhere,
        &["tab"],
        "to the list and back",
    ),
    known(
        Action::PageUp,
        "page-up",
        Everywhere,
        &["pageup"],
        "a screen up",
    ),
    known(
        Action::PageDown,
        "page-down",
        Everywhere,
        &["pagedown"],
        "a screen down",
    ),
    known(
        Action::Begin,
        "begin",
        Everywhere,
        &["ctrl-home"],
        "to the oldest message that is loaded",
    ),
    known(
        Action::End,
        "end",
        Everywhere,
        &["ctrl-end"],
        "to the newest message",
    ),
    known(
        Action::SelectPrevious,
        "select-previous",
        Everywhere,
        &["ctrl-up", "ctrl-p"],
        "select a message; Up does it too if nothing is written",
    ),
    known(
        Action::SelectNext,
        "select-next",
        Everywhere,
        &["ctrl-down", "ctrl-n"],
        "select the next one",
    ),
    known(
        Action::Requests,
        "requests",
        Everywhere,
        &["ctrl-r"],
        "who asks to become your contact",
    ),
    known(
        Action::Verify,
        "verify",
        Everywhere,
        &["alt-v"],
        "compare the safety number",
    ),
    known(
        Action::Help,
        "help",
        Everywhere,
        &["f1", "ctrl-g"],
        "this help",
    ),
    known(Action::Back, "back", Everywhere, &["esc"], "back"),
    known(
        Action::Quit,
        "quit",
        Everywhere,
        &["ctrl-q", "ctrl-c"],
        "end; what is written is kept",
    ),
    known(
        Action::Reply,
        "reply",
        Message,
        &["r", "enter"],
        "answer it",
    ),
    known(
        Action::Edit,
        "edit",
        Message,
        &["e"],
        "give it another text (yours only)",
    ),
    known(
        Action::Delete,
        "delete",
        Message,
        &["d"],
        "take it back, or out of your history",
    ),
    known(Action::React, "react", Message, &["x"], "react to it"),
    known(Action::Forward, "forward", Message, &["f"], "pass it on"),
    known(
        Action::Details,
        "details",
        Message,
        &["i"],
        "everything about it",
    ),
    known(Action::Copy, "copy", Message, &["y"], "copy its text"),
];

/// Keys and what they do.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    everywhere: Vec<(Chord, Action)>,
    message: Vec<(Chord, Action)>,
}

/// A key with what is held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Default for Keys {
    fn default() -> Self {
        Self::with(&BTreeMap::new()).unwrap_or_else(|_| Self {
            everywhere: Vec::new(),
            message: Vec::new(),
        })
    }
}

impl Keys {
    /// With other keys for some actions, by their names.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(crate) fn with(others: &BTreeMap<String, Vec<String>>) -> Result<Self, String> {
        for name in others.keys() {
            if !KNOWN.iter().any(|known| known.name == name) {
                let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
                return Err(format!(
                    "nothing is called {name:?}; names are: {}",
                    names.join(", ")
                ));
            }
        }
        let mut keys = Self {
            everywhere: Vec::new(),
            message: Vec::new(),
        };
        for known in KNOWN {
            let chosen = others.get(known.name);
            let names: Vec<&str> = match chosen {
                Some(chosen) => chosen.iter().map(String::as_str).collect(),
                None => known.keys.to_vec(),
            };
            for name in names {
                let chord = Chord::parse(name)?;
                let is_letter =
                    matches!(chord.code, KeyCode::Char(_)) && chord.modifiers.is_empty();
                if is_letter && known.place == Place::Everywhere {
                    return Err(format!(
                        "{name:?} alone is typed; write it like \"ctrl-{name}\" or \"alt-{name}\""
                    ));
                }
                let all = match known.place {
                    Place::Everywhere => &mut keys.everywhere,
                    Place::Message => &mut keys.message,
                };
                let before = all.iter().find(|(other, _)| *other == chord);
                if let Some((_, before)) = before {
                    return Err(format!(
                        "{name:?} would do two things: {} and {}",
                        before.name(),
                        known.name
                    ));
                }
                all.push((chord, known.action));
            }
        }
        if !keys
            .everywhere
            .iter()
            .any(|(_, action)| *action == Action::Quit)
        {
            return Err("quit needs a key".to_owned());
        }
        Ok(keys)
    }

    /// The first key of an action, for people.
    pub(crate) fn name_of(&self, action: Action) -> String {
        let mut all = self.everywhere.iter().chain(&self.message);
        let found = all.find(|(_, known)| *known == action);
        found.map_or_else(String::new, |(chord, _)| chord.name())
    }

    pub(crate) fn action(&self, key: KeyEvent, place: Place) -> Option<Action> {
        let chord = Chord::of(key);
        let mut all = self.all(place).iter();
        all.find(|(known, _)| *known == chord)
            .map(|(_, action)| *action)
    }

    /// Keys and what they do, for people.
    pub(crate) fn help(&self, place: Place) -> Vec<(String, &'static str)> {
        let all = self.all(place);
        let known = KNOWN.iter().filter(|known| known.place == place);
        let lines = known.map(|known| {
            let keys = all.iter().filter(|(_, action)| *action == known.action);
            let keys: Vec<String> = keys.map(|(chord, _)| chord.name()).collect();
            (keys.join(", "), known.does)
        });
        lines.filter(|(keys, _)| !keys.is_empty()).collect()
    }

    fn all(&self, place: Place) -> &[(Chord, Action)] {
        match place {
            Place::Everywhere => &self.everywhere,
            Place::Message => &self.message,
        }
    }
}

impl Action {
    fn name(self) -> &'static str {
        let known = KNOWN.iter().find(|known| known.action == self);
        known.map_or("", |known| known.name)
    }
}

impl Chord {
    fn of(key: KeyEvent) -> Self {
        let mut modifiers =
            key.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let mut code = key.code;
        if let KeyCode::Char(c) = code {
            // What it is already, with what is held down.
            modifiers -= KeyModifiers::SHIFT;
            if modifiers.contains(KeyModifiers::CONTROL) {
                code = KeyCode::Char(c.to_ascii_lowercase());
            }
        }
        Self { code, modifiers }
    }

    fn parse(name: &str) -> Result<Self, String> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = name;
        while let Some((held, key)) = rest.split_once('-').filter(|(_, key)| !key.is_empty()) {
            modifiers |= match held.to_ascii_lowercase().as_str() {
                "ctrl" => KeyModifiers::CONTROL,
                "alt" => KeyModifiers::ALT,
                "shift" => KeyModifiers::SHIFT,
                _ => break,
            };
            rest = key;
        }
        let lower = rest.to_ascii_lowercase();
        let named = NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(rest));
        let function = lower
            .strip_prefix('f')
            .and_then(|number| number.parse().ok());
        let mut letters = rest.chars();
        let code = match (named, function, letters.next(), letters.next()) {
            (Some((_, code)), ..) => *code,
            (None, Some(number @ 1..=24u8), ..) => KeyCode::F(number),
            (None, _, Some(letter), None) => KeyCode::Char(letter),
            _ => {
                return Err(format!(
                    "{name:?} is no key; write it like \"ctrl-k\", \"alt-down\", \"f1\", \"pageup\" or \"x\""
                ));
            }
        };
        Ok(Self::of(KeyEvent::new(code, modifiers)))
    }

    fn name(self) -> String {
        let mut name = String::new();
        for (held, text) in [
            (KeyModifiers::CONTROL, "Ctrl-"),
            (KeyModifiers::ALT, "Alt-"),
            (KeyModifiers::SHIFT, "Shift-"),
        ] {
            if self.modifiers.contains(held) {
                name += text;
            }
        }
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => name.push(c),
            KeyCode::Char(c) => name.push(c.to_ascii_uppercase()),
            KeyCode::F(number) => name += &format!("F{number}"),
            code => {
                let known = NAMES.iter().find(|(_, known)| *known == code);
                name += known.map_or("?", |(known, _)| known);
            }
        }
        name
    }
}

/// As they are shown; a file may write them smaller.
const NAMES: &[(&str, KeyCode)] = &[
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("BackTab", KeyCode::BackTab),
    ("Space", KeyCode::Char(' ')),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PageUp", KeyCode::PageUp),
    ("PageDown", KeyCode::PageDown),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> KeyEvent {
        let chord = Chord::parse(name).unwrap();
        KeyEvent::new(chord.code, chord.modifiers)
    }

    #[test]
    fn every_action_has_a_key_and_no_key_does_two_things() {
        let keys = Keys::with(&BTreeMap::new()).unwrap();
        for known in KNOWN {
            for name in known.keys {
                assert_eq!(
                    keys.action(key(name), known.place),
                    Some(known.action),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn actions_can_have_other_keys_and_none() {
        let others = [
            (
                "next-unread".to_owned(),
                vec!["f5".to_owned(), "Alt-U".to_owned()],
            ),
            ("quit".to_owned(), vec!["ctrl-q".to_owned()]),
            ("copy".to_owned(), vec![]),
        ];
        let keys = Keys::with(&others.into()).unwrap();
        assert_eq!(keys.action(key("f5"), Everywhere), Some(Action::NextUnread));
        assert_eq!(keys.action(key("alt-a"), Everywhere), None);
        assert_eq!(keys.action(key("ctrl-c"), Everywhere), None);
        assert!(
            !keys
                .help(Message)
                .iter()
                .any(|(_, does)| does.starts_with("copy"))
        );
    }

    #[test]
    fn wrong_names_are_refused_with_what_there_is() {
        let with = |name: &str, key: &str| {
            Keys::with(&[(name.to_owned(), vec![key.to_owned()])].into()).unwrap_err()
        };
        assert!(with("fly", "f5").contains("next-unread"));
        assert!(with("quit", "ctrl-foo").contains("is no key"));
        assert!(with("quit", "alt-a").contains("two things"));
        assert!(with("quit", "a").contains("alone is typed"));
        let none = Keys::with(&[("quit".to_owned(), vec![])].into());
        assert!(none.is_err_and(|wrong| wrong.contains("needs a key")));
    }

    #[test]
    fn the_minus_is_a_key_too() {
        assert_eq!(Chord::parse("ctrl--").unwrap().name(), "Ctrl--");
        assert_eq!(Chord::parse("-").unwrap().name(), "-");
    }
}
