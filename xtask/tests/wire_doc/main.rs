//! Holds `docs/wire.md` against the code, so that a change of the wire cannot leave the page behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of it is a test; clippy excuses only the test functions"
)]

mod examples;
mod page;
mod schema;
mod vectors;

use page::Page;

#[test]
fn every_message_field_and_enum_value_is_on_the_page_and_nothing_else() {
    let schema = schema::types();
    let page = Page::read().types();
    for (name, fields) in &schema {
        assert_eq!(
            page.get(name),
            Some(fields),
            "{name}: left the page, right the schema"
        );
    }
    let unknown: Vec<_> = page
        .keys()
        .filter(|name| !schema.contains_key(*name))
        .collect();
    assert!(unknown.is_empty(), "not in the schema: {unknown:?}");
}

#[test]
fn every_limit_is_on_the_page_with_its_value() {
    let page = Page::read();
    for (name, value) in schema::limits() {
        let shown = page
            .row("## 3. Limits", &format!("`{name}`"))
            .unwrap_or_else(|| panic!("{name} is not on the page"));
        let shown = shown.get(1).unwrap().replace(',', "");
        assert_eq!(shown, value.to_string(), "{name}");
    }
}

#[test]
fn every_label_is_on_the_page() {
    let page = Page::read();
    for label in schema::labels() {
        assert!(
            page.row("## 1. Conventions", &format!("`{label}`"))
                .is_some(),
            "{label} has no row"
        );
    }
}

#[test]
fn every_json_message_has_an_example_that_reads_back_the_same() {
    let page = Page::read();
    examples::check::<tincan_protocol::signal::ClientMessage>(&page, "### Peer to server", "type");
    examples::check::<tincan_protocol::signal::ServerMessage>(&page, "### Server to peer", "type");
    examples::check::<tincan_protocol::link::LinkSignal>(&page, "## 8. Link signals", "kind");
}

#[test]
fn every_signaling_error_is_on_the_page() {
    let page = Page::read();
    for code in examples::variants::<tincan_protocol::signal::SignalErrorCode>("\"?\"") {
        assert!(
            page.row("## 7. Signaling", &format!("`{code}`")).is_some(),
            "{code} has no row"
        );
    }
}

/// The page's last section.
const VECTORS: &str = "## 12. Test vectors";

#[test]
fn every_test_vector_is_on_the_page() {
    let page = Page::read();
    let vectors = vectors::all();
    for (name, value) in &vectors {
        let row = page
            .row(VECTORS, name)
            .unwrap_or_else(|| panic!("no row: | {name} | | `{value}` |"));
        assert_eq!(row.last(), Some(&format!("`{value}`")), "{name}");
    }
    let rows = page.rows(VECTORS).count();
    assert_eq!(
        rows,
        vectors.len() + 1,
        "the head, and no row that nobody computes"
    );
}
