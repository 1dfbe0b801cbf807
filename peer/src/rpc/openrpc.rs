//! The methods as an OpenRPC document (<https://spec.open-rpc.org>, 1.3.2), made from the types that are
//! served.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::error::RpcError;
use super::lines::APPLICATION_ERROR;
use super::method::Entry;
use super::methods::METHODS;

/// Where shapes that have a name stand in the document.
const SHAPES: &str = "/components/schemas";

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = SHAPES.into();
    let mut generator = settings.into_generator();
    let methods: Vec<Value> = METHODS
        .iter()
        .map(|entry| method(entry, &mut generator))
        .collect();
    let failure = generator.subschema_for::<RpcError>();
    let shapes: Map<String, Value> = generator.take_definitions(true);
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Tincan peer",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON-RPC 2.0, one object a line, with parameters by name: over `peer rpc` (stdio), or \
                            the socket `peer.sock` in the profile's folder while a process runs it. An error's \
                            `data` is an object `RpcError`.",
        },
        "methods": methods,
        "components": {
            "schemas": shapes,
            "errors": {"failure": {
                "code": APPLICATION_ERROR,
                "message": "what is wrong",
                "data": failure,
            }},
        },
    })
}

fn method(entry: &Entry, generator: &mut SchemaGenerator) -> Value {
    let params = entry.params(generator);
    json!({
        "name": entry.name(),
        "summary": params.get("description"),
        "paramStructure": "by-name",
        "params": by_name(&params),
        "result": {"name": "result", "schema": entry.answer(generator)},
        "errors": [{"$ref": "#/components/errors/failure"}],
    })
}

/// The fields of an object, each a parameter.
fn by_name(params: &Schema) -> Vec<Value> {
    let fields = params.get("properties").and_then(Value::as_object);
    let required = params.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let parameter = |(name, schema): (&String, &Value)| {
        json!({
            "name": name,
            "description": schema.get("description"),
            "required": is_required(name),
            "schema": schema,
        })
    };
    fields.into_iter().flatten().map(parameter).collect()
}
