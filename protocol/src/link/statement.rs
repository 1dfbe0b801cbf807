//! The bytes a device signs about its end of a direct link: fixed layout, big-endian.
//!
//! ```text
//! u8 len | "tincan/1 webrtc-offer" or "...-answer"
//! session[16] | role u8 | from_identity[32] | from_device[32] | to_identity[32] | to_device[32]
//! nonce[32] | issued_ms u64 | proto_major u16 | proto_minor u16
//! fingerprint_sha256[32] | sdp_sha256[32] | bind[32]
//! ```

use crate::ids::{DeviceId, IdentityId, LinkSessionId};
use crate::labels::Label;

/// Which of the two statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The first one.
    Offer,
    /// The reply.
    Answer,
}

impl Role {
    /// The label it is signed under.
    #[must_use]
    pub const fn label(self) -> Label {
        match self {
            Self::Offer => Label::Offer,
            Self::Answer => Label::Answer,
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Offer => 0,
            Self::Answer => 1,
        }
    }
}

/// One side's signed statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Chosen at random by the offerer, repeated in the answer.
    pub session: LinkSessionId,
    /// Offer or answer.
    pub role: Role,
    /// Who signs.
    pub from_identity: IdentityId,
    /// The signing device.
    pub from_device: DeviceId,
    /// Who is meant.
    pub to_identity: IdentityId,
    /// Which of their devices.
    pub to_device: DeviceId,
    /// Random.
    pub nonce: [u8; 32],
    /// When it was signed, Unix milliseconds.
    pub issued_ms: u64,
    /// [`super::PROTO_MAJOR`] of the signer.
    pub proto_major: u16,
    /// [`super::PROTO_MINOR`] of the signer.
    pub proto_minor: u16,
    /// SHA-256 of the DTLS certificate that the signer will show.
    pub fingerprint: [u8; 32],
    /// SHA-256 of the SDP text.
    pub sdp_sha256: [u8; 32],
    /// Offer: zeros. Answer: SHA-256 of the offer's statement bytes.
    pub bind: [u8; 32],
}

/// Why bytes are not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not the label of an offer or answer.
    #[error("statement is neither an offer nor an answer")]
    Label,
    /// Too short or too long.
    #[error("statement has {len} bytes, which is not the length of its layout")]
    Length {
        /// Length found, in bytes.
        len: usize,
    },
    /// The role byte does not fit the label.
    #[error("statement says role {role} under the other role's label")]
    Role {
        /// The byte found.
        role: u8,
    },
}

impl Statement {
    /// The signed bytes, label included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.role.label().bytes(&[
            self.session.as_bytes(),
            &[self.role.byte()],
            self.from_identity.as_bytes(),
            self.from_device.as_bytes(),
            self.to_identity.as_bytes(),
            self.to_device.as_bytes(),
            &self.nonce,
            &self.issued_ms.to_be_bytes(),
            &self.proto_major.to_be_bytes(),
            &self.proto_minor.to_be_bytes(),
            &self.fingerprint,
            &self.sdp_sha256,
            &self.bind,
        ])
    }

    /// Reads what [`Statement::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StatementError> {
        let role = [Role::Offer, Role::Answer]
            .into_iter()
            .find(|role| bytes.starts_with(&role.label().bytes(&[])))
            .ok_or(StatementError::Label)?;
        let mut reader = Reader {
            rest: &bytes[role.label().bytes(&[]).len()..],
            len: bytes.len(),
        };
        let session = LinkSessionId::from_bytes(reader.take()?);
        let [role_byte] = reader.take()?;
        if role_byte != role.byte() {
            return Err(StatementError::Role { role: role_byte });
        }
        let statement = Self {
            session,
            role,
            from_identity: IdentityId::from_bytes(reader.take()?),
            from_device: DeviceId::from_bytes(reader.take()?),
            to_identity: IdentityId::from_bytes(reader.take()?),
            to_device: DeviceId::from_bytes(reader.take()?),
            nonce: reader.take()?,
            issued_ms: u64::from_be_bytes(reader.take()?),
            proto_major: u16::from_be_bytes(reader.take()?),
            proto_minor: u16::from_be_bytes(reader.take()?),
            fingerprint: reader.take()?,
            sdp_sha256: reader.take()?,
            bind: reader.take()?,
        };
        if !reader.rest.is_empty() {
            return Err(StatementError::Length { len: bytes.len() });
        }
        Ok(statement)
    }
}

/// Takes fixed-length fields from the front of a slice.
struct Reader<'a> {
    rest: &'a [u8],
    len: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StatementError> {
        let (field, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(StatementError::Length { len: self.len })?;
        self.rest = rest;
        Ok(*field)
    }
}

/// SHA-256 over both statements: what each side says in its `Hello`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcript([u8; 32]);

impl Transcript {
    /// The transcript of an offer and an answer.
    #[must_use]
    pub fn of(offer: &Statement, answer: &Statement) -> Self {
        Self(Label::Link.hash(&[&offer.encode(), &answer.encode()]))
    }

    /// The bytes for `Hello`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn sample(role: Role) -> Statement {
        Statement {
            session: LinkSessionId::from_bytes([1; 16]),
            role,
            from_identity: IdentityId::from_bytes([2; 32]),
            from_device: DeviceId::from_bytes([3; 32]),
            to_identity: IdentityId::from_bytes([4; 32]),
            to_device: DeviceId::from_bytes([5; 32]),
            nonce: [6; 32],
            issued_ms: 0x0708,
            proto_major: 1,
            proto_minor: 2,
            fingerprint: [9; 32],
            sdp_sha256: [10; 32],
            bind: [11; 32],
        }
    }

    #[test]
    fn the_layout_is_pinned() {
        let expected = [
            "15",
            &hex::encode("tincan/1 webrtc-offer"),
            &"01".repeat(16),
            "00",
            &"02".repeat(32),
            &"03".repeat(32),
            &"04".repeat(32),
            &"05".repeat(32),
            &"06".repeat(32),
            "0000000000000708",
            "0001",
            "0002",
            &"09".repeat(32),
            &"0a".repeat(32),
            &"0b".repeat(32),
        ];
        assert_eq!(hex::encode(sample(Role::Offer).encode()), expected.concat());
        let mut expected = expected;
        (expected[0], expected[3]) = ("16", "01");
        let label = hex::encode("tincan/1 webrtc-answer");
        expected[1] = &label;
        assert_eq!(
            hex::encode(sample(Role::Answer).encode()),
            expected.concat()
        );
    }

    #[test]
    fn statements_round_trip() {
        for role in [Role::Offer, Role::Answer] {
            assert_eq!(Statement::decode(&sample(role).encode()), Ok(sample(role)));
        }
    }

    #[test]
    fn other_lengths_labels_and_roles_are_refused() {
        let bytes = sample(Role::Offer).encode();
        assert!(matches!(
            Statement::decode(&bytes[..bytes.len() - 1]),
            Err(StatementError::Length { .. })
        ));
        let mut long = bytes.clone();
        long.push(0);
        assert!(matches!(
            Statement::decode(&long),
            Err(StatementError::Length { .. })
        ));
        let mut role = bytes;
        role[22 + 16] = 1;
        assert_eq!(
            Statement::decode(&role),
            Err(StatementError::Role { role: 1 })
        );
        assert_eq!(Statement::decode(b""), Err(StatementError::Label));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = Statement::decode(&bytes);
        }
    }
}
