"""The methods of a peer and their objects. Made by generate.py from `peer rpc --schema`: do not change it by hand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, Optional, TypedDict, Union, cast


# What was done with a message.
ChangeName = Literal["edited", "deleted", "reaction", "removed"]


# A direct link.
LinkName = Literal["none", "connecting", "direct", "turn"]


# How far a message has come.
MessageState = Literal["pending", "sent", "failed", "delivered", "read", "received"]


# Whether somebody is logged in at their signaling server.
Presence = Literal["online", "offline"]


# How far an acquaintance has come.
Standing = Literal["asks", "requested", "accepted", "blocked"]


# Whether a contact is who they say.
Verification = Literal["unverified", "verified", "changed"]


# Somebody became a contact.
AcceptedEvent = TypedDict(
    "AcceptedEvent",
    {
        # Their address.
        "address": "str",
        # What we call them.
        "name": "str",
        # `"accepted"`.
        "type": "Literal['accepted']",
    },
)


# A backup that was written, or that a profile was made of.
BackupObject = TypedDict(
    "BackupObject",
    {
        # Its size in bytes.
        "bytes": "int",
        # Everybody who is known, also who only asks or is blocked.
        "contacts": "int",
        # The file.
        "file": "str",
        # Messages of both sides.
        "messages": "int",
        # `"backup"`.
        "type": "Literal['backup']",
    },
)


# Something was done with a message.
ChangedEvent = TypedDict(
    "ChangedEvent",
    {
        # The contact's address.
        "address": "str",
        # What was done.
        "change": "ChangeName",
        # What we call the contact.
        "conversation": "str",
        # The message.
        "id": "str",
        # The message as it is now; null if it is not here any more.
        "message": "Optional[MessageObject]",
        # `"changed"`.
        "type": "Literal['changed']",
    },
)


# What is kept of a contact has changed; `contacts` tells what it is now.
ContactEvent = TypedDict(
    "ContactEvent",
    {
        # Their address.
        "address": "str",
        # What we call them.
        "name": "str",
        # `"contact_changed"`.
        "type": "Literal['contact_changed']",
        # Whether the safety number was compared with them, and still holds.
        "verification": "Verification",
    },
)


# Somebody we know.
ContactObject = TypedDict(
    "ContactObject",
    {
        # Who they are.
        "address": "str",
        # What is written to them and not sent yet.
        "draft": "str",
        # Messages of this conversation go so many seconds after they were shown; 0: they stay.
        "expires_s": "int",
        # The first of them, by its place in their sequence.
        "first_unread": "Optional[int]",
        # The same, by its id.
        "first_unread_id": "Optional[str]",
        # When the last message was said, by its sender's clock; null if nothing was.
        "last_at": "Optional[str]",
        # Whether nothing calls attention to their messages.
        "muted": "bool",
        # Until when not; null if for ever, or not at all.
        "muted_until": "Optional[str]",
        # What we call them.
        "name": "str",
        # Whether they are there.
        "presence": "Presence",
        # How far the acquaintance has come.
        "standing": "Standing",
        # `"contact"`.
        "type": "Literal['contact']",
        # Messages of theirs that were not shown yet.
        "unread": "int",
        # The same, and whether it does not hold any more.
        "verification": "Verification",
        # Whether the safety number was compared with them, and holds.
        "verified": "bool",
    },
)


# How a contact is reached, and what is on its way to them.
ContactStatusObject = TypedDict(
    "ContactStatusObject",
    {
        # Who they are.
        "address": "str",
        # Messages that wait at their relay; null if they were not counted.
        "at_relay": "Optional[int]",
        # The direct link.
        "link": "LinkName",
        # What we call them.
        "name": "str",
        # Messages that are here only; null if they were not counted.
        "pending": "Optional[int]",
        # Whether they are there.
        "presence": "Presence",
        # Its last measured round trip.
        "round_trip_ms": "Optional[float]",
        # How far the acquaintance has come.
        "standing": "Standing",
        # Why the oldest message to them waits, if one does.
        "waiting": "Optional[str]",
    },
)


# A named place in the journal.
CursorObject = TypedDict(
    "CursorObject",
    {
        # Where it is; null if it was never set.
        "cursor": "Optional[int]",
        # The last event there is.
        "last": "int",
    },
)


# It was done, and there is nothing to say of it.
Done = TypedDict(
    "Done",
    {
        # `"done"`.
        "type": "Literal['done']",
    },
)


# Events, and where the next ones begin.
EventsObject = TypedDict(
    "EventsObject",
    {
        # To be given as `after` next time.
        "cursor": "int",
        # In their order.
        "events": "list[LoggedObject]",
    },
)


# Messages of a contact are missing; what comes after them is shown already. They are asked for and take their
# place when they come.
GapEvent = TypedDict(
    "GapEvent",
    {
        # The contact's address.
        "address": "str",
        # What we call the contact.
        "conversation": "str",
        # First missing place in the contact's sequence.
        "first": "int",
        # Last missing place.
        "last": "int",
        # `"gap"`.
        "type": "Literal['gap']",
    },
)


# Who this profile is.
IdObject = TypedDict(
    "IdObject",
    {
        # The address that others know it by.
        "address": "str",
        # This device.
        "device": "str",
        # What its owner calls themselves.
        "name": "str",
        # URL of the relay with its mailboxes.
        "relay": "str",
        # URLs of the signaling servers.
        "signal_servers": "list[str]",
        # `"id"`.
        "type": "Literal['id']",
    },
)


# A link with which somebody becomes a contact.
InviteObject = TypedDict(
    "InviteObject",
    {
        # Until when.
        "expires_at": "str",
        # To be given to them.
        "link": "str",
        # `"invite"`.
        "type": "Literal['invite']",
        # How many people may use it.
        "uses": "int",
    },
)


# A direct link opened or closed.
LinkEvent = TypedDict(
    "LinkEvent",
    {
        # The contact's address.
        "address": "str",
        # Why it closed.
        "reason": "Optional[str]",
        # Whether it goes through TURN.
        "relayed": "bool",
        # `"link"`.
        "type": "Literal['link']",
        # Whether it is open.
        "up": "bool",
    },
)


# A message of either side.
MessageObject = TypedDict(
    "MessageObject",
    {
        # That contact's address.
        "address": "str",
        # What we call the contact whose conversation it is in.
        "conversation": "str",
        # Whether its author has taken it back.
        "deleted": "bool",
        # Whether it said something else before.
        "edited": "bool",
        # It goes so many seconds after it was shown; 0: it stays.
        "expires_s": "int",
        # Whether it was written elsewhere and passed on.
        "forwarded": "bool",
        # The contact's name, or the own one.
        "from": "str",
        # Its id.
        "id": "str",
        # Whether it is ours.
        "outgoing": "bool",
        # What both sides have to say of it in one sign.
        "reactions": "list[ReactionObject]",
        # When it was stored here.
        "received_at": "str",
        # The message that it answers.
        "reply_to": "Optional[QuoteObject]",
        # When its sender made it, by the sender's clock.
        "sent_at": "str",
        # Its place in its sender's sequence, from 1.
        "seq": "int",
        # How far it has come.
        "state": "MessageState",
        # What it says, as it was edited last; empty if it was deleted.
        "text": "str",
        # `"message"`.
        "type": "Literal['message']",
        # Whether it is somebody else's and was not shown yet.
        "unread": "bool",
    },
)


# Events are gone, because nobody has read them for too long. The messages among them are in the history.
MissedEvent = TypedDict(
    "MissedEvent",
    {
        # How many.
        "count": "int",
        # `"missed"`.
        "type": "Literal['missed']",
    },
)


# A contact came or went.
PresenceEvent = TypedDict(
    "PresenceEvent",
    {
        # The contact's address.
        "address": "str",
        # Whether they are there.
        "presence": "Presence",
        # `"presence"`.
        "type": "Literal['presence']",
    },
)


# A process.
ProcessObject = TypedDict(
    "ProcessObject",
    {
        # Its number.
        "id": "int",
        # Whether it runs until somebody ends it.
        "stays": "bool",
    },
)


# What an answer shows of the message that it is about.
QuoteObject = TypedDict(
    "QuoteObject",
    {
        # Who has written it; null if it is not here.
        "from": "Optional[str]",
        # The message.
        "id": "str",
        # Whether it is ours.
        "outgoing": "bool",
        # Its beginning; null if it is not here, or was deleted.
        "text": "Optional[str]",
    },
)


# What somebody has to say of a message in one sign.
ReactionObject = TypedDict(
    "ReactionObject",
    {
        # The sign.
        "emoji": "str",
        # The contact's name, or the own one.
        "from": "str",
        # Whether it is ours.
        "outgoing": "bool",
    },
)


# Messages of a contact were shown here.
ReadEvent = TypedDict(
    "ReadEvent",
    {
        # The contact's address.
        "address": "str",
        # What we call the contact.
        "conversation": "str",
        # `"read"`.
        "type": "Literal['read']",
        # Up to this one, by its place in their sequence.
        "up_to_seq": "int",
    },
)


# A request was dropped.
RejectedObject = TypedDict(
    "RejectedObject",
    {
        # Whose.
        "id": "str",
        # `"rejected"`.
        "type": "Literal['rejected']",
    },
)


# Somebody is no contact any more.
RemovedEvent = TypedDict(
    "RemovedEvent",
    {
        # Their address.
        "address": "str",
        # What we called them.
        "name": "str",
        # `"removed"`.
        "type": "Literal['removed']",
    },
)


# Somebody who asks to become a contact.
RequestObject = TypedDict(
    "RequestObject",
    {
        # How it is answered.
        "help": "str",
        # Their address.
        "id": "str",
        # What they call themselves.
        "name": "str",
        # When it came; not in events.
        "received_at": "Optional[str]",
        # What they say.
        "text": "str",
        # `"request"`.
        "type": "Literal['request']",
    },
)


# Why a command failed.
RpcError = TypedDict(
    "RpcError",
    {
        # Stable, for programs: `failed`, `usage`, `timeout`, `not_found`, `refused`, `ended`, `disk_full`.
        "code": "str",
        # What to do about it; empty if nothing is known.
        "help": "str",
        # What is wrong.
        "message": "str",
    },
)


# Messages are durable here.
SentObject = TypedDict(
    "SentObject",
    {
        # Theirs, in the order of the texts.
        "ids": "list[str]",
    },
)


# A server.
ServerObject = TypedDict(
    "ServerObject",
    {
        # Why not.
        "problem": "Optional[str]",
        # Relays: whether the own mailboxes are there and have been read, so that invites work. Signaling
        # servers: the same as `up`.
        "ready": "bool",
        # Whether we are connected.
        "up": "bool",
        # Its URL.
        "url": "str",
    },
)


# Own messages have come further, or wait.
StateEvent = TypedDict(
    "StateEvent",
    {
        # The contact's address.
        "address": "str",
        # What we call the contact.
        "conversation": "str",
        # Which messages.
        "ids": "list[str]",
        # Why they wait.
        "reason": "Optional[str]",
        # How far.
        "state": "MessageState",
        # `"state"`.
        "type": "Literal['state']",
    },
)


# How far a message has come.
StateObject = TypedDict(
    "StateObject",
    {
        # The message.
        "id": "str",
        # How far.
        "state": "MessageState",
        # `"state"`.
        "type": "Literal['state']",
    },
)


# Links, servers, and what waits for what.
StatusObject = TypedDict(
    "StatusObject",
    {
        # Everybody we know.
        "contacts": "list[ContactStatusObject]",
        # Which process runs the profile.
        "process": "ProcessObject",
        # Relays: the own one and those of contacts.
        "relays": "list[ServerObject]",
        # Signaling servers.
        "signal_servers": "list[ServerObject]",
        # Whether a server has given TURN credentials.
        "turn": "bool",
        # `"status"`.
        "type": "Literal['status']",
    },
)


# Somebody has said how long messages stay.
TimerObject = TypedDict(
    "TimerObject",
    {
        # That contact's address.
        "address": "str",
        # What we call the contact whose conversation it is in.
        "conversation": "str",
        # How many seconds after they were shown; 0: they stay.
        "expires_s": "int",
        # The contact's name, or the own one.
        "from": "str",
        # Its id.
        "id": "str",
        # Whether it was us.
        "outgoing": "bool",
        # When it was said.
        "sent_at": "str",
        # `"timer"`.
        "type": "Literal['timer']",
    },
)


# A contact's safety number.
VerificationObject = TypedDict(
    "VerificationObject",
    {
        # Who they are.
        "address": "str",
        # What we call them.
        "name": "str",
        # 60 digits in groups of five, the same on both sides.
        "safety_number": "str",
        # `"verification"`.
        "type": "Literal['verification']",
        # Whether it was compared with them.
        "verification": "Verification",
    },
)


# Something that has a place in a conversation.
HistoryObject = Union[
    MessageObject,
    TimerObject,
]


# A message of either side.
LoggedMessageObject = TypedDict(
    "LoggedMessageObject",
    {
        # Its place in the journal.
        "cursor": "int",
        # That contact's address.
        "address": "str",
        # What we call the contact whose conversation it is in.
        "conversation": "str",
        # Whether its author has taken it back.
        "deleted": "bool",
        # Whether it said something else before.
        "edited": "bool",
        # It goes so many seconds after it was shown; 0: it stays.
        "expires_s": "int",
        # Whether it was written elsewhere and passed on.
        "forwarded": "bool",
        # The contact's name, or the own one.
        "from": "str",
        # Its id.
        "id": "str",
        # Whether it is ours.
        "outgoing": "bool",
        # What both sides have to say of it in one sign.
        "reactions": "list[ReactionObject]",
        # When it was stored here.
        "received_at": "str",
        # The message that it answers.
        "reply_to": "Optional[QuoteObject]",
        # When its sender made it, by the sender's clock.
        "sent_at": "str",
        # Its place in its sender's sequence, from 1.
        "seq": "int",
        # How far it has come.
        "state": "MessageState",
        # What it says, as it was edited last; empty if it was deleted.
        "text": "str",
        # `"message"`.
        "type": "Literal['message']",
        # Whether it is somebody else's and was not shown yet.
        "unread": "bool",
    },
)


# Own messages have come further, or wait.
LoggedStateEvent = TypedDict(
    "LoggedStateEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # The contact's address.
        "address": "str",
        # What we call the contact.
        "conversation": "str",
        # Which messages.
        "ids": "list[str]",
        # Why they wait.
        "reason": "Optional[str]",
        # How far.
        "state": "MessageState",
        # `"state"`.
        "type": "Literal['state']",
    },
)


# Messages of a contact are missing; what comes after them is shown already. They are asked for and take their
# place when they come.
LoggedGapEvent = TypedDict(
    "LoggedGapEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # The contact's address.
        "address": "str",
        # What we call the contact.
        "conversation": "str",
        # First missing place in the contact's sequence.
        "first": "int",
        # Last missing place.
        "last": "int",
        # `"gap"`.
        "type": "Literal['gap']",
    },
)


# Somebody who asks to become a contact.
LoggedRequestObject = TypedDict(
    "LoggedRequestObject",
    {
        # Its place in the journal.
        "cursor": "int",
        # How it is answered.
        "help": "str",
        # Their address.
        "id": "str",
        # What they call themselves.
        "name": "str",
        # When it came; not in events.
        "received_at": "Optional[str]",
        # What they say.
        "text": "str",
        # `"request"`.
        "type": "Literal['request']",
    },
)


# Somebody became a contact.
LoggedAcceptedEvent = TypedDict(
    "LoggedAcceptedEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # Their address.
        "address": "str",
        # What we call them.
        "name": "str",
        # `"accepted"`.
        "type": "Literal['accepted']",
    },
)


# A direct link opened or closed.
LoggedLinkEvent = TypedDict(
    "LoggedLinkEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # The contact's address.
        "address": "str",
        # Why it closed.
        "reason": "Optional[str]",
        # Whether it goes through TURN.
        "relayed": "bool",
        # `"link"`.
        "type": "Literal['link']",
        # Whether it is open.
        "up": "bool",
    },
)


# Events are gone, because nobody has read them for too long. The messages among them are in the history.
LoggedMissedEvent = TypedDict(
    "LoggedMissedEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # How many.
        "count": "int",
        # `"missed"`.
        "type": "Literal['missed']",
    },
)


# Something was done with a message.
LoggedChangedEvent = TypedDict(
    "LoggedChangedEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # The contact's address.
        "address": "str",
        # What was done.
        "change": "ChangeName",
        # What we call the contact.
        "conversation": "str",
        # The message.
        "id": "str",
        # The message as it is now; null if it is not here any more.
        "message": "Optional[MessageObject]",
        # `"changed"`.
        "type": "Literal['changed']",
    },
)


# Somebody has said how long messages stay.
LoggedTimerObject = TypedDict(
    "LoggedTimerObject",
    {
        # Its place in the journal.
        "cursor": "int",
        # That contact's address.
        "address": "str",
        # What we call the contact whose conversation it is in.
        "conversation": "str",
        # How many seconds after they were shown; 0: they stay.
        "expires_s": "int",
        # The contact's name, or the own one.
        "from": "str",
        # Its id.
        "id": "str",
        # Whether it was us.
        "outgoing": "bool",
        # When it was said.
        "sent_at": "str",
        # `"timer"`.
        "type": "Literal['timer']",
    },
)


# Messages of a contact were shown here.
LoggedReadEvent = TypedDict(
    "LoggedReadEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # The contact's address.
        "address": "str",
        # What we call the contact.
        "conversation": "str",
        # `"read"`.
        "type": "Literal['read']",
        # Up to this one, by its place in their sequence.
        "up_to_seq": "int",
    },
)


# What is kept of a contact has changed; `contacts` tells what it is now.
LoggedContactEvent = TypedDict(
    "LoggedContactEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # Their address.
        "address": "str",
        # What we call them.
        "name": "str",
        # `"contact_changed"`.
        "type": "Literal['contact_changed']",
        # Whether the safety number was compared with them, and still holds.
        "verification": "Verification",
    },
)


# Somebody is no contact any more.
LoggedRemovedEvent = TypedDict(
    "LoggedRemovedEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # Their address.
        "address": "str",
        # What we called them.
        "name": "str",
        # `"removed"`.
        "type": "Literal['removed']",
    },
)


# A contact came or went.
LoggedPresenceEvent = TypedDict(
    "LoggedPresenceEvent",
    {
        # Its place in the journal.
        "cursor": "int",
        # The contact's address.
        "address": "str",
        # Whether they are there.
        "presence": "Presence",
        # `"presence"`.
        "type": "Literal['presence']",
    },
)


# An event at its place.
LoggedObject = Union[
    LoggedMessageObject,
    LoggedStateEvent,
    LoggedGapEvent,
    LoggedRequestObject,
    LoggedAcceptedEvent,
    LoggedLinkEvent,
    LoggedMissedEvent,
    LoggedChangedEvent,
    LoggedTimerObject,
    LoggedReadEvent,
    LoggedContactEvent,
    LoggedRemovedEvent,
    LoggedPresenceEvent,
]


class Methods(ABC):
    """What a peer can be asked for."""

    @abstractmethod
    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Calls a method by its name."""

    def id(self) -> IdObject:
        """Address, name, device and servers of this profile."""
        return cast("IdObject", self.call("id", {}))

    def invite(self, *, expires_ms: Optional[int] = None, uses: Optional[int] = None) -> InviteObject:
        """Makes a link with which somebody becomes a contact.

        expires_ms: How long it can be used; a week, if this is not given.
        uses: How many people may use it. One (the default): the first who uses it is accepted. More: each
            is a request.
        """
        return cast("InviteObject", self.call("invite", {"expires_ms": expires_ms, "uses": uses}))

    def add(self, *, link: str, again: Optional[bool] = None, message: Optional[str] = None, name: Optional[str] = None) -> ContactObject:
        """Asks the owner of an invite link to become a contact. Messages to them can be sent at once; they
        go out when the request is accepted.

        link: The link, from "tincan:" to its end.
        again: Also if they are a contact already, because they have removed us. What was said stays.
        message: A few words for them, at most 1 KiB.
        name: What they are to be called here; what they call themselves, if this is not given.
        """
        return cast("ContactObject", self.call("add", {"link": link, "again": again, "message": message, "name": name}))

    def requests(self) -> list[RequestObject]:
        """Who asks to become a contact."""
        return cast("list[RequestObject]", self.call("requests", {}))

    def accept(self, *, id: str) -> ContactObject:
        """Makes somebody who asks a contact.

        id: Their address, or their name if only one of that name asks.
        """
        return cast("ContactObject", self.call("accept", {"id": id}))

    def reject(self, *, id: str) -> RejectedObject:
        """Drops a request. Who sent it is not told.

        id: Their address, or their name if only one of that name asks.
        """
        return cast("RejectedObject", self.call("reject", {"id": id}))

    def contacts(self) -> list[ContactObject]:
        """Everybody who is a contact, or was asked to become one."""
        return cast("list[ContactObject]", self.call("contacts", {}))

    def rename(self, *, name: str, to: str) -> ContactObject:
        """Gives a contact another name, for here alone.

        name: Name or address of the contact.
        to: What they are called from now on.
        """
        return cast("ContactObject", self.call("rename", {"name": name, "to": to}))

    def block(self, *, name: str) -> ContactObject:
        """Lets nothing of somebody arrive any more, and nothing go out to them. They are not told, but can
        find out.

        name: Name or address of a contact, or of somebody who asks.
        """
        return cast("ContactObject", self.call("block", {"name": name}))

    def unblock(self, *, name: str) -> Done:
        """Makes somebody who was blocked a contact again. Who had only asked is forgotten, and can ask
        again.

        name: Name or address.
        """
        return cast("Done", self.call("unblock", {"name": name}))

    def remove(self, *, name: str) -> Done:
        """Forgets a contact, and everything that was said. They are not told.

        name: Name or address of the contact.
        """
        return cast("Done", self.call("remove", {"name": name}))

    def verify(self, *, name: str, confirmed: Optional[bool] = None, number: Optional[str] = None) -> VerificationObject:
        """The safety number of a contact, and whether it was compared with them.

        name: Name or address of the contact.
        confirmed: True: the numbers were compared, and are the same. False: they are not verified any more.
        number: What the contact sees or has written: if it is the same number, they are verified from now
            on; if not, that is the error.
        """
        return cast("VerificationObject", self.call("verify", {"name": name, "confirmed": confirmed, "number": number}))

    def mute(self, *, name: str, for_ms: Optional[int] = None) -> ContactObject:
        """Lets nothing call attention to a contact's messages.

        name: Name or address of the contact.
        for_ms: For how long; for ever, if this is not given.
        """
        return cast("ContactObject", self.call("mute", {"name": name, "for_ms": for_ms}))

    def unmute(self, *, name: str) -> ContactObject:
        """Ends that nothing calls attention to a contact's messages.

        name: Name or address of the contact.
        """
        return cast("ContactObject", self.call("unmute", {"name": name}))

    def disappear(self, *, after_s: int, name: str) -> ContactObject:
        """Says how long messages of a conversation stay, on both sides.

        after_s: How many seconds after they were shown, at most 31,536,000; 0: they stay.
        name: Name or address of the contact.
        """
        return cast("ContactObject", self.call("disappear", {"after_s": after_s, "name": name}))

    def draft(self, *, name: str, text: str) -> ContactObject:
        """Keeps what is written to a contact and not sent yet, for whoever goes on with it.

        name: Name or address of the contact.
        text: At most 64 KiB; empty: nothing is.
        """
        return cast("ContactObject", self.call("draft", {"name": name, "text": text}))

    def send(self, *, texts: list[str], to: str, ids: Optional[list[str]] = None, reply_to: Optional[str] = None) -> SentObject:
        """Sends texts to a contact, each a message. Answers when they are durable here: from then on they
        will arrive.

        texts: At most 16 KiB each.
        to: Name or address of a contact.
        ids: One UUIDv7 for each text, of the caller's making: whoever does not hear of the result calls
            again with the same ones, and what was sent is not sent twice.
        reply_to: The message of this conversation that they answer.
        """
        return cast("SentObject", self.call("send", {"texts": texts, "to": to, "ids": ids, "reply_to": reply_to}))

    def edit(self, *, id: str, text: str, to: str) -> Done:
        """Gives a message of one's own another text.

        id: The message.
        text: What it says from now on, at most 16 KiB.
        to: Name or address of the contact.
        """
        return cast("Done", self.call("edit", {"id": id, "text": text, "to": to}))

    def delete(self, *, id: str, to: str, here: Optional[bool] = None) -> Done:
        """Takes a message back on both sides; only one's own.

        id: The message.
        to: Name or address of the contact.
        here: Takes it out here alone, whoever has written it.
        """
        return cast("Done", self.call("delete", {"id": id, "to": to, "here": here}))

    def react(self, *, emoji: str, id: str, to: str) -> Done:
        """Says something about a message in one sign, which replaces an earlier one.

        emoji: An emoji; empty takes the last one back.
        id: The message.
        to: Name or address of the contact.
        """
        return cast("Done", self.call("react", {"emoji": emoji, "id": id, "to": to}))

    def forward(self, *, from_: str, id: str, to: str, copy: Optional[str] = None) -> SentObject:
        """Passes a message on to another contact.

        from_: Name or address of the contact in whose conversation it is.
        id: The message.
        to: Name or address of the contact who is to get it.
        copy: A UUIDv7 of the caller's making for what is sent: whoever does not hear of the result calls
            again with the same one, and nothing is sent twice.
        """
        return cast("SentObject", self.call("forward", {"from": from_, "id": id, "to": to, "copy": copy}))

    def state(self, *, id: str, to: str) -> StateObject:
        """How far a message has come.

        id: The message.
        to: Name or address of the contact.
        """
        return cast("StateObject", self.call("state", {"id": id, "to": to}))

    def history(self, *, to: str, after: Optional[str] = None, around: Optional[str] = None, before: Optional[str] = None, limit: Optional[int] = None, oldest: Optional[bool] = None) -> list[HistoryObject]:
        """A part of a conversation, oldest first: messages, and notices that have a place among them. Its
        newest part, unless something else is said.

        to: Name or address of the contact.
        after: Only what stands after this message, the oldest of it.
        around: This message, and as much before as after it.
        before: Only what stands before this message.
        limit: At most so many; 50, if this is not given.
        oldest: Its oldest part.
        """
        return cast("list[HistoryObject]", self.call("history", {"to": to, "after": after, "around": around, "before": before, "limit": limit, "oldest": oldest}))

    def read(self, *, from_: str, ids: Optional[list[str]] = None, seq: Optional[int] = None) -> Done:
        """Notes that a contact's messages have been shown to the person; the contact is told up to where all
        were.

        from_: Name or address of the contact.
        ids: Instead: those that were shown, and no other ones.
        seq: All up to this one were shown, by its place in the contact's sequence.
        """
        return cast("Done", self.call("read", {"from": from_, "ids": ids, "seq": seq}))

    def events_next(self, *, after: int, max: Optional[int] = None, timeout_ms: Optional[int] = None) -> EventsObject:
        """Waits for the first event after the cursor, and takes along what is there already. If there is
        none and the disk is full, that is the error.

        after: The last event that the caller has; 0 for the oldest that the journal still has.
        max: At most so many, up to 4,096.
        timeout_ms: How long to wait for one, at most 600,000.
        """
        return cast("EventsObject", self.call("events.next", {"after": after, "max": max, "timeout_ms": timeout_ms}))

    def cursor_get(self, *, name: str) -> CursorObject:
        """A named place in the journal that survives restarts.

        name: Of the caller's choice.
        """
        return cast("CursorObject", self.call("cursor.get", {"name": name}))

    def cursor_set(self, *, cursor: int, name: str) -> Done:
        """Keeps a named place in the journal. Answers when it is durable.

        cursor: The last event that has been dealt with.
        name: Of the caller's choice.
        """
        return cast("Done", self.call("cursor.set", {"cursor": cursor, "name": name}))

    def status(self, *, outbox: Optional[bool] = None) -> StatusObject:
        """Links, servers, and what waits for what.

        outbox: Without it, what is on its way is not counted, which takes the longer the more there is.
        """
        return cast("StatusObject", self.call("status", {"outbox": outbox}))

    def backup_export(self, *, file: str, passphrase: str) -> BackupObject:
        """Writes a backup: identity, contacts and all that was said, under a passphrase. `peer backup
        import` makes a profile of it.

        file: The file, by its whole path; it must not be there yet.
        passphrase: What it is to be opened with.
        """
        return cast("BackupObject", self.call("backup.export", {"file": file, "passphrase": passphrase}))
