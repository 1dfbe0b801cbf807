//! `peer listen`: messages as they come, those that are missing or were not delivered in time, and who asks
//! to become a contact.
//!
//! Its places in the journal are kept under names of their own, so that what came while nobody
//! listened is printed first: one place for all conversations, and one for each that was listened to
//! alone and so may be further. A message counts as shown when its line has been written; if the
//! program is killed between the two, the line is printed again next time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::args::{Global, Listen};
use super::lines::{
    accepted_line, changed_line, device_line, failure_line, gap_line, message_line, missed_line,
    request_lines, timer_line,
};
use super::output::Output;
use super::session::{FIRST_LOOK, Network, ROOM_AGAIN, Session, Stay};
use super::values::{contact_called, items, text};
use crate::rpc::RpcError;

/// How long one call waits for news.
const WAIT: Duration = Duration::from_secs(60);

/// What to do about a stdout that takes nothing.
const UNWRITTEN: &str =
    "give it somewhere to write to; what could not be written has not been marked as shown";

/// The place up to which every conversation has been printed.
const ALL: &str = "listen";

pub(super) async fn run(global: &Global, args: Listen, output: &Output) -> Result<(), RpcError> {
    let mut session = Session::open(global, Network::Online, Stay::UntilEnded).await?;
    // From now on: whoever is told to end has kept the place of what is printed.
    let ended = super::end_signal();
    let result = tokio::select! {
        result = listen(&mut session, &args, output) => result,
        () = ended => Ok(()),
    };
    let closed = session.close().await;
    result.and(closed)
}

async fn listen(session: &mut Session, args: &Listen, output: &Output) -> Result<(), RpcError> {
    let deadline = args.timeout.map(|limit| Instant::now() + limit);
    let mut listener = Listener::begin(session, args.from.as_deref()).await?;
    let room = Room { deadline, output };
    greet(session, args, output).await?;
    let mut look = output.is_watched().then(|| Instant::now() + FIRST_LOOK);
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return ended(args, left);
        }
        if look.is_some_and(|look| look <= Instant::now()) {
            session.note_if_cut_off(output).await?;
            look = None;
        }
        let wait = until_first([deadline, look]);
        let timeout_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let params = json!({"after": listener.cursor, "timeout_ms": timeout_ms});
        let next = room.wait_for(session, "events.next", params).await?;
        let wanted = listener.wanted(session, &next).await?;
        let printed = print(&wanted, &mut left, output)?;
        // The last one printed, if there is to be no more; else everything that was looked at.
        let reached = if left == 0 {
            printed.last().and_then(|event| event["cursor"].as_u64())
        } else {
            next["cursor"].as_u64()
        };
        listener.reached(session, &room, reached, printed).await?;
    }
    Ok(())
}

/// How long one call may wait for news, so that nothing else is late.
fn until_first(times: [Option<Instant>; 2]) -> Duration {
    let first = times.into_iter().flatten().min();
    first.map_or(WAIT, |first| {
        first.saturating_duration_since(Instant::now()).min(WAIT)
    })
}

/// Somebody who types it sees that it runs, and how it ends.
async fn greet(session: &mut Session, args: &Listen, output: &Output) -> Result<(), RpcError> {
    if !output.is_watched() {
        return Ok(());
    }
    let id = session.call("id", json!({})).await?;
    let from = args.from.as_ref();
    let from = from.map(|name| format!(" to {name}")).unwrap_or_default();
    output.note(&format!(
        "listening{from} as {}; Ctrl-C ends it",
        text(&id["name"])
    ));
    Ok(())
}

/// An event that is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Request,
    /// Messages of a contact are missing.
    Gap,
    /// Something was done with a message.
    Changed,
    /// Messages stay so long from now on.
    Timer,
    /// Somebody became a contact.
    Accepted,
    /// Own messages were not delivered in time.
    Failure,
    /// Events are gone before they were read.
    Missed,
    /// A contact who was verified has another device.
    Device,
}

impl Kind {
    fn of(event: &Value) -> Option<Self> {
        match event["type"].as_str()? {
            "message" => Some(Self::Message),
            "request" => Some(Self::Request),
            "gap" => Some(Self::Gap),
            "missed" => Some(Self::Missed),
            "changed" => Some(Self::Changed),
            "timer" => Some(Self::Timer),
            "accepted" => Some(Self::Accepted),
            "state" if event["state"] == "failed" => Some(Self::Failure),
            "contact_changed" if event["verification"] == "changed" => Some(Self::Device),
            _ => None,
        }
    }
}

impl Kind {
    /// Whether it is printed with the messages of a contact.
    const fn is_of_a_conversation(self) -> bool {
        !matches!(self, Self::Request | Self::Missed | Self::Accepted)
    }
}

/// Places in the journal, and what is printed after them.
struct Listener {
    /// Everything up to here has been looked at.
    cursor: u64,
    /// The address of the only one to be listened to.
    from: Option<String>,
    /// Places of conversations that may be further, by address.
    further: BTreeMap<String, u64>,
    /// Of whose other device it was told.
    other_devices: BTreeSet<String>,
}

impl Listener {
    async fn begin(session: &mut Session, from: Option<&str>) -> Result<Self, RpcError> {
        let mut listener = Self {
            cursor: stored(session, ALL).await?,
            from: None,
            further: BTreeMap::new(),
            other_devices: BTreeSet::new(),
        };
        if let Some(name) = from {
            let address = address_of(session, name).await?;
            listener.cursor = listener
                .cursor
                .max(stored(session, &place_of(&address)).await?);
            listener.from = Some(address);
        }
        Ok(listener)
    }

    /// What is to be printed, if enough is wanted.
    async fn wanted<'a>(
        &mut self,
        session: &mut Session,
        next: &'a Value,
    ) -> Result<Vec<&'a Value>, RpcError> {
        let mut wanted = Vec::new();
        for event in items(&next["events"]) {
            let is_wanted = match (Kind::of(event), &self.from) {
                (Some(kind), Some(from)) if kind.is_of_a_conversation() => {
                    event["address"] == **from
                }
                (Some(kind), None) if kind.is_of_a_conversation() => {
                    let printed = self
                        .printed_alone(session, &text(&event["address"]))
                        .await?;
                    event["cursor"].as_u64() > Some(printed)
                }
                (Some(Kind::Missed), _) | (Some(_), None) => true,
                (Some(_), Some(_)) | (None, _) => false,
            };
            // Something else of them changes again and again.
            let is_news = Kind::of(event) != Some(Kind::Device)
                || self.other_devices.insert(text(&event["address"]));
            if is_wanted && is_news {
                wanted.push(event);
            }
        }
        Ok(wanted)
    }

    /// Up to where a conversation has been printed by listening to it alone.
    async fn printed_alone(
        &mut self,
        session: &mut Session,
        address: &str,
    ) -> Result<u64, RpcError> {
        if let Some(&place) = self.further.get(address) {
            return Ok(place);
        }
        let place = stored(session, &place_of(address)).await?;
        self.further.insert(address.to_owned(), place);
        Ok(place)
    }

    /// Keeps the place, and tells the senders what has been shown.
    async fn reached(
        &mut self,
        session: &mut Session,
        room: &Room<'_>,
        reached: Option<u64>,
        printed: &[&Value],
    ) -> Result<(), RpcError> {
        let Some(reached) = reached.filter(|reached| *reached > self.cursor) else {
            return Ok(());
        };
        let place = self.from.as_deref().map_or(ALL.to_owned(), place_of);
        let params = json!({"name": place, "cursor": reached});
        room.wait_for(session, "cursor.set", params).await?;
        self.cursor = reached;
        let mut shown: BTreeMap<String, u64> = BTreeMap::new();
        let is_message = |event: &&&Value| Kind::of(event) == Some(Kind::Message);
        for message in printed.iter().filter(is_message) {
            let seq = shown.entry(text(&message["address"])).or_default();
            *seq = (*seq).max(message["seq"].as_u64().unwrap_or_default());
        }
        for (contact, seq) in shown {
            let params = json!({"from": contact, "seq": seq});
            match room.wait_for(session, "read", params).await {
                // They are no contact any more.
                Err(error) if error.is_not_found() => {}
                result => drop(result?),
            }
        }
        Ok(())
    }
}

/// What a full disk does not let it do now is done when there is room.
struct Room<'a> {
    /// Of the whole command.
    deadline: Option<Instant>,
    output: &'a Output,
}

impl Room<'_> {
    /// Calls a method, again and again while the disk is full, and says so once.
    async fn wait_for(
        &self,
        session: &mut Session,
        method: &str,
        params: Value,
    ) -> Result<Value, RpcError> {
        let mut is_told = false;
        loop {
            let error = match session.call(method, params.clone()).await {
                Err(error) if error.is_disk_full() => error,
                result => return result,
            };
            let again = Instant::now() + ROOM_AGAIN;
            if self.deadline.is_some_and(|deadline| deadline <= again) {
                return Err(error);
            }
            if !is_told {
                is_told = true;
                self.output.note(&format!("note: {error}; {}", error.help));
            }
            tokio::time::sleep_until(again).await;
        }
    }
}

fn place_of(address: &str) -> String {
    format!("{ALL}/{address}")
}

async fn stored(session: &mut Session, place: &str) -> Result<u64, RpcError> {
    let stored = session.call("cursor.get", json!({"name": place})).await?;
    Ok(stored["cursor"].as_u64().unwrap_or_default())
}

/// Prints until enough messages were printed; returns what was.
fn print<'a>(
    wanted: &'a [&'a Value],
    left: &mut u64,
    output: &Output,
) -> Result<&'a [&'a Value], RpcError> {
    let mut count = 0;
    for event in wanted {
        if *left == 0 {
            break;
        }
        count += 1;
        if Kind::of(event) == Some(Kind::Accepted) {
            // Nothing that was said: whoever reads what is printed waits for that.
            if !output.json {
                output.note(&accepted_line(event));
            }
            continue;
        }
        let mut object = (*event).clone();
        if let Some(object) = object.as_object_mut() {
            object.remove("cursor");
        }
        output.print(&object, || match Kind::of(event) {
            Some(Kind::Request) => request_lines(&object),
            Some(Kind::Gap) => gap_line(&object),
            Some(Kind::Failure) => failure_line(&object),
            Some(Kind::Changed) => changed_line(&object),
            Some(Kind::Timer) => timer_line(&object),
            Some(Kind::Missed) => missed_line(&object),
            Some(Kind::Device) => device_line(&object),
            Some(Kind::Message | Kind::Accepted) | None => message_line(&object),
        });
        *left -= u64::from(Kind::of(event) == Some(Kind::Message));
    }
    output.flush_or(UNWRITTEN)?;
    Ok(wanted.get(..count).unwrap_or_default())
}

async fn address_of(session: &mut Session, name: &str) -> Result<String, RpcError> {
    let contacts = session.call("contacts", json!({})).await?;
    let found = contact_called(&contacts, name);
    let found = found.ok_or_else(|| RpcError::from(crate::ReadError::UnknownContact))?;
    Ok(text(&found["address"]))
}

fn ended(args: &Listen, left: u64) -> Result<(), RpcError> {
    match args.count {
        Some(count) => {
            let message = format!("{} of {count} messages came in time", count - left);
            Err(RpcError::timeout(
                message,
                "what came is printed; the rest will be next time",
            ))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody heard of it: neither who had written, nor who was shown what came after.
    #[test]
    fn regression_what_failed_and_what_is_missing_is_printed() {
        let failed =
            json!({"type": "state", "state": "failed", "ids": ["a", "b"], "conversation": "bob"});
        assert_eq!(Kind::of(&failed), Some(Kind::Failure));
        let line = failure_line(&failed);
        assert!(
            line.starts_with("(bob: 2 messages were not delivered"),
            "{line}"
        );
        let gap = json!({"type": "gap", "first": 3, "last": 3, "conversation": "bob"});
        assert_eq!(Kind::of(&gap), Some(Kind::Gap));
        let line = gap_line(&gap);
        assert!(line.starts_with("(bob: a message missing here"), "{line}");
        let missed = json!({"type": "missed", "count": 7});
        assert_eq!(Kind::of(&missed), Some(Kind::Missed));
        assert!(missed_line(&missed).starts_with("(7 events"));
        for silent in [
            json!({"type": "state", "state": "delivered"}),
            json!({"type": "link"}),
            json!({}),
        ] {
            assert_eq!(Kind::of(&silent), None);
        }
    }
}
