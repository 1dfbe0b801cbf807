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
fn the_bell_sounds_for_what_is_not_seen_and_not_muted() {
    let mut stage = Stage::new(100, 20);
    let bells = |stage: &mut Stage| {
        let effects = std::mem::take(&mut stage.effects);
        effects
            .iter()
            .filter(|effect| **effect == Effect::Bell)
            .count()
    };
    stage.comes(BOB, "one");
    assert_eq!(bells(&mut stage), 1);
    stage.opens(BOB);
    stage.comes(BOB, "two");
    assert_eq!(bells(&mut stage), 0);
    stage.happens(Event::Focus(false));
    stage.comes(BOB, "three");
    assert_eq!(bells(&mut stage), 1);
    stage.set_contact(BOB, "muted", json!(true));
    stage.comes(BOB, "four");
    assert_eq!(bells(&mut stage), 0);
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
