//! The handshake of a direct link.

use sha2::{Digest, Sha256};
use tincan_protocol::limits::{
    CANDIDATE_MAX, CANDIDATES_MAX, LINK_CLOCK_SKEW_MS, SDP_MAX, SIGNAL_MESSAGE_MAX,
};
use tincan_protocol::link::candidate::{CandidateLine, without_base};
use tincan_protocol::link::sdp::{SdpError, fingerprint};
use tincan_protocol::link::{
    Expected, LinkError, LinkSignal, PROTO_MAJOR, PROTO_MINOR, Role, SeenSessions, SignedCandidate,
    SignedDescription, Statement, verify,
};
use tincan_protocol::signal::Opaque;
use tincan_protocol::{DeviceId, IdentityId, LinkSessionId};

use super::identity::{CERT, DEVICE_KEY};
use crate::bounded::bounded;
use crate::script::Script;

/// The time of verification, Unix milliseconds.
pub(crate) const NOW_MS: u64 = 1_900_000_100_000;

/// Who verifies.
pub(crate) const ME: (IdentityId, DeviceId) = (
    IdentityId::from_bytes([8; 32]),
    DeviceId::from_bytes([9; 32]),
);

/// The checks on an SDP's text.
pub fn sdp(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match bounded(data.len(), || fingerprint(text)) {
        Ok(found) => {
            assert!(data.len() <= SDP_MAX);
            let digits: Vec<String> = found.iter().map(|byte| format!("{byte:02x}")).collect();
            let lower = text.to_ascii_lowercase();
            assert!(
                lower.contains(&digits.join(":")),
                "a fingerprint that is not there"
            );
            assert_eq!(lower.matches("m=application ").count().min(1), 1);
            // Every other fingerprint that any reader could find is the same one.
            for (at, _) in lower.match_indices("a=fingerprint:") {
                let before = lower[..at].trim_end_matches([' ', '\t']);
                if before.is_empty() || before.ends_with(['\r', '\n']) {
                    assert!(lower[at..].contains(&digits.join(":")));
                }
            }
        }
        Err(SdpError::TooLarge { len }) => assert!(len > SDP_MAX),
        Err(_) => {}
    }
}

/// A candidate's line.
pub fn candidate(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = bounded(data.len(), || CandidateLine::parse(text));
    let hidden = bounded(data.len(), || without_base(text));
    assert_eq!(CandidateLine::parse(&hidden), read, "hiding changes it");
    assert_eq!(without_base(&hidden), hidden);
    let fields: Vec<&str> = hidden.split_ascii_whitespace().collect();
    for pair in fields.get(8..).unwrap_or_default().chunks_exact(2) {
        assert!(pair[0] != "raddr" || pair[1] == "0.0.0.0", "{hidden}");
    }
    let Some(line) = read else { return };
    let (host, port) = (line.address().ip(), line.address().port());
    let kind = if line.is_relayed() { "relay" } else { "host" };
    let plain = format!("candidate:1 1 udp 1 {host} {port} typ {kind}");
    let plain = CandidateLine::parse(&plain).expect("a plain one");
    assert_eq!(
        (plain.address(), plain.is_relayed()),
        (line.address(), line.is_relayed())
    );
    if line.is_usable(false) {
        let host = host.to_canonical();
        assert!(!host.is_loopback() && !host.is_multicast() && !host.is_unspecified());
        assert!(port != 0 && plain.is_usable(false) && line.is_usable(true));
    }
}

/// A statement.
pub fn statement(data: &[u8]) {
    if let Ok(statement) = bounded(data.len(), || Statement::decode(data)) {
        assert_eq!(statement.encode(), data, "two encodings of one statement");
    }
}

/// A signal.
pub fn link_signal(data: &[u8]) {
    let Ok(signal) = bounded(data.len(), || LinkSignal::decode(data)) else {
        return;
    };
    assert!(data.len() <= SIGNAL_MESSAGE_MAX);
    let again = signal.encode().unwrap();
    if again.len() <= SIGNAL_MESSAGE_MAX {
        assert_eq!(LinkSignal::decode(&again).as_ref(), Ok(&signal));
    }
    let key = &*DEVICE_KEY;
    match signal {
        LinkSignal::Offer(description) | LinkSignal::Answer(description) => {
            let expected = expected(None);
            let verified = verify(&description, &expected, &mut SeenSessions::default());
            if let Ok(verified) = verified {
                assert_eq!(verified.sdp, description.sdp);
            }
        }
        LinkSignal::Candidate(candidate) => {
            let fits =
                candidate.candidate.len() <= CANDIDATE_MAX && candidate.counter < CANDIDATES_MAX;
            assert!(fits || candidate.verify(&key.device()).is_err());
            let SignedCandidate {
                session,
                counter,
                candidate,
                ..
            } = candidate;
            let signed = SignedCandidate::sign(session, counter, candidate, key);
            assert_eq!(signed.verify(&key.device()).is_ok(), fits);
        }
        LinkSignal::Bye(bye) => {
            let _ = bye.verify(&key.device());
        }
        _ => {}
    }
}

/// An offer or answer that is signed, in which some things are not as they should be.
pub fn description(data: &[u8]) {
    let mut script = Script::new(data);
    let wrong = script.number();
    let is_wrong = |what: Wrong| wrong & (1 << what as u32) != 0;
    let sdp = match script.byte() % 3 {
        0 => sdp_with(&[0xab; 32], ""),
        1 => sdp_with(&[0xab; 32], &String::from_utf8_lossy(script.chunk())),
        _ => script.text(),
    };
    let key = &*DEVICE_KEY;
    let offer = template(Role::Offer, [0; 32]);
    let is_answer = script.byte() % 2 == 1;
    let mut statement = if is_answer {
        template(Role::Answer, Sha256::digest(offer.encode()).into())
    } else {
        offer.clone()
    };
    statement.sdp_sha256 = Sha256::digest(sdp.as_bytes()).into();
    statement.nonce = script.array();
    let skew = script.number();
    if is_wrong(Wrong::Clock) {
        statement.issued_ms = skew;
    }
    if is_wrong(Wrong::Role) {
        statement.role = [Role::Answer, Role::Offer][usize::from(is_answer)];
    }
    if is_wrong(Wrong::Sender) {
        statement.from_device = DeviceId::from_bytes(script.array());
    }
    if is_wrong(Wrong::Recipient) {
        statement.to_identity = IdentityId::from_bytes(script.array());
    }
    if is_wrong(Wrong::Bind) {
        statement.bind = script.array();
    }
    if is_wrong(Wrong::Version) {
        statement.proto_major = u16::from(script.byte());
    }
    if is_wrong(Wrong::Fingerprint) {
        statement.fingerprint = script.array();
    }
    let mut description = SignedDescription::sign(&statement, sdp, &CERT, key);
    if is_wrong(Wrong::Sdp) {
        description.sdp.push_str(&script.text());
    }
    if is_wrong(Wrong::Bytes) {
        let Opaque(bytes) = match script.byte() % 3 {
            0 => &mut description.statement,
            1 => &mut description.signature,
            _ => &mut description.cert,
        };
        let at = usize::from(script.byte()) % bytes.len();
        bytes[at] ^= script.byte();
    }
    let expected = expected(is_answer.then_some(&offer));
    let mut seen = SeenSessions::default();
    let verified = bounded(data.len() + 4096, || {
        verify(&description, &expected, &mut seen)
    });
    let Ok(verified) = verified else {
        return;
    };
    // What was let through is what an honest contact of ours would have said.
    assert_eq!(verified.statement.encode(), description.statement.0);
    assert_eq!(verified.sdp, description.sdp);
    let said = &verified.statement;
    assert_eq!(said.role == Role::Answer, is_answer);
    assert_eq!((said.from_identity, said.from_device), expected.from);
    assert_eq!((said.to_identity, said.to_device), ME);
    assert!(said.issued_ms.abs_diff(NOW_MS) <= LINK_CLOCK_SKEW_MS);
    assert_eq!(said.proto_major, PROTO_MAJOR);
    let hash: [u8; 32] = Sha256::digest(description.sdp.as_bytes()).into();
    assert_eq!(said.sdp_sha256, hash);
    assert_eq!(fingerprint(&verified.sdp), Ok(said.fingerprint));
    let bind = if is_answer {
        Sha256::digest(offer.encode()).into()
    } else {
        [0; 32]
    };
    assert_eq!(said.bind, bind);
    let again = verify(&description, &expected, &mut seen);
    assert_eq!(again.err(), Some(LinkError::Replayed));
}

/// What may be wrong with a description; the bits of its first number.
#[derive(Clone, Copy)]
enum Wrong {
    Clock,
    Role,
    Sender,
    Recipient,
    Bind,
    Version,
    Fingerprint,
    Sdp,
    Bytes,
}

fn expected(offer: Option<&Statement>) -> Expected<'_> {
    Expected {
        me: ME,
        from: (CERT.identity(), CERT.device()),
        now_ms: NOW_MS,
        offer,
    }
}

pub(crate) fn template(role: Role, bind: [u8; 32]) -> Statement {
    Statement {
        session: LinkSessionId::from_bytes([1; 16]),
        role,
        from_identity: CERT.identity(),
        from_device: CERT.device(),
        to_identity: ME.0,
        to_device: ME.1,
        nonce: [6; 32],
        issued_ms: NOW_MS,
        proto_major: PROTO_MAJOR,
        proto_minor: PROTO_MINOR,
        fingerprint: [0xab; 32],
        sdp_sha256: [0; 32],
        bind,
    }
}

/// An SDP as the WebRTC stack makes it, with more lines at its end.
pub(crate) fn sdp_with(fingerprint: &[u8; 32], more: &str) -> String {
    let digits: Vec<String> = fingerprint
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!(
        "v=0\r\no=- 4215775240449105457 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
         a=fingerprint:sha-256 {}\r\na=group:BUNDLE 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\n\
         a=mid:0\r\na=sendrecv\r\na=sctp-port:5000\r\na=ice-ufrag:AbCdEfGh\r\n\
         a=ice-pwd:0123456789abcdef0123456789abcdef\r\n{more}",
        digits.join(":")
    )
}
