//! What the code says: the protobuf schema, the limits, the labels.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// One field of a message, or one value of an enum.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) number: u32,
    /// `repeated` and type as in the schema; empty for a value.
    pub(crate) kind: String,
}

/// Message or enum -> fields or values, in the schema's order.
pub(crate) type Types = BTreeMap<String, Vec<Entry>>;

/// Every message and enum of the schema.
pub(crate) fn types() -> Types {
    let mut types = Types::new();
    for file in fs::read_dir(protocol("proto")).unwrap() {
        let mut current = String::new();
        for line in fs::read_to_string(file.unwrap().path()).unwrap().lines() {
            let line = line.split("//").next().unwrap().trim();
            let words: Vec<&str> = line
                .trim_end_matches([';', '}', ' '])
                .split_whitespace()
                .collect();
            match words.as_slice() {
                ["message" | "enum", name, ..] => {
                    current = (*name).to_owned();
                    assert!(
                        types.insert(current.clone(), Vec::new()).is_none(),
                        "{name} is there twice"
                    );
                }
                [kind @ .., name, "=", number] if !current.is_empty() && kind != ["syntax"] => {
                    types.get_mut(&current).unwrap().push(Entry {
                        name: (*name).to_owned(),
                        number: number.parse().unwrap(),
                        kind: kind.join(" "),
                    });
                }
                // The head of a file or of a oneof, a closing brace, an empty line.
                [] | ["package" | "import" | "oneof", ..] | ["syntax", "=", _] => {}
                _ => panic!("not understood: {line}"),
            }
        }
    }
    assert!(types.len() > 30, "the schema was not found");
    types
}

/// Every constant of `limits.rs` with its value.
pub(crate) fn limits() -> Vec<(String, u64)> {
    let text = fs::read_to_string(protocol("src/limits.rs")).unwrap();
    let mut limits: Vec<(String, u64)> = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("pub const ") else {
            continue;
        };
        let (name, rest) = rest.split_once(": ").unwrap();
        let expression = rest.split_once(" = ").unwrap().1.trim_end_matches(';');
        let value = evaluate(expression, &limits);
        limits.push((name.to_owned(), value));
    }
    assert!(limits.len() > 20, "the limits were not found");
    limits
}

/// Every label of `labels.rs`.
pub(crate) fn labels() -> Vec<String> {
    let text = fs::read_to_string(protocol("src/labels.rs")).unwrap();
    let arms = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""));
    let labels: Vec<String> = arms
        .map(|(_, label)| label.trim_end_matches("\",").to_owned())
        .collect();
    assert!(labels.len() > 10, "the labels were not found");
    labels
}

/// Products of numbers and known names, added or subtracted.
fn evaluate(expression: &str, known: &[(String, u64)]) -> u64 {
    let mut total = 0;
    let mut add = true;
    for word in expression.replace(" * ", "*").split(' ') {
        match word {
            "+" | "-" => add = word == "+",
            _ => {
                let product: u64 = word
                    .split('*')
                    .map(|factor| number(factor, known))
                    .product();
                total = if add {
                    total + product
                } else {
                    total - product
                };
            }
        }
    }
    total
}

fn number(word: &str, known: &[(String, u64)]) -> u64 {
    let literal = word.replace('_', "").parse().ok();
    literal
        .or_else(|| {
            known
                .iter()
                .find(|(name, _)| name == word)
                .map(|(_, value)| *value)
        })
        .unwrap()
}

fn protocol(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol")).join(path)
}
