//! The report on links, servers and what waits.

use super::Driver;
use super::sessions::wait_reason;
use crate::status::{ContactStatus, LinkStatus, ServerStatus, StatusReport};

impl Driver {
    pub(super) fn status(&self) -> StatusReport {
        let contacts = self.conversations.values().map(|conversation| {
            let link = match conversation.link.up() {
                Some((handle, relayed)) => LinkStatus::Up {
                    relayed,
                    round_trip: handle.stats().round_trip,
                },
                None if conversation.link.is_connecting() => LinkStatus::Connecting,
                None => LinkStatus::None,
            };
            let waiting = conversation
                .session
                .waiting()
                .map(|(_, _, reason)| wait_reason(reason));
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
            signal_servers: signal_servers.collect(),
            relays: relays.collect(),
            turn: self.signals.values().any(|server| server.turn.is_some()),
        }
    }
}
