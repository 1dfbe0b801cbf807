//! The window onto a conversation, against the conversation.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use super::stage::{BOB, Stage, item};
use crate::MsgId;
use crate::tui::state::{Clock, PAGE, Timeline};

/// What somebody does who reads.
#[derive(Clone, Debug)]
enum Deed {
    Scroll(isize),
    ToEnd,
    ToBegin,
    Comes,
    Resize(usize, usize),
    Goes(prop::sample::Index),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        8 => (-60..60isize).prop_map(Deed::Scroll),
        1 => Just(Deed::ToEnd),
        3 => Just(Deed::ToBegin),
        4 => Just(Deed::Comes),
        1 => (10..80usize, 0..40usize).prop_map(|(width, height)| Deed::Resize(width, height)),
        1 => any::<prop::sample::Index>().prop_map(Deed::Goes),
    ];
    prop::collection::vec(deed, 1..120)
}

struct World {
    stage: Stage,
    all: Vec<MsgId>,
    timeline: Timeline,
}

impl World {
    fn new(count: usize) -> Self {
        let mut stage = Stage::new(80, 24);
        let all: Vec<MsgId> = (0..count)
            .map(|n| stage.says(BOB, true, &text(n)))
            .collect();
        let clock = Clock {
            now: "2026-11-27T15:00:00Z".parse().unwrap(),
            zone: TimeZone::UTC,
        };
        let mut world = Self {
            stage,
            all,
            timeline: Timeline::new(&clock),
        };
        world.timeline.resize(60, 20);
        let from = world.all.len().saturating_sub(PAGE);
        let page = world.items(from, world.all.len());
        world.timeline.begin(page, from > 0, false);
        world
    }

    fn items(&self, from: usize, to: usize) -> Vec<crate::rpc::objects::HistoryObject> {
        self.all[from..to]
            .iter()
            .map(|id| item(self.stage.message(*id)))
            .collect()
    }

    fn at(&self, id: MsgId) -> usize {
        self.all.iter().position(|one| *one == id).unwrap()
    }

    /// As the interface does after everything that happens.
    fn load(&mut self) {
        while let Some(is_older) = self.timeline.wants() {
            let edge = self.timeline.edge(is_older);
            let at = edge.map_or(0, |id| self.at(id));
            if is_older {
                let from = at.saturating_sub(PAGE);
                let page = self.items(from, at);
                let is_full = page.len() == PAGE;
                self.timeline.prepend(page, is_full);
            } else {
                let to = (at + 1 + PAGE).min(self.all.len());
                let page = self.items(at + 1, to);
                let is_full = page.len() == PAGE;
                self.timeline.append(page, is_full);
            }
        }
    }

    fn visible(&self) -> Vec<String> {
        let rows = self.timeline.visible();
        rows.iter()
            .map(|one| one.row.iter().map(|span| span.text.as_str()).collect())
            .collect()
    }
}

fn text(n: usize) -> String {
    format!("{n} {}", "word ".repeat(n % 37))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done: it shows a piece of the conversation, in order, whole and without doubles, and as much of it as there is
    /// room for; and what comes moves nothing that is read.
    #[test]
    fn it_shows_a_piece_of_the_conversation(count in 1..1500usize, deeds in deeds()) {
        let mut world = World::new(count);
        for deed in deeds {
            match deed {
                Deed::Scroll(rows) => world.timeline.scroll(rows),
                Deed::ToEnd => world.timeline.scroll_to_end(),
                Deed::ToBegin => world.timeline.scroll_to_begin(),
                Deed::Resize(width, height) => world.timeline.resize(width, height),
                Deed::Comes => {
                    let (before, was_at_end) = (world.visible(), world.timeline.is_at_end());
                    let n = world.all.len();
                    let id = world.stage.says(BOB, false, &text(n));
                    world.all.push(id);
                    if !world.timeline.has_newer {
                        let page = world.items(n, n + 1);
                        world.timeline.append(page, false);
                    }
                    if !was_at_end {
                        prop_assert_eq!(world.visible(), before);
                    }
                }
                Deed::Goes(index) => {
                    let id = *index.get(&world.all);
                    if world.all.len() > 1 && Some(id) != world.timeline.edge(true) {
                        world.timeline.remove(id);
                        world.all.retain(|one| *one != id);
                    }
                }
            }
            world.load();
            let loaded: Vec<MsgId> = world.timeline.messages().map(|one| one.id).collect();
            prop_assert!(loaded.len() <= 600 + PAGE, "{}", loaded.len());
            let first = world.at(loaded[0]);
            prop_assert_eq!(&world.all[first..first + loaded.len()], &loaded[..]);
            let is_last = first + loaded.len() == world.all.len();
            prop_assert!(world.timeline.has_newer || is_last);
            let visible = world.timeline.visible().len();
            let whole = !world.timeline.has_older && !world.timeline.has_newer;
            prop_assert!(visible == world.timeline.height() || whole, "{visible}");
        }
    }
}

/// A key that is held down is faster than what is loaded.
#[test]
fn regression_what_was_scrolled_to_before_it_was_loaded_is_shown_when_it_comes() {
    let mut world = World::new(300);
    world.timeline.scroll(-10_000);
    assert!(
        world.visible().iter().any(|row| row.contains("200 ")),
        "as far as there is"
    );
    world.timeline.scroll(-15);
    world.timeline.scroll(-15);
    let page = world.items(100, 200);
    world.timeline.prepend(page, true);
    let first = world.visible()[0].clone();
    assert!(!first.contains("200 "), "{first}");
    // Who has gone back meanwhile stays there.
    world.timeline.scroll(-10_000);
    world.timeline.scroll(5);
    let before = world.visible();
    let page = world.items(0, 100);
    world.timeline.prepend(page, false);
    assert_eq!(world.visible()[3..], before[3..]);
}

#[test]
fn it_opens_where_unread_messages_begin() {
    let mut world = World::new(0);
    let clock = Clock {
        now: "2026-11-27T15:00:00Z".parse().unwrap(),
        zone: TimeZone::UTC,
    };
    for n in 0..100 {
        let id = world.stage.says(BOB, false, &format!("message {n}"));
        if n < 40 {
            world.stage.set(id, "unread", json!(false));
        }
        world.all.push(id);
    }
    let mut timeline = Timeline::new(&clock);
    timeline.resize(60, 20);
    timeline.begin(world.items(0, 100), false, false);
    timeline.show_unread();
    world.timeline = timeline;
    let rows = world.visible();
    let line = rows
        .iter()
        .position(|row| row.contains(" unread "))
        .unwrap();
    assert_eq!(line, 20 / 3, "{rows:#?}");
    assert!(rows[line + 2].contains("message 40"), "{rows:#?}");
    // If all of it has room, the end is shown.
    let mut timeline = Timeline::new(&clock);
    timeline.resize(60, 200);
    timeline.begin(world.items(0, 100), false, false);
    timeline.show_unread();
    assert!(timeline.is_at_end());
}
