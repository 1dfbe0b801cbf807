//! A link's session, and the other end of its channel.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tincan_link::session::{Received, Session, bye, is_bye};
use tincan_link::{DownReason, LinkConfig};
use tincan_protocol::limits::{FRAME_MAX, HELLO_GROUPS_MAX};
use tincan_protocol::link::{PROTO_MAJOR, PROTO_MINOR, Role, Transcript};
use tincan_protocol::wire::peer_frame::Kind;
use tincan_protocol::wire::{self, Frame as _, FrameError, GroupState, Hello, PeerFrame};

use crate::bounded::bounded;
use crate::protocol::shared::template;
use crate::script::{self, Script};

/// From an open channel to the other side's `Hello` (docs/wire.md, 9).
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// A `Bye`'s reason, bytes (docs/wire.md, 9).
const REASON_MAX: usize = 128;

/// What a session owes by itself at one moment: a `Hello`, a `Pong` and a `Ping`.
const OWED_MAX: usize = 3;

/// Heartbeats without any sign of life that end a link, and the one before that may have heard something.
const BEATS_MAX: u32 = 3;

/// Steps of one input.
const STEPS_MAX: usize = 200;

/// One kind of step; a script names one by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The channel opens.
    Open,
    /// The other side greets, rightly or not.
    Hello,
    Put,
    Stored,
    Nack,
    Ping,
    /// Under the number of our last `Ping`, or another.
    Pong,
    Bye,
    /// Any message.
    Bytes,
    /// Some of the own frames leave.
    Transmit,
    /// The caller reads its events from now on, or does not.
    Listen,
    /// Time passes, and nothing is done about it.
    Pause,
    /// The session is called, whether it wants to be or not.
    Call,
    /// Time passes until the session wants to be called.
    Wake,
    /// The link is ended here.
    Close,
}

const STEPS: [Step; 15] = [
    Step::Open,
    Step::Hello,
    Step::Put,
    Step::Stored,
    Step::Nack,
    Step::Ping,
    Step::Pong,
    Step::Bye,
    Step::Bytes,
    Step::Transmit,
    Step::Listen,
    Step::Pause,
    Step::Call,
    Step::Wake,
    Step::Close,
];

/// How the other side greets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HelloKind {
    Right,
    /// With another transcript: a bit of it, its length, or that of another answer.
    Transcript,
    Major,
    /// With many groups, or too many.
    Groups,
    /// Changed on its way.
    Edited,
}

const HELLOS: [HelloKind; 5] = [
    HelloKind::Right,
    HelloKind::Transcript,
    HelloKind::Major,
    HelloKind::Groups,
    HelloKind::Edited,
];

/// One session after another, whatever the other side sends: each message means what docs/wire.md (9) says
/// and nothing is handed up before the right `Hello`; it owes no more than it was asked for; what it lets
/// out can be read; and its timers go on, and end a silent link.
pub fn link_session(data: &[u8]) {
    let mut world = World::new(Instant::now());
    script::play(data, &STEPS, STEPS_MAX, |step, script| {
        world.play(step, script);
        world.check();
    });
    world.settle();
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Greeting { since: Instant },
    Up,
}

/// What a message means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Up,
    ForCaller,
    Nothing,
    End,
}

struct World {
    session: Session,
    heartbeat: Duration,
    now: Instant,
    listening: bool,
    phase: Phase,
    /// Of the own `Hello`.
    groups: Vec<GroupState>,
    hello_owed: bool,
    /// The last `Ping` of the other side without an answer.
    pong_owed: Option<u64>,
    ping_owed: bool,
    /// Number of the last own `Ping`.
    pinged: u64,
    /// When it left, until it is answered.
    asked_at: Option<Instant>,
    /// Since when silence counts.
    quiet_since: Instant,
}

impl World {
    fn new(now: Instant) -> Self {
        let heartbeat = LinkConfig::default().heartbeat;
        Self {
            session: Session::new(heartbeat, now),
            heartbeat,
            now,
            listening: true,
            phase: Phase::Connecting,
            groups: Vec::new(),
            hello_owed: false,
            pong_owed: None,
            ping_owed: false,
            pinged: 0,
            asked_at: None,
            quiet_since: now,
        }
    }

    fn play(&mut self, step: Step, script: &mut Script<'_>) {
        match step {
            Step::Open => self.open(groups(script)),
            Step::Transmit => {
                let most = usize::from(script.byte()) % OWED_MAX + 1;
                self.transmit(most);
            }
            Step::Listen => self.listening = script.byte().is_multiple_of(2),
            Step::Pause => self.now += Duration::from_millis(script.number() % 100_000),
            Step::Call => {
                self.time_out();
            }
            Step::Wake => self.wake(),
            Step::Close => self.end(&script.text()),
            Step::Bytes => self.hear(Bytes::copy_from_slice(script.chunk())),
            Step::Hello => self.hear(hello(script)),
            frame => {
                if let Some(kind) = self.frame(frame, script) {
                    self.hear(PeerFrame::from(kind).write());
                }
            }
        }
    }

    /// A frame that can be read.
    fn frame(&self, step: Step, script: &mut Script<'_>) -> Option<Kind> {
        Some(match step {
            Step::Put => {
                let mut envelope = script.chunk().to_vec();
                // Up to what no frame carries.
                let more = usize::try_from(script.number()).unwrap_or(0) % (FRAME_MAX + 1);
                envelope.resize(envelope.len() + more, 7);
                Kind::Put(wire::Put {
                    envelope: envelope.into(),
                })
            }
            Step::Stored => {
                let ids = script.byte();
                Kind::Stored(wire::Stored {
                    env_ids: (0..ids).map(|id| vec![id; 32]).collect(),
                })
            }
            Step::Nack => Kind::Nack(wire::Nack {
                env_id: script.chunk().to_vec(),
                reason: script.byte().into(),
            }),
            Step::Ping => Kind::Ping(wire::Ping {
                nonce: script.number(),
            }),
            Step::Pong => Kind::Pong(wire::Pong {
                nonce: self.pinged.wrapping_add(script.number()),
            }),
            Step::Bye => Kind::Bye(wire::Bye {
                reason: script.text(),
            }),
            _ => return None,
        })
    }

    fn open(&mut self, groups: Vec<GroupState>) {
        // Said again it changes nothing: the link's task sees to that.
        if self.phase != Phase::Connecting {
            return;
        }
        self.groups.clone_from(&groups);
        self.session.handle_open(transcript(1), groups, self.now);
        self.phase = Phase::Greeting { since: self.now };
        self.hello_owed = true;
    }

    fn hear(&mut self, message: Bytes) {
        let read = PeerFrame::read(message.clone());
        let said_bye = matches!(kind(&read), Some(Kind::Bye(_)));
        assert_eq!(bounded(message.len(), || is_bye(&message)), said_bye);
        let (session, now) = (&mut self.session, self.now);
        let result = bounded(message.len(), || {
            session.handle_message(message.clone(), now)
        });
        let meaning = match &result {
            Ok(Received::Up(_)) => Meaning::Up,
            Ok(Received::Frame(_)) => Meaning::ForCaller,
            Ok(Received::Nothing) => Meaning::Nothing,
            Err(_) => Meaning::End,
        };
        assert_eq!(meaning, self.meaning(&read), "{read:?}");
        self.quiet_since = self.now;
        match result {
            Ok(Received::Up(hello)) => {
                assert_eq!(kind(&read), Some(&Kind::Hello(hello)));
                (self.phase, self.ping_owed) = (Phase::Up, true);
            }
            Ok(Received::Frame(frame)) => assert_eq!(Ok(frame), read),
            Ok(Received::Nothing) => {
                if let Some(Kind::Ping(ping)) = kind(&read) {
                    self.pong_owed = Some(ping.nonce);
                }
            }
            Err(reason) => {
                self.check_reason(&reason, &read);
                self.end(&reason.to_string());
            }
        }
        self.check_round_trip(&read);
    }

    /// What docs/wire.md (9) has a message mean.
    fn meaning(&self, read: &Result<PeerFrame, FrameError>) -> Meaning {
        let Ok(PeerFrame { kind }) = read else {
            return Meaning::End;
        };
        match (self.phase, kind) {
            (Phase::Greeting { .. }, Some(Kind::Hello(hello))) => {
                let right = is_ours(hello) && hello.groups.len() <= HELLO_GROUPS_MAX;
                if right { Meaning::Up } else { Meaning::End }
            }
            (Phase::Up, Some(Kind::Put(_) | Kind::Stored(_) | Kind::Nack(_))) => Meaning::ForCaller,
            (Phase::Up, Some(Kind::Ping(_) | Kind::Pong(_)) | None) => Meaning::Nothing,
            _ => Meaning::End,
        }
    }

    /// The reason is the case.
    fn check_reason(&self, reason: &DownReason, read: &Result<PeerFrame, FrameError>) {
        let is_open = self.phase != Phase::Connecting;
        let is_so = match (reason, kind(read)) {
            (DownReason::BadFrame(error), None) => read.as_ref() == Err(error),
            (DownReason::ClosedByRemote { reason }, Some(Kind::Bye(bye))) => {
                is_open && reason.len() <= REASON_MAX && bye.reason.starts_with(reason)
            }
            (DownReason::HelloMismatch, Some(Kind::Hello(hello))) => is_open && !is_ours(hello),
            (DownReason::Misbehaved { .. }, Some(Kind::Bye(_))) => !is_open,
            (DownReason::Misbehaved { .. }, _) => read.is_ok(),
            _ => false,
        };
        assert!(is_so, "{reason:?} for {read:?}");
    }

    /// Only an answer to the last `Ping` measures one, and once.
    fn check_round_trip(&mut self, read: &Result<PeerFrame, FrameError>) {
        let expected = match kind(read) {
            Some(Kind::Pong(pong)) if self.phase == Phase::Up && pong.nonce == self.pinged => {
                self.asked_at.take()
            }
            _ => None,
        };
        let expected = expected.map(|at| self.now - at);
        assert_eq!(self.session.poll_round_trip(), expected);
        assert_eq!(self.session.poll_round_trip(), None);
    }

    fn transmit(&mut self, most: usize) {
        for _ in 0..most {
            let Some(frame) = self.session.poll_transmit(self.now) else {
                let owed = (self.hello_owed, self.pong_owed, self.ping_owed);
                assert_eq!(owed, (false, None, false), "forgotten");
                return;
            };
            self.check_sent(frame);
        }
    }

    /// A frame that leaves was owed, is not any more, and the other side can read it.
    fn check_sent(&mut self, frame: Bytes) {
        assert!(frame.len() <= FRAME_MAX);
        let read = PeerFrame::read(frame.clone()).expect("a frame");
        assert_eq!(read.write(), frame);
        let was_owed = match read.kind {
            Some(Kind::Hello(_)) => {
                self.check_hello(&frame);
                std::mem::take(&mut self.hello_owed)
            }
            _ if self.hello_owed => panic!("{read:?} before hello"),
            Some(Kind::Pong(pong)) => self.pong_owed.take() == Some(pong.nonce),
            Some(Kind::Ping(ping)) => {
                assert!(ping.nonce > self.pinged, "number {} again", ping.nonce);
                (self.pinged, self.asked_at) = (ping.nonce, Some(self.now));
                std::mem::take(&mut self.ping_owed)
            }
            _ => false,
        };
        assert!(was_owed, "nobody asked for {read:?}");
    }

    /// It brings up the other side of this handshake, and of no other.
    fn check_hello(&self, frame: &Bytes) {
        let greeted = |other: Transcript| {
            let mut session = Session::new(self.heartbeat, self.now);
            session.handle_open(other, Vec::new(), self.now);
            let result = session.handle_message(frame.clone(), self.now);
            assert_eq!(session.is_up(), result.is_ok());
            result
        };
        let expected = Received::Up(right_hello(self.groups.clone()));
        assert_eq!(greeted(transcript(1)), Ok(expected));
        assert_eq!(greeted(transcript(2)), Err(DownReason::HelloMismatch));
    }

    fn wake(&mut self) {
        self.now = self.now.max(self.session.poll_timeout());
        self.time_out();
    }

    /// True if that is the end of it.
    fn time_out(&mut self) -> bool {
        let is_due = self.now >= self.session.poll_timeout();
        let result = self.session.handle_timeout(self.listening, self.now);
        if let Err(reason) = result {
            assert!(is_due, "{reason:?} before its time");
            self.check_timeout(&reason);
            self.end(&reason.to_string());
            return true;
        }
        if is_due && self.phase == Phase::Up {
            self.ping_owed = true;
            if !self.listening {
                self.quiet_since = self.now;
            }
        }
        if is_due && let Phase::Greeting { since } = &mut self.phase {
            // It may be there, unread.
            assert!(!self.listening, "nothing was heard");
            *since = self.now;
        }
        assert!(self.session.poll_timeout() > self.now, "it is due for ever");
        false
    }

    fn check_timeout(&self, reason: &DownReason) {
        let is_so = match (reason, self.phase) {
            (DownReason::ConnectTimeout, Phase::Connecting) => true,
            (DownReason::HelloTimeout, Phase::Greeting { since }) => {
                self.listening && self.now - since >= HELLO_WITHIN
            }
            (DownReason::Silent, Phase::Up) => {
                self.listening && self.now - self.quiet_since >= 2 * self.heartbeat
            }
            _ => false,
        };
        assert!(is_so, "{reason:?} while {:?}", self.phase);
    }

    /// Says goodbye, as the link's task does, and begins another one.
    fn end(&mut self, reason: &str) {
        assert_eq!(self.session.is_up(), self.phase == Phase::Up);
        let frame = bye(reason);
        assert!(is_bye(&frame));
        let read = PeerFrame::read(frame);
        let Some(Kind::Bye(said)) = kind(&read) else {
            panic!("{read:?}");
        };
        assert!(said.reason.len() <= REASON_MAX && reason.starts_with(&said.reason));
        *self = Self::new(self.now);
    }

    /// What must hold between any two steps.
    fn check(&self) {
        assert_eq!(self.session.is_up(), self.phase == Phase::Up);
        assert_eq!(
            self.session.is_connecting(),
            self.phase == Phase::Connecting
        );
        if let Phase::Greeting { since } = self.phase {
            assert_eq!(self.session.poll_timeout(), since + HELLO_WITHIN);
        }
    }

    /// At the end: nothing is owed beyond what was asked for, and silence ends the link in time.
    fn settle(&mut self) {
        self.transmit(OWED_MAX + 1);
        self.listening = true;
        let began = self.now;
        for _ in 0..BEATS_MAX {
            self.now = self.now.max(self.session.poll_timeout());
            if self.time_out() {
                assert!(self.now - began <= BEATS_MAX * self.heartbeat);
                return;
            }
        }
        panic!("it lives on in silence");
    }
}

/// The transcript of an offer and one of its answers.
fn transcript(answer: u8) -> Transcript {
    let offer = template(Role::Offer, [0; 32]);
    Transcript::of(&offer, &template(Role::Answer, [answer; 32]))
}

fn right_hello(groups: Vec<GroupState>) -> Hello {
    Hello {
        transcript: transcript(1).as_bytes().to_vec(),
        proto_major: PROTO_MAJOR.into(),
        proto_minor: PROTO_MINOR.into(),
        groups,
    }
}

/// Whether it belongs to the handshake and the protocol's version.
fn is_ours(hello: &Hello) -> bool {
    hello.transcript == transcript(1).as_bytes() && hello.proto_major == u32::from(PROTO_MAJOR)
}

fn kind(read: &Result<PeerFrame, FrameError>) -> Option<&Kind> {
    read.as_ref().ok()?.kind.as_ref()
}

/// As many as are allowed at most.
fn groups(script: &mut Script<'_>) -> Vec<GroupState> {
    let count = usize::from(script.byte()) % (HELLO_GROUPS_MAX + 1);
    (0..count).map(|_| group(script)).collect()
}

fn group(script: &mut Script<'_>) -> GroupState {
    GroupState {
        group_id: script.array::<4>().to_vec(),
        epoch: script.number(),
        authenticator: script.array::<4>().to_vec(),
    }
}

/// A `Hello` as a message.
fn hello(script: &mut Script<'_>) -> Bytes {
    let how = HELLOS[usize::from(script.byte()) % HELLOS.len()];
    let mut hello = right_hello(Vec::new());
    match how {
        HelloKind::Right => {
            hello.proto_minor = u32::from(script.byte());
            hello.groups = groups(script);
        }
        HelloKind::Transcript => match script.byte() % 3 {
            0 => hello.transcript[usize::from(script.byte() % 32)] ^= script.byte(),
            1 => hello.transcript.resize(script.byte().into(), 0),
            _ => hello.transcript = transcript(script.byte()).as_bytes().to_vec(),
        },
        HelloKind::Major => {
            hello.proto_major = u32::try_from(script.number()).unwrap_or(u32::MAX);
        }
        HelloKind::Groups => {
            let count = script.byte();
            hello.groups = (0..count).map(|_| group(script)).collect();
        }
        HelloKind::Edited => {
            let mut bytes = PeerFrame::from(Kind::Hello(hello)).write().to_vec();
            let at = usize::from(script.byte()) % bytes.len();
            bytes[at] ^= script.byte();
            bytes.extend_from_slice(script.chunk());
            return bytes.into();
        }
    }
    PeerFrame::from(Kind::Hello(hello)).write()
}
