//! A signaling server that says what it likes.

use std::time::Duration;

use tincan_peer::simulation::{Client, ClientOutput, Frame, Lost, SignalClient, SignalCommand};
use tincan_protocol::SignalAddress;
use tincan_protocol::keys::AddressKey;
use tincan_protocol::limits::SIGNAL_MESSAGE_MAX;
use tincan_protocol::signal::{
    ClientMessage, Nonce, Opaque, ServerMessage, TurnCredentials, decode, encode,
};

use super::{STEPS_MAX, URL};
use crate::script::{self, Script};

/// Different addresses.
const ADDRESSES: u8 = 40;

/// What one word of the server may make it say: what it gives up, logs in to and watches, in two messages
/// each at most.
const OUTPUTS_MAX: usize = 6;

/// One kind of step; a script names one by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A connection is made.
    Connect,
    /// Any text.
    Text,
    /// A message that can be read.
    Message,
    /// The connection breaks.
    Lose,
    Addresses,
    Watch,
    Send,
    /// Time passes.
    Pause,
}

const STEPS: [Step; 8] = [
    Step::Connect,
    Step::Text,
    Step::Message,
    Step::Lose,
    Step::Addresses,
    Step::Watch,
    Step::Send,
    Step::Pause,
];

/// Commands of a driver, and whatever a server answers: the client says only what a server can read,
/// nothing before the challenge, and a flood of words does not make it a louder one.
pub fn signal_client(data: &[u8]) {
    let mut world = World {
        client: SignalClient::new(URL.parse().unwrap(), 1),
        is_connected: false,
        is_challenged: false,
        wanted: 0,
        now: Duration::ZERO,
    };
    script::play(data, &STEPS, STEPS_MAX, |step, script| {
        world.play(step, script)
    });
}

struct World {
    client: SignalClient,
    is_connected: bool,
    is_challenged: bool,
    /// Addresses that are wanted.
    wanted: usize,
    now: Duration,
}

impl World {
    fn play(&mut self, step: Step, script: &mut Script<'_>) {
        match step {
            Step::Connect => {
                if !self.is_connected {
                    self.is_connected = true;
                    self.now = Duration::ZERO;
                    self.client.handle_connected();
                }
            }
            Step::Text => self.hear(script.text()),
            Step::Message => {
                let message = message(script);
                if let Ok(text) = encode(&message) {
                    self.hear(text);
                }
            }
            Step::Lose => self.lose(),
            Step::Addresses => {
                let count = script.byte() % ADDRESSES;
                if self.client.takes_commands() {
                    self.wanted = usize::from(count);
                }
                let keys = (0..count).map(|number| AddressKey::from_seed(&[number; 32]));
                // Each one that is wanted no more is given up in a message of its own.
                let most = OUTPUTS_MAX + usize::from(ADDRESSES);
                self.command(SignalCommand::Addresses(keys.collect()), most);
            }
            Step::Watch => {
                let count = script.byte() % ADDRESSES;
                let watched = (0..count).map(address);
                self.command(SignalCommand::Watch(watched.collect()), OUTPUTS_MAX);
            }
            Step::Send => {
                let (to, from) = (address(script.byte()), address(script.byte()));
                let body = script.chunk().to_vec();
                self.command(SignalCommand::Send { to, from, body }, 1);
            }
            Step::Pause => {
                self.now += Duration::from_millis(script.number() % 100_000);
                let result = self.client.handle_timeout(self.now);
                self.after(result, 1);
            }
        }
    }

    fn hear(&mut self, text: String) {
        let is_challenge = matches!(decode(&text), Ok(ServerMessage::Challenge { .. }));
        self.is_challenged |= self.is_connected && is_challenge;
        let result = self.client.handle_frame(Frame::Text(text), self.now);
        self.after(result, OUTPUTS_MAX);
    }

    fn command(&mut self, command: SignalCommand, most: usize) {
        if self.client.takes_commands() {
            let result = self.client.handle_command(command, self.now);
            self.after(result, most);
        }
    }

    fn lose(&mut self) {
        self.client.handle_lost(Lost::new("it broke"));
        (self.is_connected, self.is_challenged) = (false, false);
        self.look(1);
    }

    fn after(&mut self, result: Result<(), Lost>, most: usize) {
        self.look(most);
        if result.is_err() {
            self.lose();
        }
    }

    /// Looks at what it wants.
    fn look(&mut self, most: usize) {
        let (mut outputs, mut proofs) = (0, 0);
        while let Some(output) = self.client.poll_output() {
            outputs += 1;
            let ClientOutput::Send(frame) = output else {
                continue;
            };
            let Frame::Text(text) = frame else {
                panic!("it speaks protobuf to a signaling server");
            };
            assert!(self.is_challenged, "it speaks before the server");
            assert!(text.len() <= SIGNAL_MESSAGE_MAX, "{} bytes", text.len());
            if let ClientMessage::Login { addresses } = decode(&text).expect("a message") {
                proofs += addresses.len();
            }
        }
        assert!(outputs <= most, "{outputs} outputs, at most {most}");
        assert!(proofs <= self.wanted, "{proofs} proofs of {}", self.wanted);
    }
}

fn address(number: u8) -> SignalAddress {
    AddressKey::from_seed(&[number % ADDRESSES; 32]).address()
}

fn message(script: &mut Script<'_>) -> ServerMessage {
    let turn = |script: &mut Script<'_>| {
        (script.byte() % 2 == 1).then(|| TurnCredentials {
            urls: vec![script.text()],
            username: script.text(),
            credential: script.text(),
            ttl_s: script.number(),
        })
    };
    match script.byte() % 5 {
        0 => ServerMessage::Challenge {
            nonce: Nonce([script.byte(); 32]),
            version: script.byte().into(),
        },
        1 => ServerMessage::Welcome {
            addresses: vec![address(script.byte())],
            turn: turn(script),
        },
        2 => ServerMessage::Turn { turn: turn(script) },
        3 => ServerMessage::Signal {
            to: address(script.byte()),
            from: address(script.byte()),
            body: Opaque(script.chunk().to_vec()),
        },
        _ => ServerMessage::Presence {
            address: address(script.byte()),
            online: script.byte() % 2 == 1,
        },
    }
}
