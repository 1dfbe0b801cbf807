//! What a person has chosen in a file: keys and colours.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::state::Keys;
use super::view::theme::Theme;
use crate::rpc::RpcError;

/// As it stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Keys of actions, by their names.
    #[serde(default)]
    keys: BTreeMap<String, Vec<String>>,
    /// Colours by what they are for.
    #[serde(default)]
    colours: BTreeMap<String, String>,
    /// Whether the terminal's bell sounds. Unless this says so, it does where the desktop shows nothing.
    bell: Option<bool>,
    /// What the desktop shows of what comes.
    #[serde(default)]
    notifications: Notifications,
    /// Whether the mouse is used; it is unless this says no. Then the terminal's own way of selecting text works.
    mouse: Option<bool>,
}

/// What the desktop shows of what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Notifications {
    /// Who has written, and the beginning of it.
    #[default]
    Full,
    /// Who has written.
    Name,
    /// Nothing.
    Off,
}

/// When the terminal's bell sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bell {
    Always,
    /// Where the desktop shows nothing.
    Instead,
    Never,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) keys: Keys,
    pub(super) theme: Theme,
    pub(super) bell: Bell,
    pub(super) notifications: Notifications,
    pub(super) has_mouse: bool,
}

impl Config {
    /// Of the standard file, if it is there.
    pub(super) fn read() -> Result<Self, RpcError> {
        let Some(path) = standard_path() else {
            return Self::of("", Path::new(""));
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::of(&text, &path),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::of("", &path),
            Err(error) => Err(RpcError::usage(
                format!("{}: {error}", path.display()),
                "make it readable, or take it away",
            )),
        }
    }

    fn of(text: &str, path: &Path) -> Result<Self, RpcError> {
        let wrong = |what: &dyn std::fmt::Display| {
            let message = format!("{}: {what}", path.display());
            RpcError::usage(
                message,
                "mend it, or take it away; the README says what it can contain",
            )
        };
        let file: File = toml::from_str(text).map_err(|error| wrong(&error))?;
        let theme = if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            Theme::plain()
        } else {
            Theme::with(&file.colours).map_err(|error| wrong(&error))?
        };
        Ok(Self {
            keys: Keys::with(&file.keys).map_err(|error| wrong(&error))?,
            theme,
            bell: match file.bell {
                None => Bell::Instead,
                Some(true) => Bell::Always,
                Some(false) => Bell::Never,
            },
            notifications: file.notifications,
            has_mouse: file.mouse.unwrap_or(true),
        })
    }
}

fn standard_path() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("tincan").join("tui.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_files_are_refused_with_the_reason() {
        let of = |text: &str| Config::of(text, Path::new("tui.toml"));
        assert!(of("").is_ok());
        assert!(
            of("bell = false\n[keys]\nquit = [\"f10\"]\n[colours]\nown = \"blue\"")
                .is_ok_and(|config| config.bell == Bell::Never)
        );
        for (text, reason) in [
            ("[keys]\nfly = [\"f1\"]", "fly"),
            ("[colours]\nown = \"blueish\"", "blueish"),
            ("sound = true", "sound"),
            ("notifications = \"loud\"", "loud"),
            ("bell = ", "tui.toml"),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.message.contains(reason), "{error}");
        }
    }
}
