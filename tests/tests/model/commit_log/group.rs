//! The members, the log and what is on its way between them.

use super::relay::{Commit, Log, Reply};
use super::rule::Rule;
use super::{Budget, MEMBERS};

/// More commits than a member can build in a run. Gives each member names of its own.
pub(super) const BUILT_MAX: u8 = 32;

/// A commit that its member has built and not merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    pub(super) commit: Commit,
    /// The epoch that it was built in.
    pub(super) epoch: u8,
    pub(super) after_index: u8,
}

/// What a crash leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Durable {
    /// It wants to commit.
    pub(super) intent: bool,
    pub(super) pending: Option<Pending>,
    /// What was applied, in this order: the epoch is how many.
    pub(super) applied: Vec<Commit>,
    /// The last index that was read.
    pub(super) read: u8,
    /// The Welcome of this commit is to be put.
    pub(super) owes_welcome: Option<Commit>,
    /// How many commits it has built: it never builds the same one twice.
    pub(super) built: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) durable: Durable,
    /// In memory: its append is on its way, or the answer.
    pub(super) sent: bool,
    /// In memory: the log has entries that it has to read first.
    pub(super) behind: bool,
    /// An entry of its own that it cannot merge any more.
    stuck: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Request {
    pub(super) member: usize,
    pub(super) commit: Commit,
    pub(super) epoch: u8,
    pub(super) after_index: u8,
    /// Its connection has ended: nobody waits for the answer.
    pub(super) stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Answer {
    pub(super) member: usize,
    pub(super) commit: Commit,
    pub(super) reply: Reply,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    pub(super) members: [Member; MEMBERS],
    pub(super) log: Log,
    pub(super) requests: Vec<Request>,
    pub(super) answers: Vec<Answer>,
    pub(super) welcomes: Vec<Commit>,
    pub(super) budget: Budget,
    /// Commits that are wanted in all.
    wanted: u8,
    pub(super) epoch_fell: bool,
    /// The indices that were ever answered.
    pub(super) answered: Vec<(Commit, u8)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// A member decides to commit, durably.
    Intend {
        at: usize,
    },
    /// It builds the commit, durably.
    Build {
        at: usize,
    },
    /// The append leaves; also again, if nothing of an earlier one is on its way any more.
    Append {
        at: usize,
    },
    /// The relay takes a request; `again`: and will get it once more.
    Take {
        request: usize,
        again: bool,
    },
    LoseRequest {
        request: usize,
    },
    /// An answer comes in; `again`: and will come once more.
    Hear {
        answer: usize,
        again: bool,
    },
    LoseAnswer {
        answer: usize,
    },
    /// A member reads the next entry and applies it, durably.
    Read {
        at: usize,
    },
    /// The owed Welcome leaves and is stored.
    Welcome {
        at: usize,
    },
    Crash {
        at: usize,
    },
}

impl Group {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            members: Default::default(),
            log: Log::default(),
            requests: Vec::new(),
            answers: Vec::new(),
            welcomes: Vec::new(),
            budget,
            wanted: budget.intents.iter().sum(),
            epoch_fell: false,
            answered: Vec::new(),
        }
    }

    pub(super) fn possible(&self, actions: &mut Vec<Action>) {
        self.regular(actions);
        let budget = &self.budget;
        if budget.crashes > 0 {
            actions.extend((0..MEMBERS).map(|at| Action::Crash { at }));
        }
        for request in 0..self.requests.len() {
            if budget.duplicates > 0 {
                let again = true;
                actions.push(Action::Take { request, again });
            }
            if budget.losses > 0 {
                actions.push(Action::LoseRequest { request });
            }
        }
        for answer in 0..self.answers.len() {
            if budget.duplicates > 0 {
                let again = true;
                actions.push(Action::Hear { answer, again });
            }
            if budget.losses > 0 {
                actions.push(Action::LoseAnswer { answer });
            }
        }
    }

    /// What needs no fault.
    fn regular(&self, actions: &mut Vec<Action>) {
        for (at, member) in self.members.iter().enumerate() {
            let read = usize::from(member.durable.read);
            if read < self.log.0.len() && !member.stuck {
                actions.push(Action::Read { at });
            }
        }
        let again = false;
        let answers = 0..self.answers.len();
        actions.extend(answers.map(|answer| Action::Hear { answer, again }));
        let requests = 0..self.requests.len();
        actions.extend(requests.map(|request| Action::Take { request, again }));
        for (at, member) in self.members.iter().enumerate() {
            let Durable {
                intent,
                pending,
                owes_welcome,
                ..
            } = &member.durable;
            let may_build = pending.is_none() && owes_welcome.is_none() && !member.behind;
            if self.budget.intents[at] > 0 && !intent && may_build {
                actions.push(Action::Intend { at });
            }
            if *intent && may_build {
                actions.push(Action::Build { at });
            }
            if pending.is_some() && !member.behind && !member.sent {
                actions.push(Action::Append { at });
            }
            if owes_welcome.is_some() {
                actions.push(Action::Welcome { at });
            }
        }
    }

    /// What happens next when nothing goes wrong: one way is to read and to hear before anything is
    /// said, the other is `hasty`.
    pub(super) fn fair_step(&self, hasty: bool, without: Option<Rule>) -> Option<Self> {
        let mut actions = Vec::new();
        self.regular(&mut actions);
        let action = if hasty {
            actions.pop()
        } else {
            actions.first().copied()
        };
        action.map(|action| self.after(action, without))
    }

    fn is_under_way(&self, at: usize) -> bool {
        let requests = self.requests.iter();
        let mut requests = requests.filter(|request| !request.stale);
        let mut answers = self.answers.iter();
        requests.any(|request| request.member == at) || answers.any(|answer| answer.member == at)
    }

    pub(super) fn after(&self, action: Action, without: Option<Rule>) -> Self {
        let mut group = self.clone();
        group.act(action, without);
        group.skip_waits();
        let fell =
            |(old, new): (&Member, &Member)| old.durable.applied.len() > new.durable.applied.len();
        group.epoch_fell |= self.members.iter().zip(&group.members).any(fell);
        group.sort_lists();
        group
    }

    /// Where nobody can crash any more nobody can tell how soon a merge is followed by its Welcome; nor
    /// whether an append was ever sent of which nothing is on its way.
    fn skip_waits(&mut self) {
        for at in 0..MEMBERS {
            if self.budget.crashes == 0 {
                self.welcome(at);
            }
            self.members[at].sent &= self.is_under_way(at);
        }
    }

    /// What is on its way has no order, nor has what has been.
    pub(super) fn sort_lists(&mut self) {
        self.requests.sort_unstable();
        self.answers.sort_unstable();
        self.answered.sort_unstable();
        self.welcomes.sort_unstable();
    }

    fn act(&mut self, action: Action, without: Option<Rule>) {
        match action {
            Action::Intend { at } => {
                self.budget.intents[at] -= 1;
                self.members[at].durable.intent = true;
                if self.budget.crashes == 0 {
                    // Nobody can tell how long it waited.
                    self.build(at);
                }
            }
            Action::Build { at } => self.build(at),
            Action::Append { at } => self.append(at, without),
            Action::Take { request, again } => {
                let request = if again {
                    self.budget.duplicates -= 1;
                    self.requests[request]
                } else {
                    self.requests.remove(request)
                };
                self.take(request, without);
            }
            Action::LoseRequest { request } => {
                self.budget.losses -= 1;
                self.requests.remove(request);
            }
            Action::Hear { answer, again } => {
                let answer = if again {
                    self.budget.duplicates -= 1;
                    self.answers[answer]
                } else {
                    self.answers.remove(answer)
                };
                self.hear(answer, without);
            }
            Action::LoseAnswer { answer } => {
                self.budget.losses -= 1;
                self.answers.remove(answer);
            }
            Action::Read { at } => self.read(at, without),
            Action::Welcome { at } => self.welcome(at),
            Action::Crash { at } => self.crash(at, without),
        }
    }

    fn welcome(&mut self, at: usize) {
        let owed = self.members[at].durable.owes_welcome.take();
        self.welcomes.extend(owed);
    }

    fn build(&mut self, at: usize) {
        let member = &mut self.members[at];
        member.durable.built += 1;
        member.durable.pending = Some(Pending {
            commit: (at as u8 + 1) * BUILT_MAX + member.durable.built,
            epoch: member.durable.applied.len() as u8,
            after_index: member.durable.read,
        });
        member.sent = false;
    }

    fn append(&mut self, at: usize, without: Option<Rule>) {
        let Some(pending) = self.members[at].durable.pending else {
            return;
        };
        self.members[at].sent = true;
        self.requests.push(Request {
            member: at,
            commit: pending.commit,
            epoch: pending.epoch,
            after_index: pending.after_index,
            stale: false,
        });
        if without == Some(Rule::WelcomeAfterWin) && !self.welcomes.contains(&pending.commit) {
            self.welcomes.push(pending.commit);
        }
        if without == Some(Rule::MergeAfterWin) {
            self.merge(at, pending, without);
        }
    }

    fn take(&mut self, request: Request, without: Option<Rule>) {
        let Request {
            member,
            commit,
            epoch,
            after_index,
            stale,
        } = request;
        let reply = self.log.append(commit, epoch, after_index, without);
        if let Reply::Appended { index } = reply
            && !self.answered.contains(&(commit, index))
        {
            self.answered.push((commit, index));
        }
        if !stale {
            self.answers.push(Answer {
                member,
                commit,
                reply,
            });
        }
    }

    fn hear(&mut self, answer: Answer, without: Option<Rule>) {
        let Answer { member, reply, .. } = answer;
        let pending = self.members[member].durable.pending;
        let matches = |pending: &Pending| {
            pending.commit == answer.commit || without == Some(Rule::AnswerMatched)
        };
        let Some(pending) = pending.filter(matches) else {
            return;
        };
        match reply {
            Reply::Appended { index } => {
                self.members[member].durable.read = index;
                self.merge(member, pending, without);
            }
            Reply::Conflict { last_index } => {
                let member = &mut self.members[member];
                member.lose(without);
                member.behind = member.durable.read < last_index;
            }
        }
    }

    /// One transaction: the new epoch, the intent that is fulfilled, the Welcome that is owed.
    fn merge(&mut self, at: usize, pending: Pending, without: Option<Rule>) {
        let durable = &mut self.members[at].durable;
        durable.applied.push(pending.commit);
        durable.pending = None;
        durable.intent = false;
        if without != Some(Rule::WelcomeAfterWin) {
            durable.owes_welcome = Some(pending.commit);
        }
    }

    fn read(&mut self, at: usize, without: Option<Rule>) {
        let entries = self.log.0.len();
        let member = &mut self.members[at];
        let (commit, epoch) = if without == Some(Rule::AppliesInOrder) {
            self.log.0[entries - 1]
        } else {
            self.log.0[usize::from(member.durable.read)]
        };
        member.durable.read += 1;
        member.behind = usize::from(member.durable.read) < entries;
        if let Some(pending) = member.durable.pending.filter(|own| own.commit == commit) {
            return self.merge(at, pending, without);
        }
        let fits = usize::from(epoch) == member.durable.applied.len();
        if member.durable.applied.contains(&commit) {
            return;
        }
        if usize::from(commit / BUILT_MAX) == at + 1 {
            // MLS cannot process an own commit: only what was kept of it could be merged.
            self.members[at].stuck = true;
            return;
        }
        let member = &mut self.members[at];
        if fits {
            if member.durable.pending.is_some() {
                member.lose(without);
            }
            member.durable.applied.push(commit);
        }
    }

    fn crash(&mut self, at: usize, without: Option<Rule>) {
        self.budget.crashes -= 1;
        let member = &mut self.members[at];
        member.sent = false;
        member.behind = false;
        match without {
            Some(Rule::IntentDurable) => member.durable.intent = false,
            Some(Rule::BuiltDurable) => member.durable.pending = None,
            Some(Rule::MergeDurable) => {
                member.durable.applied.pop();
            }
            Some(Rule::OwedWelcomeDurable) => member.durable.owes_welcome = None,
            _ => {}
        }
        self.answers.retain(|answer| answer.member != at);
        for request in &mut self.requests {
            request.stale |= request.member == at;
        }
    }
}

impl Member {
    fn lose(&mut self, without: Option<Rule>) {
        if without != Some(Rule::LoserClears) {
            self.durable.pending = None;
        }
        if without == Some(Rule::LoserRebuilds) {
            self.durable.intent = false;
        }
    }
}

impl Group {
    /// Invariant 10: who has come as far has come the same way.
    pub(super) fn agrees(&self) -> bool {
        let mut longest: &[Commit] = &[];
        self.members.iter().all(|member| {
            let applied = &member.durable.applied[..];
            let common = applied.len().min(longest.len());
            let agrees = applied[..common] == longest[..common];
            if applied.len() > longest.len() {
                longest = applied;
            }
            agrees
        })
    }

    /// Invariant 10: its commit is the first one of the log for its epoch.
    pub(super) fn welcomes_won(&self) -> bool {
        self.welcomes.iter().all(|commit| {
            let mut entries = self.log.0.iter();
            let own = entries.clone().find(|entry| entry.0 == *commit);
            own.is_some_and(|own| entries.find(|entry| entry.1 == own.1) == Some(own))
        })
    }

    /// Invariant 11: no envelope is in the log twice, or was said to be elsewhere than it is.
    pub(super) fn has_one_index_each(&self) -> bool {
        let at = |index: u8| self.log.0.get(usize::from(index) - 1);
        let once = self.log.0.iter().enumerate().all(|(at, entry)| {
            let others = &self.log.0[at + 1..];
            !others.iter().any(|other| other.0 == entry.0)
        });
        let answered = self.answered.iter();
        let mut answered = answered.map(|(commit, index)| (commit, at(*index)));
        once && answered.all(|(commit, entry)| entry.is_some_and(|entry| entry.0 == *commit))
    }

    /// Every wanted commit is made, everybody has applied everything, and every Welcome is put.
    pub(super) fn is_done(&self) -> bool {
        let made = self.log.0.len() == usize::from(self.wanted);
        let made = made && self.welcomes.len() == self.log.0.len();
        let everybody = self
            .members
            .iter()
            .all(|member| member.durable.applied.len() == self.log.0.len() && !member.stuck);
        made && everybody
    }
}
