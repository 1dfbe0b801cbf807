//! What becomes of what is typed.

use crossterm::event::{KeyCode, KeyModifiers};
use serde_json::json;

use super::stage::{BOB, CAROL, Stage};
use crate::tui::state::{Effect, Event, Overlay};

const CTRL: KeyModifiers = KeyModifiers::CONTROL;

#[test]
fn a_message_is_sent_with_an_id_of_its_own() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("hello");
    let call = stage.calls_of("send")[0].clone();
    assert_eq!(
        (&call.params["to"], &call.params["texts"]),
        (&json!(BOB), &json!(["hello"]))
    );
    assert!(call.params["ids"][0].is_string());
    assert_eq!(stage.composer(), "");
    stage.enters("   ");
    assert_eq!(stage.calls_of("send").len(), 1);
}

#[test]
fn what_could_not_be_saved_comes_back() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("hello");
    stage.types("and mo");
    stage.fails("the disk is full");
    assert_eq!(stage.composer(), "hello\nand mo");
    assert!(stage.notice().contains("disk is full"));
}

#[test]
fn what_could_not_be_saved_waits_in_its_conversation() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("hello");
    let sent = stage.calls.pop().unwrap();
    stage.opens(CAROL);
    let error = crate::rpc::RpcError::failed("the disk is full", "");
    stage.happens(Event::Answer(sent.purpose, Err(error)));
    assert_eq!(stage.composer(), "");
    stage.opens(BOB);
    assert_eq!(stage.composer(), "hello");
}

#[test]
fn an_unknown_command_is_an_error_and_never_sent() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("/sned hello");
    assert!(
        stage.notice().contains("no command /sned"),
        "{}",
        stage.notice()
    );
    assert_eq!(stage.composer(), "/sned hello");
    assert!(stage.calls.is_empty());
    stage.press_with(CTRL, 'u');
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("//usr/bin is full");
    assert_eq!(
        stage.calls_of("send")[0].params["texts"],
        json!(["/usr/bin is full"])
    );
}

#[test]
fn a_command_is_about_what_is_on_the_screen() {
    let mut stage = Stage::new(100, 20);
    let theirs = stage.says(BOB, false, "hello");
    let own = stage.says(BOB, true, "helo");
    stage.refresh();
    stage.opens(BOB);
    stage.draw();
    stage.calls.clear();
    let given = |stage: &mut Stage, line: &str| {
        stage.enters(line);
        let call = stage.calls.last().unwrap().clone();
        stage.succeeds(json!({"type": "done"}));
        (call.method, call.params)
    };
    assert_eq!(given(&mut stage, "/react \u{1f44d}").1["id"], json!(theirs));
    let (method, params) = given(&mut stage, "/edit hello");
    assert_eq!((method, &params["id"]), ("edit", &json!(own)));
    let (_, params) = given(&mut stage, "/mute --for 8h");
    assert_eq!(params, json!({"name": BOB, "for_ms": 28_800_000}));
    // Which message goes must be said.
    stage.enters("/delete");
    assert!(
        stage.notice().contains("select a message"),
        "{}",
        stage.notice()
    );
}

#[test]
fn commands_are_completed_and_can_be_typed_where_no_conversation_is_open() {
    let mut stage = Stage::new(100, 20);
    stage.types("/ren");
    stage.press(KeyCode::Tab);
    let Some(Overlay::Command(field)) = &stage.app.overlay else {
        panic!("{:?}", stage.app.overlay);
    };
    assert_eq!(field.text(), "/rename ");
    stage.press(KeyCode::Enter);
    assert_eq!(stage.notice(), "no conversation is open");
    stage.press(KeyCode::Esc);
    stage.opens(BOB);
    stage.types("/re");
    assert!(stage.screen().contains("/rename <to>"));
    stage.types("n");
    stage.press(KeyCode::Tab);
    stage.enters("Robert");
    assert_eq!(
        stage.calls_of("rename")[0].params,
        json!({"name": BOB, "to": "Robert"})
    );
    assert_eq!(stage.composer(), "");
}

#[test]
fn what_is_written_is_kept_for_its_conversation_and_at_the_end() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.types("half a sen");
    stage.opens(CAROL);
    assert_eq!(
        stage.calls_of("draft")[0].params,
        json!({"name": BOB, "text": "half a sen"})
    );
    assert_eq!(stage.composer(), "");
    stage.opens(BOB);
    assert_eq!(stage.composer(), "half a sen");
    stage.types("tence");
    stage.press_with(CTRL, 'q');
    // The end waits for both.
    assert!(!stage.effects.contains(&Effect::Quit));
    stage.succeeds(json!({}));
    assert_eq!(stage.calls_of("draft")[0].params["text"], "half a sentence");
    assert!(!stage.effects.contains(&Effect::Quit));
    stage.succeeds(json!({}));
    assert!(stage.effects.contains(&Effect::Quit));
}

#[test]
fn the_end_does_not_lose_what_cannot_be_saved_unasked() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.types("hello");
    stage.press_with(CTRL, 'q');
    stage.fails("the disk is full");
    assert!(!stage.effects.contains(&Effect::Quit));
    assert!(stage.notice().contains("disk is full"));
    stage.press_with(CTRL, 'q');
    assert!(stage.effects.contains(&Effect::Quit), "but the person may");
}

#[test]
fn a_message_that_is_selected_is_answered_edited_deleted_and_reacted_to() {
    let mut stage = Stage::new(100, 20);
    let theirs = stage.says(BOB, false, "hello");
    let own = stage.says(BOB, true, "helo");
    stage.refresh();
    stage.opens(BOB);
    stage.draw();
    stage.calls.clear();
    stage.press(KeyCode::Up);
    stage.types("e");
    assert_eq!(stage.composer(), "helo");
    stage.press(KeyCode::Backspace);
    stage.enters("lo");
    assert_eq!(
        stage.calls[0].params,
        json!({"to": BOB, "id": own, "text": "hello"})
    );
    stage.press(KeyCode::Up);
    stage.press(KeyCode::Up);
    stage.types("e");
    assert!(
        stage.notice().contains("only who has written"),
        "{}",
        stage.notice()
    );
    stage.types("r");
    stage.enters("hi");
    assert_eq!(stage.calls_of("send")[0].params["reply_to"], json!(theirs));
    stage.press(KeyCode::Up);
    stage.types("x");
    stage.types("2");
    assert_eq!(stage.calls_of("react")[0].params["id"], json!(own));
    stage.press(KeyCode::Up);
    stage.press(KeyCode::Up);
    stage.types("d");
    // Of somebody else's message only the own copy can go.
    stage.types("b");
    assert!(stage.calls_of("delete").is_empty());
    stage.types("h");
    assert_eq!(
        stage.calls_of("delete")[0].params,
        json!({"to": BOB, "id": theirs, "here": true})
    );
    stage.press(KeyCode::Up);
    stage.types("f");
    stage.enters("carol");
    assert_eq!(stage.calls_of("forward")[0].params["to"], json!(CAROL));
}

#[test]
fn letters_are_no_text_while_a_message_is_selected() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, true, "hello");
    stage.refresh();
    stage.opens(BOB);
    stage.press(KeyCode::Up);
    stage.types("qz");
    assert_eq!(stage.composer(), "");
    stage.press(KeyCode::Esc);
    stage.types("qz");
    assert_eq!(stage.composer(), "qz");
}

#[test]
fn requests_are_accepted_dropped_and_blocked_in_a_place_of_their_own() {
    let mut stage = Stage::new(100, 20);
    stage.asks("dave", "it's me");
    stage.asks("erin", "");
    assert!(stage.screen().contains("2 asking"));
    stage.press_with(CTRL, 'r');
    let screen = stage.screen();
    assert!(
        screen.contains("tin1dave") && screen.contains("it's me"),
        "{screen}"
    );
    stage.press(KeyCode::Down);
    stage.types("b");
    assert_eq!(
        stage.calls_of("block")[0].params,
        json!({"name": "tin1erin"})
    );
    stage.press(KeyCode::Up);
    stage.types("a");
    assert_eq!(
        stage.calls_of("accept")[0].params,
        json!({"id": "tin1dave"})
    );
    stage.types("r");
    assert_eq!(
        stage.calls_of("reject")[0].params,
        json!({"id": "tin1dave"})
    );
}

#[test]
fn pasted_lines_are_one_message() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.happens(Event::Paste("one\r\ntwo\n\u{1b}[31mthree".to_owned()));
    assert!(stage.calls.is_empty());
    stage.press(KeyCode::Enter);
    assert_eq!(
        stage.calls_of("send")[0].params["texts"],
        json!(["one\ntwo\n[31mthree"])
    );
}

#[test]
fn regression_a_draft_that_could_not_be_saved_is_tried_again() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.types("hello");
    stage.opens(CAROL);
    stage.fails("the disk is full");
    stage.refresh();
    let tick = || Event::Tick("2026-11-27T15:00:05Z".parse().unwrap());
    stage.happens(tick());
    assert_eq!(stage.calls_of("draft").len(), 1);
    assert_eq!(
        stage.calls_of("draft")[0].params,
        json!({"name": BOB, "text": "hello"})
    );
    stage.press_with(CTRL, 'q');
    assert!(
        !stage.effects.contains(&Effect::Quit),
        "it is not saved yet"
    );
    stage.succeeds(json!({}));
    assert!(stage.effects.contains(&Effect::Quit));
}

#[test]
fn regression_what_is_typed_while_the_program_ends_is_saved_too() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("hello");
    stage.press_with(CTRL, 'q');
    stage.types("more");
    stage.succeeds(json!({}));
    assert!(!stage.effects.contains(&Effect::Quit));
    assert_eq!(stage.calls_of("draft")[0].params["text"], "more");
    stage.succeeds(json!({}));
    assert!(stage.effects.contains(&Effect::Quit));
}

#[test]
fn regression_an_edit_or_answer_that_is_being_written_survives_another_conversation() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, true, "helo");
    stage.refresh();
    stage.opens(BOB);
    stage.press(KeyCode::Up);
    stage.types("e");
    stage.types(" there");
    stage.opens(CAROL);
    stage.opens(BOB);
    assert_eq!(stage.composer(), "helo there");
    // Nor is it lost by the next one.
    stage.press_with(CTRL, 'p');
    stage.types("e");
    assert!(
        stage.notice().contains("finish the edit"),
        "{}",
        stage.notice()
    );
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Enter);
    assert_eq!(stage.calls_of("edit")[0].params["text"], "helo there");
}

#[test]
fn regression_an_edit_that_could_not_be_saved_comes_back() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, true, "helo");
    stage.refresh();
    stage.opens(BOB);
    stage.press(KeyCode::Up);
    stage.types("e");
    stage.enters("!");
    let edit = stage.calls.pop().unwrap();
    stage.opens(CAROL);
    let error = crate::rpc::RpcError::failed("the disk is full", "");
    stage.happens(Event::Answer(edit.purpose, Err(error)));
    stage.opens(BOB);
    assert_eq!(stage.composer(), "helo!");
    stage.press(KeyCode::Enter);
    assert_eq!(stage.calls_of("edit")[0].params["text"], "helo!");
}

#[test]
fn regression_a_command_that_failed_can_be_given_again() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("/rename carol");
    assert_eq!(stage.composer(), "");
    stage.fails("another contact has this name");
    assert_eq!(stage.composer(), "/rename carol");
}

#[test]
fn regression_a_held_key_accepts_nobody_who_was_not_looked_at() {
    let mut stage = Stage::new(100, 20);
    stage.asks("dave", "");
    stage.asks("erin", "");
    stage.press_with(CTRL, 'r');
    stage.press(KeyCode::Enter);
    assert!(stage.calls_of("accept").is_empty());
    stage.press(KeyCode::Down);
    // Somebody else is answered elsewhere meanwhile.
    stage.leaves("dave");
    stage.types("a");
    assert_eq!(
        stage.calls_of("accept")[0].params,
        json!({"id": "tin1erin"})
    );
}

#[test]
fn regression_the_cursor_stays_at_its_contact_when_somebody_asks() {
    let mut stage = Stage::new(100, 20);
    stage.press(KeyCode::Down);
    stage.asks("dave", "");
    stage.press(KeyCode::Enter);
    assert_eq!(stage.app.open.as_ref().unwrap().address, CAROL);
}

#[test]
fn regression_what_is_last_must_be_sure_to_be_edited_without_a_selection() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, true, "one");
    stage.refresh();
    stage.opens(BOB);
    stage.enters("two");
    stage.enters("/edit twoo");
    assert!(
        stage.notice().contains("select the message"),
        "{}",
        stage.notice()
    );
    assert!(stage.calls_of("edit").is_empty());
    // With a selection it is.
    stage.press_with(CTRL, 'p');
    stage.types("/");
    stage.enters("edit ones");
    assert_eq!(stage.calls_of("edit").len(), 1);
}

#[test]
fn a_contact_is_removed_only_after_a_question() {
    let mut stage = Stage::new(100, 20);
    stage.opens(BOB);
    stage.enters("/remove");
    assert!(stage.screen().contains("everything that was said is gone"));
    stage.press(KeyCode::Enter);
    assert!(stage.calls_of("remove").is_empty());
    stage.types("y");
    assert_eq!(stage.calls_of("remove")[0].params, json!({"name": BOB}));
}

#[test]
fn regression_a_name_does_not_hide_whether_its_owner_is_verified() {
    let mut stage = Stage::new(80, 20);
    stage.set_contact(BOB, "name", json!("bob, online, verified ".repeat(6)));
    stage.happens(Event::Resize(ratatui::layout::Size {
        width: 80,
        height: 20,
    }));
    stage.press(KeyCode::Enter);
    assert!(
        stage.screen().contains("online, not verified"),
        "{}",
        stage.screen()
    );
}

#[test]
fn regression_a_blocked_stranger_is_nothing_that_is_unread() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, false, "let me in");
    stage.set_contact(BOB, "standing", json!("blocked"));
    stage.press_with(KeyModifiers::ALT, 'a');
    assert_eq!(stage.notice(), "nothing is unread");
    let screen = stage.screen();
    let at = |name: &str| screen.find(name).unwrap();
    assert!(at("carol") < at("bob"), "{screen}");
}

#[test]
fn regression_what_is_copied_is_what_is_seen() {
    let mut stage = Stage::new(100, 20);
    stage.says(BOB, false, "ls\u{1b}]52;c;eA==\u{7}\u{202e}");
    stage.refresh();
    stage.opens(BOB);
    stage.press(KeyCode::Up);
    stage.types("y");
    let copied = Effect::Copy("ls\u{fffd}]52;c;eA==\u{fffd}\u{fffd}".to_owned());
    assert!(stage.effects.contains(&copied), "{:?}", stage.effects);
}
