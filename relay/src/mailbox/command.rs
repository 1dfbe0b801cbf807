//! Requests that have been read: right lengths, within the limits.

use bytes::Bytes;
use tincan_protocol::ids::{EnvelopeId, QueueId, TokenHash, WriteToken};
use tincan_protocol::limits::{HANDSHAKE_MAX, KEY_PACKAGE_MAX, KEY_PACKAGES_MAX};
use tincan_protocol::wire;
use tincan_protocol::wire::relay_request::Kind;

use super::refusal::Refusal;
use crate::store::{QueueKind, Write};

/// What a connection wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// A change, as the store takes it.
    Write(Write),
    /// Deliver everything behind an index, and what comes later.
    Subscribe {
        /// The queue.
        queue: QueueId,
        /// The last index the reader has.
        after_index: u64,
    },
}

impl Command {
    /// The key that the connection must have proved; `None` where a token decides.
    #[must_use]
    pub fn key_needed(&self) -> Option<QueueId> {
        match self {
            Self::Subscribe { queue, .. }
            | Self::Write(
                Write::Create { queue, .. }
                | Write::Delete { queue }
                | Write::Ack { queue, .. }
                | Write::Expire { queue },
            ) => Some(*queue),
            Self::Write(Write::Publish { owner, .. }) => Some(*owner),
            Self::Write(Write::Deposit { .. } | Write::Append { .. } | Write::Take { .. }) => None,
        }
    }
}

/// Reads every kind of request but `Auth`.
pub(super) fn read(kind: Kind) -> Result<Command, Refusal> {
    Ok(match kind {
        Kind::Auth(_) => return Err(Refusal::bad_request("a login is not a command")),
        Kind::QueueCreate(request) => Command::Write(Write::Create {
            queue: key(&request.queue)?,
            kind: queue_kind(request.kind())?,
            token: token_hash(&request.write_token_hash)?,
        }),
        Kind::QueueDelete(request) => Command::Write(Write::Delete {
            queue: key(&request.queue)?,
        }),
        Kind::Deposit(request) => Command::Write(Write::Deposit {
            queue: key(&request.queue)?,
            token: token(&request.write_token)?,
            env_id: EnvelopeId::of(within_limits(&request.envelope)?),
            envelope: request.envelope,
        }),
        Kind::Append(request) => Command::Write(Write::Append {
            queue: key(&request.queue)?,
            token: token(&request.write_token)?,
            after_index: request.after_index,
            env_id: EnvelopeId::of(within_limits(&request.entry)?),
            entry: request.entry,
        }),
        Kind::Subscribe(request) => Command::Subscribe {
            queue: key(&request.queue)?,
            after_index: request.after_index,
        },
        Kind::AckUpTo(request) => Command::Write(Write::Ack {
            queue: key(&request.queue)?,
            index: request.index,
        }),
        Kind::KeyPackagePublish(request) => Command::Write(publish(request)?),
        Kind::KeyPackageTake(request) => Command::Write(Write::Take {
            owner: key(&request.owner)?,
            token: token(&request.token)?,
        }),
    })
}

fn publish(request: wire::KeyPackagePublish) -> Result<Write, Refusal> {
    if request.packages.len() > KEY_PACKAGES_MAX {
        return Err(Refusal::bad_request(
            "at most 20 single-use key packages are kept",
        ));
    }
    let packages = request
        .packages
        .into_iter()
        .map(key_package)
        .collect::<Result<_, _>>()?;
    let last_resort = Some(request.last_resort).filter(|package| !package.is_empty());
    Ok(Write::Publish {
        owner: key(&request.owner)?,
        token: token_hash(&request.token_hash)?,
        packages,
        last_resort: last_resort.map(key_package).transpose()?,
    })
}

fn key_package(bytes: Vec<u8>) -> Result<Bytes, Refusal> {
    match bytes.len() {
        0 => Err(Refusal::bad_request("a key package is empty")),
        len if len > KEY_PACKAGE_MAX => Err(Refusal::too_large("a key package has at most 8 KiB")),
        _ => Ok(bytes.into()),
    }
}

fn within_limits(envelope: &Bytes) -> Result<&Bytes, Refusal> {
    match envelope.len() {
        0 => Err(Refusal::bad_request("the envelope is empty")),
        len if len > HANDSHAKE_MAX => Err(Refusal::too_large("an envelope has at most 1 MiB")),
        _ => Ok(envelope),
    }
}

fn queue_kind(kind: wire::QueueKind) -> Result<QueueKind, Refusal> {
    match kind {
        wire::QueueKind::Mailbox => Ok(QueueKind::Mailbox),
        wire::QueueKind::Log => Ok(QueueKind::Log),
        wire::QueueKind::Unspecified => Err(Refusal::bad_request("unknown kind of queue")),
    }
}

fn key(bytes: &[u8]) -> Result<QueueId, Refusal> {
    QueueId::try_from(bytes).map_err(|_| Refusal::bad_request("a key has 32 bytes"))
}

fn token(bytes: &[u8]) -> Result<TokenHash, Refusal> {
    let token =
        WriteToken::try_from(bytes).map_err(|_| Refusal::bad_request("a token has 16 bytes"))?;
    Ok(token.hash())
}

fn token_hash(bytes: &[u8]) -> Result<TokenHash, Refusal> {
    TokenHash::try_from(bytes).map_err(|_| Refusal::bad_request("a token's hash has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tincan_protocol::wire::RelayErrorCode;

    fn deposit(queue: usize, token: usize, envelope: usize) -> Result<Command, Refusal> {
        read(Kind::Deposit(wire::Deposit {
            queue: vec![1; queue].into(),
            write_token: vec![2; token].into(),
            envelope: vec![3; envelope].into(),
        }))
    }

    #[test]
    fn an_envelope_has_a_byte_at_least_and_a_mebibyte_at_most() {
        assert!(deposit(32, 16, 1).is_ok());
        assert!(deposit(32, 16, HANDSHAKE_MAX).is_ok());
        assert_eq!(
            deposit(32, 16, 0),
            Err(Refusal::bad_request("the envelope is empty"))
        );
        let refusal = deposit(32, 16, HANDSHAKE_MAX + 1).unwrap_err();
        assert_eq!(refusal, Refusal::too_large("an envelope has at most 1 MiB"));
    }

    #[test]
    fn a_queue_without_a_kind_is_refused() {
        let request = wire::QueueCreate {
            queue: vec![1; 32],
            kind: 0,
            write_token_hash: vec![1; 32],
        };
        assert!(read(Kind::QueueCreate(request)).is_err());
    }

    #[test]
    fn key_packages_are_bounded_in_number_and_size() {
        let publish = |count, len| {
            read(Kind::KeyPackagePublish(wire::KeyPackagePublish {
                owner: vec![1; 32],
                token_hash: vec![1; 32],
                packages: vec![vec![1; len]; count],
                last_resort: vec![],
            }))
        };
        assert!(publish(20, KEY_PACKAGE_MAX).is_ok());
        assert!(publish(0, 0).is_ok());
        assert!(publish(21, 1).is_err());
        assert!(publish(1, 0).is_err());
        let refusal = publish(1, KEY_PACKAGE_MAX + 1).unwrap_err();
        let wire::relay_reply::Kind::Error(error) = refusal.kind() else {
            panic!("no error")
        };
        assert_eq!(error.code(), RelayErrorCode::TooLarge);
    }

    proptest! {
        #[test]
        fn only_exact_lengths_are_read(queue in 0usize..40, token in 0usize..40) {
            prop_assert_eq!(deposit(queue, token, 1).is_ok(), queue == 32 && token == 16);
        }
    }
}
