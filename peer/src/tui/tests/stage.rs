//! An interface whose profile is played: contacts and messages of a test's making, answered as a profile answers.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use serde_json::{Value, json};

use crate::MsgId;
use crate::rpc::RpcError;
use crate::rpc::objects::{EventObject, HistoryObject};
use crate::tui::state::{App, Call, Clock, Effect, Event, Keys, Purpose};
use crate::tui::view::{self, theme::Theme};

pub(super) const BOB: &str = "tin1bob";
pub(super) const CAROL: &str = "tin1carol";

const SAFETY_NUMBER: &str =
    "10000 10001 10002 10003 10004 10005 10006 10007 10008 10009 10010 10011";

/// When it all takes place.
const NOW: &str = "2026-11-27T15:00:00Z";

/// See the module.
pub(super) struct Stage {
    pub(super) app: App,
    contacts: Vec<Value>,
    requests: Vec<Value>,
    /// What was said, by the contact's address, oldest first.
    said: Vec<(&'static str, Value)>,
    /// Calls that are not answered by themselves.
    pub(super) calls: Vec<Call>,
    pub(super) effects: Vec<Effect>,
    size: Size,
    /// Whether parts of conversations are answered by the test.
    pub(super) holds_pages: bool,
}

impl Stage {
    /// With two contacts, on a screen of this size.
    pub(super) fn new(width: u16, height: u16) -> Self {
        let clock = Clock {
            now: NOW.parse().unwrap(),
            zone: TimeZone::UTC,
        };
        let size = Size { width, height };
        let mut stage = Self {
            app: App::new(Keys::default(), clock, None),
            contacts: vec![contact("bob", BOB), contact("carol", CAROL)],
            requests: Vec::new(),
            said: Vec::new(),
            calls: Vec::new(),
            effects: Vec::new(),
            size,
            holds_pages: false,
        };
        let begun = stage.app.begin();
        stage.carry_out(begun);
        stage.happens(Event::Resize(size));
        stage
    }

    /// A message of this contact, or to them, one minute after the one before; not read if it is theirs.
    pub(super) fn says(&mut self, with: &'static str, outgoing: bool, text: &str) -> MsgId {
        let n = self.said.len();
        let id = MsgId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n as u128);
        let at = jiff::Timestamp::from_second(1_795_700_000 + 60 * n as i64).unwrap();
        let name = if outgoing { "ann" } else { name_of(with) };
        let state = if outgoing { "delivered" } else { "received" };
        self.said.push((with, json!({
            "type": "message", "id": id, "conversation": name_of(with), "address": with, "from": name,
            "outgoing": outgoing, "seq": n + 1, "text": text, "edited": false, "deleted": false,
            "forwarded": false, "reply_to": null, "reactions": [], "expires_s": 0, "unread": !outgoing,
            "sent_at": at.to_string(), "received_at": at.to_string(), "state": state,
        })));
        self.count_unread();
        id
    }

    /// Something about a message is otherwise.
    pub(super) fn set(&mut self, id: MsgId, field: &str, value: Value) {
        let found = self.said.iter_mut().find(|(_, one)| one["id"] == json!(id));
        found.unwrap().1[field] = value;
        self.count_unread();
    }

    pub(super) fn set_contact(&mut self, address: &str, field: &str, value: Value) {
        let found = self
            .contacts
            .iter_mut()
            .find(|one| one["address"] == address);
        found.unwrap()[field] = value;
        self.contacts_changed(address);
    }

    pub(super) fn asks(&mut self, name: &str, text: &str) {
        let id = format!("tin1{name}");
        let request = json!({"type": "request", "id": id, "name": name, "text": text, "help": ""});
        self.requests.push(request.clone());
        self.tells(request);
    }

    /// Their request is answered elsewhere.
    pub(super) fn leaves(&mut self, name: &str) {
        self.requests.retain(|one| one["name"] != name);
        self.refresh();
    }

    /// The journal tells that this message came.
    pub(super) fn comes(&mut self, with: &'static str, text: &str) -> MsgId {
        let id = self.says(with, false, text);
        let event = self.message(id);
        self.tells(event);
        id
    }

    /// The journal tells of so many messages at once.
    pub(super) fn bursts(&mut self, with: &'static str, count: usize) -> Vec<MsgId> {
        let texts = (0..count).map(|n| format!("message {n}"));
        let ids: Vec<MsgId> = texts.map(|text| self.says(with, false, &text)).collect();
        let events = ids.iter().map(|id| self.message(*id));
        let events = events.map(|event| serde_json::from_value(event).unwrap());
        let events = events.collect();
        self.happens(Event::News(events));
        ids
    }

    pub(super) fn message(&self, id: MsgId) -> Value {
        let found = self.said.iter().find(|(_, one)| one["id"] == json!(id));
        found.unwrap().1.clone()
    }

    pub(super) fn tells(&mut self, event: Value) {
        let event: EventObject = serde_json::from_value(event).unwrap();
        self.happens(Event::News(vec![event]));
    }

    fn contacts_changed(&mut self, address: &str) {
        let name = address.trim_start_matches("tin1");
        self.tells(json!({"type": "contact_changed", "name": name, "address": address, "verification": "unverified"}));
    }

    pub(super) fn happens(&mut self, event: Event) {
        let effects = self.app.handle(event);
        self.carry_out(effects);
    }

    /// Answers what asks; what writes is the test's.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Call(call) if self.holds_pages && call.method == "history" => {
                    self.calls.push(call);
                }
                Effect::Call(call) => {
                    let answer = self.answer(&call);
                    self.happens(Event::Answer(call.purpose, answer));
                }
                Effect::Write(call) if matches!(call.purpose, Purpose::Read { .. }) => {
                    let ids = call.params["ids"].as_array().unwrap().clone();
                    for (_, one) in &mut self.said {
                        if ids.contains(&one["id"]) {
                            one["unread"] = json!(false);
                        }
                    }
                    self.count_unread();
                    self.calls.push(call.clone());
                    self.happens(Event::Answer(call.purpose, Ok(json!({"type": "done"}))));
                }
                Effect::Write(call) => self.calls.push(call),
                other => self.effects.push(other),
            }
        }
    }

    fn answer(&self, call: &Call) -> Result<Value, RpcError> {
        Ok(match call.method {
            "id" => json!({
                "type": "id", "address": "tin1ann", "name": "ann", "device": "d", "signal_servers": [], "relay": "",
            }),
            "contacts" => json!(self.contacts),
            "requests" => json!(self.requests),
            "status" => json!({
                "type": "status", "turn": false, "process": {"id": 1, "stays": true},
                "signal_servers": [{"url": "http://127.0.0.1:1", "up": true, "ready": true, "problem": null}],
                "relays": [],
                "contacts": self.contacts.iter().map(|one| json!({
                    "name": one["name"], "address": one["address"], "standing": one["standing"],
                    "presence": one["presence"], "link": "direct", "round_trip_ms": 1.25, "waiting": null,
                    "pending": null, "at_relay": null,
                })).collect::<Vec<_>>(),
            }),
            "history" => json!(self.history(&call.params)),
            "invite" => json!({
                "type": "invite", "link": format!("tincan:{}", "ab".repeat(280)), "uses": 1,
                "expires_at": "2026-12-04T15:00:00Z",
            }),
            "verify" => json!({
                "type": "verification", "name": "bob", "address": call.params["name"],
                "safety_number": SAFETY_NUMBER, "verification": "unverified",
            }),
            other => return Err(RpcError::failed(format!("nobody plays {other}"), "")),
        })
    }

    /// The first question for a part of a conversation that waits is answered with what is there now.
    pub(super) fn answers_page(&mut self) {
        let at = self.calls.iter().position(|call| call.method == "history");
        let call = self.calls.remove(at.unwrap());
        let answer = self.answer(&call);
        self.happens(Event::Answer(call.purpose, answer));
    }

    /// As the method `history` says.
    fn history(&self, params: &Value) -> Vec<Value> {
        let all = self.said.iter().filter(|(with, _)| params["to"] == *with);
        let all: Vec<Value> = all.map(|(_, one)| one.clone()).collect();
        let limit = usize::try_from(params["limit"].as_u64().unwrap()).unwrap();
        let at = |name: &str| all.iter().position(|one| one["id"] == params[name]);
        let range = match (at("before"), at("after"), at("around")) {
            (Some(at), ..) => at.saturating_sub(limit)..at,
            (_, Some(at), _) => at + 1..(at + 1 + limit).min(all.len()),
            (.., Some(at)) => {
                let from = at.saturating_sub(limit / 2);
                from..(from + limit).min(all.len())
            }
            _ => all.len().saturating_sub(limit)..all.len(),
        };
        all[range].to_vec()
    }

    fn count_unread(&mut self) {
        for contact in &mut self.contacts {
            let of_them = self
                .said
                .iter()
                .filter(|(with, _)| contact["address"] == *with);
            let messages: Vec<&Value> = of_them.map(|(_, one)| one).collect();
            let unread: Vec<&&Value> = messages
                .iter()
                .filter(|one| one["unread"] == true)
                .collect();
            contact["unread"] = json!(unread.len());
            contact["first_unread_id"] =
                unread.first().map_or(Value::Null, |one| one["id"].clone());
            contact["last_at"] = messages
                .last()
                .map_or(Value::Null, |one| one["sent_at"].clone());
        }
    }

    /// The profile has told how many there are.
    pub(super) fn refresh(&mut self) {
        self.contacts_changed(BOB);
    }

    /// The last call that writes is answered.
    pub(super) fn succeeds(&mut self, answer: Value) {
        let call = self.calls.pop().unwrap();
        self.happens(Event::Answer(call.purpose, Ok(answer)));
    }

    pub(super) fn fails(&mut self, why: &str) {
        let call = self.calls.pop().unwrap();
        self.happens(Event::Answer(call.purpose, Err(RpcError::failed(why, ""))));
    }

    // The person.

    pub(super) fn press(&mut self, code: KeyCode) {
        self.happens(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    pub(super) fn press_with(&mut self, modifiers: KeyModifiers, c: char) {
        self.happens(Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers)));
    }

    pub(super) fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.press(KeyCode::Char(c));
        }
    }

    /// Types a line and Enter.
    pub(super) fn enters(&mut self, text: &str) {
        self.types(text);
        self.press(KeyCode::Enter);
    }

    pub(super) fn opens(&mut self, address: &str) {
        self.press_with(KeyModifiers::CONTROL, 'k');
        self.types(address.trim_start_matches("tin1"));
        self.press(KeyCode::Enter);
        assert_eq!(self.app.open.as_ref().unwrap().address, address);
    }

    // The screen.

    /// Draws, as the shell does after everything that happened.
    pub(super) fn draw(&mut self) -> String {
        let screen = self.screen();
        self.happens(Event::Drawn);
        screen
    }

    pub(super) fn screen(&self) -> String {
        let mut terminal = self.terminal();
        terminal
            .draw(|frame| view::draw(frame, &self.app, &theme()))
            .unwrap();
        if self.size.width == 0 {
            return String::new();
        }
        terminal.backend().to_string()
    }

    pub(super) fn terminal(&self) -> Terminal<TestBackend> {
        Terminal::new(TestBackend::new(self.size.width, self.size.height)).unwrap()
    }

    pub(super) fn composer(&self) -> String {
        self.app.composer().unwrap().text()
    }

    pub(super) fn notice(&self) -> &str {
        self.app.notice.as_ref().map_or("", |notice| &notice.text)
    }

    /// Which messages were told to have been read, in calls so far.
    pub(super) fn read(&self) -> Vec<MsgId> {
        let calls = self.calls.iter().filter(|call| call.method == "read");
        let ids = calls.flat_map(|call| call.params["ids"].as_array().unwrap().clone());
        ids.map(|id| serde_json::from_value(id).unwrap()).collect()
    }

    pub(super) fn calls_of(&self, method: &str) -> Vec<&Call> {
        self.calls
            .iter()
            .filter(|call| call.method == method)
            .collect()
    }
}

pub(super) fn theme() -> Theme {
    Theme::with(&Default::default()).unwrap()
}

/// An item of a conversation as it is answered.
pub(super) fn item(value: Value) -> HistoryObject {
    serde_json::from_value(value).unwrap()
}

fn name_of(address: &str) -> &str {
    address.trim_start_matches("tin1")
}

fn contact(name: &str, address: &str) -> Value {
    json!({
        "type": "contact", "name": name, "address": address, "presence": "online", "verified": false,
        "verification": "unverified", "standing": "accepted", "unread": 0, "first_unread": null,
        "first_unread_id": null, "last_at": null, "draft": "", "muted": false, "muted_until": null, "expires_s": 0,
    })
}
