//! `peer rpc`: JSON-RPC on stdin and stdout, wherever the profile runs.

use serde_json::Value;

use super::args::{Global, Rpc};
use super::output::Output;
use super::session::{Network, Session, Stay};
use super::sessions::Sessions;
use crate::rpc::{Answering, RpcError, document, serve};

pub(super) async fn run(global: &Global, args: &Rpc, output: &Output) -> Result<(), RpcError> {
    if args.schema {
        output.document(&document());
        return output.flush();
    }
    let first = Session::open(global, Network::Online, Stay::UntilEnded).await?;
    let ended = super::end_signal();
    let sessions = Sessions::of(global, first);
    let (stdin, stdout) = (tokio::io::stdin(), tokio::io::stdout());
    serve(stdin, stdout, sessions.clone(), ended).await;
    sessions.close().await
}

impl Answering for Sessions {
    type Call = ();

    fn begin(&self) {}

    async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        Self::call(self, method, params).await
    }
}
