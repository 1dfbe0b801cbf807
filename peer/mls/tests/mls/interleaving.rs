//! Any order of sealing, opening, writing and dying, against a model: every message that was sent
//! opens exactly once as far as the disk remembers, however it is lost, repeated or out of order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tincan_mls::{GroupId, OpenError};

use crate::fixture::{Device, pair};

/// What a receiver keeps of a sender's skipped messages.
const WINDOW: usize = 1_088;

#[derive(Clone, Debug)]
enum Step {
    /// Seals some messages.
    Seal { side: usize, count: usize },
    /// The network delivers one of the messages sent so far, the how manieth from the newest.
    Deliver { to: usize, back: usize },
    /// Writes what changed; what was sealed goes out.
    Commit { side: usize },
    /// Dies without writing.
    Crash { side: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let side = 0..2usize;
    prop_oneof![
        4 => (side.clone(), 1..160usize).prop_map(|(side, count)| Step::Seal { side, count }),
        12 => (side.clone(), prop_oneof![3 => 0..8usize, 1 => 0..1_600usize])
            .prop_map(|(to, back)| Step::Deliver { to, back }),
        5 => side.clone().prop_map(|side| Step::Commit { side }),
        2 => side.prop_map(|side| Step::Crash { side }),
    ]
}

/// One side with the model of what it must know.
struct Side {
    device: Device,
    /// Sealed, not yet written: it goes nowhere before.
    sealed: Vec<Vec<u8>>,
    /// Written and on the wire; the index is the generation of the message's key.
    sent: Vec<Vec<u8>>,
    /// Opened messages of the other side, as written and as of now.
    opened_on_disk: BTreeSet<usize>,
    opened: BTreeSet<usize>,
}

impl Side {
    fn new(device: Device) -> Self {
        Self {
            device,
            sealed: Vec::new(),
            sent: Vec::new(),
            opened_on_disk: BTreeSet::new(),
            opened: BTreeSet::new(),
        }
    }

    fn seal(&mut self, group: &GroupId, text: &str) {
        self.sealed
            .push(self.device.mls.seal(group, text.as_bytes()).unwrap());
    }

    fn commit(&mut self) {
        self.device.commit();
        self.sent.append(&mut self.sealed);
        self.opened_on_disk.clone_from(&self.opened);
    }

    fn crash(&mut self) {
        self.device.crash();
        self.sealed.clear();
        self.opened.clone_from(&self.opened_on_disk);
    }

    /// Opens the other side's message `index` and compares with the model.
    fn open(&mut self, index: usize, bytes: &[u8], from: usize) -> Result<(), TestCaseError> {
        let head = self.opened.last().map_or(0, |last| last + 1);
        let too_late = head > index + WINDOW;
        let result = self.device.mls.open(bytes);
        if self.opened.contains(&index) || too_late {
            prop_assert!(
                matches!(result, Err(OpenError::KeyGone)),
                "{index}: {result:?}"
            );
            return Ok(());
        }
        let opened = result.map_err(|error| TestCaseError::fail(format!("{index}: {error}")))?;
        let text = String::from_utf8_lossy(&opened.payload).into_owned();
        prop_assert!(
            text.starts_with(&format!("{from}/{index}/")),
            "{index}: {text}"
        );
        self.opened.insert(index);
        Ok(())
    }
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let (alice, bob, group) = pair();
    let mut sides = [Side::new(alice), Side::new(bob)];
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Seal { side, count } => {
                for _ in 0..count {
                    let index = sides[side].sent.len() + sides[side].sealed.len();
                    sides[side].seal(&group, &format!("{side}/{index}/{number}"));
                }
            }
            Step::Deliver { to, back } => {
                let from = 1 - to;
                if let Some(index) = sides[from].sent.len().checked_sub(back + 1) {
                    let bytes = sides[from].sent[index].clone();
                    sides[to].open(index, &bytes, from)?;
                }
            }
            Step::Commit { side } => sides[side].commit(),
            Step::Crash { side } => sides[side].crash(),
        }
    }
    // In the end everything comes, and comes again.
    for to in 0..2 {
        let from = 1 - to;
        for round in 0..2 {
            for (index, bytes) in sides[from].sent.clone().iter().enumerate() {
                sides[to].open(index, bytes, from)?;
            }
            if round == 0 {
                sides[to].commit();
                sides[to].crash();
            }
        }
    }
    Ok(())
}

#[test]
fn every_message_opens_exactly_once_whatever_dies() {
    let config = ProptestConfig {
        cases: 48,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let steps = prop::collection::vec(step(), 1..120);
    runner.run(&steps, |steps| run(&steps)).unwrap();
}
