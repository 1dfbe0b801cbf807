//! The methods: one registry for all faces. Parameters and results are JSON objects with named
//! fields; a wrong one is an error of code `usage` that names the field.

mod backup;
mod contacts;
mod events;
mod identity;
mod messages;
mod status;

use serde_json::Value;

use super::error::RpcError;
use super::method::Entry;
use crate::peer::Peer;

/// All of them.
pub const METHODS: &[Entry] = &[
    Entry::of::<identity::Id>(),
    Entry::of::<identity::Invite>(),
    Entry::of::<contacts::Add>(),
    Entry::of::<contacts::Requests>(),
    Entry::of::<contacts::Accept>(),
    Entry::of::<contacts::Reject>(),
    Entry::of::<contacts::Contacts>(),
    Entry::of::<contacts::Rename>(),
    Entry::of::<contacts::Block>(),
    Entry::of::<contacts::Unblock>(),
    Entry::of::<contacts::Remove>(),
    Entry::of::<contacts::Verify>(),
    Entry::of::<contacts::Mute>(),
    Entry::of::<contacts::Unmute>(),
    Entry::of::<contacts::Disappear>(),
    Entry::of::<contacts::Draft>(),
    Entry::of::<messages::Send>(),
    Entry::of::<messages::Edit>(),
    Entry::of::<messages::Delete>(),
    Entry::of::<messages::React>(),
    Entry::of::<messages::Forward>(),
    Entry::of::<messages::State>(),
    Entry::of::<messages::History>(),
    Entry::of::<messages::Read>(),
    Entry::of::<events::Next>(),
    Entry::of::<events::GetCursor>(),
    Entry::of::<events::SetCursor>(),
    Entry::of::<status::Status>(),
    Entry::of::<backup::Export>(),
];

/// Calls a method.
///
/// # Errors
/// [`RpcError`]; code `usage` for an unknown method or wrong parameters.
pub async fn call(peer: &Peer, method: &str, params: Value) -> Result<Value, RpcError> {
    let Some(known) = find(method) else {
        let names: Vec<&str> = METHODS.iter().map(Entry::name).collect();
        return Err(RpcError::usage(
            format!("there is no method {method:?}"),
            &format!("methods: {}", names.join(", ")),
        ));
    };
    known.call(peer, params).await.map_err(|error| {
        // Whatever could not be done: that is why, and what there is to do about it.
        if error.code == "failed" && peer.disk_is_full() {
            RpcError::disk_full(error, peer.home().path())
        } else {
            error
        }
    })
}

/// The method of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    METHODS.iter().find(|known| known.name() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_methods_have_the_same_name() {
        let names: BTreeSet<&str> = METHODS.iter().map(Entry::name).collect();
        assert_eq!(names.len(), METHODS.len());
    }
}
