//! The commands that call, and print what is answered.

use serde_json::{Value, json};

use super::args::{Command, Global, History, Invite};
use super::calls::Call;
use super::lines::{contact_line, history_line, request_lines};
use super::output::Output;
use super::session::{Network, Session, Stay};
use super::status::status_text;
use super::values::{
    contact_called, items, own_relay_answered, own_relay_ready, servers_answered, text, waits,
};
use super::{acquaint, qr};
use crate::rpc::RpcError;

pub(super) async fn run(
    global: &Global,
    command: Command,
    output: &Output,
) -> Result<(), RpcError> {
    let network = match command {
        Command::Id | Command::History(_) | Command::Mute(_) | Command::Unmute(_) => {
            Network::Offline
        }
        _ => Network::Online,
    };
    let mut session = Session::open(global, network, Stay::ForOneCommand).await?;
    let result = run_in(&mut session, command, output).await;
    let closed = session.close().await;
    result?;
    output.flush()?;
    closed
}

async fn run_in(session: &mut Session, command: Command, output: &Output) -> Result<(), RpcError> {
    if let Some(call) = command.call() {
        return one_call(session, call, &command, output).await;
    }
    match command {
        Command::Invite(args) => invite(session, args, output).await,
        Command::Add(args) => acquaint::add(session, args, output).await,
        Command::Requests => requests(session, output).await,
        Command::Accept(who) => acquaint::accept(session, who, output).await,
        Command::Reject(who) => acquaint::reject(session, who, output).await,
        Command::Contacts => contacts(session, output).await,
        Command::History(args) => history(session, args, output).await,
        Command::Status => status(session, output).await,
        // Calls, or commands with modules of their own.
        _ => Ok(()),
    }
}

async fn one_call(
    session: &mut Session,
    call: Call,
    command: &Command,
    output: &Output,
) -> Result<(), RpcError> {
    let Call {
        method,
        params,
        leaves_to,
        line,
    } = call;
    let answer = call_for_contact(session, method, params).await?;
    output.print(&answer, || line(&answer));
    if let Command::Verify(args) = command
        && args.qr
        && !output.json
    {
        let digits = text(&answer["safety_number"]).replace(' ', "");
        qr::show(&digits, output)?;
    }
    output.flush()?;
    let Some(to) = leaves_to else {
        return Ok(());
    };
    // A profile that only this command runs goes offline with it.
    let contacts = session.call("contacts", json!({})).await?;
    if let Some(contact) = contact_called(&contacts, &to) {
        let address = contact["address"].clone();
        session.settle(|status| !waits(status, &address)).await?;
    }
    Ok(())
}

/// Means the contact by address: if the process that runs the profile ends and the call is made again, they may
/// have another name by then, or be gone already.
async fn call_for_contact(
    session: &mut Session,
    method: &str,
    mut params: Value,
) -> Result<Value, RpcError> {
    if let Some(name) = params["name"].as_str() {
        let contacts = session.call("contacts", json!({})).await?;
        if let Some(contact) = contact_called(&contacts, name) {
            params["name"] = contact["address"].clone();
        }
    }
    let mut is_again = false;
    loop {
        match session.call_once(method, params.clone()).await {
            Err(error) if error.is_ended() => is_again = true,
            Err(error) if is_again && method == "remove" && error.is_not_found() => {
                return Ok(json!({"type": "done"}));
            }
            result => return result,
        }
    }
}

async fn invite(session: &mut Session, args: Invite, output: &Output) -> Result<(), RpcError> {
    let expires_ms = u64::try_from(args.expires.as_millis()).unwrap_or(u64::MAX);
    let params = json!({"uses": args.uses, "expires_ms": expires_ms});
    let invite = session.call("invite", params).await?;
    let id = session.call("id", json!({})).await?;
    output.print(&invite, || text(&invite["link"]));
    if args.qr && !output.json {
        qr::show(&text(&invite["link"]), output)?;
    }
    // It may just have brought somebody's request, whose mailbox is not made yet.
    let relay = &id["relay"];
    let status = session
        .settle(|status| own_relay_answered(status, relay))
        .await?;
    if !own_relay_ready(&status, relay) {
        output.note(&format!(
            "note: {} cannot be reached now; the link works once this profile has been online",
            text(&id["relay"])
        ));
    }
    Ok(())
}

async fn requests(session: &mut Session, output: &Output) -> Result<(), RpcError> {
    let id = session.call("id", json!({})).await?;
    let relay = &id["relay"];
    // Where those wait who asked while this profile was not online.
    let status = session
        .settle(|status| own_relay_answered(status, relay))
        .await?;
    let requests = session.call("requests", json!({})).await?;
    for request in items(&requests) {
        output.print(request, || request_lines(request));
    }
    if items(&requests).next().is_none() {
        output.say("nobody asks");
    }
    if !own_relay_ready(&status, relay) {
        output.note(&format!(
            "note: {} cannot be reached now; a request that waits there is shown once it can",
            text(relay)
        ));
    }
    Ok(())
}

async fn contacts(session: &mut Session, output: &Output) -> Result<(), RpcError> {
    // Presence is known once the signaling server has answered.
    session.settle(servers_answered).await?;
    let contacts = session.call("contacts", json!({})).await?;
    for contact in items(&contacts) {
        output.print(contact, || contact_line(contact));
    }
    if items(&contacts).next().is_none() {
        output.say("no contacts yet; `peer invite` prints a link for somebody");
    }
    Ok(())
}

async fn history(session: &mut Session, args: History, output: &Output) -> Result<(), RpcError> {
    let params = json!({"to": args.to, "limit": args.limit, "before": args.before});
    let messages = session.call("history", params).await?;
    for item in items(&messages) {
        output.print(item, || match args.ids {
            true => format!("{}  {}", text(&item["id"]), history_line(item)),
            false => history_line(item),
        });
    }
    Ok(())
}

async fn status(session: &mut Session, output: &Output) -> Result<(), RpcError> {
    session.settle(servers_answered).await?;
    let status = session.call("status", json!({})).await?;
    output.print(&status, || status_text(&status));
    Ok(())
}
