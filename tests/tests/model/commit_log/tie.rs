//! The model's log and the real relay's: `Mailboxes` over the real store, on the same requests.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tincan_protocol::ids::QueueId;
use tincan_protocol::wire::relay_reply::Kind;
use tincan_relay::mailbox::ConnectionId;
use tincan_relay::store::QueueKind;

use super::group::{Action, Group, Request};
use super::relay::{Commit, Log, Reply};
use super::{Budget, MEMBERS};
use crate::relay::{Relay, Said};

/// The real log, read by every member from its beginning.
struct Real<'a> {
    relay: &'a mut Relay,
    queue: QueueId,
    members: [ConnectionId; MEMBERS],
    /// What each member was sent.
    delivered: BTreeMap<ConnectionId, Vec<(u8, Commit)>>,
}

impl<'a> Real<'a> {
    fn new(relay: &'a mut Relay) -> Self {
        let queue = relay.queue(QueueKind::Log);
        let members = [(); MEMBERS].map(|()| relay.connect());
        let mut real = Self {
            relay,
            queue,
            members,
            delivered: BTreeMap::new(),
        };
        for member in members {
            let said = real.relay.subscribe(member, queue);
            assert_eq!(real.hear(said), None);
        }
        real
    }

    fn append(&mut self, member: usize, commit: Commit, after_index: u8) -> Reply {
        let entry = Bytes::copy_from_slice(&[commit]);
        let connection = self.members[member];
        let said = self
            .relay
            .append(connection, self.queue, after_index.into(), entry);
        self.hear(said).expect("an append is answered")
    }

    fn hear(&mut self, said: Vec<Said>) -> Option<Reply> {
        let mut reply = None;
        for said in said {
            match said {
                Said::Answer(_, Kind::Appended(appended)) => {
                    let index = appended.index as u8;
                    reply = Some(Reply::Appended { index });
                }
                Said::Answer(_, Kind::Conflict(conflict)) => {
                    let last_index = conflict.last_index as u8;
                    reply = Some(Reply::Conflict { last_index });
                }
                Said::Push(to, Kind::Deliver(delivery)) => {
                    let entry = (delivery.index as u8, delivery.envelope[0]);
                    self.delivered.entry(to).or_default().push(entry);
                }
                Said::Answer(_, Kind::Done(_)) | Said::Push(_, Kind::Drained(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        reply
    }

    /// What is in the store, and what every reader has been sent, is the model's log.
    fn compare(&mut self, log: &Log) {
        let expected: Vec<(u8, Commit)> = (1..).zip(log.0.iter().map(|entry| entry.0)).collect();
        let page = self.relay.page(self.queue);
        let entries = page.entries.iter();
        let entries: Vec<_> = entries
            .map(|(index, entry)| (*index as u8, entry[0]))
            .collect();
        assert_eq!(entries, expected);
        assert_eq!(page.last_index as usize, expected.len());
        for member in self.members {
            let delivered = self.delivered.get(&member);
            assert_eq!(delivered.map_or(&[][..], Vec::as_slice), expected);
        }
    }
}

/// Commits that are appended in the exhaustive walk.
const COMMITS: Commit = 4;

/// Every log of up to four commits is reached, and every request is made of it.
#[test]
fn every_append_to_every_small_log_is_answered_by_the_relay_as_by_the_model() {
    let mut relay = Relay::new();
    let mut logs = BTreeSet::from([Vec::<Commit>::new()]);
    let mut waiting = vec![Vec::new()];
    let mut requests = 0;
    while let Some(commits) = waiting.pop() {
        for commit in 1..=COMMITS {
            for after_index in 0..=COMMITS + 1 {
                let mut real = Real::new(&mut relay);
                let mut log = Log::default();
                for (at, earlier) in (0..).zip(&commits) {
                    assert_eq!(
                        real.append(0, *earlier, at),
                        log.append(*earlier, 0, at, None)
                    );
                }
                let answer = real.append(1, commit, after_index);
                assert_eq!(answer, log.append(commit, 0, after_index, None));
                real.compare(&log);
                requests += 1;
                let after: Vec<Commit> = log.0.iter().map(|entry| entry.0).collect();
                if logs.insert(after.clone()) {
                    waiting.push(after);
                }
            }
        }
        relay = Relay::new();
    }
    println!("{} logs, {requests} requests", logs.len());
    assert_eq!(logs.len(), 1 + 4 + 12 + 24 + 24);
}

/// Whole races, with the real relay beside the model's log.
#[test]
fn races_at_the_real_relay_go_as_in_the_model() {
    let mut relay = Relay::new();
    for seed in 0..300 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut group = Group::new(
            Budget::intents([2, 2, 2])
                .crashes(3)
                .duplicates(3)
                .losses(3),
        );
        let mut real = Real::new(&mut relay);
        for _ in 0..STEPS {
            let mut actions = Vec::new();
            group.possible(&mut actions);
            if actions.is_empty() {
                break;
            }
            let action = actions[random.random_range(0..actions.len())];
            let taken = match action {
                Action::Take { request, .. } => Some(group.requests[request]),
                _ => None,
            };
            if let Some(request) = taken {
                let Request {
                    member,
                    commit,
                    epoch,
                    after_index,
                    ..
                } = request;
                let reply = real.append(member, commit, after_index);
                let expected = group.log.clone().append(commit, epoch, after_index, None);
                assert_eq!(reply, expected, "seed {seed}: {request:?}");
            }
            group = group.after(action, None);
            real.compare(&group.log);
        }
        assert!(group.is_done(), "seed {seed}: {group:?}");
        if seed % 50 == 49 {
            relay = Relay::new();
        }
    }
}

/// More than any race takes.
const STEPS: usize = 1_000;
