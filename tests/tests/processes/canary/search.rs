//! Looking for a text in bytes, in every shape in which it could have got there.
//!
//! What goes from a client to a server in a WebSocket is masked with four bytes that repeat (RFC
//! 6455, 5.3). So what is compared is every byte with the one four places further: the mask falls
//! out, and bytes that are not masked are found the same way.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// A random text, and the shapes of it.
pub(crate) struct Canary {
    pub(crate) text: String,
    shapes: Vec<(String, Vec<u8>)>,
}

impl Canary {
    /// Letters only, so that nobody has to escape them.
    pub(crate) fn new() -> Self {
        let letter = || char::from(b'a' + rand::random_range(0..26u8));
        Self::of(std::iter::repeat_with(letter).take(24).collect())
    }

    fn of(text: String) -> Self {
        let shapes = shapes(&text);
        Self { text, shapes }
    }

    /// In which shapes it is in there.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let bytes = differences(bytes);
        self.shapes
            .iter()
            .filter(|(_, shape)| contains(&bytes, &differences(shape)))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The shapes that are looked for, to be planted where they must be found.
    pub(crate) fn shapes(&self) -> &[(String, Vec<u8>)] {
        &self.shapes
    }
}

fn shapes(text: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = text.as_bytes();
    let utf16 = || text.encode_utf16();
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let mut shapes = vec![
        ("plain".to_owned(), bytes.to_vec()),
        ("capitals".to_owned(), text.to_uppercase().into_bytes()),
        ("hex".to_owned(), hex::encode(bytes).into_bytes()),
        ("HEX".to_owned(), hex::encode_upper(bytes).into_bytes()),
        (
            "UTF-16LE".to_owned(),
            utf16().flat_map(u16::to_le_bytes).collect(),
        ),
        (
            "UTF-16BE".to_owned(),
            utf16().flat_map(u16::to_be_bytes).collect(),
        ),
        ("list of bytes".to_owned(), decimal.join(", ").into_bytes()),
        (
            "list of bytes, tight".to_owned(),
            decimal.join(",").into_bytes(),
        ),
    ];
    for (name, alphabet) in [("base64", STANDARD), ("base64url", URL_SAFE)] {
        // Other bytes may come before it: three ways in which it falls on the groups of three.
        for before in 0..3 {
            let padded = [vec![0; before], bytes.to_vec()].concat();
            let encoded = alphabet.encode(&padded);
            // The characters that only its own bytes decide.
            let first = (before * 8).div_ceil(6);
            let last = padded.len() * 8 / 6;
            let own = encoded.as_bytes()[first..last].to_vec();
            shapes.push((format!("{name} after {before}"), own));
        }
    }
    shapes
}

fn differences(bytes: &[u8]) -> Vec<u8> {
    let further = bytes.iter().skip(4);
    bytes.iter().zip(further).map(|(a, b)| a ^ b).collect()
}

fn contains(bytes: &[u8], pattern: &[u8]) -> bool {
    let mut rest = bytes;
    // `position` of one byte is fast, and most windows end there.
    while let Some(at) = rest.iter().position(|byte| *byte == pattern[0]) {
        rest = &rest[at..];
        if rest.starts_with(pattern) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[test]
fn a_canary_is_found_in_every_shape_and_under_every_mask() {
    let canary = Canary::new();
    for (name, shape) in canary.shapes() {
        let bytes = [b"before ".as_slice(), shape, b" after"].concat();
        assert!(canary.found_in(&bytes).contains(&name.as_str()), "{name}");
        let mask: [u8; 4] = rand::random();
        let masked: Vec<u8> = bytes
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        assert!(canary.found_in(&masked).contains(&name.as_str()), "{name}");
    }
    let text = format!("before {} after", Canary::new().text);
    assert!(canary.found_in(text.as_bytes()).is_empty());
}
