//! The safety number: what two people compare, over another way, to be sure of each other's identity.
//!
//! The scheme is that of Signal's numeric fingerprints (libsignal, `fingerprint.rs`): a hash of each identity,
//! iterated so that finding another identity with a similar number costs more, 30 digits of each, in an order
//! that is the same on both sides.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha512};

use crate::IdentityId;
use crate::labels::Label;

/// Hashes of one identity. As in Signal's scheme: about 2^12 times the work for whoever looks for another one.
const ITERATIONS: usize = 5_200;

/// Digits of one identity.
const DIGITS_EACH: usize = 30;

/// Digits read together.
const GROUP: usize = 5;

/// 60 digits.
#[derive(Clone, PartialEq, Eq)]
pub struct SafetyNumber(String);

/// Why a text is no safety number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a safety number has 60 digits, this has {found}")]
pub struct SafetyNumberError {
    /// Digits found.
    pub found: usize,
}

impl SafetyNumber {
    /// The number of two people, the same for both.
    #[must_use]
    pub fn of(one: &IdentityId, other: &IdentityId) -> Self {
        let mut halves = [digits(one), digits(other)];
        halves.sort();
        Self(halves.concat())
    }

    /// All digits, without spaces: what a QR code shows.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

/// Twelve groups of five digits.
impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, digit) in self.0.chars().enumerate() {
            if place > 0 && place % GROUP == 0 {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyNumber({self})")
    }
}

/// Reads it as people write it down, whatever stands between the digits.
impl FromStr for SafetyNumber {
    type Err = SafetyNumberError;

    fn from_str(text: &str) -> Result<Self, SafetyNumberError> {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        if digits.len() != 2 * DIGITS_EACH {
            return Err(SafetyNumberError {
                found: digits.len(),
            });
        }
        Ok(Self(digits))
    }
}

/// Six numbers of five digits, each of five bytes of the hash.
fn digits(identity: &IdentityId) -> String {
    let mut hash = Sha512::digest(Label::SafetyNumber.bytes(&[identity.as_bytes()]));
    for _ in 1..ITERATIONS {
        hash = Sha512::new()
            .chain_update(hash)
            .chain_update(identity.as_bytes())
            .finalize();
    }
    let groups = hash.chunks_exact(GROUP).take(DIGITS_EACH / GROUP);
    let numbers = groups.map(|group| {
        let number = group
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte));
        format!("{:05}", number % 100_000)
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_number_and_it_is_pinned() {
        let (ann, bob) = (
            IdentityId::from_bytes([1; 32]),
            IdentityId::from_bytes([2; 32]),
        );
        let number = SafetyNumber::of(&ann, &bob);
        assert_eq!(number, SafetyNumber::of(&bob, &ann));
        assert_eq!(
            number.to_string(),
            "06636 31066 38091 13730 38543 95580 75115 63822 08617 23462 78569 96740"
        );
        assert_eq!(number.digits().len(), 60);
        let eve = IdentityId::from_bytes([3; 32]);
        assert_ne!(SafetyNumber::of(&ann, &eve), number);
    }

    #[test]
    fn it_is_read_as_it_is_shown() {
        let (ann, bob) = (
            IdentityId::from_bytes([1; 32]),
            IdentityId::from_bytes([2; 32]),
        );
        let number = SafetyNumber::of(&ann, &bob);
        assert_eq!(number.to_string().parse(), Ok(number.clone()));
        assert_eq!(number.digits().parse(), Ok(number));
        let error = "12345 67890".parse::<SafetyNumber>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a safety number has 60 digits, this has 10"
        );
    }
}
