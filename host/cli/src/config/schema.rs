//! The JSON Schema of a configuration file: made from the types, with the comments and values of the defaults.
//!
//! A file needs only what differs, so nothing in it is required but whole items of lists, which are replaced whole. What
//! an editor makes of it is a help; whether a configuration is valid, `load` decides.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Config;
use super::annotated::Annotated;

/// The schema (JSON Schema 2020-12).
pub(crate) fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    tidy(&mut schema, false);
    annotate(&mut schema);
    schema["title"] = json!("Gleaner's configuration");
    schema["description"] =
        json!("gleaner.toml; `gleaner config schema` prints this for the version in use.");
    schema
}

/// Takes away what only Rust means: null, which TOML has not; widths of numbers; names of types; keys that have to be
/// there, except in items of lists.
fn tidy(schema: &mut Value, in_list: bool) {
    let Value::Object(object) = schema else { return };
    if let Some(Value::Array(any)) = object.remove("anyOf") {
        let some: Vec<Value> = any.into_iter().filter(|one| one["type"] != "null").collect();
        match <[Value; 1]>::try_from(some) {
            Ok([Value::Object(one)]) => {
                for (key, value) in one {
                    object.entry(key).or_insert(value);
                }
            }
            Ok([one]) => drop(one),
            Err(some) => drop(object.insert("anyOf".into(), Value::Array(some))),
        }
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".into(), one);
        }
    }
    for key in ["format", "title", "default"] {
        object.remove(key);
    }
    if !in_list {
        object.remove("required");
    }
    plain_words(object);
    for (key, value) in object.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(parts)) => {
                parts.values_mut().for_each(|part| tidy(part, in_list));
            }
            ("items", part) => tidy(part, true),
            ("additionalProperties", part) => tidy(part, in_list),
            ("anyOf" | "oneOf", Value::Array(parts)) => parts.iter_mut().for_each(|part| tidy(part, in_list)),
            _ => {}
        }
    }
}

/// Doc comments link to code; a schema's readers have none.
fn plain_words(object: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.replace(['[', ']'], "").replace("crate::", "").replace('\n', " ");
    }
}

/// Lays comments and values of the defaults over what the types say.
fn annotate(schema: &mut Value) {
    let outline = Annotated::of_defaults();
    for (section, comment) in outline.sections.iter().filter(|(_, comment)| !comment.is_empty()) {
        if let Some(part) = part_of(schema, section) {
            part.insert("description".into(), json!(comment));
        }
    }
    for entry in &outline.entries {
        let path = format!("{}.{}", entry.section, entry.key);
        let Some(part) = part_of(schema, path.trim_start_matches('.')) else { continue };
        if !entry.comment.is_empty() {
            part.insert("description".into(), json!(entry.comment));
        }
        part.insert(
            if entry.is_set { "default" } else { "examples" }.into(),
            match entry.is_set {
                true => json!(entry.value),
                false => json!([entry.value]),
            },
        );
    }
}

/// What the schema says of a key that has a name; none for one that the user names.
fn part_of<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut part = schema;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        part = part.get_mut("properties")?.get_mut(key)?;
    }
    part.as_object_mut()
}
