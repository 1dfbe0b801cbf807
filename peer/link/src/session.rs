//! The rules of a link once its channel exists: `Hello` first, heartbeat, `Bye`.
//!
//! Knows no socket and no clock: `now` is an argument. It does not own the certificate check,
//! which must have passed before [`Session::handle_open`].
//!
//! Invariants: nothing but `Hello` is taken before `Hello`, and it is taken once; what this side
//! owes the other (its `Hello`, one `Ping`, one `Pong`) is one slot each, so that a flood of
//! `Ping`s costs no memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tincan_protocol::limits::HELLO_GROUPS_MAX;
use tincan_protocol::link::{PROTO_MAJOR, PROTO_MINOR, Transcript};
use tincan_protocol::wire::{
    Bye, Frame, GroupState, Hello, PeerFrame, Ping, Pong, peer_frame::Kind,
};

use crate::event::DownReason;

/// From the start of a session to an open channel. Chosen: an offer that is not answered by then
/// is not worth waiting for, the message path goes through the relay meanwhile.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// From an open channel to the other side's `Hello` (protocol decision).
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// `Ping`s without any sign of life that end a link.
const MISSES_MAX: u8 = 2;

/// Reasons are for people and logs; more of one is cut off, bytes.
const REASON_MAX: usize = 128;

/// What a message meant.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// The other side is who it should be: frames flow from here on.
    Up(Hello),
    /// For the caller.
    Frame(PeerFrame),
    /// For nobody else.
    Nothing,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    heartbeat: Heartbeat,
    hello: Option<Bytes>,
    pong: Option<u64>,
}

#[derive(Debug)]
enum Phase {
    Connecting {
        until: Instant,
    },
    Greeting {
        until: Instant,
        transcript: Transcript,
    },
    Up,
}

impl Session {
    /// A session begins when its offer or answer is made.
    pub fn new(heartbeat: Duration, now: Instant) -> Self {
        Self {
            phase: Phase::Connecting {
                until: now + CONNECT_TIMEOUT,
            },
            heartbeat: Heartbeat::new(heartbeat, now),
            hello: None,
            pong: None,
        }
    }

    /// Whether the channel is still to be opened.
    pub fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Connecting { .. })
    }

    /// Whether the caller's frames may leave.
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up)
    }

    /// The channel is open, and the certificate behind it is the signed one.
    pub fn handle_open(&mut self, transcript: Transcript, groups: Vec<GroupState>, now: Instant) {
        let hello = Hello {
            transcript: transcript.as_bytes().to_vec(),
            proto_major: PROTO_MAJOR.into(),
            proto_minor: PROTO_MINOR.into(),
            groups,
        };
        self.hello = Some(PeerFrame::from(Kind::Hello(hello)).write());
        self.phase = Phase::Greeting {
            until: now + HELLO_TIMEOUT,
            transcript,
        };
    }

    /// One message of the channel.
    ///
    /// # Errors
    /// Why the link is over.
    pub fn handle_message(&mut self, message: Bytes, now: Instant) -> Result<Received, DownReason> {
        self.heartbeat.heard = true;
        let frame = PeerFrame::read(message).map_err(DownReason::BadFrame)?;
        match &self.phase {
            Phase::Connecting { .. } => Err(DownReason::Misbehaved {
                what: "a frame before the channel is open",
            }),
            Phase::Greeting { transcript, .. } => {
                let hello = checked_hello(frame, transcript)?;
                self.phase = Phase::Up;
                self.heartbeat.begin(now);
                Ok(Received::Up(hello))
            }
            Phase::Up => self.handle_frame(frame, now),
        }
    }

    /// One frame after `Hello`.
    fn handle_frame(&mut self, frame: PeerFrame, now: Instant) -> Result<Received, DownReason> {
        match frame.kind {
            Some(Kind::Put(_) | Kind::Stored(_) | Kind::Nack(_)) => {
                return Ok(Received::Frame(frame));
            }
            Some(Kind::Ping(ping)) => self.pong = Some(ping.nonce),
            Some(Kind::Pong(pong)) => self.heartbeat.handle_pong(pong.nonce, now),
            Some(Kind::Bye(bye)) => {
                return Err(DownReason::ClosedByRemote {
                    reason: shortened(bye.reason),
                });
            }
            Some(Kind::Hello(_)) => {
                return Err(DownReason::Misbehaved {
                    what: "a second hello",
                });
            }
            None => tracing::debug!("frame of an unknown kind ignored"),
        }
        Ok(Received::Nothing)
    }

    /// Time has passed. `listening` is false while the caller does not read its events: then the
    /// other side cannot be heard, and its silence means nothing.
    ///
    /// # Errors
    /// Why the link is over.
    pub fn handle_timeout(&mut self, listening: bool, now: Instant) -> Result<(), DownReason> {
        match &mut self.phase {
            Phase::Connecting { until } if now >= *until => Err(DownReason::ConnectTimeout),
            Phase::Greeting { until, .. } if now >= *until && listening => {
                Err(DownReason::HelloTimeout)
            }
            Phase::Greeting { until, .. } if now >= *until => {
                *until = now + HELLO_TIMEOUT;
                Ok(())
            }
            Phase::Up => self.heartbeat.handle_timeout(listening, now),
            _ => Ok(()),
        }
    }

    /// When [`Session::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        match self.phase {
            Phase::Connecting { until } | Phase::Greeting { until, .. } => until,
            Phase::Up => self.heartbeat.next,
        }
    }

    /// The next frame that this side owes the other by itself.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if let Some(hello) = self.hello.take() {
            return Some(hello);
        }
        if let Some(nonce) = self.pong.take() {
            return Some(PeerFrame::from(Kind::Pong(Pong { nonce })).write());
        }
        let nonce = self.heartbeat.poll_ping(now)?;
        Some(PeerFrame::from(Kind::Ping(Ping { nonce })).write())
    }

    /// The round trip of the last answered `Ping`; each is given once.
    #[must_use]
    pub fn poll_round_trip(&mut self) -> Option<Duration> {
        self.heartbeat.round_trip.take()
    }
}

/// The frame that announces a deliberate end.
pub fn bye(reason: &str) -> Bytes {
    PeerFrame::from(Kind::Bye(Bye {
        reason: shortened(reason.to_owned()),
    }))
    .write()
}

/// Whether a message is a `Bye`.
pub fn is_bye(message: &Bytes) -> bool {
    matches!(
        PeerFrame::read(message.clone()),
        Ok(PeerFrame {
            kind: Some(Kind::Bye(_))
        })
    )
}

fn checked_hello(frame: PeerFrame, transcript: &Transcript) -> Result<Hello, DownReason> {
    let hello = match frame.kind {
        Some(Kind::Hello(hello)) => hello,
        Some(Kind::Bye(bye)) => {
            return Err(DownReason::ClosedByRemote {
                reason: shortened(bye.reason),
            });
        }
        _ => {
            return Err(DownReason::Misbehaved {
                what: "a frame before hello",
            });
        }
    };
    let same = hello.transcript[..] == transcript.as_bytes()[..];
    if !same || hello.proto_major != u32::from(PROTO_MAJOR) {
        return Err(DownReason::HelloMismatch);
    }
    if hello.groups.len() > HELLO_GROUPS_MAX {
        return Err(DownReason::Misbehaved {
            what: "too many groups in a hello",
        });
    }
    Ok(hello)
}

fn shortened(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_MAX));
    reason
}

/// `Ping`s at fixed times, and what they bring to light.
#[derive(Debug)]
struct Heartbeat {
    interval: Duration,
    next: Instant,
    /// Whether anything came since the last `Ping`.
    heard: bool,
    misses: u8,
    owed: bool,
    nonce: u64,
    sent: Option<Instant>,
    round_trip: Option<Duration>,
}

impl Heartbeat {
    fn new(interval: Duration, now: Instant) -> Self {
        let next = now + interval;
        Self {
            interval,
            next,
            heard: false,
            misses: 0,
            owed: false,
            nonce: 0,
            sent: None,
            round_trip: None,
        }
    }

    /// The first `Ping` goes out at once: it measures the round trip.
    fn begin(&mut self, now: Instant) {
        self.owed = true;
        self.next = now + self.interval;
    }

    fn handle_timeout(&mut self, listening: bool, now: Instant) -> Result<(), DownReason> {
        if now < self.next {
            return Ok(());
        }
        self.misses = if self.heard || !listening {
            0
        } else {
            self.misses + 1
        };
        if self.misses >= MISSES_MAX {
            return Err(DownReason::Silent);
        }
        self.heard = false;
        self.owed = true;
        self.next = now + self.interval;
        Ok(())
    }

    fn poll_ping(&mut self, now: Instant) -> Option<u64> {
        if !std::mem::take(&mut self.owed) {
            return None;
        }
        self.nonce += 1;
        self.sent = Some(now);
        Some(self.nonce)
    }

    fn handle_pong(&mut self, nonce: u64, now: Instant) {
        if nonce == self.nonce
            && let Some(sent) = self.sent.take()
        {
            self.round_trip = Some(now.saturating_duration_since(sent));
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
