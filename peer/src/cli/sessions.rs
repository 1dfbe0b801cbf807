//! Several sessions of one profile, for a face that calls several methods at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::args::Global;
use super::session::Session;
use crate::rpc::methods::find;
use crate::rpc::{Entry, RpcError};
use crate::{MsgId, Peer};

/// A session for each call at a time: one that waits for news keeps no other one waiting, and when the process
/// that runs the profile ends, each finds the next one, or is it.
#[derive(Clone)]
pub(crate) struct Sessions {
    global: Arc<Global>,
    /// The profile, if it runs in this process: then there is no way round by its socket.
    local: Option<Peer>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Sessions {
    /// With the first of them. Whatever it takes to open others was asked for by then.
    pub(crate) fn of(global: &Global, mut first: Session) -> Self {
        first.ask_nothing_more();
        Self {
            global: Arc::new(global.clone()),
            local: first.local(),
            idle: Arc::new(Mutex::new(vec![first])),
        }
    }

    /// Calls a method. Those that must not be made twice end with [`RpcError::is_ended`] if the process that ran
    /// the profile did.
    pub(crate) async fn call(&self, method: &str, mut params: Value) -> Result<Value, RpcError> {
        let mut session = Borrowed {
            session: Some(self.session().await?),
            of: self,
        };
        let Some(session) = &mut session.session else {
            return Err(RpcError::ended());
        };
        if find(method).is_some_and(Entry::is_once) {
            return session.call_once(method, params).await;
        }
        match method {
            "send" => name_messages(&mut params),
            "forward" if params["copy"].is_null() => params["copy"] = json!(MsgId::now_v7()),
            _ => {}
        }
        session.call(method, params).await
    }

    /// As [`Session::settle`], by whichever of them.
    pub(super) async fn settle(&self, done: impl Fn(&Value) -> bool) -> Result<(), RpcError> {
        let mut session = self.session().await?;
        let result = session.settle(done).await;
        self.all().push(session);
        result.map(drop)
    }

    /// Closes those that nobody uses; whoever runs the profile here ends with it.
    pub(crate) async fn close(&self) -> Result<(), RpcError> {
        let mut result = Ok(());
        while let Some(session) = self.take() {
            result = result.and(session.close().await);
        }
        result
    }

    async fn session(&self) -> Result<Session, RpcError> {
        if let Some(session) = self.take() {
            return Ok(session);
        }
        if let Some(peer) = &self.local {
            return Session::beside(&self.global, peer.clone());
        }
        Session::open_unasked(&self.global).await
    }

    fn take(&self) -> Option<Session> {
        self.all().pop()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// With ids it can be known whether they were sent, if the process that was to do it ends meanwhile.
fn name_messages(params: &mut Value) {
    if params["ids"].is_null()
        && let Some(texts) = params["texts"].as_array()
    {
        let ids: Vec<MsgId> = texts.iter().map(|_| MsgId::now_v7()).collect();
        params["ids"] = json!(ids);
    }
}

/// Goes back also if the call is cut short: the profile may run in it.
struct Borrowed<'a> {
    session: Option<Session>,
    of: &'a Sessions,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.of.all().extend(self.session.take());
    }
}
