//! The JSON objects that methods answer with. Times are RFC 3339 in UTC, durations milliseconds. Fields may
//! be added; those that are here stay.

mod backup;
mod contacts;
mod events;
mod identity;
mod messages;
mod status;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use backup::BackupObject;
pub use contacts::{
    ContactObject, Presence, RejectedObject, RequestObject, Standing, VerificationObject,
};
pub use events::{
    AcceptedEvent, ChangedEvent, ContactEvent, CursorObject, EventObject, EventsObject, GapEvent,
    LinkEvent, LoggedObject, MissedEvent, PresenceEvent, ReadEvent, RemovedEvent, StateEvent,
};
pub use identity::{IdObject, InviteObject};
pub use messages::{
    HistoryObject, MessageObject, QuoteObject, ReactionObject, SentObject, StateObject, TimerObject,
};
pub use status::{ContactStatusObject, LinkName, ProcessObject, ServerObject, StatusObject};

/// Says what an object is: a field of this type has one value only.
macro_rules! tags {
    ($($name:ident = $text:literal),+ $(,)?) => {$(
        #[doc = concat!("`\"type\":\"", $text, "\"`.")]
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[schemars(inline)]
        pub enum $name {
            /// The only one.
            #[default]
            #[serde(rename = $text)]
            Tag,
        }
    )+};
}
pub(super) use tags;

tags!(DoneTag = "done");

/// It was done, and there is nothing to say of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// `"done"`.
    #[serde(rename = "type")]
    pub kind: DoneTag,
}

/// RFC 3339, UTC, with milliseconds.
pub(super) fn time(unix_ms: u64) -> String {
    // A contact can claim any time; beyond the year 9999 there is no RFC 3339.
    const LATEST_MS: u64 = 253_402_300_799_999;
    let at: SystemTime = UNIX_EPOCH + Duration::from_millis(unix_ms.min(LATEST_MS));
    humantime::format_rfc3339_millis(at).to_string()
}
