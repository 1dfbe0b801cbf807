//! Text of others as a terminal may have it.

/// What a terminal shows and does not obey: no control characters but line breaks, no escape sequences, and nothing that
/// reorders the text around it. Tabs become spaces, and what would stand above others in a heap is cut.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    let mut marks = 0;
    for c in harmless(text).chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        match c {
            '\t' => printable.push_str("    "),
            _ if marks > MARKS_MAX => {}
            c => printable.push(c),
        }
    }
    printable
}

/// The same, with tabs and marks as they are.
pub(crate) fn harmless(text: &str) -> String {
    let safe = |c: char| match c {
        '\n' | '\t' => c,
        // Line breaks that some terminals take for such.
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() || is_direction(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(safe).collect()
}

/// Marks on one letter. Chosen: no script needs more, and no emoji that is made of several.
const MARKS_MAX: usize = 8;

/// What is written onto the letter before it. The blocks of combining marks, and what joins emoji.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Marks that reorder the text around them.
pub(crate) const fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        assert_eq!(
            printable("a\u{1b}]0;title\u{7}b\u{202e}c\nd\te"),
            "a\u{fffd}]0;title\u{fffd}b\u{fffd}c\nd    e"
        );
        assert_eq!(
            harmless("a\u{9b}b\r\tc\nd\u{2028}e"),
            "a\u{fffd}b\u{fffd}\tc\nd e"
        );
        assert_eq!(printable("Grüße 🥫 שלום"), "Grüße 🥫 שלום");
    }

    #[test]
    fn a_letter_has_so_many_marks_and_no_more() {
        let heap = format!("a{}b", "\u{301}".repeat(500));
        assert_eq!(printable(&heap), format!("a{}b", "\u{301}".repeat(8)));
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}";
        assert_eq!(printable(family), family);
    }
}
