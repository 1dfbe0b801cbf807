//! The relays between two drivers: what one deposits is delivered to the other.

use std::time::Duration;

use tincan_core::RefusedDeposit;
use tincan_protocol::StoreId;

use super::bench::{Bench, Commands};
use crate::net::{Lost, RelayCommand, RelayEvent};

/// Rounds until nothing is on its way any more: a question, its answer, a receipt, each a second.
const ROUNDS: usize = 8;

impl Bench {
    /// This one's connection to another's relay, which is up.
    fn connect(&mut self, to: &Self) -> Commands {
        let commands = Commands::default();
        self.connect_relay(&to.server(), commands.connection(1));
        let down = RelayEvent::Down(Lost::new("what was on its way is lost"));
        for event in [down, RelayEvent::Up(StoreId::from_bytes([1; 16]))] {
            self.driver.handle_relay(&to.server(), event).unwrap();
        }
        commands
    }

    /// Reads its mailboxes to their end.
    fn read_mailboxes(&mut self) {
        let (server, queues) = (self.server(), self.driver.by_queue.clone());
        for queue in queues.into_keys() {
            for event in [RelayEvent::Subscribed(queue), RelayEvent::Drained(queue)] {
                self.driver.handle_relay(&server, event).unwrap();
            }
        }
    }

    fn post(&mut self, to: &mut Self, commands: &Commands, index: &mut u64) {
        self.pass(Duration::from_secs(1));
        self.driver.turn([]).unwrap();
        self.commit();
        for command in commands.taken() {
            let (tag, queue, envelope) = match command {
                RelayCommand::Deposit {
                    tag,
                    queue,
                    envelope,
                    ..
                } => (tag, queue, envelope),
                RelayCommand::TakeKeyPackage { request, .. } => {
                    let package = to.driver.mls.create_key_package(false);
                    to.commit();
                    let package = Ok(package.unwrap());
                    let event = RelayEvent::KeyPackage { request, package };
                    self.driver.handle_relay(&to.server(), event).unwrap();
                    self.commit();
                    continue;
                }
                _ => continue,
            };
            *index += 1;
            let is_there = to.driver.by_queue.contains_key(&queue);
            let answer = if is_there {
                let delivered = RelayEvent::Delivered {
                    queue,
                    index: *index,
                    envelope,
                };
                let at = to.server();
                to.driver.handle_relay(&at, delivered).unwrap();
                to.commit();
                RelayEvent::Deposited(tag)
            } else {
                RelayEvent::Refused {
                    tag,
                    reason: RefusedDeposit::Rejected,
                    retry_after: None,
                }
            };
            self.driver.handle_relay(&to.server(), answer).unwrap();
            self.commit();
        }
    }
}

/// Everything that each has for the other gets there, until there is no more.
pub(super) fn exchange(one: &mut Bench, other: &mut Bench) {
    let (from_one, from_other) = (one.connect(other), other.connect(one));
    one.read_mailboxes();
    other.read_mailboxes();
    let mut index = 0;
    for _ in 0..ROUNDS {
        one.post(other, &from_one, &mut index);
        other.post(one, &from_other, &mut index);
    }
}
