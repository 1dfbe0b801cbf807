//! What users do.

use rand::RngExt as _;
use tincan_peer::simulation::{AddRequest, Command, ConversationNo, Input, Node, Reply};
use tincan_peer::{AddError, ContactStanding, Draft, Invite, InviteError};
use tincan_protocol::{IdentityId, MsgId};
use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;

use super::{PEERS, World};
use crate::model::CANARY;

/// How long an invite is good.
const LIFETIME_MS: u64 = 60 * 24 * 3600 * 1000;

/// Of so many times somebody who knows another one already uses an invite of theirs.
const AGAIN: u32 = 10;

/// Two who are about to become contacts.
#[derive(Debug)]
pub(super) struct Introduction {
    host: usize,
    guest: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The host makes an invite.
    Invite(Receiver<Result<Invite, InviteError>>),
    /// The guest uses it.
    Add(Receiver<Result<IdentityId, AddError>>),
}

impl World {
    pub(super) fn send(&mut self, from: usize, to: usize, texts: u8) {
        let from = from % PEERS;
        let Some((no, to)) = self.conversation(from, to) else {
            return;
        };
        let node = self.machines[from].node.as_ref();
        let known = node.map(Node::conversations).unwrap_or_default();
        let to_asked = known
            .iter()
            .any(|one| one.no == no && one.standing != Some(ContactStanding::Accepted));
        let count = u32::from(texts);
        for _ in 0..count {
            let (number, text) = (self.next_text, format!("{CANARY}{}", self.next_text));
            self.next_text += 1;
            let id = MsgId::from_u128(u128::from(number));
            let (reply, answer) = Reply::new();
            self.model
                .sends((from, to), to_asked, (id, text.clone()), answer);
            self.machines[from]
                .inbox
                .push_back(Input::Command(Command::Send {
                    to: no,
                    messages: vec![Draft {
                        id,
                        ..Draft::new(text)
                    }],
                    reply,
                }));
        }
    }

    pub(super) fn read(&mut self, who: usize, of: usize) {
        let who = who % PEERS;
        if let Some((no, _)) = self.conversation(who, of) {
            let up_to = u64::MAX;
            let reply = Reply::nobody();
            let shown = tincan_peer::Shown::UpTo(up_to);
            let command = Command::Read { no, shown, reply };
            self.machines[who].inbox.push_back(Input::Command(command));
        }
    }

    /// Somebody says yes to everybody who asks them.
    pub(super) fn accept(&mut self, who: usize) {
        let machine = &mut self.machines[who % PEERS];
        let known = machine.node.as_ref().map(Node::conversations);
        for asks in known.iter().flatten().filter(|one| one.standing.is_none()) {
            self.tally.accepted += 1;
            let (who, (reply, _)) = (asks.with, Reply::new());
            let command = Command::Accept { who, reply };
            machine.inbox.push_back(Input::Command(command));
        }
    }

    /// A process is told to end.
    pub(super) fn ask_to_end(&mut self, who: usize) {
        let machine = &mut self.machines[who % PEERS];
        if machine.node.is_some() {
            let (reply, _) = Reply::new();
            let command = Command::Shutdown { reply };
            machine.inbox.push_back(Input::Command(command));
        }
    }

    /// One of a running peer's conversations, and with whom.
    pub(super) fn conversation(
        &self,
        peer: usize,
        which: usize,
    ) -> Option<(ConversationNo, usize)> {
        let known = self.machines[peer].node.as_ref()?.conversations();
        let known: Vec<_> = known.iter().filter(|one| one.standing.is_some()).collect();
        let one = known.get(which % known.len().max(1))?;
        let with = self
            .machines
            .iter()
            .position(|machine| machine.identity == one.with);
        Some((one.no, with?))
    }

    /// Somebody makes an invite, and somebody else uses it.
    pub(crate) fn introduce(&mut self, host: usize, guest: usize) {
        let (host, guest) = (host % PEERS, guest % PEERS);
        if host == guest || self.machines[host].node.is_none() {
            return;
        }
        // Who knows the host already is refused, and the invite stays: with a mailbox that costs time at
        // every connection from then on.
        if self.are_contacts(host, guest) && !self.rng.random_ratio(1, AGAIN) {
            return;
        }
        let (reply, invite) = Reply::new();
        // One for several has its user ask.
        let max_uses = if self.rng.random_ratio(1, 3) { 2 } else { 1 };
        let command = Command::Invite {
            max_uses,
            lifetime_ms: LIFETIME_MS,
            reply,
        };
        self.machines[host].inbox.push_back(Input::Command(command));
        self.introductions.push(Introduction {
            host,
            guest,
            stage: Stage::Invite(invite),
        });
    }

    fn are_contacts(&self, host: usize, guest: usize) -> bool {
        let node = self.machines[host].node.as_ref();
        let known = node.map(Node::conversations).unwrap_or_default();
        let known = known.iter().filter(|one| one.standing.is_some());
        known
            .map(|one| one.with)
            .any(|with| with == self.machines[guest].identity)
    }

    /// Callers look at their answers.
    pub(super) fn hear_answers(&mut self) {
        self.model.hear_answers();
        for mut one in std::mem::take(&mut self.introductions) {
            if self.goes_on(&mut one) {
                self.introductions.push(one);
            }
        }
    }

    /// Whether nobody has given up, nor got what they wanted.
    fn goes_on(&mut self, one: &mut Introduction) -> bool {
        match &mut one.stage {
            Stage::Invite(answer) => match answer.try_recv() {
                Ok(invite) => self.add(one, invite.expect("an invite")),
                Err(TryRecvError::Empty) => true,
                Err(TryRecvError::Closed) => false,
            },
            Stage::Add(answer) => match answer.try_recv() {
                Ok(Ok(_)) => {
                    self.model.befriend(one.guest, one.host);
                    false
                }
                Err(TryRecvError::Empty) => true,
                Ok(Err(_)) | Err(TryRecvError::Closed) => false,
            },
        }
    }

    fn add(&mut self, one: &mut Introduction, invite: Invite) -> bool {
        let guest = &mut self.machines[one.guest];
        if guest.node.is_none() {
            return false;
        }
        let (reply, added) = Reply::new();
        let (name, text) = (Some(format!("{CANARY}name")), format!("{CANARY}request"));
        let request = Box::new(AddRequest {
            invite,
            name,
            text,
            // Who knows the host already begins the conversation anew, or is refused.
            is_again: self.rng.random_ratio(1, 2),
        });
        let command = Command::Add { request, reply };
        guest.inbox.push_back(Input::Command(command));
        one.stage = Stage::Add(added);
        true
    }

    /// Whether somebody still waits for an answer.
    pub(crate) fn is_introducing(&self) -> bool {
        !self.introductions.is_empty()
    }
}
