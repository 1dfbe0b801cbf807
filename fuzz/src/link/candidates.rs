//! Candidates of the other side, and of somebody who would like to be it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tincan_link::candidates::{Candidate, Incoming, Outgoing, Refused};
use tincan_protocol::LinkSessionId;
use tincan_protocol::keys::DeviceKey;
use tincan_protocol::limits::{CANDIDATE_MAX, CANDIDATES_MAX};
use tincan_protocol::link::candidate::CandidateLine;
use tincan_protocol::link::{LinkSignal, LinkSignalError, SignedCandidate};
use tincan_protocol::signal::Opaque;

use crate::bounded::bounded;
use crate::protocol::shared::DEVICE_KEY;
use crate::script::{self, Script};

/// The one that the candidates are for.
pub(crate) const SESSION: LinkSessionId = LinkSessionId::from_bytes([1; 16]);
const OTHER_SESSION: LinkSessionId = LinkSessionId::from_bytes([2; 16]);

/// Steps of one input: more than the candidates that one side may have.
const STEPS_MAX: usize = 100;

/// One kind of step; a script names one by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A candidate comes, with one thing wrong or none.
    Candidate,
    /// One that has come or was gathered before, in any order.
    Again,
    /// Any bytes as a signal.
    Signal,
    /// The other side finds a candidate.
    Gather,
    /// The other side's description is taken.
    Release,
}

const STEPS: [Step; 5] = [
    Step::Candidate,
    Step::Again,
    Step::Signal,
    Step::Gather,
    Step::Release,
];

/// What may be wrong with a candidate that comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wrong {
    Nothing,
    /// It is of another session.
    Session,
    /// It is of another session, and says that it is of this one.
    SaysSession,
    /// Another device has signed it.
    Device,
    /// It has another number than was signed.
    Counter,
    /// It has another line than was signed.
    Line,
    /// A byte of its signature is another.
    SignatureByte,
    /// Its signature is anything.
    Signature,
}

const WRONGS: [Wrong; 8] = [
    Wrong::Nothing,
    Wrong::Session,
    Wrong::SaysSession,
    Wrong::Device,
    Wrong::Counter,
    Wrong::Line,
    Wrong::SignatureByte,
    Wrong::Signature,
];

/// Where a line of a script leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    /// Another machine.
    Usual,
    V4,
    V6,
    Tcp,
    Name,
    Text,
}

const LINES: [Line; 6] = [
    Line::Usual,
    Line::V4,
    Line::V6,
    Line::Tcp,
    Line::Name,
    Line::Text,
];

/// Whatever comes as a candidate: exactly what the other device has signed for this session is taken, each
/// number once, if it leads to another machine; nothing goes to ICE before the description, and then in
/// the order in which it came.
pub fn link_candidates(data: &[u8]) {
    let mut script = Script::new(data);
    let settings = script.byte();
    let (loopback, hide_base) = (settings & 1 != 0, settings & 2 != 0);
    let mut world = World {
        incoming: Incoming::new(SESSION, DEVICE_KEY.device(), loopback),
        loopback,
        outgoing: Outgoing::new(SESSION, hide_base),
        hide_base,
        gathered: 0,
        known: Vec::new(),
        taken: BTreeSet::new(),
        waiting: Some(Vec::new()),
        relays: Vec::new(),
    };
    script::play(script.rest(), &STEPS, STEPS_MAX, |step, script| {
        world.play(step, script);
        assert_eq!(world.incoming.relays(), world.relays);
    });
    world.release();
}

struct World {
    incoming: Incoming,
    loopback: bool,
    outgoing: Outgoing,
    hide_base: bool,
    /// Candidates that the other side has let out.
    gathered: u32,
    /// As signals, those of `Again`.
    known: Vec<Vec<u8>>,
    /// Numbers that were used.
    taken: BTreeSet<u32>,
    /// Taken and not handed on yet; none once the description is there.
    waiting: Option<Vec<Candidate>>,
    /// Addresses at TURN servers among what was taken.
    relays: Vec<SocketAddr>,
}

impl World {
    fn play(&mut self, step: Step, script: &mut Script<'_>) {
        match step {
            Step::Candidate => {
                let signal = LinkSignal::Candidate(candidate(script)).encode().unwrap();
                self.hear(&signal);
                self.known.push(signal);
            }
            Step::Again => {
                let at = usize::from(script.byte());
                if let Some(at) = at.checked_rem(self.known.len()) {
                    let signal = self.known[at].clone();
                    self.hear(&signal);
                }
            }
            Step::Signal => self.hear(script.chunk()),
            Step::Gather => self.gather(line(script)),
            Step::Release => self.release(),
        }
    }

    fn hear(&mut self, signal: &[u8]) {
        if let Ok(LinkSignal::Candidate(candidate)) = LinkSignal::decode(signal) {
            self.take(candidate);
        }
    }

    fn take(&mut self, candidate: SignedCandidate) {
        let counter = candidate.counter;
        let signed =
            SignedCandidate::sign(SESSION, counter, candidate.candidate.clone(), &DEVICE_KEY);
        let is_genuine = candidate == signed;
        let line = CandidateLine::parse(&candidate.candidate);
        let line = line.filter(|line| line.is_usable(self.loopback));
        let incoming = &mut self.incoming;
        let result = bounded(candidate.candidate.len(), || {
            incoming.take(candidate.clone())
        });
        let handed_on = match result {
            Ok(handed_on) => handed_on,
            Err(refused) => {
                let is_so = match &refused {
                    Refused::Session => candidate.session != SESSION,
                    Refused::Signed(error) => is_true(error, &candidate, is_genuine),
                    Refused::Repeated => self.taken.contains(&counter),
                    Refused::Address => line.is_none(),
                };
                assert!(is_so, "{refused}: {candidate:?}");
                return;
            }
        };
        assert!(is_genuine, "nobody signed {candidate:?}");
        assert!(candidate.candidate.len() <= CANDIDATE_MAX && counter < CANDIDATES_MAX);
        assert!(self.taken.insert(counter), "number {counter} twice");
        let line = line.expect("an address of another machine");
        let host = line.address().ip().to_canonical();
        assert!(!host.is_multicast() && !host.is_unspecified());
        assert!(self.loopback || !host.is_loopback());
        if line.is_relayed() {
            self.relays.push(line.address());
        }
        let expected = Candidate {
            line: candidate.candidate,
            host: line.address().ip(),
        };
        match &mut self.waiting {
            Some(waiting) => {
                assert_eq!(handed_on, None, "handed on before the description");
                waiting.push(expected);
            }
            None => assert_eq!(handed_on, Some(expected)),
        }
    }

    fn release(&mut self) {
        let waiting = self.waiting.take().unwrap_or_default();
        assert_eq!(self.incoming.release(), waiting);
    }

    /// What the other side lets out: numbered without holes, within the limits, and without what it hides.
    fn gather(&mut self, line: String) {
        let Some(signed) = self.outgoing.sign(line.clone(), &DEVICE_KEY) else {
            return;
        };
        assert_eq!((signed.session, signed.counter), (SESSION, self.gathered));
        self.gathered += 1;
        assert!(self.gathered <= CANDIDATES_MAX);
        assert_eq!(signed.verify(&DEVICE_KEY.device()), Ok(()));
        let (before, after) = (&line, &signed.candidate);
        assert_eq!(CandidateLine::parse(after), CandidateLine::parse(before));
        if self.hide_base {
            let fields: Vec<&str> = after.split_ascii_whitespace().collect();
            let mut named = fields.get(8..).unwrap_or_default().chunks_exact(2);
            assert!(named.all(|pair| pair[0] != "raddr" || pair[1] == "0.0.0.0"));
        } else {
            assert_eq!(after, before);
        }
        let signal = LinkSignal::Candidate(signed).encode().unwrap();
        self.known.push(signal);
    }
}

/// Whether an error about limits and signature says what is the case.
fn is_true(error: &LinkSignalError, candidate: &SignedCandidate, is_genuine: bool) -> bool {
    match error {
        LinkSignalError::CandidateTooLong { len } => {
            *len == candidate.candidate.len() && *len > CANDIDATE_MAX
        }
        LinkSignalError::TooManyCandidates { counter } => {
            *counter == candidate.counter && *counter >= CANDIDATES_MAX
        }
        LinkSignalError::Signature(_) => !is_genuine,
        _ => false,
    }
}

fn candidate(script: &mut Script<'_>) -> SignedCandidate {
    let wrong = WRONGS[usize::from(script.byte()) % WRONGS.len()];
    let counter = u32::try_from(script.number()).unwrap_or(u32::MAX);
    let line = line(script);
    let sign = |session, key: &DeviceKey| SignedCandidate::sign(session, counter, line, key);
    let mut signed = match wrong {
        Wrong::Session | Wrong::SaysSession => sign(OTHER_SESSION, &DEVICE_KEY),
        Wrong::Device => sign(SESSION, &DeviceKey::from_seed(&[script.byte(); 32])),
        _ => sign(SESSION, &DEVICE_KEY),
    };
    let Opaque(signature) = &mut signed.signature;
    match wrong {
        Wrong::SaysSession => signed.session = SESSION,
        Wrong::Counter => signed.counter = u32::from(script.byte()),
        Wrong::Line => signed.candidate.push_str(&script.text()),
        Wrong::SignatureByte => {
            let at = usize::from(script.byte()) % signature.len();
            signature[at] ^= script.byte();
        }
        Wrong::Signature => *signature = script.chunk().to_vec(),
        Wrong::Nothing | Wrong::Session | Wrong::Device => {}
    }
    signed
}

fn line(script: &mut Script<'_>) -> String {
    let (transport, host) = match LINES[usize::from(script.byte()) % LINES.len()] {
        Line::Usual => ("udp", format!("192.0.2.{}", script.byte())),
        Line::V4 => ("UDP", Ipv4Addr::from(script.array()).to_string()),
        Line::V6 => ("udp", Ipv6Addr::from(script.array::<16>()).to_string()),
        Line::Tcp => ("tcp", format!("192.0.2.{}", script.byte())),
        Line::Name => ("udp", script.text()),
        Line::Text => return script.text(),
    };
    let kind = ["host", "srflx", "relay"][usize::from(script.byte()) % 3];
    let port = script.number();
    let space = " ".repeat(usize::from(script.byte()) * 2);
    format!("candidate:1 1 {transport} 1 {host} {port} typ {kind}{space} raddr 10.0.0.7 rport 9")
}
