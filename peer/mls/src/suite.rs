//! What every group of this protocol version has in common: the cipher suite and the settings.

use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, ExtensionType, Lifetime, MlsGroupCreateConfig,
    MlsGroupJoinConfig, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, PastEpochDeletionPolicy,
    SenderRatchetConfiguration,
};

/// The one cipher suite, 0x004E: X-Wing (ML-KEM-768 with X25519), AES-256-GCM, SHA-384, Ed25519.
/// There is no negotiation. The code point is provisional (draft-ietf-mls-pq-ciphersuites): if it
/// changes, groups and key packages made before it are of no use.
pub(crate) const SUITE: Ciphersuite = Ciphersuite::MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519;

/// Ciphertexts are padded to a multiple of this, bytes. Chosen: short texts, receipts and
/// reactions look alike.
const PADDING: usize = 256;

/// Messages of one sender that may arrive after a later one of the same epoch: a whole mailbox
/// (1,000 envelopes) and a window in flight (64), which a first message over a new link overtakes,
/// and some receipts. Each skipped key costs about 210 bytes in the group's row until it is used or
/// falls out of the window, a used one five.
const OUT_OF_ORDER: u32 = 1_088;

/// Messages of one sender that may be missing before the next one that opens; beyond it the
/// conversation cannot go on. Somebody who is away gets at most what fits a mailbox in 30 days and a
/// window in 14, so this is more than a year of a contact who writes all the time. Opening computes
/// every key on the way, about 4 µs each (measured): a hostile member can make us spend 65 ms on a
/// message.
const FORWARD: u32 = 16_384;

/// Epochs whose keys are kept for late messages. Each adds about as much to the group's row as
/// the current one has; the library's default of none would lose every late message.
const PAST_EPOCHS: usize = 5;

/// How far a clock may be behind ours before our key packages seem to be from the future to it,
/// seconds. Chosen: a day, as with a wrong time zone; the library gives an hour.
const CLOCK_SLACK_S: u64 = 24 * 3600;

pub(crate) fn create_config() -> MlsGroupCreateConfig {
    MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .capabilities(capabilities())
        .lifetime(lifetime())
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .padding_size(PADDING)
        .sender_ratchet_configuration(SenderRatchetConfiguration::new(OUT_OF_ORDER, FORWARD))
        .set_past_epoch_deletion_policy(PastEpochDeletionPolicy::MaxEpochs(PAST_EPOCHS))
        .use_ratchet_tree_extension(true)
        .build()
}

pub(crate) fn join_config() -> MlsGroupJoinConfig {
    create_config().join_config().clone()
}

/// What a leaf says it can do. Few words, because they are in every key package and Welcome.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::new(
        None,
        Some(&[SUITE]),
        Some(&[ExtensionType::LastResort]),
        None,
        Some(&[CredentialType::Basic]),
    )
}

/// The library's twelve weeks from its clock's now, moved back by [`CLOCK_SLACK_S`].
pub(crate) fn lifetime() -> Lifetime {
    let from_now = Lifetime::default();
    Lifetime::init(
        from_now.not_before().saturating_sub(CLOCK_SLACK_S),
        from_now.not_after().saturating_sub(CLOCK_SLACK_S),
    )
}
