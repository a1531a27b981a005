//! The API described for programs: an OpenAPI 3.1 document, served at `/openapi.json`.
//!
//! Its schemas are derived from the types of `atelier-proto` that the handlers read and write, its operations stand in [`operations`]. Tests
//! compare it with the router and with the answers of a running coordinator; `openapi.json` beside the crate's manifest shows what changed.

mod codes;
mod images;
mod operations;

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Where schemas lie in the document.
const SCHEMAS: &str = "/components/schemas";

/// `GET /openapi.json`: this API as an OpenAPI 3.1 document.
pub async fn handler() -> Response {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| format!("{:#}\n", document()).into());
    let described = [(header::CONTENT_TYPE, "application/json")];
    (described, TEXT.clone()).into_response()
}

/// The whole document.
fn document() -> Value {
    let mut types = Types::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::all(&mut types) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.description;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Atelier",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Pictures from text, planned before they are drawn and checked after.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "security": [{ "key": [] }, { "session": [] }],
        "components": {
            "schemas": types.into_definitions(),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "An API key, as `atelier key create` prints it." },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": crate::http::session::COOKIE,
                    "description": "The cookie of the farm's page, for scripts of that page: from other sites it changes nothing.",
                },
            },
        },
    })
}

/// Collects the schemas of types. They are what a caller may send and what it must be ready to read: a field with a default may be missing.
struct Types(SchemaGenerator);

impl Types {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().for_deserialize();
        Self(
            settings
                .with(|settings| settings.definitions_path = SCHEMAS.into())
                .into_generator(),
        )
    }

    /// A reference to the schema of a type.
    fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    /// The fields of a type that is read from a query, as parameters.
    fn query<T: JsonSchema>(&mut self) -> Vec<Value> {
        let schema = T::json_schema(&mut self.0).to_value();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let fields = schema["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let parameters = fields.into_iter().map(|(name, mut field)| {
            let description = field
                .as_object_mut()
                .and_then(|field| field.remove("description"));
            json!({
                "name": name, "in": "query", "required": required.contains(&json!(name)),
                "description": description, "schema": field,
            })
        });
        parameters.collect()
    }

    fn into_definitions(mut self) -> Map<String, Value> {
        self.0.take_definitions(true)
    }
}

#[cfg(test)]
mod tests;
