//! Names that others give themselves, made fit to be shown and typed.

use tincan_protocol::limits::NAME_MAX;

/// What somebody without a usable name is called.
const NAMELESS: &str = "nameless";

/// Without control and formatting characters, with single spaces, at most [`NAME_MAX`] bytes.
pub(crate) fn clean(name: &str) -> String {
    let visible = name.chars().map(|c| {
        if c.is_control() || is_format(c) {
            ' '
        } else {
            c
        }
    });
    let visible: String = visible.collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut end = words.len().min(NAME_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    let name = words.get(..end).unwrap_or_default().trim_end();
    // A name that looks like an address would be taken for somebody else.
    if name.is_empty() || name.to_lowercase().starts_with("tin1") {
        NAMELESS.to_owned()
    } else {
        name.to_owned()
    }
}

/// Whether two names are the same to those who type them, whether large or small.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Characters that change how others are shown: direction marks, invisible and blank ones, line separators.
const fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' |
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_plain() {
        assert_eq!(clean("\u{1b}[31mAnn\u{202e}\n  Lee "), "[31mAnn Lee");
        assert_eq!(clean("\u{200b}\u{7}"), NAMELESS);
        assert_eq!(
            clean("bob, verified\u{2800}\u{2800}\u{3164}"),
            "bob, verified"
        );
        assert_eq!(clean("Zoë 🥫"), "Zoë 🥫");
    }

    #[test]
    fn regression_a_name_cannot_be_an_address() {
        assert_eq!(
            clean("tin1zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs8xmump"),
            NAMELESS
        );
        assert_eq!(clean(" TIN1x"), NAMELESS);
    }

    #[test]
    fn names_are_the_same_in_large_and_small_letters() {
        assert!(same("Ärger", "äRGER"));
        assert!(!same("Ärger", "Arger"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_name_is_it_becomes_a_plain_one(name in ".{0,80}|(tin1| |\u{202e}|\u{7}|é|\u{e0001}){0,40}") {
            let plain = clean(&name);
            assert!(!plain.is_empty() && plain.len() <= NAME_MAX);
            assert!(!plain.chars().any(|c| c.is_control() || is_format(c)));
            assert!(!plain.to_lowercase().starts_with("tin1"));
            assert!(!plain.starts_with(' ') && !plain.ends_with(' ') && !plain.contains("  "));
            assert_eq!(clean(&plain), plain);
        }
    }

    #[test]
    fn long_names_end_at_a_character() {
        let name = clean(&"é".repeat(100));
        assert_eq!(name.len(), NAME_MAX);
        assert!(name.chars().all(|c| c == 'é'));
    }
}
