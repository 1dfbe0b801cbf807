//! News of a contact's presence and link. They are told at a bounded pace, and then as they are: a
//! server that makes somebody come and go all the time does not push messages out of the journal.

use tincan_core::Instant;

use super::Driver;
use super::conversation::Conversation;
use super::pace::Pace;
use crate::store::{ConversationNo, JournalEvent};

/// Events of presence and links told in a minute, for each contact. Chosen: nobody follows more, and
/// the journal's 500,000 entries last a week of a server that does nothing else.
pub(super) const PER_MINUTE: u32 = 20;

/// What has been told of one contact.
#[derive(Debug, Default)]
pub(super) struct News {
    online: bool,
    /// Whether the open link goes through TURN.
    link: Option<bool>,
    /// Why the last link ended.
    reason: Option<String>,
    pub(super) pace: Pace,
}

impl Conversation {
    fn link_now(&self) -> Option<bool> {
        self.link.up().map(|(_, relayed)| relayed)
    }

    /// When what was held back is to be told.
    pub(super) fn news_due(&self) -> Option<Instant> {
        let untold = self.news.online != self.online || self.news.link != self.link_now();
        untold.then(|| self.news.pace.next()).flatten()
    }
}

impl Driver {
    /// A link has ended.
    pub(super) fn tell_link_end(&mut self, no: ConversationNo, reason: &str) {
        if let Some(conversation) = self.conversations.get_mut(&no) {
            conversation.news.reason = Some(reason.to_owned());
        }
        self.tell_news(no);
    }

    /// Presence or link may have changed.
    pub(super) fn tell_news(&mut self, no: ConversationNo) {
        let now = self.around.now().instant;
        let Some(conversation) = self.conversations.get_mut(&no) else {
            return;
        };
        let (online, link) = (conversation.online, conversation.link_now());
        let identity = conversation.row.identity;
        let news = &mut conversation.news;
        let mut events = Vec::new();
        if news.online != online && news.pace.take(now, PER_MINUTE) {
            news.online = online;
            events.push(JournalEvent::Presence { identity, online });
        }
        if news.link != link && news.pace.take(now, PER_MINUTE) {
            news.link = link;
            events.push(JournalEvent::Link {
                no,
                up: link.is_some(),
                relayed: link == Some(true),
                reason: news.reason.take().filter(|_| link.is_none()),
            });
        }
        events.into_iter().for_each(|event| self.journal(event));
    }

    pub(super) fn tell_due_news(&mut self) {
        let now = self.around.now().instant;
        let due = self.conversations.iter();
        let due = due.filter(|(_, one)| one.news_due().is_some_and(|at| at <= now));
        let due: Vec<ConversationNo> = due.map(|(&no, _)| no).collect();
        due.into_iter().for_each(|no| self.tell_news(no));
    }
}
