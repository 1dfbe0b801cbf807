//! One connection before the hub: its challenge, its deadline, its rates.
//!
//! Owns what needs this connection alone; what needs the others (who holds an address, who watches
//! it) is the [`Hub`](super::Hub)'s. A text goes in, a [`Step`] comes out.
//!
//! Invariants: nothing but a login gets past a session that has not logged in; nothing is parsed
//! that is longer than the protocol's limit; what exceeds a rate costs no signature check.

use std::time::Duration;

use tincan_protocol::SignalAddress;
use tincan_protocol::limits::{LOGIN_PROOFS_MAX, LOGIN_TIMEOUT_MS};
use tincan_protocol::origin::Origin;
use tincan_protocol::signal::{
    AddressProof, ClientMessage, Nonce, Opaque, SIGNAL_VERSION, ServerMessage, SignalErrorCode,
    decode,
};

use super::limits::HubLimits;
use super::proven::Proven;
use crate::rate::{Rate, Taken};

/// What a connection asks of the hub; rates and proofs have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Hold these addresses.
    Login(Proven),
    /// Give one up.
    Logout(SignalAddress),
    /// Pass a signal on.
    Signal {
        /// Recipient.
        to: SignalAddress,
        /// Sender, as claimed.
        from: SignalAddress,
        /// Sealed body.
        body: Opaque,
    },
    /// Tell about these addresses.
    Watch(Vec<SignalAddress>),
    /// Tell no more about them.
    Unwatch(Vec<SignalAddress>),
    /// Issue TURN credentials.
    Turn,
}

/// What to do about a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Hand it to the hub.
    Ask(Request),
    /// Send this.
    Reply(ServerMessage),
    /// Send this and close the connection.
    Refuse(ServerMessage),
}

/// One connection before the hub.
#[derive(Debug)]
pub struct Session {
    nonce: Nonce,
    origin: Origin,
    login_deadline: Duration,
    logged_in: bool,
    signals: Taken,
    control: Taken,
    signal_rate: Rate,
    control_rate: Rate,
}

impl Session {
    /// A new connection: `nonce` are 32 random bytes that were never used before, `origin` is what
    /// the client dialed and the server accepted as its own name. Times are since the server's start.
    #[must_use]
    pub fn new(nonce: Nonce, origin: Origin, limits: &HubLimits, now: Duration) -> Self {
        Self {
            nonce,
            origin,
            login_deadline: now + Duration::from_millis(LOGIN_TIMEOUT_MS),
            logged_in: false,
            signals: Taken::default(),
            control: Taken::default(),
            signal_rate: limits.signals,
            control_rate: limits.control,
        }
    }

    /// The first message to send.
    #[must_use]
    pub fn challenge(&self) -> ServerMessage {
        ServerMessage::Challenge {
            nonce: self.nonce,
            version: SIGNAL_VERSION,
        }
    }

    /// A text frame came.
    pub fn handle_text(&mut self, text: &str, now: Duration) -> Step {
        let message: ClientMessage = match decode(text) {
            Ok(message) => message,
            Err(error) => return refuse(error.to_string()),
        };
        if let Err(wait) = self.pay_for(&message, now) {
            return Step::Reply(rate_limited(wait));
        }
        match message {
            ClientMessage::Login { addresses } => self.log_in(&addresses),
            ClientMessage::Ping => Step::Reply(ServerMessage::Pong),
            _ if !self.logged_in => {
                Step::Reply(error(SignalErrorCode::Unauthorized, "log in first"))
            }
            ClientMessage::Logout { address } => Step::Ask(Request::Logout(address)),
            ClientMessage::Signal { to, from, body } => {
                Step::Ask(Request::Signal { to, from, body })
            }
            ClientMessage::Watch { addresses } => Step::Ask(Request::Watch(addresses)),
            ClientMessage::Unwatch { addresses } => Step::Ask(Request::Unwatch(addresses)),
            ClientMessage::Turn => Step::Ask(Request::Turn),
            _ => refuse("this server does not know that message".to_owned()),
        }
    }

    /// Until when something must happen: the first login.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        (!self.logged_in).then_some(self.login_deadline)
    }

    /// Time has passed: the last message for a connection that has not logged in in time.
    #[must_use]
    pub fn handle_timeout(&self, now: Duration) -> Option<ServerMessage> {
        let late = self.poll_timeout().is_some_and(|deadline| now >= deadline);
        late.then(|| {
            error(
                SignalErrorCode::Unauthorized,
                "no login within 30 s of the challenge",
            )
        })
    }

    fn pay_for(&mut self, message: &ClientMessage, now: Duration) -> Result<(), Duration> {
        let cost = match message {
            ClientMessage::Signal { .. } => return self.signals.take(self.signal_rate, 1, now),
            ClientMessage::Login { addresses } => addresses.len(),
            ClientMessage::Watch { addresses } | ClientMessage::Unwatch { addresses } => {
                addresses.len()
            }
            _ => 1,
        };
        // The message limit keeps these lists below a thousand.
        self.control.take(
            self.control_rate,
            u32::try_from(cost.max(1)).unwrap_or(u32::MAX),
            now,
        )
    }

    fn log_in(&mut self, proofs: &[AddressProof]) -> Step {
        if proofs.is_empty() || proofs.len() > LOGIN_PROOFS_MAX {
            return refuse(format!(
                "a login holds 1 to {LOGIN_PROOFS_MAX} addresses, not {}",
                proofs.len()
            ));
        }
        match Proven::check(proofs, &self.nonce, &self.origin) {
            Ok(proven) => {
                self.logged_in = true;
                Step::Ask(Request::Login(proven))
            }
            Err(_) => {
                let text = format!(
                    "a proof does not hold for this connection's nonce and origin {}",
                    self.origin
                );
                Step::Reply(error(SignalErrorCode::Unauthorized, &text))
            }
        }
    }
}

/// An error message without a wait.
pub(crate) fn error(code: SignalErrorCode, text: &str) -> ServerMessage {
    ServerMessage::Error {
        code,
        text: text.to_owned(),
        retry_after_ms: None,
    }
}

/// The answer to what comes too fast.
pub(crate) fn rate_limited(wait: Duration) -> ServerMessage {
    // Rounded up: a client that waits exactly this long must not be refused again.
    let wait_ms = u64::try_from(wait.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let text = "too much at once".to_owned();
    ServerMessage::Error {
        code: SignalErrorCode::RateLimited,
        text,
        retry_after_ms: Some(wait_ms),
    }
}

fn refuse(text: String) -> Step {
    Step::Refuse(ServerMessage::Error {
        code: SignalErrorCode::BadMessage,
        text,
        retry_after_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tincan_protocol::keys::AddressKey;
    use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
    use tincan_protocol::signal::{encode, prove_login};

    fn origin() -> Origin {
        Origin::from_host_header("chat.example.org")
    }

    fn session() -> Session {
        Session::new(
            Nonce([7; 32]),
            origin(),
            &HubLimits::default(),
            Duration::ZERO,
        )
    }

    fn login(nonce: Nonce, origin: &Origin) -> String {
        let proof = prove_login(&AddressKey::from_seed(&[1; 32]), &nonce, origin);
        encode(&ClientMessage::Login {
            addresses: vec![proof],
        })
        .unwrap()
    }

    fn code(step: &Step) -> Option<SignalErrorCode> {
        match step {
            Step::Reply(ServerMessage::Error { code, .. })
            | Step::Refuse(ServerMessage::Error { code, .. }) => Some(*code),
            _ => None,
        }
    }

    #[test]
    fn only_a_login_for_this_connection_and_server_is_taken() {
        for (nonce, origin) in [
            (Nonce([8; 32]), origin()),
            (Nonce([7; 32]), Origin::from_host_header("evil")),
        ] {
            let mut session = session();
            let step = session.handle_text(&login(nonce, &origin), Duration::ZERO);
            assert_eq!(code(&step), Some(SignalErrorCode::Unauthorized));
            assert!(session.poll_timeout().is_some());
        }
        let mut session = session();
        let step = session.handle_text(&login(Nonce([7; 32]), &origin()), Duration::ZERO);
        assert!(matches!(step, Step::Ask(Request::Login(proven)) if proven.addresses().len() == 1));
        assert_eq!(session.poll_timeout(), None);
    }

    #[test]
    fn nothing_but_a_login_is_taken_before_the_login() {
        let address = SignalAddress::from_bytes([1; 32]);
        let before = [
            ClientMessage::Signal {
                to: address,
                from: address,
                body: Opaque(vec![]),
            },
            ClientMessage::Watch {
                addresses: vec![address],
            },
            ClientMessage::Unwatch {
                addresses: vec![address],
            },
            ClientMessage::Logout { address },
            ClientMessage::Turn,
        ];
        for message in before {
            let step = session().handle_text(&encode(&message).unwrap(), Duration::ZERO);
            assert_eq!(
                code(&step),
                Some(SignalErrorCode::Unauthorized),
                "{message:?}"
            );
        }
        let step = session().handle_text(&encode(&ClientMessage::Ping).unwrap(), Duration::ZERO);
        assert_eq!(step, Step::Reply(ServerMessage::Pong));
    }

    #[test]
    fn a_login_must_follow_within_thirty_seconds() {
        let session = session();
        assert_eq!(session.poll_timeout(), Some(Duration::from_secs(30)));
        assert_eq!(session.handle_timeout(Duration::from_secs(29)), None);
        assert!(session.handle_timeout(Duration::from_secs(30)).is_some());
    }

    #[test]
    fn what_cannot_be_read_ends_the_connection() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"type":"dance"}"#,
            &" ".repeat(SIGNAL_MESSAGE_MAX + 1),
            &"[".repeat(30_000),
        ] {
            let step = session().handle_text(text, Duration::ZERO);
            assert!(matches!(step, Step::Refuse(_)), "{:.20}", text);
        }
        let empty = encode(&ClientMessage::Login { addresses: vec![] }).unwrap();
        assert!(matches!(
            session().handle_text(&empty, Duration::ZERO),
            Step::Refuse(_)
        ));
    }

    #[test]
    fn signals_are_limited_and_the_named_wait_suffices() {
        let mut session = session();
        session.handle_text(&login(Nonce([7; 32]), &origin()), Duration::ZERO);
        let address = SignalAddress::from_bytes([1; 32]);
        let signal = encode(&ClientMessage::Signal {
            to: address,
            from: address,
            body: Opaque(vec![]),
        })
        .unwrap();
        let asked = (0..300)
            .filter(|_| matches!(session.handle_text(&signal, Duration::ZERO), Step::Ask(_)));
        assert_eq!(asked.count(), 200);
        let Step::Reply(ServerMessage::Error {
            retry_after_ms: Some(wait),
            code: SignalErrorCode::RateLimited,
            ..
        }) = session.handle_text(&signal, Duration::ZERO)
        else {
            panic!("not limited");
        };
        assert!(matches!(
            session.handle_text(&signal, Duration::from_millis(wait)),
            Step::Ask(_)
        ));
    }

    #[test]
    fn wrong_logins_are_limited_before_they_are_checked() {
        let mut session = session();
        let wrong = prove_login(&AddressKey::from_seed(&[1; 32]), &Nonce([8; 32]), &origin());
        let wrong = encode(&ClientMessage::Login {
            addresses: vec![wrong; LOGIN_PROOFS_MAX],
        })
        .unwrap();
        let checked = (0..60).filter(|_| {
            code(&session.handle_text(&wrong, Duration::ZERO))
                == Some(SignalErrorCode::Unauthorized)
        });
        assert_eq!(checked.count(), 40);
    }
}
