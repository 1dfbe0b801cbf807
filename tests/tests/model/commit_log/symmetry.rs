//! Members are alike: two states that differ only in who is who are the same state.

use super::group::{BUILT_MAX, Durable, Group, Member};
use super::relay::Commit;
use super::{Budget, MEMBERS};

impl Group {
    /// With the members in an order that does not depend on their names, as far as they differ.
    pub(super) fn sorted(self) -> Self {
        let mut order: [usize; MEMBERS] = std::array::from_fn(|at| at);
        order.sort_by_key(|&at| {
            let Member {
                durable,
                sent,
                behind,
                ..
            } = &self.members[at];
            let Durable {
                intent,
                pending,
                applied,
                read,
                owes_welcome,
                built,
            } = durable;
            let kept = (*intent, pending.is_some(), applied.len(), *read);
            let rest = (owes_welcome.is_some(), *built, *sent, *behind);
            (self.budget.intents[at], kept, rest)
        });
        if order.is_sorted() {
            self
        } else {
            self.permuted(order)
        }
    }

    /// `order[new]` is who becomes `new`.
    fn permuted(mut self, order: [usize; MEMBERS]) -> Self {
        let mut places = [0; MEMBERS];
        for (new, &old) in order.iter().enumerate() {
            places[old] = new;
        }
        let rename = |commit: &mut Commit| {
            let (by, number) = (usize::from(*commit / BUILT_MAX), *commit % BUILT_MAX);
            *commit = (places[by - 1] as u8 + 1) * BUILT_MAX + number;
        };
        self.members = order.map(|old| std::mem::take(&mut self.members[old]));
        self.budget = Budget {
            intents: order.map(|old| self.budget.intents[old]),
            ..self.budget
        };
        for Member { durable, .. } in &mut self.members {
            durable.applied.iter_mut().for_each(rename);
            durable.owes_welcome.iter_mut().for_each(rename);
            let pending = durable.pending.iter_mut();
            pending.for_each(|pending| rename(&mut pending.commit));
        }
        self.log.0.iter_mut().for_each(|entry| rename(&mut entry.0));
        self.welcomes.iter_mut().for_each(rename);
        let answered = self.answered.iter_mut();
        answered.for_each(|answer| rename(&mut answer.0));
        for request in &mut self.requests {
            request.member = places[request.member];
            rename(&mut request.commit);
        }
        for answer in &mut self.answers {
            answer.member = places[answer.member];
            rename(&mut answer.commit);
        }
        self.sort_lists();
        self
    }
}
