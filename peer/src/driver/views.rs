//! What a simulated world looks at.

use tincan_core::Buffer;
use tincan_protocol::limits::HELLO_GROUPS_MAX;

use super::Driver;
use super::asked::ASKED_MAX;
use super::conversation::Conversation;
use super::link_signals::EARLY_SIGNALS;
use super::unknown_contents::{BYTES_MAX, CONTENTS_MAX};
use super::wanted_servers::FOREIGN_SERVERS_MAX;
use crate::simulation::ConversationView;
use crate::store::ConversationNo;

impl Driver {
    pub(crate) fn conversation_views(&self) -> Vec<ConversationView> {
        let views = self.conversations.values().map(|conversation| {
            let row = &conversation.row;
            ConversationView {
                no: row.no,
                with: row.identity,
                standing: row.state.standing(),
                is_linked: conversation.link.up().is_some(),
                is_waiting: conversation.session.waiting().is_some(),
            }
        });
        views.collect()
    }

    /// Every buffer that what others do could fill: the profile's own, and those of each conversation.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = (Option<ConversationNo>, Buffer)> {
        let (relays, signals) = self.foreign_servers();
        let own = [
            buffer("requests that wait for a decision", self.asked(), ASKED_MAX),
            buffer("relays of others", relays, FOREIGN_SERVERS_MAX),
            buffer("signaling servers of others", signals, FOREIGN_SERVERS_MAX),
        ];
        let own = own.into_iter().map(|buffer| (None, buffer));
        own.chain(self.conversations.iter().flat_map(|(&no, one)| {
            let buffers = one.session.buffers().chain(one.buffers());
            buffers.map(move |buffer| (Some(no), buffer))
        }))
    }

    /// Whether something is written that is not committed.
    pub(crate) const fn has_uncommitted(&self) -> bool {
        self.turn.has_uncommitted()
    }

    pub(crate) fn has_received(&self, no: ConversationNo, seq: u64) -> bool {
        let known = self.conversations.get(&no);
        known.is_some_and(|one| one.session.has_received(seq))
    }
}

impl Conversation {
    fn buffers(&self) -> impl Iterator<Item = Buffer> {
        let row = &self.row;
        let (contents, bytes) = (row.unknown.contents as usize, row.unknown.bytes as usize);
        let early = self.link.early_signals();
        let all = [
            buffer(
                "contents of a later version",
                contents,
                CONTENTS_MAX as usize,
            ),
            buffer("bytes of these", bytes, BYTES_MAX as usize),
            buffer("groups", row.groups.len(), HELLO_GROUPS_MAX),
            buffer("signals for a link to come", early, EARLY_SIGNALS),
        ];
        all.into_iter()
    }
}

const fn buffer(what: &'static str, filled: usize, limit: usize) -> Buffer {
    Buffer {
        what,
        filled,
        limit,
    }
}
