//! The methods: one registry for all faces. Parameters and results are JSON objects with named
//! fields; a wrong one is an error of code `usage` that names the field.

use std::time::Duration;

use futures_util::FutureExt as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tincan_protocol::invite::Invite;

use super::error::RpcError;
use super::json;
use crate::peer::Peer;
use crate::peer::reader::Reader;
use crate::{AddError, MsgId};

/// Events of one `events.next`.
const EVENTS_MAX: usize = 4096;

/// Commits read at once.
const EVENT_ROWS: usize = 4;

/// Longest `events.next`, milliseconds: a caller that wants more asks again.
const EVENTS_WAIT_MAX_MS: u64 = 600_000;

/// Invites live a week unless their maker says otherwise, milliseconds.
const INVITE_LIFETIME_MS: u64 = 7 * 24 * 3600 * 1000;

/// Names of all methods.
pub const METHODS: [&str; 15] = [
    "id",
    "invite",
    "add",
    "requests",
    "accept",
    "reject",
    "contacts",
    "send",
    "state",
    "history",
    "read",
    "events.next",
    "cursor.get",
    "cursor.set",
    "status",
];

/// Calls a method.
///
/// # Errors
/// [`RpcError`]; code `usage` for an unknown method or wrong parameters.
pub async fn call(peer: &Peer, method: &str, params: Value) -> Result<Value, RpcError> {
    let result = call_method(peer, method, params).await;
    result.map_err(|error| {
        // Whatever could not be done: that is why, and what there is to do about it.
        if error.code == "failed" && peer.disk_is_full() {
            RpcError::disk_full(error, peer.home().path())
        } else {
            error
        }
    })
}

async fn call_method(peer: &Peer, method: &str, params: Value) -> Result<Value, RpcError> {
    match method {
        "id" => Ok(id(peer)),
        "invite" => invite(peer, parse(params)?).await,
        "add" => add(peer, parse(params)?).await,
        "requests" => Ok(peer.requests()?.iter().map(json::request).collect()),
        "accept" => accept(peer, parse(params)?).await,
        "reject" => reject(peer, parse(params)?).await,
        "contacts" => contacts(peer).await,
        "send" => send(peer, parse(params)?).await,
        "state" => state(peer, parse(params)?).await,
        "history" => history(peer, parse(params)?).await,
        "read" => read(peer, parse(params)?).await,
        "events.next" => events_next(peer, parse(params)?).await,
        "cursor.get" => {
            let Cursor { name, .. } = parse(params)?;
            Ok(json!({"cursor": peer.cursor(&name)?, "last": peer.last_cursor()}))
        }
        "cursor.set" => {
            let Cursor { name, cursor } = parse(params)?;
            peer.set_cursor(&name, cursor).await?;
            Ok(json!({}))
        }
        "status" => status(peer, parse(params)?).await,
        other => Err(RpcError::usage(
            format!("there is no method {other:?}"),
            &format!("methods: {}", METHODS.join(", ")),
        )),
    }
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params)
        .map_err(|error| RpcError::usage(format!("wrong parameters: {error}"), ""))
}

fn id(peer: &Peer) -> Value {
    let identity = peer.identity();
    json!({
        "type": "id",
        "address": identity.address.to_string(),
        "name": identity.name,
        "device": identity.device.to_string(),
        "signal_servers": identity.signal_servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "relay": identity.relay.to_string(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InviteParams {
    uses: Option<u32>,
    expires_ms: Option<u64>,
}

async fn invite(peer: &Peer, params: InviteParams) -> Result<Value, RpcError> {
    let uses = params.uses.unwrap_or(1);
    let lifetime = Duration::from_millis(params.expires_ms.unwrap_or(INVITE_LIFETIME_MS));
    let invite = peer.invite(uses, lifetime).await?;
    Ok(json!({
        "type": "invite",
        "link": invite.to_string(),
        "uses": uses,
        "expires_at": json::time(invite.body().expires_ms),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddParams {
    link: String,
    name: Option<String>,
    message: Option<String>,
}

async fn add(peer: &Peer, params: AddParams) -> Result<Value, RpcError> {
    let invite: Invite = params.link.parse().map_err(AddError::Invite)?;
    let text = params.message.unwrap_or_default();
    let identity = peer.add_with(invite, &text, params.name.as_deref()).await?;
    one_contact(peer, &identity.to_string()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    id: String,
}

async fn accept(peer: &Peer, params: Who) -> Result<Value, RpcError> {
    let who = asking(peer, &params.id)?;
    peer.accept(who).await?;
    one_contact(peer, &who.to_string()).await
}

async fn reject(peer: &Peer, params: Who) -> Result<Value, RpcError> {
    let who = asking(peer, &params.id)?;
    peer.reject(who).await?;
    Ok(json!({"type": "rejected", "id": who.to_string()}))
}

/// Somebody who has asked, by name or address.
fn asking(peer: &Peer, who: &str) -> Result<crate::IdentityId, RpcError> {
    let requests = peer.requests()?;
    let found = match who.parse::<crate::IdentityId>() {
        Ok(address) => requests.iter().find(|request| request.identity == address),
        Err(_) => {
            let mut named = requests
                .iter()
                .filter(|request| crate::names::same(&request.name, who));
            let first = named.next();
            if named.next().is_some() {
                let message = format!("more than one of that name has asked: {who}");
                return Err(RpcError::usage(
                    message,
                    "give the address that `peer requests` shows",
                ));
            }
            first
        }
    };
    found
        .map(|request| request.identity)
        .ok_or_else(|| crate::AcceptError::NoRequest.into())
}

async fn contacts(peer: &Peer) -> Result<Value, RpcError> {
    let status = peer.status().await?;
    let presence = |identity| {
        let known = status
            .contacts
            .iter()
            .find(|contact| contact.identity == identity);
        if known.is_some_and(|contact| contact.online) {
            "online"
        } else {
            "offline"
        }
    };
    let contacts = peer.contacts()?;
    Ok(contacts
        .iter()
        .map(|contact| json::contact(contact, presence(contact.identity)))
        .collect())
}

async fn one_contact(peer: &Peer, address: &str) -> Result<Value, RpcError> {
    let all = contacts(peer).await?;
    let found = all
        .as_array()
        .into_iter()
        .flatten()
        .find(|contact| contact["address"] == address);
    found
        .cloned()
        .ok_or_else(|| crate::ReadError::UnknownContact.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendParams {
    to: String,
    texts: Vec<String>,
    /// One for each text, of the caller's making: with `state` it can ask whether they were sent, if it
    /// does not hear of the result.
    ids: Option<Vec<MsgId>>,
}

async fn send(peer: &Peer, params: SendParams) -> Result<Value, RpcError> {
    let to = peer.find(&params.to)?;
    let ids = match params.ids {
        None => peer.send_all(&to, params.texts).await?,
        Some(ids) => {
            let fit =
                ids.len() == params.texts.len() && ids.iter().all(|id| id.get_version_num() == 7);
            if !fit {
                return Err(RpcError::usage(
                    "wrong parameters: ids",
                    "give one UUIDv7 for each text, or no ids at all",
                ));
            }
            let messages = ids.into_iter().zip(params.texts).collect();
            peer.send_with_ids(&to, messages).await?
        }
    };
    Ok(json!({"ids": ids.iter().map(ToString::to_string).collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateParams {
    to: String,
    id: MsgId,
}

async fn state(peer: &Peer, params: StateParams) -> Result<Value, RpcError> {
    let to = peer.find(&params.to)?;
    let state = peer.state(&to, params.id).await?;
    Ok(json!({"type": "state", "id": params.id.to_string(), "state": state.name()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryParams {
    to: String,
    limit: Option<usize>,
    before: Option<MsgId>,
}

async fn history(peer: &Peer, params: HistoryParams) -> Result<Value, RpcError> {
    let to = peer.find(&params.to)?;
    let messages = peer
        .history(&to, params.limit.unwrap_or(50), params.before)
        .await?;
    Ok(messages.iter().map(json::message).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusParams {
    /// Without it, what is on its way is not counted, which takes the longer the more there is.
    #[serde(default = "yes")]
    outbox: bool,
}

const fn yes() -> bool {
    true
}

async fn status(peer: &Peer, params: StatusParams) -> Result<Value, RpcError> {
    let report = peer.status().await?;
    let outbox = if params.outbox {
        Some(peer.outbox().await?.into_iter().collect())
    } else {
        None
    };
    let mut status = json::status(&report, outbox.as_ref());
    status["process"] = json!({"id": std::process::id(), "stays": peer.stays()});
    Ok(status)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadParams {
    from: String,
    seq: u64,
}

async fn read(peer: &Peer, params: ReadParams) -> Result<Value, RpcError> {
    let from = peer.find(&params.from)?;
    peer.mark_read(&from, params.seq).await?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NextParams {
    after: u64,
    #[serde(default)]
    timeout_ms: u64,
    max: Option<usize>,
}

/// Waits for the first event after the cursor, and takes along what is there already. If there is none
/// and the disk is full, that is the error.
async fn events_next(peer: &Peer, params: NextParams) -> Result<Value, RpcError> {
    let max = params.max.unwrap_or(EVENTS_MAX).clamp(1, EVENTS_MAX);
    let wait = Duration::from_millis(params.timeout_ms.min(EVENTS_WAIT_MAX_MS));
    let mut reader = Reader::new(peer, params.after);
    let (mut events, mut cursor) = (Vec::new(), params.after);
    let mut next = tokio::select! {
        biased;
        next = tokio::time::timeout(wait, reader.next(EVENT_ROWS)) => next.unwrap_or(Ok(None))?,
        // What is to be told next may be what cannot be saved.
        () = peer.disk_filled() => {
            return Err(RpcError::disk_full("what comes cannot be saved", peer.home().path()));
        }
    };
    while let Some(items) = next {
        for item in items {
            let event = item?;
            if events.len() == max {
                return Ok(json!({"events": events, "cursor": cursor}));
            }
            cursor = event.cursor;
            events.push(json::logged(&event));
        }
        // What is durable already is read without a wait.
        next = reader.next(EVENT_ROWS).now_or_never().unwrap_or(Ok(None))?;
    }
    if events.is_empty() {
        // What was looked at and is nobody's any more need not be looked at again.
        cursor = cursor.max(reader.cursor());
    }
    Ok(json!({"events": events, "cursor": cursor}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    name: String,
    #[serde(default)]
    cursor: u64,
}
