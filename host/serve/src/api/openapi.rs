//! The description of the API (OpenAPI 3.1), made from the table of operations and the types that they take and answer.
//!
//! Must never say what is not so: `docs/reference/openapi.json` is compared with it in a test.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operation::Described;
use super::{PREFIX, operations};
use crate::problem::Problem;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    // Plain data: cannot fail.
    serde_json::to_string_pretty(&described()).unwrap_or_default() + "\n"
});

/// `GET /api/v1/openapi.json`.
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

fn described() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>();
    let mut paths = Map::new();
    for one in operations() {
        let path = paths.entry(format!("{PREFIX}{}", one.path)).or_insert_with(|| json!({}));
        path[one.described.method] = operation(&one.described, &mut schemas, &problem);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gleaner",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What `gleaner serve` answers. Shapes are those of the commands with --format json; fields are only added.",
        },
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The token of [serve], where one is set." },
            },
            "schemas": schemas.take_definitions(true),
        },
    })
}

fn operation(one: &Described, schemas: &mut SchemaGenerator, problem: &Schema) -> Value {
    let in_path = one.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "string" },
                "description": match name {
                    "key" => "`resolver:NAME` or `host:HOST`",
                    _ => "Number, artifact id or identifier, percent-encoded",
                },
            })
        })
        .collect();
    if let Some(query) = one.query {
        let shape = query(schemas).to_value();
        for (name, field) in shape["properties"].as_object().into_iter().flatten() {
            let mut schema = field.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            parameters
                .push(json!({ "name": name, "in": "query", "schema": schema, "description": description }));
        }
    }
    let mut value = json!({ "operationId": one.id, "summary": one.summary });
    if !parameters.is_empty() {
        value["parameters"] = json!(parameters);
    }
    if let Some(body) = one.body {
        value["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body(schemas) } } });
    }
    let answer = one.answer.map(|answer| answer(schemas));
    value["responses"] = json!({
        "200": { "description": "Done.", "content": { one.answer_kind: { "schema": answer } } },
        "default": {
            "description": "What went wrong, why, and what to do.",
            "content": { "application/problem+json": { "schema": problem } },
        },
    });
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_in_docs_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
        if std::env::var_os("GLEANER_UPDATE").is_some() {
            std::fs::write(path, DOCUMENT.as_str()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == *DOCUMENT,
            "openapi.json is not current: GLEANER_UPDATE=1 cargo test -p gleaner-serve"
        );
    }

    /// Every reference leads somewhere, every operation has a name of its own and is explained.
    #[test]
    fn the_description_holds_together() {
        let document = described();
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => map.iter().for_each(|(name, value)| match value {
                    Value::String(to) if name == "$ref" => found.push(to),
                    value => references(value, found),
                }),
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let mut ids: Vec<_> = operations().iter().map(|one| one.described.id).collect();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all);
        for path in document["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(parameter["description"].is_string(), "{parameter}");
                }
            }
        }
    }
}
