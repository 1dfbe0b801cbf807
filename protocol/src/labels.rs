//! Domain separation: the labels that keep a signature or hash made for one purpose from being
//! taken for another.
//!
//! What is signed or hashed is always `u8 length | label | parts`, with every part of fixed length
//! or carrying its own length, so that no two different inputs give the same bytes.

use sha2::{Digest, Sha256};

/// A label of the first protocol version. The list is closed: one purpose, one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Label {
    /// Derives the identity key from the phrase's entropy.
    Identity,
    /// An identity certifies a device.
    DeviceCert,
    /// A device signs an invite.
    Invite,
    /// Derives an invite's secret from the seed of its queue.
    InviteSecret,
    /// A request proves that its sender has had the link.
    InviteProof,
    /// A connection proves that it holds a signal address.
    SignalLogin,
    /// A connection proves that it holds a relay queue's key.
    RelayAuth,
    /// A device signs a WebRTC offer.
    Offer,
    /// A device signs a WebRTC answer.
    Answer,
    /// A device signs an ICE candidate.
    Candidate,
    /// A device signs the end of a link session.
    SignalBye,
    /// Transcript of offer and answer.
    Link,
    /// Envelope id.
    Envelope,
    /// Id of a conversation between two identities.
    DirectConversation,
    /// Safety number of two identities.
    SafetyNumber,
}

impl Label {
    /// The label's text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Identity => "tincan/1 identity",
            Self::DeviceCert => "tincan/1 device-cert",
            Self::Invite => "tincan/1 invite",
            Self::InviteSecret => "tincan/1 invite-secret",
            Self::InviteProof => "tincan/1 invite-proof",
            Self::SignalLogin => "tincan/1 signal-login",
            Self::RelayAuth => "tincan/1 relay-auth",
            Self::Offer => "tincan/1 webrtc-offer",
            Self::Answer => "tincan/1 webrtc-answer",
            Self::Candidate => "tincan/1 webrtc-candidate",
            Self::SignalBye => "tincan/1 webrtc-bye",
            Self::Link => "tincan/1 link",
            Self::Envelope => "tincan/1 envelope",
            Self::DirectConversation => "tincan/1 direct-conversation",
            Self::SafetyNumber => "tincan/1 safety-number",
        }
    }

    /// `u8 length | label | parts`.
    #[must_use]
    pub fn bytes(self, parts: &[&[u8]]) -> Vec<u8> {
        let text = self.text().as_bytes();
        let mut bytes =
            Vec::with_capacity(1 + text.len() + parts.iter().map(|p| p.len()).sum::<usize>());
        bytes.push(self.text_len());
        bytes.extend_from_slice(text);
        for part in parts {
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// SHA-256 of `u8 length | label | parts`.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update([self.text_len()]);
        hash.update(self.text().as_bytes());
        for part in parts {
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Labels are shorter than 64 bytes (checked by a test), so this never truncates.
    const fn text_len(self) -> u8 {
        self.text().len() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_their_length_leads() {
        for label in [Label::Identity, Label::DirectConversation, Label::Candidate] {
            assert!(label.text().len() < 64);
            let bytes = label.bytes(&[b"x"]);
            assert_eq!(usize::from(bytes[0]), label.text().len());
            assert_eq!(bytes.last(), Some(&b'x'));
        }
    }

    #[test]
    fn a_hash_is_the_hash_of_the_bytes() {
        let bytes = Label::Envelope.bytes(&[b"a", b"bc"]);
        let direct: [u8; 32] = Sha256::digest(&bytes).into();
        assert_eq!(Label::Envelope.hash(&[b"a", b"bc"]), direct);
    }
}
