//! Texts of all kinds that people write, each one only once.

use rand::RngExt as _;
use rand::rngs::StdRng;
use tincan_protocol::limits::TEXT_MAX;

/// Texts of one call, at most.
const BATCH: usize = 40;

/// The texts of one call, which begin with these words.
pub(crate) fn of_one_call(random: &mut StdRng, words: &str) -> Vec<String> {
    let count = if random.random_ratio(1, 16) {
        random.random_range(2..=BATCH)
    } else {
        1
    };
    (0..count)
        .map(|part| text(random, &format!("{words}/{part}")))
        .collect()
}

fn text(random: &mut StdRng, words: &str) -> String {
    match random.random_range(0..32) {
        // As long as it may be.
        0 => format!("{words} {}", "x".repeat(TEXT_MAX - words.len() - 1)),
        // What a careless reader cuts off or changes.
        1 => format!("{words}\n\n  two lines, a tab\tand blanks at the end  \n"),
        2 => format!(
            "{words} \u{feff}Grüße, 你好, \u{1f980}, e\u{301} and \u{e9}, \r\n\u{0}, \u{1b}[31m"
        ),
        3 => format!("{words} {{\"type\":\"message\",\"text\":\"\\u0000\"}}"),
        _ => words.to_owned(),
    }
}
