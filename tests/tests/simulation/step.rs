//! What can happen next, and how a schedule is made of it.
//!
//! A schedule is a list made before the world begins, with numbers that mean something in whichever
//! state they meet the world. So a part of it is a schedule as well, and one that fails can be made
//! shorter.

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::links::Disturbance;

/// One transition. Numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Something that is ready goes on: a frame arrives, a process takes its inputs, a disk works.
    Go {
        which: u16,
        some: u8,
        ms: u8,
    },
    /// Time passes.
    Wait {
        ms: u32,
    },
    /// A user sends texts.
    Send {
        from: u8,
        to: u8,
        texts: u8,
    },
    /// A user invites another one, who uses the invite.
    Introduce {
        host: u8,
        guest: u8,
    },
    /// A user says yes to everybody who asks.
    Accept {
        who: u8,
    },
    /// A user reads what is there.
    Read {
        who: u8,
        of: u8,
    },
    /// A process dies after some operations that others can see: 0 is at once.
    Crash {
        who: u8,
        operations: u16,
    },
    CrashRelay {
        which: u8,
        operations: u16,
    },
    CrashSignaling,
    /// A process ends in order.
    End {
        who: u8,
    },
    /// All that are dead begin again.
    Start,
    /// A connection to a server breaks.
    CutConnection {
        which: u16,
    },
    /// A direct link breaks, and both ends learn of it, or not.
    CutLink {
        which: u8,
        silently: bool,
    },
    /// The next frames and commands of a process find their queues full.
    Choke {
        who: u8,
        sends: u8,
    },
    /// A frame on a direct link.
    Disturb {
        which: u8,
        at: u8,
        how: Disturbance,
    },
    /// A peer is cut off from a server or another peer, or no longer.
    Partition {
        who: u8,
        from: u8,
    },
    Heal,
    /// Somebody sets a clock.
    SetClock {
        who: u8,
        ms: i64,
    },
    /// A disk has room for so many operations, or for all.
    Fill {
        who: u8,
        room: Option<u16>,
    },
    /// A relay's disk is lost.
    Forget {
        which: u8,
    },
}

/// What a schedule is like: how often out of a thousand steps something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavour {
    pub(crate) name: &'static str,
    sends: u32,
    waits: u32,
    crashes: u32,
    cuts: u32,
    partitions: u32,
    disturbs: u32,
    clocks: u32,
    fills: u32,
    forgets: u32,
    /// The longest wait, milliseconds.
    longest_wait: u32,
    /// The largest change of a clock, milliseconds.
    largest_jump: i64,
}

const CALM: Flavour = Flavour {
    name: "calm",
    sends: 12,
    waits: 30,
    crashes: 1,
    cuts: 2,
    partitions: 1,
    disturbs: 0,
    clocks: 0,
    fills: 0,
    forgets: 0,
    longest_wait: 3_000,
    largest_jump: 0,
};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// From quiet to cruel.
pub(crate) const FLAVOURS: [Flavour; 7] = [
    CALM,
    Flavour {
        name: "crashes",
        crashes: 12,
        ..CALM
    },
    Flavour {
        name: "network",
        waits: 60,
        cuts: 12,
        partitions: 10,
        longest_wait: 40_000,
        ..CALM
    },
    Flavour {
        name: "frames",
        disturbs: 40,
        cuts: 4,
        crashes: 2,
        ..CALM
    },
    Flavour {
        name: "disks",
        crashes: 4,
        fills: 6,
        forgets: 1,
        ..CALM
    },
    Flavour {
        name: "calendar",
        waits: 50,
        crashes: 3,
        partitions: 6,
        clocks: 6,
        longest_wait: 60_000,
        largest_jump: 20 * DAY_MS,
        ..CALM
    },
    Flavour {
        name: "everything",
        waits: 50,
        crashes: 6,
        cuts: 6,
        partitions: 4,
        disturbs: 10,
        clocks: 3,
        fills: 2,
        forgets: 1,
        longest_wait: 20_000,
        largest_jump: 3 * DAY_MS,
        ..CALM
    },
];

impl Flavour {
    /// The next step.
    pub(crate) fn step(&self, rng: &mut SmallRng) -> Step {
        let mut dice = rng.random_range(0..1_000u32);
        let mut falls = |share: u32| {
            let here = dice < share;
            dice = dice.wrapping_sub(share);
            here
        };
        if falls(self.sends) {
            let texts = if rng.random_bool(0.05) {
                40
            } else {
                rng.random_range(1..4)
            };
            return Step::Send {
                from: rng.random(),
                to: rng.random(),
                texts,
            };
        }
        if falls(self.waits) {
            let most = if rng.random_bool(0.2) {
                self.longest_wait
            } else {
                600
            };
            let ms = rng.random_range(0..most);
            return Step::Wait { ms };
        }
        if falls(self.crashes) {
            return crash(rng);
        }
        if falls(self.crashes * 2) {
            return Step::Start;
        }
        if falls(self.cuts) {
            return match rng.random_range(0..4u8) {
                3 => Step::Choke {
                    who: rng.random(),
                    sends: rng.random_range(1..4),
                },
                0 => Step::CutConnection {
                    which: rng.random(),
                },
                _ => Step::CutLink {
                    which: rng.random(),
                    silently: rng.random_bool(0.3),
                },
            };
        }
        if falls(self.partitions) {
            return Step::Partition {
                who: rng.random(),
                from: rng.random(),
            };
        }
        if falls(self.partitions * 2) {
            return Step::Heal;
        }
        if falls(self.disturbs) {
            let how = match rng.random_range(0..4u8) {
                0 => Disturbance::Lose,
                1 => Disturbance::Repeat,
                2 => Disturbance::Swap,
                _ => Disturbance::Flip,
            };
            return Step::Disturb {
                which: rng.random(),
                at: rng.random(),
                how,
            };
        }
        if falls(self.clocks) {
            let ms = rng.random_range(-self.largest_jump..=self.largest_jump);
            return Step::SetClock {
                who: rng.random(),
                ms: if rng.random() { ms } else { ms / 10_000 },
            };
        }
        if falls(self.fills) {
            return Step::Fill {
                who: rng.random(),
                room: match rng.random_range(0..4u8) {
                    0 => Some(0),
                    1 => Some(rng.random_range(1..60)),
                    _ => None,
                },
            };
        }
        // A tenth of it: much is deposited again each time.
        if falls(self.forgets) && rng.random_bool(0.1) {
            return Step::Forget {
                which: rng.random(),
            };
        }
        if rng.random_bool(0.002) {
            return Step::Introduce {
                host: rng.random(),
                guest: rng.random(),
            };
        }
        if rng.random_bool(0.002) {
            return Step::Accept { who: rng.random() };
        }
        if rng.random_bool(0.02) {
            return Step::Read {
                who: rng.random(),
                of: rng.random(),
            };
        }
        Step::Go {
            which: rng.random(),
            some: if rng.random_bool(0.2) {
                rng.random_range(1..8)
            } else {
                1
            },
            ms: rng.random_range(0..5),
        }
    }
}

fn crash(rng: &mut SmallRng) -> Step {
    let operations = if rng.random_bool(0.2) {
        0
    } else {
        rng.random_range(1..60)
    };
    match rng.random_range(0..11u8) {
        10 => Step::End { who: rng.random() },
        0 => Step::CrashSignaling,
        1..=3 => Step::CrashRelay {
            which: rng.random(),
            operations,
        },
        _ => Step::Crash {
            who: rng.random(),
            operations,
        },
    }
}
