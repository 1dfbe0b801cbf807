//! How many allocations there may be: in total, and for each user.
//!
//! A user is the address part of the username: fresh credentials for the same address share its
//! quota. Invariant: the total is the sum over the users, and no user with zero is kept.

use std::collections::HashMap;

/// Why there is no room for another allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The user has as many as one may have.
    User,
    /// The server has as many as it may have.
    Server,
}

/// Counts allocations.
#[derive(Debug)]
pub(super) struct Quota {
    per_user: u32,
    total: usize,
    taken: HashMap<String, u32>,
    taken_total: usize,
}

impl Quota {
    pub(super) fn new(per_user: u32, total: usize) -> Self {
        Self {
            per_user,
            total,
            taken: HashMap::new(),
            taken_total: 0,
        }
    }

    /// Takes one for a user; to be given back with [`Quota::give_back`].
    pub(super) fn take(&mut self, user: &str) -> Result<(), Full> {
        if self.taken_total >= self.total {
            return Err(Full::Server);
        }
        let taken = self.taken.get(user).copied().unwrap_or(0);
        if taken >= self.per_user {
            return Err(Full::User);
        }
        self.taken.insert(user.to_owned(), taken + 1);
        self.taken_total += 1;
        Ok(())
    }

    pub(super) fn give_back(&mut self, user: &str) {
        let Some(taken) = self.taken.get_mut(user) else {
            return;
        };
        *taken -= 1;
        self.taken_total -= 1;
        if *taken == 0 {
            self.taken.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_what_is_given_back_can_be_taken_again() {
        let mut quota = Quota::new(2, 3);
        assert_eq!(quota.take("a"), Ok(()));
        assert_eq!(quota.take("a"), Ok(()));
        assert_eq!(quota.take("a"), Err(Full::User));
        assert_eq!(quota.take("b"), Ok(()));
        assert_eq!(quota.take("b"), Err(Full::Server));
        quota.give_back("a");
        assert_eq!(quota.take("b"), Ok(()));
        for user in ["a", "b", "b"] {
            quota.give_back(user);
        }
        quota.give_back("b");
        assert!(quota.taken.is_empty() && quota.taken_total == 0);
    }
}
