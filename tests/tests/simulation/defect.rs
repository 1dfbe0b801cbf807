//! Defects that the harness puts in: a search that does not find them proves nothing.

use crate::world::World;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Disks of peers do not write what they are asked to.
    PeersDoNotSync,
    /// Disks of relays do not.
    RelaysDoNotSync,
    /// Relays delete one envelope more than was acknowledged.
    RelaysDeleteTooMuch,
    /// Relays delete what somebody acknowledges who has not the mailbox's key.
    RelaysObeyAnybody,
}

impl Defect {
    pub(crate) const ALL: [Self; 4] = [
        Self::PeersDoNotSync,
        Self::RelaysDoNotSync,
        Self::RelaysDeleteTooMuch,
        Self::RelaysObeyAnybody,
    ];

    /// How failures that it causes begin: with the invariants that it breaks.
    pub(crate) const fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::PeersDoNotSync => &["1:"],
            Self::RelaysDoNotSync => &["2:", "11:", "the relay does not start"],
            Self::RelaysDeleteTooMuch | Self::RelaysObeyAnybody => &["2:"],
        }
    }

    pub(crate) fn plant(self, world: &mut World) {
        match self {
            Self::PeersDoNotSync => world.machines.iter().for_each(|one| one.disk.lie()),
            Self::RelaysDoNotSync => world.relays.iter().for_each(|one| one.disk.lie()),
            Self::RelaysDeleteTooMuch => {
                for relay in &mut world.relays {
                    relay.deletes_too_much = true;
                }
            }
            Self::RelaysObeyAnybody => {
                for relay in &mut world.relays {
                    relay.obeys_anybody = true;
                }
            }
        }
    }
}
