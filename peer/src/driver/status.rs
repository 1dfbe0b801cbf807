//! The report on links, servers and what waits.

use tincan_protocol::origin::ServerUrl;

use super::Driver;
use super::sessions::wait_reason;
use crate::status::{ContactStatus, LinkStatus, ServerStatus, StatusReport};
use crate::store::ContactState;

/// Why a server beyond the limit is not connected.
const TOO_MANY: &str = "not connected: your contacts use too many servers of their own; it is when one of these is not needed any more";

/// What is on its way to somebody who was verified with another device.
const CHANGED: &str = "nothing goes out before you have made sure that their new device is theirs";

/// And to somebody of whom only a backup knows.
const LOST: &str = "they are asked to go on with this device as soon as their relay can be reached";

impl Driver {
    pub(super) fn status(&self) -> StatusReport {
        let contacts = self.conversations.values().map(|conversation| {
            let link = match conversation.link.up() {
                Some((handle, relayed)) => LinkStatus::Up {
                    relayed,
                    round_trip: handle.round_trip(),
                },
                None if conversation.link.is_connecting() => LinkStatus::Connecting,
                None => LinkStatus::None,
            };
            let row = &conversation.row;
            let waiting = if row.has_changed() {
                conversation.session.has_pending().then_some(CHANGED)
            } else if row.state == ContactState::Lost {
                conversation.session.has_pending().then_some(LOST)
            } else {
                let waiting = conversation.session.waiting();
                waiting.map(|(_, _, reason)| wait_reason(reason))
            };
            ContactStatus {
                identity: conversation.row.identity,
                name: conversation.row.name.clone(),
                standing: conversation.row.state.standing(),
                // A server may not have said so yet; who is linked is there.
                online: conversation.online || matches!(link, LinkStatus::Up { .. }),
                link,
                waiting,
            }
        });
        let surplus = |url: ServerUrl| ServerStatus {
            url,
            up: false,
            ready: false,
            problem: Some(TOO_MANY.to_owned()),
        };
        let signal_servers = self.signals.iter().map(|(url, state)| ServerStatus {
            url: url.clone(),
            up: state.up,
            ready: state.up,
            problem: state.lost.clone(),
        });
        let relays = self.relays.iter().map(|(url, state)| ServerStatus {
            url: url.clone(),
            up: state.up,
            ready: self.relay_ready(url, state),
            problem: state.lost.clone(),
        });
        StatusReport {
            contacts: contacts.collect(),
            signal_servers: signal_servers
                .chain(self.wanted_signals().surplus.into_iter().map(surplus))
                .collect(),
            relays: relays
                .chain(self.wanted_relays().surplus.into_iter().map(surplus))
                .collect(),
            turn: self.signals.values().any(|server| server.turn.is_some()),
        }
    }
}
