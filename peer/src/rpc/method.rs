//! What a method is: its parameters, what it answers, and how it is called without knowing either.

use std::pin::Pin;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::RpcError;
use crate::peer::Peer;

type Calling<'a> = Pin<Box<dyn Future<Output = Result<Value, RpcError>> + Send + 'a>>;

/// A method. Its parameters are the type that implements this; that type's documentation is the
/// method's.
pub(super) trait Method: DeserializeOwned + JsonSchema + Send {
    /// Its name, which never changes.
    const NAME: &'static str;

    /// Whether it does nothing but wait for news, so that nothing is lost if it is cut short.
    const WAITS: bool = false;

    /// Whether somebody must look at what came of it before it is called again.
    const ONCE: bool = false;

    /// Whether it may take as long as there is a lot of data.
    const LONG: bool = false;

    /// What it answers.
    type Answer: Serialize + JsonSchema;

    /// Does it.
    fn call(self, peer: &Peer) -> impl Future<Output = Result<Self::Answer, RpcError>> + Send;
}

/// A method among others.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    name: &'static str,
    waits: bool,
    once: bool,
    long: bool,
    call: for<'a> fn(&'a Peer, Value) -> Calling<'a>,
    params: fn(&mut SchemaGenerator) -> Schema,
    answer: fn(&mut SchemaGenerator) -> Schema,
}

impl Entry {
    pub(super) const fn of<M: Method>() -> Self {
        Self {
            name: M::NAME,
            waits: M::WAITS,
            once: M::ONCE,
            long: M::LONG,
            call: call::<M>,
            params: M::json_schema,
            answer: SchemaGenerator::subschema_for::<M::Answer>,
        }
    }

    /// The method's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it does nothing but wait for news.
    pub(super) const fn waits(&self) -> bool {
        self.waits
    }

    /// Whether it may take as long as there is a lot of data.
    pub(super) const fn is_long(&self) -> bool {
        self.long
    }

    /// Whether somebody must look at what came of it before it is called again.
    #[must_use]
    pub const fn is_once(&self) -> bool {
        self.once
    }

    /// Calls it with parameters by name.
    pub(super) async fn call(&self, peer: &Peer, params: Value) -> Result<Value, RpcError> {
        (self.call)(peer, params).await
    }

    /// The JSON schema of its parameters: an object.
    pub(super) fn params(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.params)(generator)
    }

    /// The JSON schema of what it answers.
    pub(super) fn answer(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.answer)(generator)
    }
}

fn call<M: Method>(peer: &Peer, params: Value) -> Calling<'_> {
    Box::pin(async move {
        let method: M = parse(params)?;
        let answer = method.call(peer).await?;
        serde_json::to_value(answer).map_err(|error| RpcError::failed(error, ""))
    })
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params)
        .map_err(|error| RpcError::usage(format!("wrong parameters: {error}"), ""))
}
