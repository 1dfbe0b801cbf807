//! A stronger attacker: the server can open and seal what goes through it, as if it held the
//! address keys of both. What remains is what the devices sign.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tincan_link::{DownReason, LinkConfig, LinkEvent, LinkHandle, Parties};
use tincan_protocol::cert::DeviceCert;
use tincan_protocol::keys::{AddressKey, DeviceKey, IdentityKey};
use tincan_protocol::limits::LINK_CLOCK_SKEW_MS;
use tincan_protocol::link::{
    Expected, LinkError, LinkSignal, SeenSessions, SignedDescription, Statement,
    VerifiedDescription, sdp, verify,
};
use tincan_protocol::{DeviceId, IdentityId, sealed_box};
use tokio::sync::mpsc;

/// Nothing here takes this long, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// One of the two, or the server in their place.
struct Person {
    identity: IdentityKey,
    device: DeviceKey,
    address: AddressKey,
    seen: SeenSessions,
}

type Link = (LinkHandle, mpsc::Receiver<LinkEvent>);

impl Person {
    fn new(seed: u8) -> Self {
        Self {
            identity: IdentityKey::from_seed(&[seed; 32]),
            device: DeviceKey::from_seed(&[seed + 100; 32]),
            address: AddressKey::from_seed(&[seed + 200; 32]),
            seen: SeenSessions::default(),
        }
    }

    fn ids(&self) -> (IdentityId, DeviceId) {
        (self.identity.identity(), self.device.device())
    }

    fn cert(&self) -> DeviceCert {
        DeviceCert::issue(&self.identity, self.device.device(), now_ms() - 1_000)
    }

    fn with(&self, other: &Self) -> Parties {
        Parties {
            identity: self.identity.identity(),
            cert: self.cert(),
            key: self.device.clone(),
            remote: other.ids(),
        }
    }

    /// Opens a sealed signal as the peer does, and the attacker.
    fn open(&self, sealed: &[u8]) -> LinkSignal {
        LinkSignal::decode(&sealed_box::open(&self.address, sealed).unwrap()).unwrap()
    }

    fn seal_to(&self, signal: &LinkSignal) -> Vec<u8> {
        let bytes = signal.encode().unwrap();
        sealed_box::seal(&self.address.address(), &bytes, &mut sealed_box::OsRng).unwrap()
    }

    /// Checks an offer of `from` at this time.
    fn take_offer(
        &mut self,
        sealed: &[u8],
        from: &Self,
        now_ms: u64,
    ) -> Result<VerifiedDescription, LinkError> {
        let LinkSignal::Offer(offer) = self.open(sealed) else {
            panic!("no offer")
        };
        let expected = Expected {
            me: self.ids(),
            from: from.ids(),
            now_ms,
            offer: None,
        };
        verify(&offer, &expected, &mut self.seen)
    }

    async fn offer(&self, to: &Self) -> (Link, SignedDescription) {
        let parties = self.with(to);
        let (handle, mut events) = LinkHandle::offer(config(), parties, Vec::new(), now_ms())
            .await
            .unwrap();
        let Some(LinkEvent::Signal(LinkSignal::Offer(offer))) = events.recv().await else {
            panic!("no offer")
        };
        ((handle, events), offer)
    }

    async fn answer(&self, to: &Self, offer: VerifiedDescription) -> (Link, SignedDescription) {
        let parties = self.with(to);
        let (handle, mut events) =
            LinkHandle::answer(config(), parties, Vec::new(), offer, now_ms())
                .await
                .unwrap();
        let Some(LinkEvent::Signal(LinkSignal::Answer(answer))) = events.recv().await else {
            panic!("no answer")
        };
        ((handle, events), answer)
    }
}

fn config() -> LinkConfig {
    let mut config = LinkConfig::default();
    config.loopback = true;
    config
}

/// How a link ends that never was up.
async fn ends(mut link: Link) -> DownReason {
    let down = async {
        loop {
            match link.1.recv().await.expect("an event") {
                LinkEvent::Down { reason } => return reason,
                LinkEvent::Signal(_) => {}
                event => panic!("there is a session: {event:?}"),
            }
        }
    };
    tokio::time::timeout(LIMIT, down).await.expect("an end")
}

/// Passes candidates on until both are up: that the attacker's machinery is able to make a session.
async fn both_up(a: &mut Link, b: &mut Link) {
    let mut up = 0;
    let all = async {
        while up < 2 {
            let (event, to) = tokio::select! {
                event = a.1.recv() => (event, &b.0),
                event = b.1.recv() => (event, &a.0),
            };
            match event.expect("an event") {
                LinkEvent::Signal(signal) => to.handle_signal(signal),
                LinkEvent::Up { .. } => up += 1,
                event => panic!("{event:?}"),
            }
        }
    };
    tokio::time::timeout(LIMIT, all).await.expect("a session");
}

/// The description with the SDP of somebody else's connection; the rest as it was.
fn with_sdp_of(description: &SignedDescription, other: &SignedDescription) -> SignedDescription {
    SignedDescription {
        sdp: other.sdp.clone(),
        ..description.clone()
    }
}

/// The statement says what the other SDP is, but the signature is as it was.
fn with_statement_about(
    description: &SignedDescription,
    other: &SignedDescription,
) -> SignedDescription {
    let mut statement = Statement::decode(&description.statement.0).unwrap();
    statement.fingerprint = sdp::fingerprint(&other.sdp).unwrap();
    statement.sdp_sha256 = Sha256::digest(other.sdp.as_bytes()).into();
    let mut forged = with_sdp_of(description, other);
    forged.statement.0 = statement.encode();
    forged
}

/// All of it signed, by the attacker's own device.
fn signed_by(
    attacker: &Person,
    description: &SignedDescription,
    other: &SignedDescription,
) -> SignedDescription {
    let forged = with_statement_about(description, other);
    let statement = Statement::decode(&forged.statement.0).unwrap();
    SignedDescription::sign(&statement, forged.sdp, &attacker.cert(), &attacker.device)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_swaps_fingerprints_gets_no_session() {
    let (ann, mut bob, eve) = (Person::new(1), Person::new(2), Person::new(3));
    let (mut a, offer) = ann.offer(&bob).await;
    // Eve's own connection, into which she wants to lead them.
    let (eves, eves_offer) = eve.offer(&bob).await;

    for forged in [
        with_sdp_of(&offer, &eves_offer),
        with_statement_about(&offer, &eves_offer),
        signed_by(&eve, &offer, &eves_offer),
    ] {
        let sealed = bob.seal_to(&LinkSignal::Offer(forged));
        let error = bob.take_offer(&sealed, &ann, now_ms()).unwrap_err();
        assert!(
            matches!(error, LinkError::SdpChanged | LinkError::Signature(_)),
            "{error}"
        );
        // The honest offer would have been noted as seen by the first check that holds for a
        // forged one: so the next is met by somebody who has seen nothing.
        bob.seen = SeenSessions::default();
    }

    // The honest offer, and the answer that Eve swaps on the way back.
    let sealed = bob.seal_to(&LinkSignal::Offer(offer));
    let verified = bob.take_offer(&sealed, &ann, now_ms()).unwrap();
    let (mut b, answer) = bob.answer(&ann, verified.clone()).await;
    for forge in [with_sdp_of, with_statement_about] {
        let (link, offer) = ann.offer(&bob).await;
        let sealed = bob.seal_to(&LinkSignal::Offer(offer));
        let verified = bob.take_offer(&sealed, &ann, now_ms()).unwrap();
        let (b, answer) = bob.answer(&ann, verified).await;
        let forged = LinkSignal::Answer(forge(&answer, &eves_offer));
        link.0.handle_signal(ann.open(&ann.seal_to(&forged)));
        let reason = ends(link).await;
        assert!(
            matches!(
                reason,
                DownReason::BadAnswer(LinkError::SdpChanged | LinkError::Signature(_))
            ),
            "{reason}"
        );
        b.0.close("over");
    }

    // The same way without a change makes a session.
    a.0.handle_signal(ann.open(&ann.seal_to(&LinkSignal::Answer(answer))));
    both_up(&mut a, &mut b).await;
    eves.0.close("over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_replays_an_old_offer_gets_no_session() {
    let (mut ann, mut bob) = (Person::new(1), Person::new(2));
    let (mut a, offer) = ann.offer(&bob).await;
    let sealed = bob.seal_to(&LinkSignal::Offer(offer.clone()));
    let verified = bob.take_offer(&sealed, &ann, now_ms()).unwrap();
    let (mut b, answer) = bob.answer(&ann, verified.clone()).await;
    a.0.handle_signal(ann.open(&ann.seal_to(&LinkSignal::Answer(answer.clone()))));
    both_up(&mut a, &mut b).await;
    a.0.close("over");
    b.0.close("over");

    // The same offer once more: at once, at the end of the time in which it is fresh, and after it.
    let issued = verified.statement.issued_ms;
    for (at, expected) in [
        (now_ms(), LinkError::Replayed),
        (issued + LINK_CLOCK_SKEW_MS, LinkError::Replayed),
        (
            issued + LINK_CLOCK_SKEW_MS + 1,
            LinkError::Clock {
                skew_ms: LINK_CLOCK_SKEW_MS + 1,
            },
        ),
    ] {
        assert_eq!(bob.take_offer(&sealed, &ann, at).unwrap_err(), expected);
    }
    // And back to the one who made it.
    let sealed = ann.seal_to(&LinkSignal::Offer(offer.clone()));
    assert!(ann.take_offer(&sealed, &bob, now_ms()).is_err());

    // Bob has started again and forgotten it. He answers; but what Ann offers now is something
    // else, so neither his new answer nor the old one opens it, and his side ends alone.
    bob.seen = SeenSessions::default();
    let sealed = bob.seal_to(&LinkSignal::Offer(offer));
    let replayed = bob.take_offer(&sealed, &ann, now_ms()).unwrap();
    let (alone, new_answer) = bob.answer(&ann, replayed).await;
    for late in [new_answer, answer] {
        let (link, _) = ann.offer(&bob).await;
        link.0.handle_signal(LinkSignal::Answer(late));
        let reason = ends(link).await;
        assert!(
            matches!(
                reason,
                DownReason::BadAnswer(LinkError::Bind)
                    | DownReason::ConnectTimeout
                    | DownReason::PathLost
            ),
            "{reason}"
        );
    }
    // Where the candidates of the old offer lead to, somebody may have answered for a while.
    let reason = ends(alone).await;
    assert!(
        matches!(reason, DownReason::ConnectTimeout | DownReason::PathLost),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_flips_a_byte_of_the_signed_part_gets_no_session() {
    let (ann, mut bob) = (Person::new(1), Person::new(2));
    let (mut a, offer) = ann.offer(&bob).await;
    let flips: [fn(&mut SignedDescription) -> &mut Vec<u8>; 3] = [
        |description| &mut description.statement.0,
        |description| &mut description.signature.0,
        |description| &mut description.cert.0,
    ];
    let mut refused = 0;
    for part in flips {
        for at in 0..part(&mut offer.clone()).len() {
            for bit in [0x01, 0x80] {
                let mut forged = offer.clone();
                part(&mut forged)[at] ^= bit;
                let sealed = bob.seal_to(&LinkSignal::Offer(forged));
                // Somebody who has seen nothing: it is refused for what it says.
                bob.seen = SeenSessions::default();
                assert!(
                    bob.take_offer(&sealed, &ann, now_ms()).is_err(),
                    "byte {at}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 2 * 500);
    // What is signed as a hash.
    for at in 0..offer.sdp.len() {
        let mut sdp = offer.sdp.clone().into_bytes();
        sdp[at] ^= 1;
        let mut forged = offer.clone();
        forged.sdp = String::from_utf8(sdp).unwrap();
        bob.seen = SeenSessions::default();
        let sealed = bob.seal_to(&LinkSignal::Offer(forged));
        assert!(
            bob.take_offer(&sealed, &ann, now_ms()).is_err(),
            "byte {at} of the SDP"
        );
    }

    // A flipped byte of the answer ends the offering side; one place in each field.
    bob.seen = SeenSessions::default();
    for at in [0, 22, 39, 71, 103, 135, 167, 199, 207, 209, 211, 243, 275] {
        let (link, offer) = ann.offer(&bob).await;
        let sealed = bob.seal_to(&LinkSignal::Offer(offer));
        let verified = bob.take_offer(&sealed, &ann, now_ms()).unwrap();
        let (b, mut answer) = bob.answer(&ann, verified).await;
        answer.statement.0[at] ^= 1;
        link.0
            .handle_signal(ann.open(&ann.seal_to(&LinkSignal::Answer(answer))));
        let reason = ends(link).await;
        assert!(
            matches!(
                reason,
                DownReason::BadAnswer(_) | DownReason::ConnectTimeout
            ),
            "byte {at}: {reason}"
        );
        b.0.close("over");
    }

    // The same way without a change makes a session.
    let sealed = bob.seal_to(&LinkSignal::Offer(offer));
    let verified = bob.take_offer(&sealed, &ann, now_ms()).unwrap();
    let (mut b, answer) = bob.answer(&ann, verified).await;
    a.0.handle_signal(ann.open(&ann.seal_to(&LinkSignal::Answer(answer))));
    both_up(&mut a, &mut b).await;
}
