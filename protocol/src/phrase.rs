//! The 24 words an identity can be restored from (BIP39, English list, 32 bytes of entropy).

use hkdf::Hkdf;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

use crate::keys::IdentityKey;
use crate::labels::Label;

/// Number of words: 32 bytes of entropy and one of checksum (BIP39).
pub const PHRASE_WORDS: usize = 24;

/// The words are not a phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhraseError {
    /// Not 24 words.
    #[error("the phrase has {found} words instead of {PHRASE_WORDS}")]
    WordCount {
        /// Number of words found.
        found: usize,
    },
    /// A word is not on the list.
    #[error("word {position} is not on the word list")]
    UnknownWord {
        /// Place of the word, from 1. The word itself is secret and not shown.
        position: usize,
    },
    /// All words are known, but not in this combination.
    #[error("the words do not belong together: one of them is wrong or in the wrong place")]
    Checksum,
}

/// The entropy behind an identity, as words.
#[derive(Clone)]
pub struct Phrase {
    entropy: Zeroizing<[u8; 32]>,
}

impl Phrase {
    /// Makes a phrase from 32 uniformly random bytes.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        Self {
            entropy: Zeroizing::new(entropy),
        }
    }

    /// Reads 24 words, in any case and with any white space between them.
    ///
    /// # Errors
    /// [`PhraseError`] says which word to look at.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let text = Zeroizing::new(
            text.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase(),
        );
        let found = text.split(' ').filter(|word| !word.is_empty()).count();
        if found != PHRASE_WORDS {
            return Err(PhraseError::WordCount { found });
        }
        let mnemonic = bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &text)
            .map_err(|error| match error {
                bip39::Error::UnknownWord(index) => PhraseError::UnknownWord {
                    position: index + 1,
                },
                _ => PhraseError::Checksum,
            })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let entropy: [u8; 32] = entropy
            .as_slice()
            .try_into()
            .map_err(|_| PhraseError::Checksum)?;
        Ok(Self::from_entropy(entropy))
    }

    /// The entropy, for the encrypted store.
    #[must_use]
    pub fn entropy(&self) -> &[u8; 32] {
        &self.entropy
    }

    /// The words, separated by single spaces.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        // 32 bytes are a valid entropy length, so this cannot fail; the empty string would be
        // refused by `parse`.
        bip39::Mnemonic::from_entropy_in(bip39::Language::English, self.entropy.as_slice())
            .map(|mnemonic| Zeroizing::new(mnemonic.to_string()))
            .unwrap_or_default()
    }

    /// The identity key: HKDF-SHA256 of the entropy (RFC 5869, no salt, info "tincan/1 identity").
    #[must_use]
    pub fn identity_key(&self) -> IdentityKey {
        let mut seed = Zeroizing::new([0; 32]);
        let hkdf = Hkdf::<Sha256>::new(None, self.entropy.as_slice());
        // Fails only for outputs above 8,160 bytes.
        let expanded = hkdf.expand(Label::Identity.text().as_bytes(), seed.as_mut_slice());
        debug_assert!(expanded.is_ok());
        IdentityKey::from_seed(&seed)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phrase(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_known_entropy_are_those_of_bip39() {
        // BIP39's own test vector for 32 zero bytes.
        let words = Phrase::from_entropy([0; 32]).words();
        assert!(words.starts_with("abandon abandon "));
        assert!(words.ends_with(" art"));
    }

    #[test]
    fn an_identity_key_is_pinned() {
        let identity = Phrase::from_entropy([0; 32]).identity_key().identity();
        assert_eq!(
            hex::encode(identity.as_bytes()),
            "98eb2edc65e61fc3b58f30cb66c2a105a01be29e254a5ecca68f0b8925c68dd3"
        );
    }

    #[test]
    fn words_round_trip_and_forgive_case_and_space() {
        let phrase = Phrase::from_entropy([0x5a; 32]);
        let untidy = phrase.words().to_uppercase().replace(' ', "\n  ");
        let again = Phrase::parse(&untidy).unwrap();
        assert_eq!(again.words(), phrase.words());
        assert_eq!(again.entropy(), &[0x5a; 32]);
    }

    #[test]
    fn debug_shows_no_word() {
        let phrase = Phrase::from_entropy([0x5a; 32]);
        assert_eq!(format!("{phrase:?}"), "Phrase(..)");
    }

    #[test]
    fn wrong_words_say_what_is_wrong() {
        assert_eq!(
            Phrase::parse("one two").unwrap_err(),
            PhraseError::WordCount { found: 2 }
        );
        assert_eq!(
            Phrase::parse("").unwrap_err(),
            PhraseError::WordCount { found: 0 }
        );
        let mut words: Vec<_> = std::iter::repeat_n("abandon", 24).collect();
        assert_eq!(
            Phrase::parse(&words.join(" ")).unwrap_err(),
            PhraseError::Checksum
        );
        words[6] = "abandonn";
        assert_eq!(
            Phrase::parse(&words.join(" ")).unwrap_err(),
            PhraseError::UnknownWord { position: 7 }
        );
    }
}
