//! What a hostile signaling server may try with a signed offer or answer, and that it gets no
//! session for it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the harness of a test: what fails here is a failed test"
)]

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::{DeviceKey, IdentityKey};
use tincan_protocol::limits::{LINK_CLOCK_SKEW_MS, SDP_MAX};
use tincan_protocol::link::sdp::SdpError;
use tincan_protocol::link::{
    Expected, LinkError, PROTO_MAJOR, PROTO_MINOR, Role, SeenSessions, SignedDescription,
    Statement, Transcript, VerifiedDescription, verify,
};
use tincan_protocol::signal::Opaque;
use tincan_protocol::{DeviceId, IdentityId, LinkSessionId};

const NOW_MS: u64 = 1_900_000_000_000;

struct Person {
    identity: IdentityKey,
    device: DeviceKey,
}

impl Person {
    fn new(seed: u8) -> Self {
        Self {
            identity: IdentityKey::from_seed(&[seed; 32]),
            device: DeviceKey::from_seed(&[seed + 100; 32]),
        }
    }

    fn ids(&self) -> (IdentityId, DeviceId) {
        (self.identity.identity(), self.device.device())
    }

    fn cert(&self) -> DeviceCert {
        DeviceCert::issue(&self.identity, self.device.device(), NOW_MS - 1_000)
    }
}

fn sdp(fingerprint: u8) -> String {
    let digits = vec![format!("{fingerprint:02X}"); 32].join(":");
    format!(
        "v=0\r\na=fingerprint:sha-256 {digits}\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    )
}

fn statement(from: &Person, to: &Person, offer: Option<&Statement>) -> Statement {
    let (from_identity, from_device) = from.ids();
    let (to_identity, to_device) = to.ids();
    Statement {
        session: LinkSessionId::from_bytes([1; 16]),
        role: if offer.is_some() {
            Role::Answer
        } else {
            Role::Offer
        },
        from_identity,
        from_device,
        to_identity,
        to_device,
        nonce: [6; 32],
        issued_ms: NOW_MS,
        proto_major: PROTO_MAJOR,
        proto_minor: PROTO_MINOR,
        fingerprint: [0xab; 32],
        sdp_sha256: Sha256::digest(sdp(0xab)).into(),
        bind: offer.map_or([0; 32], |offer| Sha256::digest(offer.encode()).into()),
    }
}

fn signed(statement: &Statement, from: &Person) -> SignedDescription {
    SignedDescription::sign(statement, sdp(0xab), &from.cert(), &from.device)
}

fn check(
    description: &SignedDescription,
    from: &Person,
    to: &Person,
    offer: Option<&Statement>,
) -> Result<VerifiedDescription, LinkError> {
    let expected = Expected {
        me: to.ids(),
        from: from.ids(),
        now_ms: NOW_MS,
        offer,
    };
    verify(description, &expected, &mut SeenSessions::default())
}

#[test]
fn an_honest_offer_and_answer_pass_and_give_one_transcript() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let offer = statement(&ann, &bob, None);
    let at_bob = check(&signed(&offer, &ann), &ann, &bob, None).unwrap();
    let answer = statement(&bob, &ann, Some(&at_bob.statement));
    let at_ann = check(&signed(&answer, &bob), &bob, &ann, Some(&offer)).unwrap();
    assert_eq!(
        Transcript::of(&offer, &at_ann.statement),
        Transcript::of(&at_bob.statement, &answer)
    );
}

#[test]
fn a_swapped_fingerprint_makes_no_session() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let mut description = signed(&statement(&ann, &bob, None), &ann);
    description.sdp = sdp(0xcd);
    assert_eq!(
        check(&description, &ann, &bob, None).unwrap_err(),
        LinkError::SdpChanged
    );
    // Even a device that signs one certificate and shows another in its SDP gets nowhere.
    let mut lie = statement(&ann, &bob, None);
    lie.sdp_sha256 = Sha256::digest(sdp(0xcd)).into();
    let description = SignedDescription::sign(&lie, sdp(0xcd), &ann.cert(), &ann.device);
    assert_eq!(
        check(&description, &ann, &bob, None).unwrap_err(),
        LinkError::Fingerprint
    );
}

#[test]
fn a_replayed_offer_makes_no_session() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let description = signed(&statement(&ann, &bob, None), &ann);
    let mut seen = SeenSessions::default();
    let mut at = |now_ms| {
        let expected = Expected {
            me: bob.ids(),
            from: ann.ids(),
            now_ms,
            offer: None,
        };
        verify(&description, &expected, &mut seen).map(|_| ())
    };
    assert_eq!(at(NOW_MS), Ok(()));
    assert_eq!(at(NOW_MS + 1), Err(LinkError::Replayed));
    assert_eq!(at(NOW_MS + LINK_CLOCK_SKEW_MS), Err(LinkError::Replayed));
    let skew_ms = LINK_CLOCK_SKEW_MS + 1;
    assert_eq!(at(NOW_MS + skew_ms), Err(LinkError::Clock { skew_ms }));
}

#[test]
fn an_offer_for_or_from_somebody_else_makes_no_session() {
    let (ann, bob, eve) = (Person::new(1), Person::new(2), Person::new(3));
    let offer = signed(&statement(&ann, &bob, None), &ann);
    assert_eq!(
        check(&offer, &ann, &eve, None).unwrap_err(),
        LinkError::Recipient
    );
    assert!(matches!(
        check(&offer, &eve, &bob, None).unwrap_err(),
        LinkError::Signature(_)
    ));
    // Eve claims to be Ann, with her own device and a certificate of her own.
    let mut claim = statement(&ann, &bob, None);
    claim.from_device = eve.device.device();
    let description = signed(&claim, &eve);
    let expected = Expected {
        me: bob.ids(),
        from: (ann.identity.identity(), eve.device.device()),
        now_ms: NOW_MS,
        offer: None,
    };
    let result = verify(&description, &expected, &mut SeenSessions::default());
    assert_eq!(result.unwrap_err(), LinkError::Sender);
}

#[test]
fn an_answer_to_another_offer_makes_no_session() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let offer = statement(&ann, &bob, None);
    let mut other = offer.clone();
    other.nonce = [7; 32];
    let answer = signed(&statement(&bob, &ann, Some(&other)), &bob);
    assert_eq!(
        check(&answer, &bob, &ann, Some(&offer)).unwrap_err(),
        LinkError::Bind
    );
    // An answer is no offer, and an offer no answer.
    assert_eq!(
        check(&answer, &bob, &ann, None).unwrap_err(),
        LinkError::Role
    );
}

#[test]
fn an_offer_answers_nothing() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let mut offer = statement(&ann, &bob, None);
    offer.bind[31] = 1;
    assert_eq!(
        check(&signed(&offer, &ann), &ann, &bob, None).unwrap_err(),
        LinkError::Bind
    );
}

#[test]
fn another_major_version_makes_no_session_and_another_minor_one_does() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let mut offer = statement(&ann, &bob, None);
    offer.proto_minor += 1;
    check(&signed(&offer, &ann), &ann, &bob, None).unwrap();
    offer.proto_major += 1;
    assert_eq!(
        check(&signed(&offer, &ann), &ann, &bob, None).unwrap_err(),
        LinkError::Version {
            major: PROTO_MAJOR + 1
        }
    );
}

#[test]
fn an_sdp_above_its_limit_is_refused_before_anything_else_is_looked_at() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let mut description = signed(&statement(&ann, &bob, None), &ann);
    description.sdp = "x".repeat(SDP_MAX);
    assert_eq!(
        check(&description, &ann, &bob, None).unwrap_err(),
        LinkError::SdpChanged
    );
    description.sdp.push('x');
    let len = SDP_MAX + 1;
    assert_eq!(
        check(&description, &ann, &bob, None).unwrap_err(),
        LinkError::Sdp(SdpError::TooLarge { len })
    );
}

#[test]
fn a_certificate_that_has_ended_makes_no_session() {
    let (ann, bob) = (Person::new(1), Person::new(2));
    let description = signed(&statement(&ann, &bob, None), &ann);
    let expected = Expected {
        me: bob.ids(),
        from: ann.ids(),
        now_ms: ann.cert().expires_ms(),
        offer: None,
    };
    let result = verify(&description, &expected, &mut SeenSessions::default());
    assert!(matches!(result.unwrap_err(), LinkError::Cert(_)));
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_makes_no_session(part in 0..4usize, at: prop::sample::Index, bit in 0..8u8) {
        let (ann, bob) = (Person::new(1), Person::new(2));
        let mut description = signed(&statement(&ann, &bob, None), &ann);
        let mut sdp = description.sdp.clone().into_bytes();
        let bytes = match part {
            0 => &mut description.statement.0,
            1 => &mut description.signature.0,
            2 => &mut description.cert.0,
            _ => &mut sdp,
        };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let Ok(sdp) = String::from_utf8(sdp) else { return Ok(()) };
        description.sdp = sdp;
        prop_assert!(check(&description, &ann, &bob, None).is_err());
    }

    #[test]
    fn no_description_panics(statement in prop::collection::vec(any::<u8>(), 0..500), cert in prop::collection::vec(any::<u8>(), 0..200), sdp in ".{0,100}") {
        let (ann, bob) = (Person::new(1), Person::new(2));
        let description = SignedDescription {
            statement: Opaque(statement),
            signature: Opaque(vec![0; 64]),
            cert: Opaque(cert),
            sdp,
        };
        prop_assert!(check(&description, &ann, &bob, None).is_err());
    }
}
