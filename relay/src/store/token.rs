//! The comparison of tokens.

use subtle::ConstantTimeEq;
use tincan_protocol::ids::TokenHash;

/// Whether the presented token is the stored one. Takes the same time for every wrong token and
/// for a queue that does not exist, so that nobody learns more than "no".
pub(super) fn fits(stored: Option<&[u8; 32]>, presented: &TokenHash) -> bool {
    let equal = stored.unwrap_or(&[0; 32]).ct_eq(presented.as_bytes());
    (equal & subtle::Choice::from(u8::from(stored.is_some()))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stored_token_fits() {
        assert!(fits(Some(&[7; 32]), &TokenHash::from_bytes([7; 32])));
        assert!(!fits(Some(&[7; 32]), &TokenHash::from_bytes([8; 32])));
        assert!(!fits(None, &TokenHash::from_bytes([0; 32])));
    }
}
