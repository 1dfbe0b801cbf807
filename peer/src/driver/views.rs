//! What a simulated world looks at.

use tincan_core::Buffer;

use super::Driver;
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

    pub(crate) fn buffers(&self) -> impl Iterator<Item = (ConversationNo, Buffer)> {
        let all = self.conversations.iter();
        all.flat_map(|(&no, one)| one.session.buffers().map(move |buffer| (no, buffer)))
    }

    pub(crate) fn has_received(&self, no: ConversationNo, seq: u64) -> bool {
        let known = self.conversations.get(&no);
        known.is_some_and(|one| one.session.has_received(seq))
    }
}
