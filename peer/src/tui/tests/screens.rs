//! What people see. The pictures lie in `snapshots/`; after a change that is meant, `INSTA_UPDATE=always` draws them
//! anew, and somebody looks at them.

use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::style::Color;
use serde_json::json;

use super::stage::{BOB, CAROL, Stage, theme};
use crate::tui::first_run::FirstRun;
use crate::tui::view;
use crate::{KeySource, Phrase};

/// Two people who have talked, with everything in it.
fn talk(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(width, height);
    let first = stage.says(
        BOB,
        false,
        "Are you coming tonight? We begin at eight, and there is soup for everybody who is hungry.",
    );
    stage.set(
        first,
        "reactions",
        json!([{"from": "ann", "outgoing": true, "emoji": "\u{1f44d}"}]),
    );
    let own = stage.says(BOB, true, "Sure!\nShall I bring something?");
    stage.set(own, "state", json!("read"));
    let answer = stage.says(BOB, false, "Bread.");
    stage.set(answer, "reply_to", json!({"id": own, "from": "ann", "outgoing": true, "text": "Sure!\nShall I bring something?"}));
    let gone = stage.says(BOB, false, "");
    stage.set(gone, "deleted", json!(true));
    for (state, text) in [
        ("delivered", "ok"),
        ("sent", "on my way"),
        ("pending", "almost there"),
        ("failed", "hello?"),
    ] {
        let id = stage.says(BOB, true, text);
        stage.set(id, "state", json!(state));
    }
    let edited = stage.says(BOB, false, "see you soon");
    stage.set(edited, "edited", json!(true));
    let passed_on = stage.says(BOB, false, "The door is on the left.");
    stage.set(passed_on, "forwarded", json!(true));
    stage.set(passed_on, "expires_s", json!(3600));
    stage.says(CAROL, false, "hi");
    stage.set_contact(CAROL, "presence", json!("offline"));
    stage.set_contact(CAROL, "muted", json!(true));
    stage.refresh();
    stage
}

#[test]
fn a_conversation() {
    let mut stage = talk(90, 32);
    stage.opens(BOB);
    insta::assert_snapshot!(stage.draw());
}

#[test]
fn a_narrow_terminal() {
    let mut stage = talk(40, 24);
    insta::assert_snapshot!("narrow_list", stage.draw());
    stage.opens(BOB);
    insta::assert_snapshot!("narrow_conversation", stage.draw());
    stage.press_with(KeyModifiers::ALT, 'v');
    insta::assert_snapshot!("narrow_safety_number", stage.draw());
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Up);
    stage.types("i");
    insta::assert_snapshot!("narrow_details", stage.draw());
}

#[test]
fn marks_have_colours_of_their_own() {
    let mut stage = talk(90, 32);
    stage.opens(BOB);
    let mut terminal = stage.terminal();
    terminal
        .draw(|frame| view::draw(frame, &stage.app, &theme()))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let colour_of = |text: &str| {
        let rows = 0..32u16;
        let mut lines = rows.map(|y| {
            (
                y,
                (0..90).map(|x| buffer[(x, y)].symbol()).collect::<String>(),
            )
        });
        let (y, line) = lines.find(|(_, line)| line.contains(text)).unwrap();
        let before = line.split(text).next().unwrap().chars().count();
        let mark = u16::try_from(before).unwrap() - 3;
        buffer[(mark, y)].fg
    };
    assert_eq!(colour_of("Sure!"), Color::Magenta, "read");
    assert_eq!(colour_of("ok"), Color::DarkGray, "delivered");
    assert_eq!(colour_of("hello?"), Color::Red, "failed");
}

#[test]
fn hostile_text_stays_in_its_place() {
    let mut stage = Stage::new(70, 16);
    let name = "b\u{1b}[2Jo\u{202e}b";
    stage.set_contact(BOB, "name", json!(name));
    let hostile = "\u{1b}]0;title\u{7}\u{9b}31mred\u{202e}evil\r\u{8}\u{2028}next";
    let id = stage.says(BOB, false, hostile);
    stage.set(id, "from", json!(name));
    stage.set(
        id,
        "reactions",
        json!([{"from": name, "outgoing": false, "emoji": "\u{1b}c"}]),
    );
    stage.says(BOB, false, &format!("z{}", "\u{301}".repeat(1000)));
    stage.refresh();
    stage.press(KeyCode::Enter);
    let screen = stage.draw();
    let obeyed = screen.chars().filter(|c| c.is_control() && *c != '\n');
    assert_eq!(obeyed.count(), 0, "{screen:?}");
    assert!(!screen.contains('\u{202e}'), "{screen:?}");
    insta::assert_snapshot!(screen);
}

#[test]
fn wide_characters_emoji_and_other_directions() {
    let mut stage = Stage::new(70, 18);
    for text in [
        "\u{4f60}\u{597d}\u{ff0c}\u{4e16}\u{754c}\u{ff01}\u{4eca}\u{5929}\u{6211}\u{4eec}\u{516b}\u{70b9}\u{5f00}\u{59cb}\u{ff0c}\u{6709}\u{6c64}\u{ff0c}\u{8bf7}\u{5927}\u{5bb6}\u{90fd}\u{6765}\u{3002}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{645}\u{631}\u{62d}\u{628}\u{627}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{1f1e9}\u{1f1ea} \u{1f44d}\u{1f3fd} e\u{301}",
    ] {
        stage.says(BOB, false, text);
    }
    stage.refresh();
    stage.opens(BOB);
    insta::assert_snapshot!(stage.draw());
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [
        (0, 0),
        (1, 1),
        (2, 3),
        (10, 2),
        (39, 4),
        (63, 5),
        (64, 5),
        (300, 100),
    ] {
        let mut stage = talk(width, height);
        stage.opens(BOB);
        stage.draw();
        for key in [KeyCode::F(1), KeyCode::Esc, KeyCode::Up] {
            stage.press(key);
            stage.draw();
        }
        for c in ['x', 'i', 'd'] {
            stage.press(KeyCode::Char(c));
            stage.draw();
            stage.press(KeyCode::Esc);
            stage.press(KeyCode::Up);
        }
        stage.press_with(KeyModifiers::CONTROL, 'k');
        stage.draw();
        stage.press(KeyCode::Esc);
        stage.press_with(KeyModifiers::ALT, 'v');
        stage.draw();
    }
}

#[test]
fn what_lies_above() {
    let mut stage = talk(90, 36);
    stage.opens(BOB);
    stage.draw();
    stage.press(KeyCode::F(1));
    insta::assert_snapshot!("help", stage.draw());
    stage.press(KeyCode::Esc);
    stage.press_with(KeyModifiers::ALT, 'v');
    insta::assert_snapshot!("safety_number", stage.draw());
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Up);
    insta::assert_snapshot!("selected", stage.draw());
    stage.types("i");
    insta::assert_snapshot!("details", stage.draw());
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Esc);
    stage.enters("/invite");
    insta::assert_snapshot!("invite", stage.draw());
    stage.press(KeyCode::Esc);
    stage.asks("dave", "We met at the soup.");
    stage.press_with(KeyModifiers::CONTROL, 'r');
    insta::assert_snapshot!("requests", stage.draw());
    stage.press(KeyCode::Esc);
    stage.types("/m");
    insta::assert_snapshot!("completions", stage.draw());
}

#[test]
fn the_first_run() {
    let draw = |run: &FirstRun| {
        let stage = Stage::new(80, 20);
        let mut terminal = stage.terminal();
        terminal
            .draw(|frame| assert!(view::first_run::draw(frame, run, &theme())))
            .unwrap();
        terminal.backend().to_string()
    };
    let press = |run: &mut FirstRun, code: KeyCode| {
        run.key(crossterm::event::KeyEvent::new(code, KeyModifiers::NONE));
    };
    let mut run = FirstRun::new("ann", None, true);
    insta::assert_snapshot!("first_run_name", draw(&run));
    press(&mut run, KeyCode::Enter);
    run.paste("htp:/wrong");
    press(&mut run, KeyCode::Enter);
    insta::assert_snapshot!("first_run_wrong_server", draw(&run));
    press(&mut run, KeyCode::Esc);
    press(&mut run, KeyCode::Enter);
    run.paste("http://127.0.0.1:8443");
    press(&mut run, KeyCode::Enter);
    run.looked("http://127.0.0.1:8443".parse().unwrap(), Ok(()));
    insta::assert_snapshot!("first_run_protection", draw(&run));
    let mut run = FirstRun::new("ann", Some(KeySource::Plain), true);
    run.made(Ok(Phrase::from_entropy([7; 32])));
    insta::assert_snapshot!("first_run_words", draw(&run));
}
