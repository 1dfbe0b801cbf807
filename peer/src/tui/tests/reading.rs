//! What counts as read, and where unread messages are.

use crossterm::event::{KeyCode, KeyModifiers};
use serde_json::json;

use super::stage::{BOB, CAROL, Stage};
use crate::tui::state::{Effect, Event};

#[test]
fn only_what_was_drawn_to_its_end_counts_as_read() {
    let mut stage = Stage::new(100, 20);
    let ids: Vec<_> = (0..60)
        .map(|n| stage.says(BOB, false, &format!("message {n}")))
        .collect();
    stage.refresh();
    assert!(stage.read().is_empty(), "before it was opened");
    stage.opens(BOB);
    assert!(stage.read().is_empty(), "before it was drawn");
    let screen = stage.draw();
    assert!(screen.contains(" unread "), "{screen}");
    let read = stage.read();
    assert!(!read.is_empty() && read.len() < 20, "{}", read.len());
    assert!(ids.starts_with(&read), "{read:?}");
    // What is on the screen, and nothing else.
    for (n, id) in ids.iter().enumerate() {
        let is_seen = screen.contains(&format!("message {n} "));
        assert_eq!(is_seen, read.contains(id), "{n}");
    }
    stage.press(KeyCode::PageDown);
    stage.draw();
    assert!(stage.read().len() > read.len());
    for _ in 0..20 {
        stage.press(KeyCode::PageDown);
        stage.draw();
    }
    let mut read = stage.read();
    assert_eq!(read.len(), 60);
    read.sort();
    read.dedup();
    assert_eq!(read.len(), 60, "each is told once");
    assert_eq!(stage.app.people.unread(), 0);
}

#[test]
fn nothing_is_read_without_the_focus_or_below_something() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.draw();
    stage.happens(Event::Focus(false));
    stage.comes(BOB, "hello");
    assert!(stage.draw().contains("hello"));
    assert!(stage.read().is_empty());
    stage.happens(Event::Focus(true));
    stage.press(KeyCode::F(1));
    stage.draw();
    assert!(stage.read().is_empty());
    stage.press(KeyCode::Esc);
    let screen = stage.draw();
    assert_eq!(stage.read().len(), 1);
    assert!(screen.contains(" unread "), "{screen}");
}

#[test]
fn on_a_narrow_screen_the_list_hides_the_conversation() {
    let mut stage = Stage::new(40, 20);
    stage.opens(BOB);
    stage.draw();
    stage.press(KeyCode::Tab);
    stage.comes(BOB, "hello");
    let screen = stage.draw();
    assert!(
        !screen.contains("hello") && screen.contains("bob"),
        "{screen}"
    );
    assert!(stage.read().is_empty());
    stage.press(KeyCode::Tab);
    assert!(stage.draw().contains("hello"));
    assert_eq!(stage.read().len(), 1);
}

#[test]
fn what_could_not_be_marked_is_marked_again() {
    let mut stage = Stage::new(100, 20);
    let id = stage.says(BOB, false, "hello");
    stage.refresh();
    stage.opens(BOB);
    stage.draw();
    let call = stage.calls.pop().unwrap();
    assert_eq!(call.params, json!({"from": BOB, "ids": [id]}));
    let error = crate::rpc::RpcError::failed("the disk is full", "make room");
    stage.happens(Event::Answer(call.purpose, Err(error)));
    assert!(stage.notice().contains("make room"), "{}", stage.notice());
    stage.draw();
    assert!(stage.read().is_empty(), "not as fast as it fails");
    stage.happens(Event::Tick("2026-11-27T15:00:05Z".parse().unwrap()));
    stage.draw();
    assert_eq!(stage.read(), [id]);
}

#[test]
fn the_next_unread_conversation_is_a_key_away_and_muted_ones_come_last() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, false, "hello");
    stage.says(CAROL, false, "hi");
    stage.set_contact(CAROL, "muted", json!(true));
    let alt_a = |stage: &mut Stage| stage.press_with(KeyModifiers::ALT, 'a');
    alt_a(&mut stage);
    let open = |stage: &Stage| stage.app.open.as_ref().unwrap().address.clone();
    assert_eq!(open(&stage), BOB);
    stage.draw();
    alt_a(&mut stage);
    assert_eq!(open(&stage), CAROL);
    stage.draw();
    alt_a(&mut stage);
    assert_eq!(
        (open(&stage).as_str(), stage.notice()),
        (CAROL, "nothing is unread")
    );
}

#[test]
fn what_is_not_seen_and_not_muted_is_noticed_once_for_each_contact() {
    let mut stage = Stage::new(100, 20);
    let noticed = |stage: &mut Stage| -> Vec<String> {
        let effects = std::mem::take(&mut stage.effects).into_iter();
        let bodies = effects.filter_map(|effect| match effect {
            Effect::Notice(news) => Some(format!("{}: {}", news.title, news.body)),
            _ => None,
        });
        bodies.collect()
    };
    stage.comes(BOB, "one\u{1b}");
    assert_eq!(noticed(&mut stage), ["bob: one\u{fffd}"]);
    stage.opens(BOB);
    stage.comes(BOB, "two");
    assert!(noticed(&mut stage).is_empty());
    stage.press(KeyCode::F(1));
    stage.comes(BOB, "below the help");
    assert_eq!(noticed(&mut stage).len(), 1);
    stage.press(KeyCode::Esc);
    stage.happens(Event::Focus(false));
    stage.bursts(BOB, 100);
    assert_eq!(
        noticed(&mut stage),
        ["bob: 100 new messages; the last one: message 99"]
    );
    stage.set_contact(BOB, "muted", json!(true));
    stage.comes(BOB, "four");
    stage.asks("dave", "");
    assert_eq!(noticed(&mut stage), ["dave: asks to become your contact"]);
    // Where the desktop cannot show it, the bell sounds.
    stage.happens(Event::NotNoticed);
    assert_eq!(stage.effects, [Effect::Bell]);
}

#[test]
fn what_comes_moves_nothing_that_is_read() {
    let mut stage = Stage::new(100, 20);
    for n in 0..300 {
        let id = stage.says(BOB, false, &format!("message {n}"));
        stage.set(id, "unread", json!(false));
    }
    stage.refresh();
    stage.opens(BOB);
    for _ in 0..6 {
        stage.press(KeyCode::PageUp);
    }
    let timeline = |screen: String| -> Vec<String> {
        screen
            .lines()
            .filter(|line| line.contains("message "))
            .map(str::to_owned)
            .collect()
    };
    let before = timeline(stage.draw());
    for n in 0..30 {
        stage.comes(BOB, &format!("new {n}"));
    }
    assert_eq!(timeline(stage.draw()), before);
    assert!(stage.read().is_empty());
    assert_eq!(stage.app.people.unread(), 30);
    stage.happens(Event::Key(crossterm::event::KeyEvent::new(
        KeyCode::End,
        KeyModifiers::CONTROL,
    )));
    assert!(stage.draw().contains("new 29"));
}

#[test]
fn regression_a_burst_is_shown_from_its_beginning() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.draw();
    let many = stage.bursts(BOB, 60);
    let screen = stage.draw();
    assert!(
        screen.contains(" unread ") && screen.contains("message 0 "),
        "{screen}"
    );
    assert!(!stage.read().contains(&many[59]));
}

#[test]
fn regression_what_the_completions_cover_is_not_read() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.types("/");
    let id = stage.comes(BOB, "hidden");
    assert!(!stage.draw().contains("hidden"));
    assert!(stage.read().is_empty());
    stage.press(KeyCode::Backspace);
    assert!(stage.draw().contains("hidden"));
    assert_eq!(stage.read(), [id]);
}

#[test]
fn regression_the_end_of_a_long_unread_conversation_is_not_run_to() {
    let mut stage = Stage::new(100, 200);
    for n in 0..1000 {
        stage.says(BOB, false, &format!("message {n}"));
    }
    stage.refresh();
    stage.opens(BOB);
    let screen = stage.draw();
    assert!(screen.contains("message 0 "), "{screen}");
    assert!(stage.read().len() < 200, "{}", stage.read().len());
    let end = crossterm::event::KeyEvent::new(KeyCode::End, KeyModifiers::CONTROL);
    stage.happens(Event::Key(end));
    assert!(stage.draw().contains("message 999"));
    assert!(stage.read().len() < 400, "{}", stage.read().len());
}

#[test]
fn regression_what_comes_while_a_part_is_loaded_is_shown_in_its_place() {
    let mut stage = Stage::new(100, 30);
    stage.says(BOB, true, "first");
    stage.refresh();
    stage.holds_pages = true;
    stage.opens(BOB);
    stage.answers_page();
    // Something of ours is asked for, and something of theirs comes before the answer.
    stage.tells(json!({
        "type": "state", "conversation": "bob", "address": BOB, "ids": [crate::MsgId::now_v7()], "state": "pending",
        "reason": null,
    }));
    let own = stage.says(BOB, true, "second");
    stage.comes(BOB, "third");
    stage.set(own, "state", json!("sent"));
    while !stage.calls_of("history").is_empty() {
        stage.answers_page();
    }
    let screen = stage.draw();
    let at = |text: &str| {
        screen
            .find(text)
            .unwrap_or_else(|| panic!("{text} is missing:\n{screen}"))
    };
    assert!(
        at("first") < at("second") && at("second") < at("third"),
        "{screen}"
    );
}

#[test]
fn regression_an_answer_to_an_older_question_is_nobodys() {
    let mut stage = Stage::new(100, 20);
    for n in 0..500 {
        let id = stage.says(BOB, false, &format!("message {n}"));
        stage.set(id, "unread", json!(n >= 450));
    }
    stage.says(CAROL, false, "hi");
    stage.refresh();
    stage.holds_pages = true;
    stage.opens(BOB);
    stage.opens(CAROL);
    stage.opens(BOB);
    // The questions of the first time, of carol, of the second time.
    while !stage.calls_of("history").is_empty() {
        stage.answers_page();
    }
    let timeline = &stage.app.open.as_ref().unwrap().timeline;
    let ids: Vec<_> = timeline.messages().map(|one| one.seq).collect();
    assert!(ids.windows(2).all(|two| two[0] + 1 == two[1]), "{ids:?}");
    assert!(stage.draw().contains(" unread "));
}

#[test]
fn regression_a_conversation_whose_first_unread_message_is_gone_opens_at_its_end() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, true, "hello");
    stage.set_contact(BOB, "first_unread_id", json!(crate::MsgId::now_v7()));
    stage.holds_pages = true;
    stage.opens(BOB);
    let call = stage.calls.pop().unwrap();
    let error = crate::rpc::RpcError::not_found("no such message", "");
    stage.happens(Event::Answer(call.purpose, Err(error)));
    stage.answers_page();
    assert!(stage.draw().contains("hello"));
}

#[test]
fn regression_what_fails_is_asked_for_again_after_some_time_and_not_at_once() {
    let mut stage = Stage::new(100, 20);
    for n in 0..300 {
        stage.says(BOB, true, &format!("message {n}"));
    }
    stage.refresh();
    stage.holds_pages = true;
    stage.opens(BOB);
    stage.answers_page();
    for _ in 0..10 {
        stage.press(KeyCode::PageUp);
    }
    stage.fails("the disk is full");
    assert!(stage.calls.is_empty(), "{:?}", stage.calls);
    stage.happens(Event::Tick("2026-11-27T15:00:05Z".parse().unwrap()));
    assert_eq!(stage.calls_of("history").len(), 1);
}

#[test]
fn regression_a_selected_message_stays_where_it_is_whatever_comes() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, true, "the one");
    stage.refresh();
    stage.opens(BOB);
    stage.press(KeyCode::Up);
    for _ in 0..8 {
        stage.bursts(BOB, 250);
        assert!(stage.draw().contains("the one"));
    }
    stage.types("d");
    stage.types("b");
    assert_eq!(stage.calls_of("delete").len(), 1);
}
