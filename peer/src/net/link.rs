//! A direct link as the driver holds it: started in a task, fed through a queue.

use std::time::Duration;

use bytes::Bytes;
use tincan_link::{LinkEvent, LinkHandle, LinkStartError};
use tincan_protocol::link::LinkSignal;
use tokio::sync::mpsc;

use super::turn_servers;
use crate::clock::unix_ms;
use crate::driver::{Input, InputSender, Link, LinkStart, LinkStarted};
use crate::store::ConversationNo;

/// Frames that wait for a link: more than both windows hold.
const FRAMES: usize = 512;

/// Starts a link and passes its events to the driver, waiting where the driver is busy: that closes
/// the link's window.
pub(super) async fn run(no: ConversationNo, attempt: u64, start: LinkStart, driver: InputSender) {
    let (result, events) = match begin(start).await {
        Ok((link, events)) => (Ok(link), Some(events)),
        Err(error) => (Err(error), None),
    };
    let started = LinkStarted { attempt, result };
    if driver.send(Input::LinkStarted(no, started)).await.is_err() {
        return;
    }
    let Some(mut events) = events else { return };
    while let Some(event) = events.recv().await {
        if driver.send(Input::Link(no, attempt, event)).await.is_err() {
            return;
        }
    }
}

type Begun = (Box<dyn Link>, mpsc::Receiver<LinkEvent>);

async fn begin(start: LinkStart) -> Result<Begun, LinkStartError> {
    let LinkStart {
        mut config,
        turn,
        parties,
        groups,
        offer,
    } = start;
    config.ice_servers = turn_servers::ice_servers(turn).await;
    let now_ms = unix_ms();
    let (handle, events) = match offer {
        None => LinkHandle::offer(config, parties, groups, now_ms).await?,
        Some(offer) => LinkHandle::answer(config, parties, groups, offer, now_ms).await?,
    };
    let (frames, queue) = mpsc::channel(FRAMES);
    tokio::spawn(send_frames(handle.clone(), queue));
    Ok((Box::new(OpenLink { handle, frames }), events))
}

/// Moves frames into the link as it has room.
async fn send_frames(handle: LinkHandle, mut frames: mpsc::Receiver<Bytes>) {
    while let Some(frame) = frames.recv().await {
        if handle.send(frame).await.is_err() {
            return;
        }
    }
}

#[derive(Debug)]
struct OpenLink {
    handle: LinkHandle,
    frames: mpsc::Sender<Bytes>,
}

impl Link for OpenLink {
    fn handle_signal(&self, signal: LinkSignal) {
        self.handle.handle_signal(signal);
    }

    fn send(&self, frame: Bytes) -> bool {
        self.frames.try_send(frame).is_ok()
    }

    fn round_trip(&self) -> Option<Duration> {
        self.handle.stats().round_trip
    }

    fn close(&self, reason: &str) {
        self.handle.close(reason);
    }
}
