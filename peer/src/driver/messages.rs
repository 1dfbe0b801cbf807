//! Messages, and what is done with them: sent, read, edited, taken back, reacted to.
//!
//! Each of these is a content of its own with a number in its author's sequence. What is done with a message is
//! kept beside it ([`Annotations`](crate::store::Annotations)) and not in it, so that it may come before the
//! message, and a message row is never rewritten but to lose its text.

use std::collections::BTreeSet;

use tincan_protocol::content::{Body, Content, Deletion, Edit, MessageRef, Reaction, Text};
use tincan_protocol::hlc::Hlc;
use tincan_protocol::{DeviceId, MsgId};

use super::{Driver, DriverError};
use crate::error::{ChangeError, SendError};
use crate::message::{Change, Draft, MessageState, Shown};
use crate::store::{
    Annotations, ChangeName, ContactState, ConversationNo, JournalEvent, MessageName, MessagePlace,
    NewMessage, Removal, Who, expires_s, is_message,
};

/// What is said about a message.
enum Said<'a> {
    Edit(&'a str),
    Deletion,
    Reaction(&'a str),
}

/// A content of the other side that has taken its place.
pub(super) struct Heard<'a> {
    pub(super) place: Hlc,
    pub(super) content: &'a Content,
    /// After what was said later.
    pub(super) late: bool,
}

impl Heard<'_> {
    fn message(&self) -> NewMessage {
        NewMessage {
            name: MessageName {
                who: Who::Them,
                id: self.content.msg_id,
            },
            at: MessagePlace {
                place: self.place,
                seq: self.content.seq,
            },
            expires_s: expires_s(&self.content.body),
        }
    }
}

impl Said<'_> {
    const fn name(&self) -> ChangeName {
        match self {
            Self::Edit(_) => ChangeName::Edited,
            Self::Deletion => ChangeName::Deleted,
            Self::Reaction(_) => ChangeName::Reaction,
        }
    }
}

impl Driver {
    /// Numbers the messages; they are sealed together at the end of the turn, and the caller learns
    /// their ids when they are durable. One whose id is known was sent before.
    pub(super) fn send(
        &mut self,
        to: ConversationNo,
        drafts: Vec<Draft>,
    ) -> Result<Result<Vec<MsgId>, SendError>, DriverError> {
        let ids: Vec<MsgId> = drafts.iter().map(|draft| draft.id).collect();
        let drafts = self.unsent(to, drafts)?;
        if drafts.is_empty() {
            return Ok(Ok(ids));
        }
        if let Err(error) = self.may_send(to) {
            return Ok(Err(error));
        }
        let mut texts = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let reply_to = match draft.reply_to {
                None => None,
                Some(id) => match self.message_ref(to, id)? {
                    None => return Ok(Err(SendError::UnknownMessage)),
                    found => found,
                },
            };
            let text = Text {
                text: draft.text,
                reply_to,
                forwarded: draft.forwarded,
                expires_s: self.expires_s(to),
            };
            texts.push((draft.id, text));
        }
        let mut seqs = Vec::with_capacity(texts.len());
        for (id, text) in texts {
            let at = self.number(to, id, Body::Text(text))?;
            seqs.extend(at.map(|at| at.seq));
        }
        if let [first, .., last] | [first @ last] = seqs[..] {
            self.journal_own(to, first, last);
        }
        Ok(Ok(ids))
    }

    /// Without those that were sent before, whatever has become of them.
    fn unsent(
        &mut self,
        to: ConversationNo,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Draft>, DriverError> {
        let mut unsent: Vec<Draft> = Vec::with_capacity(drafts.len());
        let mut new = BTreeSet::new();
        for draft in drafts {
            let name = MessageName {
                who: Who::Me,
                id: draft.id,
            };
            let is_known = self.turn.batch()?.message_place(to, name)?.is_some();
            if !is_known && new.insert(draft.id) {
                unsent.push(draft);
            }
        }
        Ok(unsent)
    }

    /// A content of ours has its number and its place.
    pub(super) fn note_own(
        &mut self,
        no: ConversationNo,
        id: MsgId,
        body: &Body,
        at: MessagePlace,
    ) -> Result<(), DriverError> {
        if !is_message(body) {
            return Ok(());
        }
        let expires_s = expires_s(body);
        let message = NewMessage {
            name: MessageName { who: Who::Me, id },
            at,
            expires_s,
        };
        self.turn.batch()?.put_messages(no, &[message])?;
        self.expire(no, Who::Me, at, expires_s)
    }

    pub(super) fn may_send(&self, to: ConversationNo) -> Result<(), SendError> {
        let known = self.conversations.get(&to);
        match known.map(|conversation| &conversation.row.state) {
            Some(ContactState::Accepted | ContactState::Requesting(_) | ContactState::Lost) => {}
            Some(ContactState::Asked { .. }) => return Err(SendError::NotAccepted),
            Some(ContactState::Blocked) => return Err(SendError::Blocked),
            None => return Err(SendError::UnknownContact),
        }
        match known {
            Some(conversation) if conversation.row.has_changed() => Err(SendError::Changed),
            _ => Ok(()),
        }
    }

    fn expires_s(&self, no: ConversationNo) -> u32 {
        let known = self.conversations.get(&no);
        known.map_or(0, |conversation| conversation.row.settings.expires_s)
    }

    /// A message by its id, as both sides name it.
    fn message_ref(
        &mut self,
        no: ConversationNo,
        id: MsgId,
    ) -> Result<Option<MessageRef>, DriverError> {
        let found = self.message_named(no, id)?;
        let author = found.and_then(|(name, _)| self.device_of(no, name.who));
        Ok(author.map(|author| MessageRef { author, msg_id: id }))
    }

    /// A message by its id alone. One of ours was there before anybody could give its id to one of theirs.
    fn message_named(
        &mut self,
        no: ConversationNo,
        id: MsgId,
    ) -> Result<Option<(MessageName, MessagePlace)>, DriverError> {
        for who in [Who::Me, Who::Them] {
            let name = MessageName { who, id };
            let batch = self.turn.batch()?;
            if let Some(at) = batch.message_place(no, name)?
                && batch.is_there(no, who, at)?
            {
                return Ok(Some((name, at)));
            }
        }
        Ok(None)
    }

    fn device_of(&self, no: ConversationNo, who: Who) -> Option<DeviceId> {
        match who {
            Who::Me => Some(self.device.device()),
            Who::Them => Some(self.conversations.get(&no)?.row.device),
        }
    }

    fn author_of(&self, no: ConversationNo, of: &MessageRef) -> Option<Who> {
        let former = &self.profile.former_devices;
        if of.author == self.device.device() || former.contains(&of.author) {
            return Some(Who::Me);
        }
        let row = &self.conversations.get(&no)?.row;
        row.is_theirs(&of.author).then_some(Who::Them)
    }

    /// Contents of the other side have taken their places.
    pub(super) fn heard_messages(
        &mut self,
        no: ConversationNo,
        contents: &[Heard<'_>],
    ) -> Result<(), DriverError> {
        let messages = contents
            .iter()
            .filter(|heard| is_message(&heard.content.body));
        let new: Vec<NewMessage> = messages.clone().map(Heard::message).collect();
        self.turn.batch()?.put_messages(no, &new)?;
        for message in messages.filter(|heard| heard.late).map(Heard::message) {
            // It may have been taken back before it came.
            if self.annotations(no, message.name)?.is_deleted {
                self.wipe(no, message.name, message.at)?;
            }
        }
        Ok(())
    }

    /// Whether a content is about a message; then it is kept beside that, and has no place of its own.
    pub(super) fn heard_about_message(
        &mut self,
        no: ConversationNo,
        place: Hlc,
        content: &Content,
    ) -> Result<bool, DriverError> {
        let (of, said) = match &content.body {
            Body::Edit(edit) => (edit.of, Said::Edit(&edit.text)),
            Body::Deletion(deletion) => (deletion.of, Said::Deletion),
            Body::Reaction(reaction) => (reaction.to, Said::Reaction(&reaction.emoji)),
            _ => return Ok(false),
        };
        let seq = content.seq;
        if let Some(author) = self.author_of(no, &of) {
            let name = MessageName {
                who: author,
                id: of.msg_id,
            };
            let is_known = self.turn.batch()?.message_place(no, name)?.is_some();
            let may_come = author == Who::Them && self.has_gaps(no);
            let is_theirs_to_say = author == Who::Them || matches!(said, Said::Reaction(_));
            // Of what is not here, and will not come, nothing is kept.
            if (is_known || may_come) && is_theirs_to_say {
                self.annotate(no, name, Who::Them, seq, &said)?;
            }
        }
        self.remove_theirs(no, MessagePlace { place, seq })?;
        Ok(true)
    }

    fn has_gaps(&self, no: ConversationNo) -> bool {
        let known = self.conversations.get(&no);
        known.is_some_and(|conversation| conversation.session.has_gaps())
    }

    /// Something is to be done with a message.
    pub(super) fn change(
        &mut self,
        no: ConversationNo,
        id: MsgId,
        change: Change,
    ) -> Result<Result<(), ChangeError>, DriverError> {
        let Some((name, at)) = self.message_named(no, id)? else {
            return Ok(Err(ChangeError::UnknownMessage));
        };
        if matches!(change, Change::Forget) {
            self.remove_at(no, name.who, at, Removal::Message, 0)?;
            return Ok(Ok(()));
        }
        if let Err(error) = self.may_send(no) {
            return Ok(Err(error.into()));
        }
        if name.who == Who::Them && !matches!(change, Change::React(_)) {
            return Ok(Err(ChangeError::NotYours));
        }
        if self.annotations(no, name)?.is_deleted {
            // Whoever did not hear that it was done may ask for it again.
            let is_done = matches!(change, Change::Delete);
            return Ok(if is_done {
                Ok(())
            } else {
                Err(ChangeError::Deleted)
            });
        }
        let Some(author) = self.device_of(no, name.who) else {
            return Ok(Err(ChangeError::UnknownMessage));
        };
        let of = MessageRef { author, msg_id: id };
        let (body, said) = match &change {
            Change::Edit(words) => {
                let text = words.clone();
                (Body::Edit(Edit { of, text }), Said::Edit(words))
            }
            Change::Delete | Change::Forget => (Body::Deletion(Deletion { of }), Said::Deletion),
            Change::React(sign) => {
                let emoji = sign.clone();
                (
                    Body::Reaction(Reaction { to: of, emoji }),
                    Said::Reaction(sign),
                )
            }
        };
        let own = self.new_msg_id();
        if let Some(at) = self.number(no, own, body)? {
            self.annotate(no, name, Who::Me, at.seq, &said)?;
            // Beside the message it is all that is needed, once the other side has it.
            self.remove_at(no, Who::Me, at, Removal::Message, 0)?;
        }
        Ok(Ok(()))
    }

    fn annotate(
        &mut self,
        no: ConversationNo,
        name: MessageName,
        by: Who,
        seq: u64,
        said: &Said<'_>,
    ) -> Result<(), DriverError> {
        let mut annotations = self.annotations(no, name)?;
        let is_new = match said {
            Said::Edit(text) => annotations.edit(seq, text),
            Said::Deletion => annotations.delete(),
            Said::Reaction(emoji) => annotations.react(by, seq, emoji),
        };
        if !is_new {
            return Ok(());
        }
        let batch = self.turn.batch()?;
        batch.put_annotations(no, name, &annotations)?;
        let at = batch.message_place(no, name)?;
        if let (Said::Deletion, Some(at)) = (said, at) {
            self.wipe(no, name, at)?;
        }
        // A stranger's words belong to their request.
        if at.is_some() && !self.is_asking(no) {
            self.journal(JournalEvent::Changed {
                no,
                message: name,
                change: said.name(),
            });
        }
        Ok(())
    }

    /// Takes the text of a message out, and there is nothing left to read in it.
    fn wipe(
        &mut self,
        no: ConversationNo,
        name: MessageName,
        at: MessagePlace,
    ) -> Result<(), DriverError> {
        if name.who == Who::Them {
            self.turn.batch()?.not_unread(no, at.seq)?;
        }
        self.remove_at(no, name.who, at, Removal::Text, 0)
    }

    fn annotations(
        &mut self,
        no: ConversationNo,
        name: MessageName,
    ) -> Result<Annotations, DriverError> {
        Ok(self.turn.batch()?.annotations(no, name)?)
    }

    /// Messages of the other side have been shown. They are told up to where all were.
    pub(super) fn read(&mut self, no: ConversationNo, shown: &Shown) -> Result<(), DriverError> {
        let Some(conversation) = self.conversations.get(&no) else {
            return Ok(());
        };
        let shown_up_to = conversation.session.shown_up_to();
        let batch = self.turn.batch()?;
        let read = match shown {
            Shown::UpTo(up_to) => batch.take_read(no, (*up_to).min(shown_up_to))?,
            Shown::These(ids) => batch.take_these_read(no, ids)?,
        };
        let first_unread = batch.first_unread(no)?;
        let up_to = first_unread.map_or(shown_up_to, |seq| seq.saturating_sub(1));
        for message in &read {
            self.expire(no, Who::Them, message.at, message.expires_s)?;
        }
        if !read.is_empty() {
            self.journal(JournalEvent::Read { no, up_to });
        }
        self.session_input(no, tincan_core::Input::Read { up_to })
    }

    /// Own contents are durable with this turn.
    fn journal_own(&mut self, no: ConversationNo, first: u64, last: u64) {
        self.journal(JournalEvent::State {
            no,
            first,
            last,
            state: MessageState::Pending.name().to_owned(),
            reason: None,
        });
    }
}
