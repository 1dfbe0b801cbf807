//! The end: everything works, until nothing is on its way any more; then all is compared.

use std::time::Duration;

use tincan_peer::ContactStanding;
use tincan_peer::simulation::{Buffer, Node};

use super::processes::check_disk;
use super::{PEERS, World};

/// How long everything has, when it works, to come to rest: longer than any wait of the protocol
/// between two tries.
pub(super) const REST: Duration = Duration::from_secs(48 * 3600);

/// And how many steps.
const REST_STEPS: usize = 400_000;

impl World {
    /// Everything works from now on, until nothing is on its way any more.
    pub(crate) fn settle(&mut self) {
        self.settle_within(REST, REST_STEPS);
    }

    pub(super) fn settle_within(&mut self, rest: Duration, steps: usize) {
        self.cuts.clear();
        for machine in &self.machines {
            machine.disk.set_room(None);
        }
        for relay in &self.relays {
            relay.disk.set_room(None);
        }
        let end = self.now + rest;
        for n in 0..steps {
            if n % 64 == 0 {
                self.start_all();
                (0..PEERS).for_each(|peer| self.accept(peer));
                if self.is_at_rest() {
                    return;
                }
            }
            self.pass(n);
            if self.now > end {
                break;
            }
        }
        panic!("4: it never comes to rest: {}", self.report());
    }

    /// Something goes on, whatever is next.
    pub(crate) fn pass(&mut self, n: usize) {
        self.now += Duration::from_micros(200);
        self.go(n, 8);
        self.hear_answers();
    }

    /// Where the story stands, in few words: equal stories have equal ones.
    pub(crate) fn fingerprint(&self) -> String {
        let journals = (0..PEERS).map(|peer| self.model.journal_end(peer));
        format!(
            "{:?} {:?} {} {:?}",
            self.now,
            journals.collect::<Vec<_>>(),
            self.next_connection,
            self.links.open()
        )
    }

    /// Nobody waits for anything: all is delivered, said to be so, and shown.
    pub(super) fn is_at_rest(&self) -> bool {
        self.machines.iter().all(|machine| {
            machine.inbox.is_empty()
                && machine.node.as_ref().is_some_and(|node| {
                    let all = node.conversations();
                    let holds = |(_, buffer): (_, Buffer)| {
                        buffer.what == "messages held back" && buffer.filled > 0
                    };
                    !node.buffers().any(holds)
                        && all.iter().all(|one| {
                            one.standing == Some(ContactStanding::Accepted)
                                && !one.is_waiting
                                && node.undelivered(one.no).unwrap().is_empty()
                        })
                })
        })
    }

    pub(super) fn report(&self) -> String {
        let machines = self.machines.iter().enumerate().map(|(peer, machine)| {
            let Some(node) = &machine.node else {
                return format!("peer {peer} is dead");
            };
            let all = node.conversations().into_iter().map(|one| {
                let undelivered = node.undelivered(one.no).unwrap();
                let there = undelivered.iter().map(|seq| self.has(peer, one.with, *seq));
                let there: Vec<_> = there.collect();
                format!("{one:?} undelivered {undelivered:?}, there: {there:?}")
            });
            let slots = machine.clients.values();
            let slots = slots.map(|slot| {
                format!(
                    "\n    {:?} connected {:?} failures {} heard {:?}",
                    slot.server,
                    slot.connection,
                    slot.failures(),
                    slot.heard
                )
            });
            format!(
                "peer {peer}, clock set by {} ms: {}{}",
                machine.jump_ms(),
                all.collect::<Vec<_>>().join("; "),
                slots.collect::<String>()
            )
        });
        machines.collect::<Vec<_>>().join("\n")
    }

    /// Whether the other side of a conversation has what one has sent.
    fn has(&self, peer: usize, with: tincan_protocol::IdentityId, seq: u64) -> Option<bool> {
        let other = self.machines.iter().find(|one| one.identity == with)?;
        let node = other.node.as_ref()?;
        let back = node.conversations();
        let back = back
            .iter()
            .find(|one| one.with == self.machines[peer].identity)?;
        Some(node.has_received(back.no, seq))
    }

    /// What must be true at the end.
    pub(crate) fn check_complete(&mut self) {
        for relay in &mut self.relays {
            relay.check_kept();
        }
        let nodes = self
            .machines
            .iter()
            .map(|machine| machine.node.as_ref().unwrap());
        let nodes: Vec<&Node> = nodes.collect();
        self.model.complete(&nodes);
        let disks = self.machines.iter().map(|machine| &machine.disk);
        for disk in disks.chain(self.relays.iter().map(|relay| &relay.disk)) {
            check_disk(disk);
        }
    }
}
