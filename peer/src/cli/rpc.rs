//! `peer rpc`: JSON-RPC on stdin and stdout, wherever the profile runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::args::{Global, Rpc};
use super::output::Output;
use super::session::{Network, Session, Stay};
use crate::MsgId;
use crate::rpc::methods::find;
use crate::rpc::{Answering, Entry, RpcError, document, serve};

pub(super) async fn run(global: &Global, args: &Rpc, output: &Output) -> Result<(), RpcError> {
    if args.schema {
        output.document(&document());
        return output.flush();
    }
    let first = Session::open(global, Network::Online, Stay::UntilEnded).await?;
    let ended = super::end_signal();
    let sessions = Sessions {
        global: Arc::new(global.clone()),
        idle: Arc::new(Mutex::new(vec![first])),
    };
    let (stdin, stdout) = (tokio::io::stdin(), tokio::io::stdout());
    serve(stdin, stdout, sessions.clone(), ended).await;
    let mut result = Ok(());
    while let Some(session) = sessions.take() {
        result = result.and(session.close().await);
    }
    result
}

/// A session for each call at a time: one that waits for news keeps no other one waiting, and when the process
/// that runs the profile ends, each finds the next one, or is it.
#[derive(Clone)]
struct Sessions {
    global: Arc<Global>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Sessions {
    fn take(&self) -> Option<Session> {
        self.all().pop()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answering for Sessions {
    type Call = ();

    fn begin(&self) {}

    async fn call(&self, method: &str, mut params: Value) -> Result<Value, RpcError> {
        let session = match self.take() {
            Some(session) => session,
            None => Session::open(&self.global, Network::Online, Stay::UntilEnded).await?,
        };
        let mut session = Borrowed {
            session: Some(session),
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
