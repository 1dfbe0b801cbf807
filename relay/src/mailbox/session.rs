//! One connection as the relay sees it: what it has proved, and which of its requests wait.
//!
//! Owns: the challenge and its deadline, the proved keys, the requests in flight. Turns frames into
//! [`Command`]s that the [`Mailboxes`](super::Mailboxes) may carry out as they are.
//! Does not own: queues and subscriptions, the socket, the clock (`now` is the time since some
//! fixed moment).
//!
//! Invariants: a command that reads a queue comes only after a proof of its key on this very
//! connection; nothing unbounded is kept for a connection.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::time::Duration;
use tincan_protocol::ids::{QueueId, StoreId};
use tincan_protocol::limits::{LOGIN_PROOFS_MAX, LOGIN_TIMEOUT_MS};
use tincan_protocol::origin::Origin;
use tincan_protocol::relay_auth;
use tincan_protocol::wire::{self, Frame, RelayErrorCode, RelayReply, RelayRequest};
use tincan_protocol::wire::{relay_reply, relay_request};

use super::command::{self, Command};
use super::refusal::Refusal;
use crate::limits::RelayLimits;

/// Version of the relay protocol that the challenge announces.
const PROTOCOL: (u32, u32) = (1, 0);

/// How long the first proof may take.
const LOGIN_TIMEOUT: Duration = Duration::from_millis(LOGIN_TIMEOUT_MS);

/// Failed logins after which the connection ends. Chosen: nobody mistypes a key; a client whose
/// idea of the origin is wrong learns it from the first.
const FAILED_LOGINS_MAX: u32 = 3;

/// What a frame asks for.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// To be carried out; answered later under this id.
    Command {
        /// The request's id.
        id: u64,
        /// What to do.
        command: Command,
    },
    /// Answered at once.
    Answer(RelayReply),
    /// The connection ends, after this answer if there is one.
    End(Ending, Option<RelayReply>),
}

/// Why the relay ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// No key or token was proved within 30 s.
    LoginTimeout,
    /// Too many proofs that do not hold.
    LoginFailed,
    /// A frame that is no request.
    Malformed,
}

impl Ending {
    /// For the close frame.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::LoginTimeout => "no login within 30 s",
            Self::LoginFailed => "too many failed logins",
            Self::Malformed => "frame is not a relay request",
        }
    }
}

/// One connection as the relay sees it.
#[derive(Debug)]
pub struct Session {
    nonce: [u8; 32],
    origin: Origin,
    keys: BTreeSet<QueueId>,
    /// Signatures checked so far: checking is what costs.
    checked: usize,
    failed_logins: u32,
    keys_max: usize,
    /// `None` once a key or a token was proved.
    login_deadline: Option<Duration>,
    in_flight: BTreeSet<u64>,
    in_flight_max: usize,
}

impl Session {
    /// A new connection. `nonce` is random and used for nothing else; `origin` is the accepted one
    /// of its `Host` header.
    #[must_use]
    pub fn new(nonce: [u8; 32], origin: Origin, limits: &RelayLimits, now: Duration) -> Self {
        Self {
            nonce,
            origin,
            keys: BTreeSet::new(),
            checked: 0,
            failed_logins: 0,
            keys_max: limits.keys_per_connection,
            login_deadline: Some(now.saturating_add(LOGIN_TIMEOUT)),
            in_flight: BTreeSet::new(),
            in_flight_max: limits.in_flight,
        }
    }

    /// The first frame to send. `store_id` names what the relay keeps.
    #[must_use]
    pub fn challenge(&self, store_id: StoreId) -> RelayReply {
        let (proto_major, proto_minor) = PROTOCOL;
        let nonce = self.nonce.to_vec();
        let challenge = wire::Challenge {
            nonce,
            proto_major,
            proto_minor,
            store_id: store_id.to_vec(),
        };
        RelayReply {
            id: 0,
            kind: Some(relay_reply::Kind::Challenge(challenge)),
        }
    }

    /// Whether another frame may be handed in; otherwise the socket is not to be read.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.in_flight.len() < self.in_flight_max
    }

    /// Whether no request waits for an answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Takes a frame.
    #[must_use]
    pub fn handle_frame(&mut self, frame: Bytes) -> Step {
        let Ok(request) = RelayRequest::read(frame) else {
            let refusal = Refusal::bad_request("frame is not a relay request");
            return Step::End(Ending::Malformed, Some(refusal.reply(0)));
        };
        let id = request.id;
        if id == 0 || self.in_flight.contains(&id) {
            let text = "a request needs an id above 0 that no other request in flight has";
            return Step::Answer(Refusal::bad_request(text).reply(id));
        }
        let command = match request.kind {
            Some(relay_request::Kind::Auth(auth)) => return self.handle_auth(id, &auth),
            Some(kind) => command::read(kind),
            None => Err(Refusal::bad_request("unknown kind of request")),
        };
        match command.and_then(|command| self.authorize(command)) {
            Ok(command) => {
                self.in_flight.insert(id);
                Step::Command { id, command }
            }
            Err(refusal) => Step::Answer(refusal.reply(id)),
        }
    }

    /// Takes notice of the answer to a command, before it is sent.
    pub fn handle_answer(&mut self, id: u64, kind: &relay_reply::Kind) {
        self.in_flight.remove(&id);
        // Who wrote with a token has proved as much as somebody with a key.
        let token_was_right = matches!(
            kind,
            relay_reply::Kind::Deposited(_)
                | relay_reply::Kind::Appended(_)
                | relay_reply::Kind::Conflict(_)
                | relay_reply::Kind::KeyPackage(_)
        );
        if token_was_right {
            self.login_deadline = None;
        }
    }

    /// When [`Self::handle_timeout`] has something to say.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.login_deadline
    }

    /// Whether the connection's time is over.
    #[must_use]
    pub fn handle_timeout(&self, now: Duration) -> Option<Ending> {
        self.login_deadline
            .filter(|deadline| *deadline <= now)
            .map(|_| Ending::LoginTimeout)
    }

    /// All proofs of an `Auth` hold, or none counts.
    fn handle_auth(&mut self, id: u64, auth: &wire::Auth) -> Step {
        let count = auth.proofs.len();
        if count == 0 || count > LOGIN_PROOFS_MAX {
            let refusal = Refusal::bad_request("a login carries 1 to 100 proofs");
            return Step::Answer(refusal.reply(id));
        }
        if self.checked.saturating_add(count) > self.keys_max {
            let text = "this connection has proved as many keys as it may; open another one";
            return Step::Answer(Refusal::new(RelayErrorCode::RateLimited, text).reply(id));
        }
        self.checked += count;
        let keys: Option<Vec<QueueId>> =
            auth.proofs.iter().map(|proof| self.check(proof)).collect();
        match keys {
            Some(keys) => {
                self.keys.extend(keys);
                self.login_deadline = None;
                Step::Answer(RelayReply {
                    id,
                    kind: Some(relay_reply::Kind::Done(wire::Done {})),
                })
            }
            None => self.refuse_login(id),
        }
    }

    fn check(&self, proof: &wire::KeyProof) -> Option<QueueId> {
        let key = QueueId::try_from(proof.key.as_slice()).ok()?;
        relay_auth::check(&key, &self.nonce, &self.origin, &proof.signature).ok()?;
        Some(key)
    }

    fn refuse_login(&mut self, id: u64) -> Step {
        self.failed_logins += 1;
        let text =
            "a proof does not hold for this connection's nonce and the origin it was dialed by";
        let reply = Refusal::new(RelayErrorCode::Unauthorized, text).reply(id);
        if self.failed_logins < FAILED_LOGINS_MAX {
            Step::Answer(reply)
        } else {
            Step::End(Ending::LoginFailed, Some(reply))
        }
    }

    /// Lets a command through if the connection has proved the key it needs.
    fn authorize(&self, command: Command) -> Result<Command, Refusal> {
        match command.key_needed() {
            Some(key) if !self.keys.contains(&key) => {
                let text = "this connection has not proved the key; send Auth first";
                Err(Refusal::new(RelayErrorCode::Unauthorized, text))
            }
            _ => Ok(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tincan_protocol::keys::QueueKey;

    const NONCE: [u8; 32] = [7; 32];

    fn origin() -> Origin {
        Origin::from_host_header("127.0.0.1:1")
    }

    fn session() -> Session {
        Session::new(NONCE, origin(), &RelayLimits::default(), Duration::ZERO)
    }

    fn frame(id: u64, kind: relay_request::Kind) -> Bytes {
        RelayRequest {
            id,
            kind: Some(kind),
        }
        .write()
    }

    fn proof(seed: u8, nonce: &[u8; 32], origin: &Origin) -> wire::KeyProof {
        let key = QueueKey::from_seed(&[seed; 32]);
        let signature = relay_auth::prove(&key, nonce, origin).to_vec();
        wire::KeyProof {
            key: key.queue().to_vec(),
            signature,
        }
    }

    fn auth(proofs: Vec<wire::KeyProof>) -> relay_request::Kind {
        relay_request::Kind::Auth(wire::Auth { proofs })
    }

    fn subscribe(seed: u8) -> relay_request::Kind {
        let queue = QueueKey::from_seed(&[seed; 32]).queue().to_vec();
        relay_request::Kind::Subscribe(wire::Subscribe {
            queue,
            after_index: 0,
        })
    }

    fn error_code(step: &Step) -> Option<RelayErrorCode> {
        let (Step::Answer(reply) | Step::End(_, Some(reply))) = step else {
            return None;
        };
        match &reply.kind {
            Some(relay_reply::Kind::Error(error)) => Some(error.code()),
            _ => None,
        }
    }

    #[test]
    fn a_queue_is_read_only_after_a_proof_of_its_own_key() {
        let mut session = session();
        let refused = session.handle_frame(frame(1, subscribe(1)));
        assert_eq!(error_code(&refused), Some(RelayErrorCode::Unauthorized));
        let step = session.handle_frame(frame(2, auth(vec![proof(1, &NONCE, &origin())])));
        assert!(matches!(
            step,
            Step::Answer(RelayReply {
                id: 2,
                kind: Some(relay_reply::Kind::Done(_))
            })
        ));
        assert!(matches!(
            session.handle_frame(frame(3, subscribe(1))),
            Step::Command { id: 3, .. }
        ));
        let other = session.handle_frame(frame(4, subscribe(2)));
        assert_eq!(error_code(&other), Some(RelayErrorCode::Unauthorized));
    }

    #[test]
    fn one_wrong_proof_voids_the_whole_login() {
        let mut session = session();
        let wrong_nonce = vec![proof(1, &NONCE, &origin()), proof(2, &[8; 32], &origin())];
        let step = session.handle_frame(frame(1, auth(wrong_nonce)));
        assert_eq!(error_code(&step), Some(RelayErrorCode::Unauthorized));
        let step = session.handle_frame(frame(2, subscribe(1)));
        assert_eq!(error_code(&step), Some(RelayErrorCode::Unauthorized));
        let elsewhere = proof(1, &NONCE, &Origin::from_host_header("evil.example"));
        let step = session.handle_frame(frame(3, auth(vec![elsewhere.clone()])));
        assert_eq!(error_code(&step), Some(RelayErrorCode::Unauthorized));
        let step = session.handle_frame(frame(4, auth(vec![elsewhere])));
        assert!(matches!(step, Step::End(Ending::LoginFailed, Some(_))));
    }

    #[test]
    fn who_proves_nothing_is_sent_away_after_thirty_seconds() {
        let mut session = session();
        assert_eq!(session.handle_timeout(Duration::from_millis(29_999)), None);
        assert_eq!(
            session.handle_timeout(Duration::from_secs(30)),
            Some(Ending::LoginTimeout)
        );
        let deposited = relay_reply::Kind::Deposited(wire::Deposited { env_id: vec![] });
        session.handle_answer(1, &deposited);
        assert_eq!(session.poll_timeout(), None);
    }

    #[test]
    fn signatures_checked_for_one_connection_are_bounded() {
        let limits = RelayLimits {
            keys_per_connection: 3,
            ..RelayLimits::default()
        };
        let mut session = Session::new(NONCE, origin(), &limits, Duration::ZERO);
        let two = || {
            auth(vec![
                proof(1, &NONCE, &origin()),
                proof(2, &NONCE, &origin()),
            ])
        };
        assert_eq!(error_code(&session.handle_frame(frame(1, two()))), None);
        let step = session.handle_frame(frame(2, two()));
        assert_eq!(error_code(&step), Some(RelayErrorCode::RateLimited));
        let hundred_and_one = auth(vec![wire::KeyProof::default(); LOGIN_PROOFS_MAX + 1]);
        let step = session.handle_frame(frame(3, hundred_and_one));
        assert_eq!(error_code(&step), Some(RelayErrorCode::BadRequest));
    }

    #[test]
    fn an_id_in_flight_is_not_used_twice() {
        let limits = RelayLimits {
            in_flight: 1,
            ..RelayLimits::default()
        };
        let mut session = Session::new(NONCE, origin(), &limits, Duration::ZERO);
        let _ = session.handle_frame(frame(1, auth(vec![proof(1, &NONCE, &origin())])));
        assert!(session.has_room());
        assert!(matches!(
            session.handle_frame(frame(5, subscribe(1))),
            Step::Command { .. }
        ));
        assert!(!session.has_room());
        let step = session.handle_frame(frame(5, subscribe(1)));
        assert_eq!(error_code(&step), Some(RelayErrorCode::BadRequest));
        session.handle_answer(5, &relay_reply::Kind::Done(wire::Done {}));
        assert!(session.has_room());
    }

    #[test]
    fn bytes_that_are_no_request_end_the_connection() {
        let step = session().handle_frame(Bytes::from_static(b"\xff\xff"));
        assert!(matches!(step, Step::End(Ending::Malformed, Some(_))));
    }
}
