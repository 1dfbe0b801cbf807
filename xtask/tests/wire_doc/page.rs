//! What `docs/wire.md` says.

use std::collections::BTreeMap;

use crate::schema::{Entry, Types};

/// The page's text.
pub(crate) struct Page(String);

impl Page {
    /// Reads the page.
    pub(crate) fn read() -> Self {
        Self(
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/wire.md"))
                .unwrap(),
        )
    }

    /// The cells of the first table row after a heading that begins with this cell.
    pub(crate) fn row(&self, heading: &str, first: &str) -> Option<Vec<String>> {
        self.rows(heading)
            .find(|cells| cells.first().is_some_and(|cell| cell == first))
    }

    /// The rows of all tables after a heading, with their heads.
    pub(crate) fn rows(&self, heading: &str) -> impl Iterator<Item = Vec<String>> {
        let (_, rest) = self.0.split_once(&format!("\n{heading}\n")).unwrap();
        rest.lines().filter_map(cells)
    }

    /// Messages and enums: a heading of level 4 with the name, then a table with name, number and,
    /// for messages, type.
    pub(crate) fn types(&self) -> Types {
        let mut types: Types = BTreeMap::new();
        let mut current = None;
        for line in self.0.lines() {
            if line.starts_with('#') {
                current = line
                    .strip_prefix("#### `")
                    .and_then(|rest| rest.strip_suffix('`'));
                if let Some(name) = current {
                    types.insert(name.to_owned(), Vec::new());
                }
            }
            if let (Some(name), Some(cells)) = (current, cells(line)) {
                types.get_mut(name).unwrap().extend(entry(&cells));
            }
        }
        types
    }

    /// The lines of the JSON blocks under a heading, up to the next heading of any level.
    pub(crate) fn json(&self, heading: &str) -> Vec<&str> {
        let (_, section) = self.0.split_once(&format!("\n{heading}\n")).unwrap();
        let section = section.split("\n#").next().unwrap();
        let blocks = section.split("```json\n").skip(1);
        blocks
            .flat_map(|block| block.split("\n```").next().unwrap().lines())
            .collect()
    }
}

/// No cell of the page contains a bar.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ")?.strip_suffix('|')?;
    Some(
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect(),
    )
}

/// A table's head has no number and gives nothing.
fn entry(cells: &[String]) -> Option<Entry> {
    let name = cells
        .first()?
        .strip_prefix('`')?
        .strip_suffix('`')?
        .to_owned();
    let number = cells.get(1)?.parse().ok()?;
    // An enum's third cell is its meaning.
    let is_value = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let kind = if is_value {
        String::new()
    } else {
        cells.get(2)?.clone()
    };
    Some(Entry { name, number, kind })
}
