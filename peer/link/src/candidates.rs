//! ICE candidates on their way out (counted, signed) and in (checked, held back).
//!
//! What comes in is signed by an accepted contact, and still only what a link needs is taken: UDP,
//! an address and not a name (a name would have this machine ask a resolver of somebody else's
//! choice), and no address that stands for many machines or for this one.

use std::net::{IpAddr, SocketAddr};

use tincan_protocol::keys::DeviceKey;
use tincan_protocol::limits::{CANDIDATE_MAX, CANDIDATES_MAX};
use tincan_protocol::link::candidate::{CandidateLine, without_base};
use tincan_protocol::link::{LinkSignalError, SignedCandidate};
use tincan_protocol::{DeviceId, LinkSessionId};

/// Signs the candidates that were gathered here.
#[derive(Debug)]
pub struct Outgoing {
    session: LinkSessionId,
    counter: u32,
    /// Whether the address behind a relayed candidate must stay unknown.
    hide_base: bool,
}

impl Outgoing {
    /// For one session; with `hide_base` the address behind a relayed candidate stays unknown.
    pub fn new(session: LinkSessionId, hide_base: bool) -> Self {
        Self {
            session,
            counter: 0,
            hide_base,
        }
    }

    /// The signal for a gathered candidate, or `None` if it is of no use to the other side or one
    /// too many.
    pub fn sign(&mut self, line: String, key: &DeviceKey) -> Option<SignedCandidate> {
        let address = CandidateLine::parse(&line)?.address();
        if address.ip().is_unspecified() || self.counter >= CANDIDATES_MAX {
            return None;
        }
        let line = if self.hide_base {
            without_base(&line)
        } else {
            line
        };
        if line.len() > CANDIDATE_MAX {
            return None;
        }
        let candidate = SignedCandidate::sign(self.session, self.counter, line, key);
        self.counter += 1;
        Some(candidate)
    }
}

/// Checks the other side's candidates and holds them back until its description has been taken.
#[derive(Debug)]
pub struct Incoming {
    session: LinkSessionId,
    device: DeviceId,
    loopback: bool,
    /// Counters seen; [`CANDIDATES_MAX`] is below 64.
    seen: u64,
    waiting: Option<Vec<Candidate>>,
    /// Addresses that the other side has at TURN servers.
    relays: Vec<SocketAddr>,
}

/// One way to the other side, for ICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The line as it was signed.
    pub line: String,
    /// The address in it.
    pub host: IpAddr,
}

/// Why a candidate is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Of an older session, or of one with somebody else.
    #[error("it belongs to another session")]
    Session,
    /// Not signed by the other device, or beyond a limit.
    #[error(transparent)]
    Signed(#[from] LinkSignalError),
    /// It came before, or two were signed under one number.
    #[error("its counter was used before")]
    Repeated,
    /// Of no use, or harmful.
    #[error("it is not a UDP address of one other machine")]
    Address,
}

impl Incoming {
    /// For one session with this device; `loopback`: this machine's own addresses are taken too.
    pub fn new(session: LinkSessionId, device: DeviceId, loopback: bool) -> Self {
        Self {
            session,
            device,
            loopback,
            seen: 0,
            waiting: Some(Vec::new()),
            relays: Vec::new(),
        }
    }

    /// Takes a candidate; the answer is what may be handed to ICE now.
    ///
    /// # Errors
    /// [`Refused`]; then it changes nothing.
    pub fn take(&mut self, candidate: SignedCandidate) -> Result<Option<Candidate>, Refused> {
        if candidate.session != self.session {
            return Err(Refused::Session);
        }
        candidate.verify(&self.device)?;
        let bit = 1u64.checked_shl(candidate.counter).unwrap_or(0);
        if self.seen & bit != 0 {
            return Err(Refused::Repeated);
        }
        let line = CandidateLine::parse(&candidate.candidate).ok_or(Refused::Address)?;
        if !line.is_usable(self.loopback) {
            return Err(Refused::Address);
        }
        self.seen |= bit;
        if line.is_relayed() {
            self.relays.push(line.address());
        }
        let candidate = Candidate {
            line: candidate.candidate,
            host: line.address().ip(),
        };
        match &mut self.waiting {
            Some(waiting) => {
                waiting.push(candidate);
                Ok(None)
            }
            None => Ok(Some(candidate)),
        }
    }

    /// Addresses that the other side has at TURN servers. ICE may have met such an address in a check
    /// before its candidate came, and then does not know what it is.
    pub fn relays(&self) -> &[SocketAddr] {
        &self.relays
    }

    /// The other side's description has been taken: what was held back may be used.
    pub fn release(&mut self) -> Vec<Candidate> {
        self.waiting.take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SESSION: LinkSessionId = LinkSessionId::from_bytes([1; 16]);
    const HOST: &str = "candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host";
    const RELAY: &str =
        "candidate:1 1 udp 1 198.51.100.7 4000 typ relay raddr 192.168.1.5 rport 5000";

    fn key() -> DeviceKey {
        DeviceKey::from_seed(&[7; 32])
    }

    fn incoming() -> Incoming {
        Incoming::new(SESSION, key().device(), false)
    }

    fn signed(counter: u32, line: &str) -> SignedCandidate {
        SignedCandidate::sign(SESSION, counter, line.into(), &key())
    }

    #[test]
    fn candidates_wait_for_the_description_and_then_pass() {
        let mut incoming = incoming();
        assert!(matches!(incoming.take(signed(1, HOST)), Ok(None)));
        assert!(matches!(incoming.take(signed(0, RELAY)), Ok(None)));
        assert_eq!(
            incoming.relays(),
            [SocketAddr::from(([198, 51, 100, 7], 4000))]
        );
        let candidate = |line: &str, host: [u8; 4]| Candidate {
            line: line.into(),
            host: host.into(),
        };
        let (host, relay) = (
            candidate(HOST, [192, 0, 2, 1]),
            candidate(RELAY, [198, 51, 100, 7]),
        );
        assert_eq!(incoming.release(), [host.clone(), relay]);
        let next = incoming.take(signed(2, HOST)).unwrap();
        assert_eq!(next, Some(host));
    }

    #[test]
    fn a_replayed_a_foreign_and_a_forged_candidate_are_refused() {
        let mut incoming = incoming();
        assert!(incoming.take(signed(0, HOST)).is_ok());
        assert!(matches!(
            incoming.take(signed(0, HOST)),
            Err(Refused::Repeated)
        ));
        let other = LinkSessionId::from_bytes([2; 16]);
        let foreign = SignedCandidate::sign(other, 1, HOST.into(), &key());
        assert!(matches!(incoming.take(foreign), Err(Refused::Session)));
        let forged = SignedCandidate {
            candidate: RELAY.into(),
            ..signed(1, HOST)
        };
        assert!(matches!(incoming.take(forged), Err(Refused::Signed(_))));
    }

    #[test]
    fn only_a_udp_address_of_one_other_machine_is_taken() {
        for line in [
            "candidate:1 1 udp 1 somewhere.example 9 typ host",
            "candidate:1 1 udp 1 127.0.0.1 9 typ host",
            "",
        ] {
            assert!(
                matches!(incoming().take(signed(0, line)), Err(Refused::Address)),
                "{line}"
            );
        }
        let mut loopback = Incoming::new(SESSION, key().device(), true);
        assert!(
            loopback
                .take(signed(0, "candidate:1 1 udp 1 127.0.0.1 9 typ host"))
                .is_ok()
        );
    }

    #[test]
    fn at_most_the_protocols_number_of_candidates_leaves() {
        let mut outgoing = Outgoing::new(SESSION, false);
        let counters: Vec<u32> = (0..100)
            .filter_map(|_| Some(outgoing.sign(HOST.into(), &key())?.counter))
            .collect();
        assert_eq!(counters, Vec::from_iter(0..CANDIDATES_MAX));
    }

    #[test]
    fn a_relayed_candidate_can_hide_the_address_behind_it() {
        let hidden = Outgoing::new(SESSION, true)
            .sign(RELAY.into(), &key())
            .unwrap();
        assert!(
            !hidden.candidate.contains("192.168"),
            "{}",
            hidden.candidate
        );
        assert!(hidden.candidate.ends_with("raddr 0.0.0.0 rport 0"));
        let open = Outgoing::new(SESSION, false)
            .sign(RELAY.into(), &key())
            .unwrap();
        assert_eq!(open.candidate, RELAY);
    }

    #[test]
    fn an_unspecified_address_helps_nobody() {
        let line = "candidate:1 1 udp 1 0.0.0.0 4000 typ host";
        assert_eq!(
            Outgoing::new(SESSION, false).sign(line.into(), &key()),
            None
        );
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(candidate:|udp |typ |raddr |[0-9a-f.: é]){0,30}") {
            let _ = Outgoing::new(SESSION, true).sign(line.clone(), &key());
            let _ = incoming().take(signed(0, &line));
        }
    }
}
