//! The first run: asks what a profile needs, makes it, and shows its words once.
//!
//! Like the rest, what happens goes in and what is to be done comes out; the words are nowhere but in here, and go with it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tincan_protocol::limits::NAME_MAX;
use zeroize::Zeroizing;

use super::state::Field;
use crate::{KeySource, Phrase, ServerUrl};

/// What is asked, one after the other.
pub(crate) enum Step {
    Name(Field),
    Server(Field),
    /// Whether the server answers is being found out.
    Looking,
    /// How the key of the messages is protected, and which of [`Protection::ALL`] is meant.
    Protection {
        at: usize,
    },
    Passphrase {
        field: Field,
        first: Option<Zeroizing<String>>,
    },
    Making,
    /// To be written down.
    Words(Phrase),
}

/// What protects the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Keyring,
    Passphrase,
    Nothing,
}

/// What is to be done.
pub(crate) enum Want {
    Nothing,
    /// Whether this server answers is to be found out.
    Look(ServerUrl),
    Make {
        name: String,
        server: ServerUrl,
        key: KeySource,
    },
    /// Everything is done.
    Done,
    /// The person has left.
    Leave,
}

/// See the module.
pub(crate) struct FirstRun {
    pub(crate) step: Step,
    /// What is wrong with what was typed.
    pub(crate) wrong: Option<String>,
    /// What can be chosen.
    pub(crate) protections: Vec<Protection>,
    /// From the command line: then nothing is asked.
    key: Option<KeySource>,
    name: String,
    server: Option<ServerUrl>,
    /// One that did not answer: the person knows, and may take it all the same.
    doubtful: Option<ServerUrl>,
    /// Whether all of it was drawn.
    is_whole: bool,
}

impl std::fmt::Debug for FirstRun {
    /// Neither what is typed nor the words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstRun").finish_non_exhaustive()
    }
}

impl FirstRun {
    /// With the login name, what protects the key if that is decided, and whether there is a keyring.
    pub(crate) fn new(login: &str, key: Option<KeySource>, has_keyring: bool) -> Self {
        let keyring = has_keyring.then_some(Protection::Keyring);
        let others = [Protection::Passphrase, Protection::Nothing];
        Self {
            step: Step::Name(Field::new(login)),
            wrong: None,
            protections: keyring.into_iter().chain(others).collect(),
            key,
            name: String::new(),
            server: None,
            doubtful: None,
            is_whole: true,
        }
    }

    /// Whether all of it had room.
    pub(crate) const fn drawn(&mut self, is_whole: bool) {
        self.is_whole = is_whole;
    }

    pub(crate) fn paste(&mut self, text: &str) {
        if let Step::Name(field) | Step::Server(field) | Step::Passphrase { field, .. } =
            &mut self.step
        {
            field.insert(text.trim());
        }
    }

    pub(crate) fn key(&mut self, key: KeyEvent) -> Want {
        if key.kind == KeyEventKind::Release {
            return Want::Nothing;
        }
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if matches!(key.code, KeyCode::Char('c' | 'q') if is_control) {
            return match self.step {
                // The profile is there; its words are left by Enter alone.
                Step::Words(_) => Want::Nothing,
                _ => Want::Leave,
            };
        }
        self.wrong = None;
        match (&mut self.step, key.code) {
            (Step::Making | Step::Looking, _) => Want::Nothing,
            (Step::Words(_), KeyCode::Enter) if self.is_whole => Want::Done,
            (Step::Words(_), _) => Want::Nothing,
            (_, KeyCode::Esc) => self.back(),
            (_, KeyCode::Enter) => self.next(),
            (Step::Protection { at }, KeyCode::Up) => {
                *at = at.saturating_sub(1);
                Want::Nothing
            }
            (Step::Protection { at }, KeyCode::Down) => {
                *at = (*at + 1).min(self.protections.len().saturating_sub(1));
                Want::Nothing
            }
            (Step::Name(field) | Step::Server(field) | Step::Passphrase { field, .. }, _) => {
                field.key(key);
                Want::Nothing
            }
            (Step::Protection { .. }, _) => Want::Nothing,
        }
    }

    /// It was made, or not, and why.
    pub(crate) fn made(&mut self, made: Result<Phrase, String>) {
        match made {
            Ok(phrase) => self.step = Step::Words(phrase),
            Err(wrong) => {
                self.wrong = Some(wrong);
                self.step = Step::Name(Field::new(&self.name));
            }
        }
    }

    fn back(&mut self) -> Want {
        self.step = match self.step {
            Step::Name(_) => return Want::Leave,
            Step::Server(_) => Step::Name(Field::new(&self.name)),
            Step::Protection { .. } => self.ask_server(),
            _ => Step::Protection { at: 0 },
        };
        Want::Nothing
    }

    fn next(&mut self) -> Want {
        match &self.step {
            Step::Name(field) => {
                let name = field.text().trim().to_owned();
                match name_of(&name) {
                    Ok(name) => {
                        self.name = name;
                        self.step = self.ask_server();
                    }
                    Err(wrong) => self.wrong = Some(wrong),
                }
                Want::Nothing
            }
            Step::Server(field) => match field.text().trim().parse::<ServerUrl>() {
                Ok(server) if self.doubtful.as_ref() == Some(&server) => self.take_server(server),
                Ok(server) => {
                    self.server = Some(server.clone());
                    self.step = Step::Looking;
                    Want::Look(server)
                }
                Err(wrong) => {
                    let typed = field.text().trim();
                    let help = match typed.contains("://") {
                        true => String::new(),
                        false => format!("; write it like http://{typed} or https://{typed}"),
                    };
                    self.wrong = Some(format!("{wrong}{help}"));
                    Want::Nothing
                }
            },
            Step::Protection { at } => match self.protections.get(*at) {
                Some(Protection::Keyring) => self.make(KeySource::Keyring),
                Some(Protection::Nothing) => self.make(KeySource::Plain),
                _ => {
                    self.step = Step::Passphrase {
                        field: Field::hidden(),
                        first: None,
                    };
                    Want::Nothing
                }
            },
            Step::Passphrase { field, first } => {
                let typed = Zeroizing::new(field.text().to_owned());
                self.next_passphrase(typed, first.clone())
            }
            Step::Looking | Step::Making | Step::Words(_) => Want::Nothing,
        }
    }

    /// Whether the server has answered, and why not. A profile keeps its servers, so one that does not is asked about.
    pub(crate) fn looked(&mut self, server: ServerUrl, answer: Result<(), String>) -> Want {
        match answer {
            Ok(()) => self.take_server(server),
            Err(why) => {
                self.wrong = Some(format!("{why}. Enter again takes it all the same."));
                self.step = self.ask_server();
                self.doubtful = Some(server);
                Want::Nothing
            }
        }
    }

    fn take_server(&mut self, server: ServerUrl) -> Want {
        self.server = Some(server);
        match self.key.clone() {
            Some(key) => self.make(key),
            None => {
                self.step = Step::Protection { at: 0 };
                Want::Nothing
            }
        }
    }

    fn next_passphrase(
        &mut self,
        typed: Zeroizing<String>,
        first: Option<Zeroizing<String>>,
    ) -> Want {
        let again = match first {
            _ if typed.is_empty() => {
                self.wrong = Some("an empty passphrase protects nothing".to_owned());
                None
            }
            Some(first) if first == typed => return self.make(KeySource::Passphrase(typed)),
            Some(_) => {
                self.wrong = Some("the two differ; type it anew".to_owned());
                None
            }
            None => Some(typed),
        };
        self.step = Step::Passphrase {
            field: Field::hidden(),
            first: again,
        };
        Want::Nothing
    }

    fn ask_server(&self) -> Step {
        let known = self.server.as_ref().map(ToString::to_string);
        Step::Server(Field::new(&known.unwrap_or_default()))
    }

    fn make(&mut self, key: KeySource) -> Want {
        let Some(server) = self.server.clone() else {
            self.step = self.ask_server();
            return Want::Nothing;
        };
        self.step = Step::Making;
        let name = self.name.clone();
        Want::Make { name, server, key }
    }
}

/// As others will see it.
fn name_of(typed: &str) -> Result<String, String> {
    let clean = crate::names::clean(typed);
    let is_as_typed = clean.split(' ').eq(typed.split_whitespace());
    match typed {
        "" => Err("others need a name for you".to_owned()),
        name if name.len() > NAME_MAX => Err(format!("at most {NAME_MAX} bytes")),
        _ if is_as_typed => Ok(clean),
        _ => Err(
            "this name has characters that cannot be shown, or looks like an address".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(run: &mut FirstRun, code: KeyCode) -> Want {
        run.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn typed(run: &mut FirstRun, text: &str) -> Want {
        for c in text.chars() {
            press(run, KeyCode::Char(c));
        }
        press(run, KeyCode::Enter)
    }

    #[test]
    fn a_profile_is_made_of_a_name_a_server_and_a_passphrase_typed_twice() {
        let mut run = FirstRun::new("", None, false);
        assert!(matches!(press(&mut run, KeyCode::Enter), Want::Nothing));
        assert!(
            run.wrong
                .as_ref()
                .is_some_and(|wrong| wrong.contains("name"))
        );
        typed(&mut run, "Ann");
        typed(&mut run, "nonsense:");
        assert!(run.wrong.is_some());
        press(&mut run, KeyCode::Esc);
        press(&mut run, KeyCode::Enter);
        let url: ServerUrl = "http://127.0.0.1:8443".parse().unwrap();
        assert!(
            matches!(typed(&mut run, "http://127.0.0.1:8443"), Want::Look(server) if server == url)
        );
        assert!(matches!(run.looked(url, Ok(())), Want::Nothing));
        assert_eq!(run.protections[0], Protection::Passphrase);
        press(&mut run, KeyCode::Enter);
        typed(&mut run, "one");
        typed(&mut run, "two");
        assert!(
            run.wrong
                .as_ref()
                .is_some_and(|wrong| wrong.contains("differ"))
        );
        typed(&mut run, "one");
        let want = typed(&mut run, "one");
        let Want::Make { name, server, key } = want else {
            panic!("nothing is made");
        };
        assert_eq!(
            (name.as_str(), server.to_string().as_str()),
            ("Ann", "http://127.0.0.1:8443")
        );
        assert!(matches!(key, KeySource::Passphrase(passphrase) if *passphrase == "one"));
        assert!(matches!(run.step, Step::Making));
    }

    #[test]
    fn words_are_left_with_enter_alone_and_a_failure_begins_anew() {
        let mut run = FirstRun::new("ann", Some(KeySource::Plain), true);
        press(&mut run, KeyCode::Enter);
        let url: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
        typed(&mut run, "http://127.0.0.1:1");
        run.looked(url, Err("it does not answer".to_owned()));
        assert!(
            run.wrong
                .as_ref()
                .is_some_and(|wrong| wrong.contains("does not answer"))
        );
        // Who knows that it is away may take it.
        assert!(matches!(press(&mut run, KeyCode::Enter), Want::Make { .. }));
        run.made(Err("the disk is full".to_owned()));
        assert!(matches!(run.step, Step::Name(_)) && run.wrong.is_some());
        run.made(Ok(Phrase::from_entropy([7; 32])));
        assert!(matches!(press(&mut run, KeyCode::Char('x')), Want::Nothing));
        assert!(matches!(press(&mut run, KeyCode::Esc), Want::Nothing));
        assert!(matches!(press(&mut run, KeyCode::Enter), Want::Done));
    }
}
