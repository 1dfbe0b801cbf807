//! Random schedules over a pair: drops, duplicates, reordering, delays, partitions, crashes, full
//! mailboxes, lost keys.

use std::time::Duration;

use proptest::prelude::*;

use crate::pair::{Frame, Pair};

#[derive(Clone, Debug)]
enum Step {
    Send { at: usize, count: usize },
    Deliver { to: usize, index: usize },
    Drop { to: usize, index: usize },
    Duplicate { to: usize, index: usize },
    Fetch { at: usize },
    Link(bool),
    Relay { at: usize, up: bool },
    Full { at: usize, full: bool },
    Crash { at: usize },
    CrashInCommit { at: usize, leave: usize },
    CrashBeforeCommit { at: usize, to_index: usize },
    LoseKeys { at: usize, index: usize },
    LoseMailbox { at: usize, told: bool },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..2usize;
    prop_oneof![
        6 => (at.clone(), 1..5usize).prop_map(|(at, count)| Step::Send { at, count }),
        1 => (at.clone(), 200..700usize).prop_map(|(at, count)| Step::Send { at, count }),
        12 => (at.clone(), 0..4usize).prop_map(|(to, index)| Step::Deliver { to, index }),
        2 => (at.clone(), 0..4usize).prop_map(|(to, index)| Step::Drop { to, index }),
        2 => (at.clone(), 0..4usize).prop_map(|(to, index)| Step::Duplicate { to, index }),
        8 => at.clone().prop_map(|at| Step::Fetch { at }),
        3 => any::<bool>().prop_map(Step::Link),
        3 => (at.clone(), any::<bool>()).prop_map(|(at, up)| Step::Relay { at, up }),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, full)| Step::Full { at, full }),
        2 => at.clone().prop_map(|at| Step::Crash { at }),
        2 => (at.clone(), 0..4usize).prop_map(|(at, leave)| Step::CrashInCommit { at, leave }),
        2 => (at.clone(), 0..3usize).prop_map(|(at, to_index)| Step::CrashBeforeCommit { at, to_index }),
        1 => (at.clone(), 0..4usize).prop_map(|(at, index)| Step::LoseKeys { at, index }),
        1 => (at, any::<bool>()).prop_map(|(at, told)| Step::LoseMailbox { at, told }),
        4 => (0..4_000u64).prop_map(Step::Wait),
    ]
}

fn run(pair: &mut Pair, sent: &mut [Vec<String>; 2], step: Step) {
    match step {
        Step::Send { at, count } => {
            let texts: Vec<String> = (0..count)
                .map(|n| format!("{at}:{}", sent[at].len() + n))
                .collect();
            pair.send(at, &texts);
            sent[at].extend(texts);
        }
        Step::Deliver { to, index } => {
            pair.deliver(to, index);
            pair.step(to);
        }
        Step::Drop { to, index } => {
            pair.wires[to].remove(index);
        }
        Step::Duplicate { to, index } => {
            let frame = pair.wires[to].get(index).cloned();
            pair.wires[to].extend(frame);
        }
        Step::Fetch { at } => {
            pair.fetch(at);
            pair.step(at);
        }
        Step::Link(true) => pair.link_up(),
        Step::Link(false) => pair.link_down(),
        Step::Relay { at, up } => pair.relay(at, up),
        Step::Full { at, full } => pair.sides[at].mailbox.full = full,
        Step::Crash { at } => pair.crash(at),
        Step::CrashInCommit { at, leave } => {
            pair.deliver(at, 0);
            pair.fetch(at);
            pair.commit(at, leave);
            pair.crash(at);
        }
        Step::CrashBeforeCommit { at, to_index } => {
            pair.deliver(at, to_index);
            pair.crash(at);
        }
        Step::LoseKeys { at, index } => {
            if let Some(Frame::Put(envelope)) = pair.wires[at].get(index) {
                let generation = u64::from_be_bytes(envelope[..8].try_into().unwrap());
                pair.lose_key(at, generation);
            }
        }
        Step::LoseMailbox { at, told } => pair.lose_mailbox(at, told),
        Step::Wait(ms) => pair.advance(Duration::from_millis(ms)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_every_message_arrives_once_and_in_order(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::new();
        let mut sent = [Vec::new(), Vec::new()];
        for step in steps {
            run(&mut pair, &mut sent, step);
        }
        pair.settle();
        pair.check_complete([&sent[0], &sent[1]]);
    }
}
