//! The form in which people see an identity: bech32m (BIP-350) with the prefix `tin`.

use bech32::{Bech32m, Hrp};
use std::fmt;
use std::str::FromStr;

use crate::ids::IdentityId;

const PREFIX: Hrp = Hrp::parse_unchecked("tin");

/// The text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not bech32m at all, or a typing error that its checksum caught.
    #[error("not a valid address: a character is wrong or missing")]
    Malformed,
    /// A bech32m text of something else.
    #[error("an address starts with \"tin1\", this one with \"{prefix}1\"")]
    WrongPrefix {
        /// The prefix found.
        prefix: String,
    },
    /// The right prefix around the wrong number of bytes.
    #[error("an address holds 32 bytes, this one {len}")]
    WrongLength {
        /// Number of bytes found.
        len: usize,
    },
}

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Fails only for inputs longer than the checksum covers; 32 bytes are well below.
        bech32::encode_to_fmt::<Bech32m, _>(f, PREFIX, self.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl FromStr for IdentityId {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|_| AddressError::Malformed)?;
        if checked.hrp() != PREFIX {
            return Err(AddressError::WrongPrefix {
                prefix: checked.hrp().to_string(),
            });
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        Self::try_from(bytes.as_slice())
            .map_err(|error| AddressError::WrongLength { len: error.len })
    }
}

impl serde::Serialize for IdentityId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for IdentityId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_pinned() {
        let text = IdentityId::from_bytes([0x11; 32]).to_string();
        assert_eq!(
            text,
            "tin1zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs8xmump"
        );
    }

    #[test]
    fn a_wrong_address_says_why() {
        let good = IdentityId::from_bytes([0x11; 32]).to_string();
        assert_eq!("".parse::<IdentityId>(), Err(AddressError::Malformed));
        assert_eq!(
            good[..good.len() - 1].parse::<IdentityId>(),
            Err(AddressError::Malformed)
        );
        let other = bech32::encode::<Bech32m>(Hrp::parse("nostr").unwrap(), &[1; 32]).unwrap();
        assert_eq!(
            other.parse::<IdentityId>(),
            Err(AddressError::WrongPrefix {
                prefix: "nostr".into()
            })
        );
        let short = bech32::encode::<Bech32m>(PREFIX, &[1; 31]).unwrap();
        assert_eq!(
            short.parse::<IdentityId>(),
            Err(AddressError::WrongLength { len: 31 })
        );
    }

    proptest! {
        #[test]
        fn addresses_round_trip(bytes: [u8; 32]) {
            let id = IdentityId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn one_wrong_character_is_always_noticed(bytes: [u8; 32], at in 4usize..62, to in "[ac-hj-np-z02-9]") {
            let mut text = IdentityId::from_bytes(bytes).to_string();
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert_eq!(text.parse::<IdentityId>(), Err(AddressError::Malformed));
        }

        #[test]
        fn no_text_panics(text in ".{0,100}") {
            let _ = text.parse::<IdentityId>();
        }
    }
}
