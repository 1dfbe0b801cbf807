//! How far a search goes.

use std::fmt::{self, Display, Formatter};

/// What may happen, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) budget: Budget,
    /// There is a direct link whenever it is needed.
    pub(crate) link: bool,
    /// The relays can be reached.
    pub(crate) relay: bool,
}

pub(crate) const fn link(budget: Budget) -> Bounds {
    Bounds {
        budget,
        link: true,
        relay: false,
    }
}

pub(crate) const fn relay(budget: Budget) -> Bounds {
    Bounds {
        budget,
        link: false,
        relay: true,
    }
}

pub(crate) const fn both(budget: Budget) -> Bounds {
    Bounds {
        budget,
        link: true,
        relay: true,
    }
}

impl Display for Bounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let paths = match (self.link, self.relay) {
            (true, true) => "link and relay",
            (true, false) => "link",
            (false, _) => "relay",
        };
        write!(f, "{paths}, {}", self.budget)
    }
}

/// The fields, and one setter for each, so that bounds are short to write, and a way to say them.
macro_rules! budget {
    ($($(#[$meta:meta])* $thing:ident: $count:ty = $none:expr),* $(,)?) => {
        /// What may still go wrong, and be done, in a run. A part of the state: what is used up is gone.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub(crate) struct Budget {
            $($(#[$meta])* pub(crate) $thing: $count,)*
        }

        impl Budget {
            const NOTHING: Self = Self { $($thing: $none),* };

            $(pub(crate) const fn $thing(self, $thing: $count) -> Self {
                Self { $thing, ..self }
            })*
        }

        impl Display for Budget {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                $(if self.$thing != $none {
                    write!(f, "{} {:?} ", stringify!($thing), self.$thing)?;
                })*
                Ok(())
            }
        }
    };
}

budget! {
    messages: [u8; 2] = [0, 0],
    reads: [u8; 2] = [0, 0],
    crashes: u8 = 0,
    /// Frames on the link, and answers and deliveries of the relay, that come twice.
    duplicates: u8 = 0,
    drops: u8 = 0,
    reorders: u8 = 0,
    /// How often there is a link that nobody may count on.
    link_ups: u8 = 0,
    link_losses: u8 = 0,
    relay_losses: u8 = 0,
    relay_crashes: u8 = 0,
    refusals: u8 = 0,
    forgets: u8 = 0,
    silent_forgets: u8 = 0,
    keys: u8 = 0,
    expiries: u8 = 0,
    /// How often a timer fires although what it waits for is on its way: a link that stalls, a
    /// question that is asked again. Without a bound the questions alone would be infinitely many.
    impatience: u8 = 0,
}

/// So many messages from each side, and nothing goes wrong.
pub(crate) const fn messages(from: [u8; 2]) -> Budget {
    Budget::NOTHING.messages(from)
}

/// One message.
pub(crate) const ONE: Budget = messages([1, 0]);

/// Two from the same side.
pub(crate) const TWO: Budget = messages([2, 0]);

/// One from each side.
pub(crate) const EACH: Budget = messages([1, 1]);

/// Two one way and one the other.
pub(crate) const THREE: Budget = messages([2, 1]);
