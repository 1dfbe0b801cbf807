//! The TURN server behind its socket.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tincan_protocol::special_range::special_range;
use tincan_signal_server::credentials::TurnSecret;
use tincan_signal_server::{EmbeddedTurn, Sent, TurnDoor};
use turn_server_proto::types::stun::message::Message;

use super::names::NOW_S;
use super::turn_client::{self, SMUGGLED, Signer};
use crate::script::{self, Script};

/// Bytes of the largest answer to somebody who has proved nothing: a challenge with realm and nonce.
/// Spoofed sources must not be worth it.
const ANSWER_MAX: usize = 256;

/// Allocations of one user, small so that scripts reach it.
const ALLOCATIONS: u32 = 2;

/// Steps of one input.
const STEPS_MAX: usize = 100;

/// One kind of step; a script names one by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Any packet of a client.
    Packet,
    /// A request with any attributes, signed with right or wrong credentials.
    Request,
    /// A Send indication.
    Indication,
    /// Data on a channel.
    ChannelData,
    /// A packet of a peer to a relay.
    PeerPacket,
    /// Time passes.
    Pause,
}

const STEPS: [Step; 6] = [
    Step::Packet,
    Step::Request,
    Step::Indication,
    Step::ChannelData,
    Step::PeerPacket,
    Step::Pause,
];

/// Three clients and any peers.
pub fn turn(data: &[u8]) {
    let mut world = World::new();
    script::play(data, &STEPS, STEPS_MAX, |step, script| {
        world.play(step, script)
    });
}

struct World {
    door: TurnDoor,
    signer: Signer,
    now: Duration,
}

const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(9, 9, 9, 9));

impl World {
    fn new() -> Self {
        let secret = TurnSecret::from_text("a secret of the targets").unwrap();
        let mut config = EmbeddedTurn::new(SocketAddr::new(OWN, 3478));
        config.relay_ports = 50_000..=50_007;
        config.allocations_per_user = ALLOCATIONS;
        Self {
            door: TurnDoor::new(&config, secret.clone(), [7; 32]),
            signer: Signer::new(secret),
            now: Duration::from_secs(10),
        }
    }

    fn play(&mut self, step: Step, script: &mut Script<'_>) {
        let from = SocketAddr::from(([5, 5, 5, 5], 1000 + u16::from(script.byte() % 3)));
        match step {
            Step::Packet => self.client(from, script.chunk(), false),
            Step::Request => {
                let (packet, signed) = self.signer.request(from, self.unix_s(), script);
                self.client(from, &packet, signed);
            }
            Step::Indication => {
                let packet = turn_client::indication(script);
                self.client(from, &packet, false);
            }
            Step::ChannelData => {
                let packet = turn_client::channel_data(script);
                self.client(from, &packet, false);
            }
            Step::PeerPacket => self.peer(script),
            Step::Pause => {
                self.now += Duration::from_millis(script.number().min(1 << 32));
                self.door.handle_timeout(self.now, self.unix_s());
            }
        }
        assert!(self.door.relays().len() <= 3 * ALLOCATIONS as usize);
    }

    fn unix_s(&self) -> u64 {
        NOW_S + self.now.as_secs()
    }

    fn client(&mut self, from: SocketAddr, packet: &[u8], signed: bool) {
        let sent = self
            .door
            .handle_client(from, packet, self.now, self.unix_s());
        for sent in sent {
            match sent.relay {
                Some(relay) => self.check_relayed(relay, &sent, packet),
                None if sent.to == from => self.check_answer(&sent, packet, signed),
                // From one client's relay to another's.
                None => assert!(sent.packet.len() <= packet.len() + 64),
            }
            self.signer.learn(from, &sent.packet);
        }
    }

    fn check_answer(&self, sent: &Sent, packet: &[u8], signed: bool) {
        if sent.packet.first().is_some_and(|first| *first >= 0x40) {
            // Data that a client has sent to its own relay.
            return;
        }
        let answer = Message::from_bytes(&sent.packet).expect("not a message");
        if !signed && answer.is_response() {
            assert!(
                sent.packet.len() <= ANSWER_MAX,
                "{} bytes",
                sent.packet.len()
            );
            assert_eq!(sent.packet[4..20], packet[4..20], "to another transaction");
        }
    }

    /// Nothing gets to where nobody may be sent.
    fn check_relayed(&self, relay: SocketAddr, sent: &Sent, packet: &[u8]) {
        assert!(
            self.door.relays().contains(&relay),
            "from a relay that is closed"
        );
        assert_eq!(special_range(sent.to.ip()), None);
        assert!(sent.to.ip() != OWN && sent.to.port() != 0);
        assert_ne!(sent.to, SMUGGLED, "a peer that nobody signed for");
        assert!(sent.packet.len() <= packet.len());
    }

    fn peer(&mut self, script: &mut Script<'_>) {
        let relays = self.door.relays();
        let relay = relays.get(usize::from(script.byte())).copied();
        let relay = relay.unwrap_or(SocketAddr::new(OWN, 50_000));
        let peer = turn_client::peer(script);
        let packet = script.chunk();
        let sent = self
            .door
            .handle_peer(relay, peer, packet, self.now, self.unix_s());
        for sent in sent {
            assert!(relays.contains(&relay) && sent.relay.is_none());
            assert!(sent.packet.len() <= packet.len() + 64);
        }
    }
}
