//! `peer add`, `accept` and `reject`.
//!
//! Each is done once. If the process that runs the profile ends during the call, what is durable tells whether it
//! was done.

use serde_json::{Value, json};

use super::args::{Add, Who};
use super::output::Output;
use super::session::Session;
use super::values::{contact_called, items, text, waits};
use crate::Invite;
use crate::rpc::RpcError;

pub(super) async fn add(session: &mut Session, args: Add, output: &Output) -> Result<(), RpcError> {
    let contact = ask(session, &args).await?;
    let address = contact["address"].clone();
    session.settle(|status| !waits(status, &address)).await?;
    // An invite for one use accepts at once, if its owner is online.
    let now = contact_at(session, &text(&address)).await?;
    let contact = now.unwrap_or(contact);
    output.print(&contact, || match contact["standing"].as_str() {
        Some("accepted") => format!("{} is your contact now", text(&contact["name"])),
        _ => format!(
            "{} has been asked; messages you send meanwhile wait until they accept",
            text(&contact["name"])
        ),
    });
    Ok(())
}

async fn ask(session: &mut Session, args: &Add) -> Result<Value, RpcError> {
    let params = add_params(args);
    // One that cannot be read is refused by the call.
    let address = args.link.parse::<Invite>().ok();
    let address = address.map(|invite| invite.cert().identity().to_string());
    let address = address.unwrap_or_default();
    let was_known = contact_at(session, &address).await?.is_some();
    loop {
        match session.call_once("add", params.clone()).await {
            Err(error) if error.is_ended() => {}
            result => return result,
        }
        match contact_at(session, &address).await? {
            Some(_) if was_known => return Err(in_doubt()),
            // They have become one by this call, which goes on by itself.
            Some(asked) => return Ok(asked),
            None => {}
        }
    }
}

/// What `peer add` calls with.
pub(super) fn add_params(args: &Add) -> Value {
    json!({
        "link": args.link,
        "name": args.name,
        "message": args.message,
        "again": args.again,
    })
}

fn in_doubt() -> RpcError {
    RpcError::failed(
        "the process that runs this profile ended while they were asked again",
        "`peer history NAME` shows whether your message is among those that go out; if not, ask again",
    )
}

pub(super) async fn accept(
    session: &mut Session,
    who: Who,
    output: &Output,
) -> Result<(), RpcError> {
    let who = who_asks(session, who.id).await?;
    let contact = loop {
        match session.call_once("accept", json!({"id": who})).await {
            Err(error) if error.is_ended() => {}
            result => break result?,
        }
        if !asks(session, &who).await?
            && let Some(contact) = contact_at(session, &who).await?
        {
            break contact;
        }
    };
    let address = contact["address"].clone();
    session.settle(|status| !waits(status, &address)).await?;
    output.print(&contact, || {
        format!("{} is your contact now", text(&contact["name"]))
    });
    Ok(())
}

pub(super) async fn reject(
    session: &mut Session,
    who: Who,
    output: &Output,
) -> Result<(), RpcError> {
    let address = who_asks(session, who.id.clone()).await?;
    let rejected = loop {
        match session.call_once("reject", json!({"id": address})).await {
            Err(error) if error.is_ended() => {}
            result => break result?,
        }
        if !asks(session, &address).await? {
            break json!({"type": "rejected", "id": who.id});
        }
    };
    output.print(&rejected, || "request dropped".to_owned());
    Ok(())
}

/// A contact by name or address.
async fn contact_at(session: &mut Session, who: &str) -> Result<Option<Value>, RpcError> {
    let contacts = session.call("contacts", json!({})).await?;
    Ok(contact_called(&contacts, who).cloned())
}

/// The address of the one who asks under this name, so that a call that is made again means nobody else. Who is
/// not found, or not the only one, is for the call to refuse.
async fn who_asks(session: &mut Session, who: String) -> Result<String, RpcError> {
    let requests = session.call("requests", json!({})).await?;
    let mut called = items(&requests).filter(|request| {
        let name = request["name"].as_str();
        name.is_some_and(|name| crate::names::same(name, &who))
    });
    Ok(match (called.next(), called.next()) {
        (Some(request), None) => text(&request["id"]),
        _ => who,
    })
}

/// Whether somebody still waits for an answer.
async fn asks(session: &mut Session, address: &str) -> Result<bool, RpcError> {
    let requests = session.call("requests", json!({})).await?;
    Ok(items(&requests).any(|request| request["id"] == address))
}
