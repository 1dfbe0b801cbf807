//! The name of an MLS group.

use openmls::group::GroupId as MlsGroupId;
use openmls_traits::random::OpenMlsRand;
use std::fmt;

/// Lengths a group id may have, bytes. 16 random bytes do not meet by chance.
const LEN_MIN: usize = 16;
const LEN_MAX: usize = 32;

/// The name of an MLS group: 16 to 32 random bytes. Where two devices share several groups, the
/// lowest is the one to send on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(Vec<u8>);

/// Bytes have the wrong length for a group id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("group id has {len} bytes instead of {LEN_MIN} to {LEN_MAX}")]
pub struct GroupIdLength {
    /// Length found, in bytes.
    pub len: usize,
}

impl GroupId {
    /// Takes the bytes of a group's name.
    ///
    /// # Errors
    /// [`GroupIdLength`] unless there are 16 to 32 of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GroupIdLength> {
        if (LEN_MIN..=LEN_MAX).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(GroupIdLength { len: bytes.len() })
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as an owned vector, as protobuf messages want them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.clone()
    }

    pub(crate) fn random<R: OpenMlsRand>(source: &R) -> Result<Self, R::Error> {
        source.random_vec(LEN_MIN).map(Self)
    }

    pub(crate) fn to_mls(&self) -> MlsGroupId {
        MlsGroupId::from_slice(&self.0)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupId(")?;
        for byte in self.0.iter().take(4) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_id_has_16_to_32_bytes() {
        assert!(GroupId::from_bytes(&[1; 16]).is_ok());
        assert!(GroupId::from_bytes(&[1; 32]).is_ok());
        assert_eq!(
            GroupId::from_bytes(&[1; 15]),
            Err(GroupIdLength { len: 15 })
        );
        assert_eq!(
            GroupId::from_bytes(&[1; 33]),
            Err(GroupIdLength { len: 33 })
        );
    }

    #[test]
    fn debug_shows_the_first_four_bytes() {
        let id = GroupId::from_bytes(&[0xab; 16]).unwrap();
        assert_eq!(format!("{id:?}"), "GroupId(abababab)");
    }
}
