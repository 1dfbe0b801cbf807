//! What a parser may allocate.

/// Bytes of memory for each byte of input. The worst case by design is a list of empty things: two
/// bytes on the wire for 32 or 48 bytes of a `Vec`'s element, and a `Vec` that grows holds its old and
/// its new room at once.
const PER_BYTE: usize = 96;

/// Bytes that an input may cost however short it is: error texts, tables of a parser.
const FLOOR: usize = 64 * 1024;

/// Runs a parser on `len` bytes of input and makes sure that it never holds more memory than a fixed
/// multiple of them.
///
/// # Panics
/// If it does.
pub fn bounded<T>(len: usize, parser: impl FnOnce() -> T) -> T {
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(parser()));
    let max = (len * PER_BYTE + FLOOR) as u64;
    assert!(
        used.bytes_max <= max,
        "{} bytes of memory for {len} bytes of input, at most {max} are allowed",
        used.bytes_max
    );
    result.expect("it has run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_within_its_bound_is_handed_through() {
        assert_eq!(bounded(1000, || vec![1_u8; 1000]), vec![1; 1000]);
    }

    #[test]
    #[should_panic(expected = "bytes of memory for 10 bytes of input")]
    fn a_parser_that_believes_a_length_is_found_out() {
        bounded(10, || {
            std::hint::black_box(Vec::<u8>::with_capacity(1 << 20)).len()
        });
    }
}
