//! `peer chat --plain`: a conversation line by line, for screen readers and pipes. What comes is printed below what was
//! there, nothing is ever drawn over; what is typed is sent, or obeyed if it begins with a slash.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

use super::args::{Chat, Global};
use super::lines::{changed_line, failure_line, gap_line, history_line, timer_line};
use super::output::Output;
use super::session::{Network, Session, Stay};
use super::sessions::Sessions;
use super::typed::{self, About};
use super::values::{contact_called, items, text, waits};
use crate::MsgId;
use crate::rpc::RpcError;

/// Messages of the past that are printed at first.
const PAST: usize = 20;

/// How long one call waits for news, milliseconds.
const NEWS_WAIT_MS: u64 = 60_000;

/// Lines that are read ahead.
const LINES_AHEAD: usize = 64;

pub(super) async fn run(global: &Global, args: &Chat, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Online, Stay::UntilEnded).await?;
    let contacts = session.call("contacts", json!({})).await?;
    let contact = contact_called(&contacts, &args.to).cloned();
    let contact = contact.ok_or_else(|| RpcError::from(crate::ReadError::UnknownContact))?;
    let sessions = Sessions::of(global, session);
    let mut chat = Chatting {
        sessions: sessions.clone(),
        output,
        address: text(&contact["address"]),
        numbers: Numbers::default(),
    };
    let result = chat.run(&text(&contact["name"])).await;
    let closed = sessions.close().await;
    result?;
    output.flush()?;
    closed
}

struct Chatting<'a> {
    sessions: Sessions,
    output: &'a Output,
    address: String,
    numbers: Numbers,
}

/// Short names of the messages that were printed, so that commands can mean them.
#[derive(Default)]
struct Numbers {
    ids: Vec<MsgId>,
    known: BTreeMap<MsgId, usize>,
    /// The newest ones, of the contact and of ours.
    last: [Option<MsgId>; 2],
}

impl Numbers {
    /// The number of a message; its next one, if it has none yet.
    fn of(&mut self, message: &Value) -> Option<usize> {
        let id: MsgId = serde_json::from_value(message["id"].clone()).ok()?;
        if message["deleted"] != true {
            self.last[usize::from(message["outgoing"] == true)] = Some(id);
        }
        if let Some(number) = self.known.get(&id) {
            return Some(*number);
        }
        self.ids.push(id);
        self.known.insert(id, self.ids.len());
        Some(self.ids.len())
    }

    /// Whether it was printed: what comes while the past is read is in both.
    fn knows(&self, message: &Value) -> bool {
        let id = serde_json::from_value(message["id"].clone());
        id.is_ok_and(|id: MsgId| self.known.contains_key(&id))
    }

    /// The message that is meant by `#12`.
    fn id(&self, number: &str) -> Option<MsgId> {
        let number: usize = number.strip_prefix('#')?.parse().ok()?;
        self.ids.get(number.checked_sub(1)?).copied()
    }
}

impl Chatting<'_> {
    async fn run(&mut self, name: &str) -> Result<(), RpcError> {
        let ended = super::end_signal();
        tokio::pin!(ended);
        let place = self
            .sessions
            .call("cursor.get", json!({"name": "chat"}))
            .await?;
        let mut news = follow(&self.sessions, place["last"].as_u64().unwrap_or_default());
        let mut lines = read_lines();
        self.print_past().await?;
        if self.output.is_watched() {
            let greeting = format!(
                "chat with {name}; a line is a message, /help shows commands, Ctrl-D ends it"
            );
            self.output.note(&greeting);
        }
        loop {
            tokio::select! {
                () = &mut ended => return Ok(()),
                line = lines.recv() => match line {
                    Some(line) => {
                        if self.handle_line(&line?).await? {
                            return Ok(());
                        }
                    }
                    None => return self.leave().await,
                },
                next = news.recv() => match next {
                    Some(events) => self.print_news(&events?).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn print_past(&mut self) -> Result<(), RpcError> {
        let params = json!({"to": self.address, "limit": PAST});
        let past = self.sessions.call("history", params).await?;
        let mut has_unread = false;
        for item in items(&past) {
            if item["unread"] == true && !std::mem::replace(&mut has_unread, true) {
                self.output.say("--- unread ---");
            }
            self.print(item);
        }
        self.output.flush()?;
        self.mark_read(items(&past)).await
    }

    async fn print_news(&mut self, events: &Value) -> Result<(), RpcError> {
        let of_this = |event: &&Value| event["address"] == *self.address;
        let ours: Vec<&Value> = items(events).filter(of_this).collect();
        for event in &ours {
            match event["type"].as_str() {
                Some("message") if self.numbers.knows(event) => {}
                Some("message" | "timer") => self.print(event),
                Some("changed") => self.output.print(event, || changed_line(event)),
                Some("gap") => self.output.print(event, || gap_line(event)),
                Some("state") if event["state"] == "failed" => {
                    self.output.print(event, || failure_line(event));
                }
                _ => {}
            }
        }
        self.output.flush()?;
        self.mark_read(ours.into_iter()).await
    }

    /// A message with its number, or a notice.
    fn print(&mut self, item: &Value) {
        let number = match item["type"].as_str() {
            Some("message") => self.numbers.of(item),
            _ => None,
        };
        let mut object = item.clone();
        if let Some(object) = object.as_object_mut() {
            object.remove("cursor");
        }
        self.output.print(&object, || match number {
            Some(number) => format!("#{number}  {}", history_line(item)),
            None => timer_line(item),
        });
    }

    /// What stands there was shown.
    async fn mark_read(&self, shown: impl Iterator<Item = &Value>) -> Result<(), RpcError> {
        let unread = shown.filter(|one| one["type"] == "message" && one["unread"] == true);
        let ids: Vec<&Value> = unread.map(|one| &one["id"]).collect();
        if !ids.is_empty() {
            let params = json!({"from": self.address, "ids": ids});
            self.sessions.call("read", params).await?;
        }
        Ok(())
    }

    /// Returns whether it is the end.
    async fn handle_line(&mut self, line: &str) -> Result<bool, RpcError> {
        let line = line.trim_end_matches(['\r', '\n']);
        if line.trim().is_empty() {
            return Ok(false);
        }
        match line.strip_prefix('/') {
            None => self.send(line, None).await,
            Some(rest) if rest.starts_with('/') => self.send(rest, None).await,
            Some("quit") => return Ok(true),
            Some("help") => self.help(),
            Some(command) => self.obey(command).await,
        }
        self.output.flush()?;
        Ok(false)
    }

    async fn send(&self, said: &str, reply_to: Option<MsgId>) {
        let params = json!({"to": self.address, "texts": [said], "reply_to": reply_to});
        if let Err(error) = self.sessions.call("send", params).await {
            self.output.error(&error);
            self.output.note(&format!("not sent: {said}"));
        }
    }

    /// A command; `#12` after its name says which message it is about.
    async fn obey(&self, command: &str) {
        let (name, rest) = command
            .split_once(char::is_whitespace)
            .unwrap_or((command, ""));
        let rest = rest.trim();
        let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let chosen = self.numbers.id(first);
        let rest = if chosen.is_some() { after.trim() } else { rest };
        if name == "reply" {
            match chosen {
                Some(id) if !rest.is_empty() => self.send(rest, Some(id)).await,
                _ => self.output.note("write it like /reply #12 and the text"),
            }
            return;
        }
        let [theirs, own] = self.numbers.last;
        let last = match name {
            "edit" => own,
            "react" => theirs,
            _ => None,
        };
        let about = About {
            contact: Some(&self.address),
            message: chosen.or(last),
        };
        let call = match typed::call(&format!("{name} {rest}"), about) {
            Ok(call) => call,
            Err(wrong) => {
                return self
                    .output
                    .note(&wrong.replace("(Ctrl-Up)", "with its number, like #12"));
            }
        };
        match self.sessions.call(call.method, call.params).await {
            Ok(answer) => self.output.print(&answer, || (call.line)(&answer)),
            Err(error) => self.output.error(&error),
        }
    }

    fn help(&self) {
        let mut help = String::from(
            "/reply #N TEXT answers message N; #N after another command says which message it is about.\n",
        );
        for known in typed::completions("") {
            help += &format!("/{} {}  {}\n", known.name, known.takes, known.does);
        }
        self.output.note(&format!(
            "{help}/quit  End; so does Ctrl-D\n// begins a text with a slash"
        ));
    }

    /// What was read from a pipe gets a moment to leave.
    async fn leave(&self) -> Result<(), RpcError> {
        let address = json!(self.address);
        self.sessions
            .settle(|status| !waits(status, &address))
            .await
    }
}

/// Everything on stdin, a line at a time.
fn read_lines() -> mpsc::Receiver<Result<String, RpcError>> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    tokio::spawn(async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            let line = match lines.next_line().await {
                Ok(Some(line)) => Ok(line),
                Ok(None) => return,
                Err(error) => Err(RpcError::usage(
                    format!("stdin: {error}"),
                    "give lines of UTF-8 text",
                )),
            };
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Everything that the journal tells from here on.
fn follow(sessions: &Sessions, mut cursor: u64) -> mpsc::Receiver<Result<Value, RpcError>> {
    let (sender, receiver) = mpsc::channel(1);
    let sessions = sessions.clone();
    tokio::spawn(async move {
        loop {
            let params = json!({"after": cursor, "timeout_ms": NEWS_WAIT_MS});
            let next = match sessions.call("events.next", params).await {
                Err(error) if error.is_disk_full() => {
                    tokio::time::sleep(super::session::ROOM_AGAIN).await;
                    continue;
                }
                next => next,
            };
            let news = next.map(|mut next| {
                cursor = next["cursor"].as_u64().unwrap_or(cursor);
                next["events"].take()
            });
            let is_end = news.is_err();
            if sender.send(news).await.is_err() || is_end {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_numbers_that_stay() {
        let mut numbers = Numbers::default();
        let message = |id: MsgId, outgoing: bool| json!({"id": id, "outgoing": outgoing});
        let (first, second) = (MsgId::now_v7(), MsgId::now_v7());
        assert_eq!(numbers.of(&message(first, false)), Some(1));
        assert_eq!(numbers.of(&message(second, true)), Some(2));
        assert_eq!(numbers.of(&message(first, false)), Some(1));
        assert_eq!(
            (numbers.id("#1"), numbers.id("#2")),
            (Some(first), Some(second))
        );
        assert_eq!(
            (numbers.id("#3"), numbers.id("#0"), numbers.id("1")),
            (None, None, None)
        );
        assert_eq!(numbers.last, [Some(first), Some(second)]);
    }

    /// One that came between the place in the journal and the past that was printed stood there twice.
    #[test]
    fn regression_what_was_printed_with_the_past_is_known() {
        let mut numbers = Numbers::default();
        let message = json!({"id": MsgId::now_v7(), "outgoing": false});
        assert!(!numbers.knows(&message));
        numbers.of(&message);
        assert!(numbers.knows(&message));
    }
}
