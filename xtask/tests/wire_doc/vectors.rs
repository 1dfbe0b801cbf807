//! The page's test vectors, computed.

use tincan_protocol::cert::DeviceCert;
use tincan_protocol::content::{Body, Content};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::invite::{InviteSecret, ProofOf};
use tincan_protocol::keys::{AddressKey, DeviceKey, IdentityKey, QueueKey};
use tincan_protocol::link::{
    Role, SignedBye, SignedCandidate, SignedDescription, Statement, Transcript,
};
use tincan_protocol::origin::Origin;
use tincan_protocol::phrase::Phrase;
use tincan_protocol::safety_number::SafetyNumber;
use tincan_protocol::signal::{Nonce, prove_login};
use tincan_protocol::wire::{Frame, PeerFrame, Put, peer_frame};
use tincan_protocol::{
    ConversationId, DeviceId, EnvelopeId, IdentityId, LinkSessionId, MsgId, QueueId, WriteToken,
    relay_auth,
};

/// Name and value of each.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    [identifiers(), logins(), link(), invite(), frames()].concat()
}

fn identifiers() -> Vec<(&'static str, String)> {
    let cert = DeviceCert::issue(
        &IdentityKey::from_seed(&[1; 32]),
        DeviceKey::from_seed(&[2; 32]).device(),
        1_700_000_000_000,
    );
    let (one, two) = (
        IdentityId::from_bytes([1; 32]),
        IdentityId::from_bytes([2; 32]),
    );
    vec![
        (
            "identity",
            hex::encode(
                Phrase::from_entropy([0; 32])
                    .identity_key()
                    .identity()
                    .as_bytes(),
            ),
        ),
        ("address", IdentityId::from_bytes([0x11; 32]).to_string()),
        (
            "token hash",
            hex::encode(WriteToken::from_bytes([2; 16]).hash().as_bytes()),
        ),
        (
            "envelope id",
            hex::encode(EnvelopeId::of(b"tincan").as_bytes()),
        ),
        (
            "conversation id",
            hex::encode(ConversationId::direct(&two, &one).as_bytes()),
        ),
        (
            "safety number",
            SafetyNumber::of(&one, &two).digits().to_owned(),
        ),
        ("device certificate", hex::encode(cert.encode())),
    ]
}

fn logins() -> Vec<(&'static str, String)> {
    let nonce = [7; 32];
    let login = prove_login(
        &AddressKey::from_seed(&[1; 32]),
        &Nonce(nonce),
        &Origin::from_host_header("chat.example.org"),
    );
    let relay = relay_auth::prove(
        &QueueKey::from_seed(&[1; 32]),
        &nonce,
        &Origin::from_host_header("relay.example.org:8443"),
    );
    vec![
        ("signal login", hex::encode(login.signature.0)),
        ("relay login", hex::encode(relay)),
    ]
}

fn link() -> Vec<(&'static str, String)> {
    let key = DeviceKey::from_seed(&[2; 32]);
    let session = LinkSessionId::from_bytes([1; 16]);
    let candidate = SignedCandidate::sign(session, 3, "candidate:1 1 udp".to_owned(), &key);
    let bye = SignedBye::sign(session, &key);
    let (offer, answer) = (statement(Role::Offer), statement(Role::Answer));
    let cert = DeviceCert::issue(
        &IdentityKey::from_seed(&[1; 32]),
        key.device(),
        1_700_000_000_000,
    );
    let signed = SignedDescription::sign(&offer, String::new(), &cert, &key);
    vec![
        ("offer statement", hex::encode(offer.encode())),
        ("offer signature", hex::encode(signed.signature.0)),
        (
            "transcript",
            hex::encode(Transcript::of(&offer, &answer).as_bytes()),
        ),
        ("candidate signature", hex::encode(candidate.signature.0)),
        ("bye signature", hex::encode(bye.signature.0)),
    ]
}

fn statement(role: Role) -> Statement {
    Statement {
        session: LinkSessionId::from_bytes([1; 16]),
        role,
        from_identity: IdentityId::from_bytes([2; 32]),
        from_device: DeviceId::from_bytes([3; 32]),
        to_identity: IdentityId::from_bytes([4; 32]),
        to_device: DeviceId::from_bytes([5; 32]),
        nonce: [6; 32],
        issued_ms: 7,
        proto_major: 1,
        proto_minor: 0,
        fingerprint: [8; 32],
        sdp_sha256: [9; 32],
        bind: [0; 32],
    }
}

fn invite() -> Vec<(&'static str, String)> {
    let secret = InviteSecret::of_queue(&[5; 32]);
    let proof = secret.prove(ProofOf {
        host: &IdentityId::from_bytes([1; 32]),
        guest: &IdentityId::from_bytes([2; 32]),
        device: &DeviceId::from_bytes([3; 32]),
        queue: &QueueId::from_bytes([4; 32]),
    });
    vec![
        ("invite secret", hex::encode(secret.to_vec())),
        ("invite proof", hex::encode(proof.to_vec())),
    ]
}

fn frames() -> Vec<(&'static str, String)> {
    let content = Content {
        msg_id: MsgId::from_u128(1),
        seq: 3,
        hlc: Hlc::from_u64(2),
        body: Body::text("hi"),
    };
    let put = PeerFrame::from(peer_frame::Kind::Put(Put {
        envelope: vec![7].into(),
    }));
    vec![
        ("text content", hex::encode(content.encode())),
        ("put frame", hex::encode(put.write())),
    ]
}
