//! Drawing the first run.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::conversation::set_cursor;
use super::theme::Theme;
use crate::tui::first_run::{FirstRun, Protection, Step};
use crate::tui::layout::wrap::wrap;

/// Columns of the text.
const WIDTH: u16 = 72;

/// Columns that one numbered word needs.
const WORDS_WIDTH: usize = 14;

/// Returns whether all of it has room.
pub(crate) fn draw(frame: &mut Frame<'_>, run: &FirstRun, theme: &Theme) -> bool {
    let screen = frame.area();
    let width = WIDTH.min(screen.width.saturating_sub(2));
    let area = Rect {
        x: (screen.width - width) / 2,
        y: screen.height.min(12) / 6,
        width,
        height: screen.height - screen.height.min(12) / 6,
    };
    let columns = usize::from(width);
    let mut lines = vec![Line::styled("Tincan", theme.title()), Line::raw("")];
    let mut say = |text: &str| lines.extend(wrap(text, columns).into_iter().map(Line::raw));
    let field = match &run.step {
        Step::Name(field) => {
            say("What do you call yourself? Your contacts see it.");
            say(
                "(Who has an identity with 24 words already leaves with Esc, and runs: peer init --restore)",
            );
            Some(field)
        }
        Step::Server(field) => {
            say(
                "The URL of your server, where others find you. Somebody who runs one has given it to you; to run one: signal-server --dev --relay",
            );
            Some(field)
        }
        Step::Protection { at } => {
            say("What protects the key of your messages on this computer?");
            say("");
            for (n, protection) in run.protections.iter().enumerate() {
                let mark = if n == *at { "> " } else { "  " };
                say(&format!("{mark}{}", protection_text(*protection)));
            }
            say("");
            say("Up and Down choose, Enter takes it, Esc goes back.");
            None
        }
        Step::Passphrase { field, first } => {
            say(match first {
                None => "The passphrase. It is asked for at every start; nobody can bring it back.",
                Some(_) => "Once more.",
            });
            Some(field)
        }
        Step::Looking => {
            say("Looking for the server…");
            None
        }
        Step::Making => {
            say("Making it…");
            None
        }
        Step::Words(phrase) => {
            say(
                "These 24 words are your identity. Write them down and keep them safe; they are not shown again.",
            );
            say("");
            let words = phrase.words();
            let words: Vec<&str> = words.split(' ').collect();
            let per_row = (columns / 14).clamp(1, 4);
            for (row, some) in words.chunks(per_row).enumerate() {
                let numbered = some.iter().enumerate();
                let numbered =
                    numbered.map(|(n, word)| format!("{:>2} {word:<10}", row * per_row + n + 1));
                say(numbered.collect::<String>().trim_end());
            }
            say("");
            say("Enter: they are written down.");
            None
        }
    };
    if let Some(wrong) = &run.wrong {
        lines.push(Line::raw(""));
        lines.extend(
            wrap(wrong, columns)
                .into_iter()
                .map(|line| Line::styled(line, theme.error())),
        );
    }
    // What is typed has its place in any case.
    let field_rows = if field.is_some() { 2 } else { 0 };
    let room = usize::from(area.height).saturating_sub(field_rows);
    let is_whole = lines.len() <= room && columns >= WORDS_WIDTH;
    if !is_whole {
        lines.truncate(room.saturating_sub(1));
        lines.push(Line::styled("make the terminal larger", theme.error()));
    }
    let text_rows = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .min(area.height);
    let text = Rect {
        height: text_rows,
        ..area
    };
    frame.render_widget(Paragraph::new(lines), text);
    let Some(field) = field else {
        return is_whole;
    };
    let place = Rect {
        y: (text.bottom() + 1).min(area.bottom().saturating_sub(1)),
        height: area.height.min(1),
        ..area
    };
    frame.render_widget(field.area(), place);
    set_cursor(frame, place, field.area());
    is_whole
}

const fn protection_text(protection: Protection) -> &'static str {
    match protection {
        Protection::Keyring => "the keyring of your desktop",
        Protection::Passphrase => "a passphrase that you type at every start",
        Protection::Nothing => "nothing: it is in a file that only you can read",
    }
}
