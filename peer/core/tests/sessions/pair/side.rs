//! One side: a session, its disk, and what a crash would take from it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tincan_core::{Config, DeliveryState, DeviceAt, Event, Now, Output, Session, Vault as _};
use tincan_protocol::ack::SeqSet;
use tincan_protocol::content::{Body, Content, DeviceAck, Receipt};
use tincan_protocol::envelope::Payload;
use tincan_protocol::{DeviceId, MsgId};

use super::BUSY;
use super::disk::Disk;
use super::mailbox::Mailbox;

/// A side of the pair.
pub(crate) struct Side {
    device: DeviceId,
    remote: DeviceId,
    pub(crate) session: Session,
    /// The open transaction.
    pub(crate) working: Disk,
    /// What a crash leaves.
    pub(crate) durable: Disk,
    /// What waits for the commit.
    pub(super) uncommitted: VecDeque<Output>,
    pub(crate) states: BTreeMap<u64, DeliveryState>,
    pub(crate) events: Vec<Event>,
    next_in_order: u64,
    pub(crate) mailbox: Mailbox,
    pub(crate) relay_up: bool,
    restarts: u64,
    /// How many messages it has forgotten.
    pub(crate) forgotten: usize,
    pub(super) tolerant: bool,
}

impl Side {
    pub(super) fn new(device: DeviceId, remote: DeviceId, config: &Config, now: Now) -> Self {
        let disk = Disk::new(device);
        let devices = DeviceAt {
            local: device,
            remote,
        };
        Self {
            device,
            remote,
            session: Session::new(config.clone(), devices, 1, now),
            working: disk.clone(),
            durable: disk,
            uncommitted: VecDeque::new(),
            states: BTreeMap::new(),
            events: Vec::new(),
            next_in_order: 1,
            mailbox: Mailbox::default(),
            relay_up: false,
            restarts: 0,
            forgotten: 0,
            tolerant: false,
        }
    }

    pub(super) fn restart(&mut self, config: &Config, now: Now) {
        self.restarts += 1;
        self.uncommitted.clear();
        self.working = self.durable.clone();
        let devices = DeviceAt {
            local: self.device,
            remote: self.remote,
        };
        let seed = self.restarts;
        self.session = match &self.durable.snapshot {
            None => Session::new(config.clone(), devices, seed, now),
            Some(snapshot) => {
                let config = config.clone();
                Session::restore(config, devices, seed, snapshot, &self.durable, now).unwrap()
            }
        };
        // Events between the last commit and the crash may never have been shown.
        self.next_in_order = 1;
    }

    /// Nothing is left but the next number. What is sealed from now on is sealed with other keys.
    pub(super) fn forget(&mut self, config: &Config, now: Now) {
        self.restarts += 1;
        self.uncommitted.clear();
        let left = self.session.left_at();
        self.working = self.working.forgotten();
        let devices = DeviceAt {
            local: self.device,
            remote: self.remote,
        };
        self.session = Session::new_from(config.clone(), devices, self.restarts, left, now);
        self.states.clear();
        self.next_in_order = 1;
        self.forgotten = usize::try_from(left.next_seq).unwrap() - 1;
    }

    /// Which of its messages, counted from 0, this side was told are sent.
    pub(crate) fn sent_for_sure(&self) -> Vec<usize> {
        let sent = self.states.iter();
        let sent = sent.filter(|&(_, &state)| {
            state != DeliveryState::Pending && state != DeliveryState::Failed
        });
        sent.map(|(&seq, _)| usize::try_from(seq).unwrap() - 1)
            .collect()
    }

    /// Applies what is to be persisted to the open transaction and queues the rest behind it.
    pub(super) fn collect(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.session.poll_output() {
            outputs += 1;
            assert!(outputs < BUSY, "outputs without an end");
            match output {
                Output::Persist(row) => self.working.apply(row),
                other => self.uncommitted.push_back(other),
            }
        }
    }

    pub(super) fn state(&mut self, seq: u64, state: DeliveryState) {
        let old = self.states.insert(seq, state);
        let healed = old == Some(DeliveryState::Failed) && state >= DeliveryState::Delivered;
        // A resent envelope is handed over again, so the same state may be said twice, and a
        // crash may make the session say what it has said before.
        let again = self.restarts > 0 || self.session.state_of(seq).is_none();
        assert!(
            old <= Some(state) || healed || again,
            "seq {seq}: {old:?} -> {state:?}"
        );
    }

    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Received {
                content,
                late: false,
                ..
            } => {
                assert!(
                    content.seq >= self.next_in_order,
                    "out of order: {}",
                    content.seq
                );
                self.next_in_order = content.seq + 1;
            }
            Event::Misbehaved { .. } if self.tolerant => {}
            Event::Misbehaved { what } => panic!("an honest side {what}"),
            _ => {}
        }
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.device
    }

    /// A receipt that this side's program would never make, sealed by it.
    pub(crate) fn forged_receipt(&mut self, device: DeviceId, received: u64) -> Bytes {
        let received = SeqSet::up_to(received);
        let ack = DeviceAck {
            device,
            received,
            read_up_to: 0,
        };
        let body = Body::Receipt(Receipt {
            acks: vec![ack],
            ..Receipt::default()
        });
        self.sealed(body)
    }

    /// Something without a number, sealed by this side's device whatever its session thinks.
    pub(crate) fn sealed(&mut self, body: Body) -> Bytes {
        let content = Content {
            msg_id: MsgId::nil(),
            seq: 0,
            hlc: Default::default(),
            body,
        };
        let payload = Payload::of(vec![content.encode()]).encode();
        self.working.seal(payload).unwrap()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let contents = self
            .durable
            .timeline
            .values()
            .map(|bytes| Content::decode(bytes).unwrap());
        let contents: Vec<_> = contents.collect();
        assert!(
            contents.is_sorted_by_key(|content| content.seq),
            "timeline against seq"
        );
        contents.into_iter().map(text_of).collect()
    }

    /// What is received and not shown yet.
    pub(crate) fn held_texts(&self) -> Vec<String> {
        let held = self.durable.held.values();
        held.map(|bytes| text_of(Content::decode(bytes).unwrap()))
            .collect()
    }
}

fn text_of(content: Content) -> String {
    match content.body {
        Body::Text(text) => text.text,
        other => panic!("{other:?}"),
    }
}
