//! The page's JSON examples.

use std::collections::BTreeSet;

use serde_json::Value;
use tincan_protocol::signal::{decode, encode};

use crate::page::Page;

/// Every example under `heading` reads as `T` and is written again as it stands there, and every
/// kind of `T` has one.
pub(crate) fn check<T>(page: &Page, heading: &str, tag: &str)
where
    T: serde::de::DeserializeOwned + serde::Serialize,
{
    let mut seen = BTreeSet::new();
    for example in page.json(heading) {
        let message: T = decode(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        assert_eq!(encode(&message).unwrap(), example);
        let value: Value = serde_json::from_str(example).unwrap();
        seen.insert(value[tag].as_str().unwrap().to_owned());
    }
    assert_eq!(
        seen,
        variants::<T>(&format!("{{\"{tag}\":\"?\"}}")),
        "{heading}"
    );
}

/// The names that `T` knows: its error for one that it does not know lists them.
pub(crate) fn variants<T: serde::de::DeserializeOwned>(unknown: &str) -> BTreeSet<String> {
    let Err(error) = serde_json::from_str::<T>(unknown) else {
        panic!("{unknown} is known")
    };
    let error = error.to_string();
    let (_, expected) = error.split_once("expected").unwrap();
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
