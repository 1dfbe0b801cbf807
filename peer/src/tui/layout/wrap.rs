//! Breaking text into lines, measured in the cells that the screen gives to it.
//!
//! Measured as the screen itself measures ([`CellWidth`]), and by graphemes: a library that counts characters would
//! break where the screen does not, and tear emoji apart.

use ratatui::buffer::CellWidth as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Breaks at spaces where it can, inside words where it must. No line is wider than `width`, which is at least 2.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Lines::new(width.max(2));
    for paragraph in text.split('\n') {
        for grapheme in paragraph.graphemes(true) {
            lines.push(grapheme);
        }
        lines.end();
    }
    lines.done
}

/// Cuts what is one word, however long, wherever a line ends.
pub(crate) fn cut(text: &str, width: usize) -> Vec<String> {
    let graphemes: Vec<&str> = text.graphemes(true).collect();
    let lines = graphemes.chunks(width.max(1)).map(|line| line.concat());
    lines.collect()
}

/// Cells that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true)
        .map(|grapheme| usize::from(grapheme.cell_width()))
        .sum()
}

/// As much of a text as has room, with a mark where it goes on.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += usize::from(grapheme.cell_width());
        if used > room {
            break;
        }
        short.push_str(grapheme);
    }
    if room > 0 {
        short.push('…');
    }
    short
}

struct Lines {
    done: Vec<String>,
    width: usize,
    line: String,
    used: usize,
    /// After how many bytes and cells of the line it may be broken.
    break_at: Option<(usize, usize)>,
}

impl Lines {
    const fn new(width: usize) -> Self {
        Self {
            done: Vec::new(),
            width,
            line: String::new(),
            used: 0,
            break_at: None,
        }
    }

    fn push(&mut self, grapheme: &str) {
        let cells = usize::from(grapheme.cell_width());
        let is_space = grapheme.chars().all(char::is_whitespace);
        // What is left of a line after a break may have no room for it either.
        while self.used > 0 && self.used + cells > self.width {
            if is_space {
                // The end of the line stands for it.
                self.break_at = None;
                self.break_line();
                return;
            }
            self.break_line();
        }
        // Scripts of wide characters have no spaces.
        if cells == 2 {
            self.break_at = Some((self.line.len(), self.used));
        }
        self.line.push_str(grapheme);
        self.used += cells;
        if is_space || grapheme == "-" || cells == 2 {
            self.break_at = Some((self.line.len(), self.used));
        }
    }

    /// What stands after the last place to break goes to the next line.
    fn break_line(&mut self) {
        let (bytes, cells) = match self.break_at.take() {
            Some((bytes, cells)) if bytes > 0 => (bytes, cells),
            _ => (self.line.len(), self.used),
        };
        let rest = self.line.split_off(bytes.min(self.line.len()));
        let line = std::mem::replace(&mut self.line, rest);
        self.done.push(line.trim_end().to_owned());
        self.used -= cells;
    }

    fn end(&mut self) {
        self.done.push(std::mem::take(&mut self.line));
        self.used = 0;
        self.break_at = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("hello there world", 11), ["hello there", "world"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("well-known", 6), ["well-", "known"]);
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("ab  cd", 3), ["ab", "cd"]);
        assert_eq!(wrap("aa bb cc dd", 5), ["aa bb", "cc dd"]);
    }

    #[test]
    fn wide_characters_and_emoji_take_two_cells_and_stay_whole() {
        assert_eq!(
            wrap("\u{4f60}\u{597d}\u{4e16}\u{754c}", 5),
            ["\u{4f60}\u{597d}", "\u{4e16}\u{754c}"]
        );
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(width(family), 2);
        assert_eq!(
            wrap(&family.repeat(3), 4),
            [family.repeat(2), family.to_owned()]
        );
        assert_eq!(wrap("e\u{301}e\u{301}", 2), ["e\u{301}e\u{301}"]);
    }

    #[test]
    fn what_has_no_room_is_shortened_with_a_mark() {
        assert_eq!(shorten("robert", 6), "robert");
        assert_eq!(shorten("robert", 5), "robe…");
        assert_eq!(shorten("\u{4f60}\u{597d}", 3), "\u{4f60}…");
        assert_eq!(shorten("robert", 0), "");
    }

    proptest! {
        /// Nothing but spaces gets lost, and nothing stands outside.
        #[test]
        fn wrapped_text_is_the_text(text in "[a-z \u{4f60}\u{1f44d}\u{301}\u{5e9}-]{0,80}", cells in 2..20usize) {
            let lines = wrap(&text, cells);
            prop_assert!(lines.iter().all(|line| width(line) <= cells), "{lines:?}");
            let bare = |text: &str| text.replace(' ', "");
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
