//! What pieces of text look like.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use ratatui::style::{Color, Modifier, Style};

use crate::tui::layout::Role;

/// Colours by what they are for. Those of the terminal's own palette, unless a file says otherwise: whoever has chosen
/// a light one can read them.
#[derive(Clone, Debug)]
pub(crate) struct Theme {
    colours: BTreeMap<&'static str, Color>,
}

const COLOURS: &[(&str, Color)] = &[
    ("own", Color::Cyan),
    ("their", Color::Green),
    ("dim", Color::DarkGray),
    ("waiting", Color::Yellow),
    ("unread", Color::Magenta),
    ("error", Color::Red),
    ("quote", Color::Blue),
];

impl Theme {
    /// With other colours for some things, by name.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(crate) fn with(others: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut colours: BTreeMap<&'static str, Color> = COLOURS.iter().copied().collect();
        for (name, value) in others {
            let known = COLOURS.iter().find(|(known, _)| known == name);
            let Some((known, _)) = known else {
                let names: Vec<&str> = COLOURS.iter().map(|(known, _)| *known).collect();
                return Err(format!(
                    "no colour is called {name:?}; names are: {}",
                    names.join(", ")
                ));
            };
            let colour = Color::from_str(value).map_err(|_| {
                format!(
                    "{value:?} is no colour; write it like \"light-blue\", \"#30a0ff\" or \"208\""
                )
            })?;
            colours.insert(known, colour);
        }
        Ok(Self { colours })
    }

    /// Without any colour (<https://no-color.org>).
    pub(crate) const fn plain() -> Self {
        Self {
            colours: BTreeMap::new(),
        }
    }

    fn colour(&self, name: &str) -> Style {
        match self.colours.get(name) {
            Some(colour) => Style::new().fg(*colour),
            None => Style::new(),
        }
    }

    pub(crate) fn role(&self, role: Role) -> Style {
        match role {
            Role::Text => Style::new(),
            Role::Dim | Role::DayLine => self.dim(),
            Role::OwnName => self.colour("own").add_modifier(Modifier::BOLD),
            Role::TheirName => self.colour("their").add_modifier(Modifier::BOLD),
            Role::Waiting => self.colour("waiting"),
            Role::Sent | Role::Delivered => self.dim(),
            Role::Read if self.colours.is_empty() => {
                Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
            }
            Role::Read => self.colour("unread").add_modifier(Modifier::BOLD),
            Role::Failed => self.error(),
            Role::Quote => self.colour("quote"),
            Role::Reaction => Style::new(),
            Role::UnreadLine => self.unread(),
        }
    }

    pub(crate) fn dim(&self) -> Style {
        match self.colours.is_empty() {
            true => Style::new().add_modifier(Modifier::DIM),
            false => self.colour("dim"),
        }
    }

    pub(crate) fn error(&self) -> Style {
        self.colour("error").add_modifier(Modifier::BOLD)
    }

    pub(crate) fn unread(&self) -> Style {
        self.colour("unread").add_modifier(Modifier::BOLD)
    }

    pub(crate) fn online(&self) -> Style {
        self.colour("their")
    }

    pub(crate) fn title(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(crate) fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_without_colours_has_none() {
        let theme = Theme::plain();
        for role in [
            Role::Text,
            Role::Dim,
            Role::OwnName,
            Role::Read,
            Role::Failed,
            Role::UnreadLine,
        ] {
            assert_eq!((theme.role(role).fg, theme.role(role).bg), (None, None));
        }
        assert_ne!(theme.role(Role::Read), theme.role(Role::Delivered));
    }

    #[test]
    fn colours_can_be_chosen_and_wrong_ones_are_refused() {
        let with =
            |name: &str, value: &str| Theme::with(&[(name.to_owned(), value.to_owned())].into());
        let theme = with("own", "#30a0ff").unwrap();
        assert_eq!(
            theme.role(Role::OwnName).fg,
            Some(Color::Rgb(0x30, 0xa0, 0xff))
        );
        assert!(with("mine", "red").unwrap_err().contains("own"));
        assert!(with("own", "reddish").unwrap_err().contains("is no colour"));
    }
}
