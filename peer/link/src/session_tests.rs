use super::*;
use proptest::prelude::*;
use tincan_protocol::wire::{Put, Stored};

const HEARTBEAT: Duration = Duration::from_secs(15);

fn transcript(byte: u8) -> Transcript {
    use tincan_protocol::link::{Role, Statement};
    use tincan_protocol::{DeviceId, IdentityId, LinkSessionId};
    let statement = |role| Statement {
        session: LinkSessionId::from_bytes([byte; 16]),
        role,
        from_identity: IdentityId::from_bytes([1; 32]),
        from_device: DeviceId::from_bytes([2; 32]),
        to_identity: IdentityId::from_bytes([3; 32]),
        to_device: DeviceId::from_bytes([4; 32]),
        nonce: [5; 32],
        issued_ms: 0,
        proto_major: PROTO_MAJOR,
        proto_minor: PROTO_MINOR,
        fingerprint: [6; 32],
        sdp_sha256: [7; 32],
        bind: [0; 32],
    };
    Transcript::of(&statement(Role::Offer), &statement(Role::Answer))
}

fn frame(kind: Kind) -> Bytes {
    PeerFrame::from(kind).write()
}

fn put() -> Bytes {
    frame(Kind::Put(Put {
        envelope: Bytes::from_static(b"e"),
    }))
}

fn hello_of(byte: u8) -> Bytes {
    let mut session = Session::new(HEARTBEAT, Instant::now());
    session.handle_open(transcript(byte), Vec::new(), Instant::now());
    session.poll_transmit(Instant::now()).unwrap()
}

fn greeting(now: Instant) -> Session {
    let mut session = Session::new(HEARTBEAT, now);
    session.handle_open(transcript(1), Vec::new(), now);
    session
}

fn up(now: Instant) -> Session {
    let mut session = greeting(now);
    let _ = session.poll_transmit(now);
    assert!(matches!(
        session.handle_message(hello_of(1), now),
        Ok(Received::Up(_))
    ));
    session
}

#[test]
fn hello_comes_first_and_opens_the_link() {
    let now = Instant::now();
    let mut session = greeting(now);
    assert!(!session.is_up());
    assert_eq!(session.poll_transmit(now), Some(hello_of(1)));
    assert!(matches!(
        session.handle_message(hello_of(1), now),
        Ok(Received::Up(_))
    ));
    assert!(session.is_up());
    assert!(matches!(
        session.handle_message(put(), now),
        Ok(Received::Frame(_))
    ));
}

#[test]
fn nothing_but_hello_is_taken_before_hello() {
    let now = Instant::now();
    let kinds = [
        Kind::Put(Put::default()),
        Kind::Stored(Stored::default()),
        Kind::Ping(Ping { nonce: 1 }),
        Kind::Pong(Pong { nonce: 1 }),
    ];
    for kind in kinds {
        let result = greeting(now).handle_message(frame(kind), now);
        assert!(
            matches!(result, Err(DownReason::Misbehaved { .. })),
            "{result:?}"
        );
    }
    let unknown = greeting(now).handle_message(Bytes::new(), now);
    assert!(matches!(unknown, Err(DownReason::Misbehaved { .. })));
}

#[test]
fn another_transcript_or_version_is_a_mismatch() {
    let now = Instant::now();
    assert_eq!(
        greeting(now).handle_message(hello_of(2), now),
        Err(DownReason::HelloMismatch)
    );
    let other_version = frame(Kind::Hello(Hello {
        transcript: transcript(1).as_bytes().to_vec(),
        proto_major: u32::from(PROTO_MAJOR) + 1,
        ..Hello::default()
    }));
    assert_eq!(
        greeting(now).handle_message(other_version, now),
        Err(DownReason::HelloMismatch)
    );
}

#[test]
fn hello_is_said_once_and_in_time() {
    let now = Instant::now();
    let again = up(now).handle_message(hello_of(1), now);
    assert!(matches!(again, Err(DownReason::Misbehaved { .. })));
    let mut silent = greeting(now);
    assert_eq!(silent.handle_timeout(true, now + HELLO_TIMEOUT / 2), Ok(()));
    assert_eq!(
        silent.handle_timeout(true, silent.poll_timeout()),
        Err(DownReason::HelloTimeout)
    );
    let mut alone = Session::new(HEARTBEAT, now);
    assert_eq!(
        alone.handle_timeout(true, alone.poll_timeout()),
        Err(DownReason::ConnectTimeout)
    );
}

#[test]
fn regression_while_nobody_listens_the_wait_for_hello_begins_anew() {
    let now = Instant::now();
    let mut session = greeting(now);
    let due = session.poll_timeout();
    assert_eq!(session.handle_timeout(false, due), Ok(()));
    // It may be there, unread: whoever sleeps until then does not spin.
    assert_eq!(session.poll_timeout(), due + HELLO_TIMEOUT);
    assert_eq!(
        session.handle_timeout(true, session.poll_timeout()),
        Err(DownReason::HelloTimeout)
    );
}

/// Runs the session's timers until it ends; how long that took from `now`.
fn silence_until_down(session: &mut Session, listening: bool, now: Instant) -> Option<Duration> {
    for _ in 0..10 {
        let at = session.poll_timeout();
        if let Err(reason) = session.handle_timeout(listening, at) {
            assert_eq!(reason, DownReason::Silent);
            return Some(at - now);
        }
    }
    None
}

#[test]
fn two_missed_heartbeats_end_the_link() {
    let now = Instant::now();
    let lasted = silence_until_down(&mut up(now), true, now).unwrap();
    assert!(
        lasted >= 2 * HEARTBEAT && lasted <= 3 * HEARTBEAT,
        "{lasted:?}"
    );
}

#[test]
fn any_frame_counts_as_life() {
    let now = Instant::now();
    let mut session = up(now);
    for _ in 0..10 {
        let at = session.poll_timeout();
        assert_eq!(session.handle_timeout(true, at), Ok(()));
        assert!(session.handle_message(put(), at).is_ok());
    }
    // Also what this program does not know.
    assert_eq!(
        session.handle_message(Bytes::new(), now),
        Ok(Received::Nothing)
    );
}

#[test]
fn silence_means_nothing_while_nobody_listens() {
    let now = Instant::now();
    let mut session = up(now);
    assert_eq!(silence_until_down(&mut session, false, now), None);
    // The pings went on, so that the other side hears this one.
    assert!(session.poll_transmit(now).is_some());
    let resumed = session.poll_timeout();
    assert!(silence_until_down(&mut session, true, resumed).unwrap() >= HEARTBEAT);
}

#[test]
fn a_round_trip_is_measured_and_foreign_pongs_are_not() {
    let now = Instant::now();
    let mut session = up(now);
    assert_eq!(
        session.poll_transmit(now),
        Some(frame(Kind::Ping(Ping { nonce: 1 })))
    );
    let later = now + Duration::from_millis(40);
    assert!(
        session
            .handle_message(frame(Kind::Pong(Pong { nonce: 9 })), later)
            .is_ok()
    );
    assert_eq!(session.poll_round_trip(), None);
    assert!(
        session
            .handle_message(frame(Kind::Pong(Pong { nonce: 1 })), later)
            .is_ok()
    );
    assert_eq!(session.poll_round_trip(), Some(Duration::from_millis(40)));
    assert_eq!(session.poll_round_trip(), None);
}

#[test]
fn a_flood_of_pings_is_answered_by_one_pong() {
    let now = Instant::now();
    let mut session = up(now);
    let _ = session.poll_transmit(now);
    for nonce in 0..1_000 {
        assert!(
            session
                .handle_message(frame(Kind::Ping(Ping { nonce })), now)
                .is_ok()
        );
    }
    assert_eq!(
        session.poll_transmit(now),
        Some(frame(Kind::Pong(Pong { nonce: 999 })))
    );
    assert_eq!(session.poll_transmit(now), None);
}

#[test]
fn a_bye_ends_the_link_and_its_reason_is_cut() {
    let now = Instant::now();
    let long = "ä".repeat(1_000);
    let end = up(now).handle_message(frame(Kind::Bye(Bye { reason: long })), now);
    let Err(DownReason::ClosedByRemote { reason }) = end else {
        panic!("{end:?}")
    };
    assert_eq!(reason, "ä".repeat(REASON_MAX / 2));
}

proptest! {
    #[test]
    fn no_message_panics(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
        let now = Instant::now();
        for mut session in [greeting(now), up(now)] {
            for message in &messages {
                if session.handle_message(Bytes::from(message.clone()), now).is_err() {
                    break;
                }
            }
        }
    }
}
