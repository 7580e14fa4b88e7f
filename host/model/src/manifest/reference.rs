//! The manifest's documentation and JSON Schema, made from the types, and held against what stands in `docs/`.
//!
//! `GLEANER_UPDATE=1 cargo test -p gleaner-model` writes both anew.

use std::path::Path;

use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::*;
use crate::artifact::Artifact;
use crate::identifier::Identifier;

fn schema() -> Value {
    let mut schema = schema_for!(ManifestRecord).to_value();
    schema["title"] = json!("A record of Gleaner's manifest");
    schema["description"] =
        json!(format!("One attempt; schema {SCHEMA}. Unknown fields are to be passed over."));
    schema
}

fn fields<'a>(schema: &'a Value, of: &str) -> &'a Map<String, Value> {
    schema.pointer(of).and_then(|part| part["properties"].as_object()).unwrap()
}

/// `integer or null`, `list of string`.
fn kind(field: &Value) -> String {
    let named = field["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    match (&field["type"], named) {
        (Value::String(one), _) if one == "array" && field["items"]["type"].is_string() => {
            format!("list of {}", field["items"]["type"].as_str().unwrap())
        }
        (Value::String(one), _) if one == "array" => "list of pairs".to_owned(),
        (Value::String(one), _) => one.clone(),
        (Value::Array(some), _) => some.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        (_, Some("Durations")) => "object, see below".to_owned(),
        (_, Some("AttemptOutcome")) => "string, see below".to_owned(),
        _ => panic!("a kind of field that the reference has no words for: {field}"),
    }
}

fn table(fields: &Map<String, Value>) -> String {
    let row = |(name, field): (&String, &Value)| {
        let meaning = field["description"].as_str().unwrap_or_else(|| panic!("{name} is not explained"));
        format!("| `{name}` | {} | {} |\n", kind(field), meaning.replace('\n', " "))
    };
    let rows: String = fields.iter().map(row).collect();
    format!("| field | type | meaning |\n|---|---|---|\n{rows}")
}

fn outcomes(schema: &Value) -> String {
    let all = schema.pointer("/$defs/AttemptOutcome/oneOf").and_then(Value::as_array).unwrap();
    let row = |one: &Value| {
        let meaning = one["description"].as_str().unwrap().replace('\n', " ");
        format!("| `{}` | {meaning} |\n", one["const"].as_str().unwrap())
    };
    let rows: String = all.iter().map(row).collect();
    format!("| outcome | meaning |\n|---|---|\n{rows}")
}

fn page() -> String {
    let schema = schema();
    format!(
        "# The manifest

Made from the code; `GLEANER_UPDATE=1 cargo test -p gleaner-model` writes it anew. As JSON Schema:
[manifest.schema.json](manifest.schema.json).

One record per attempt: a resolver that was asked, a candidate that was fetched or refused, a file that was asked for
again. Records are written once, in the transaction that makes the attempt count, and never changed; they go only when
their work is forgotten (`gleaner queue purge`, `orchestrator.retention`), which never happens to a work that holds a
file. What a limit or an upstream put off is no attempt. No record holds a secret: keys that the host injects are taken
out of URLs before they get here.

    gleaner library manifest --format jsonl           # one JSON object a line
    gleaner library manifest --format csv --since 7d
    gleaner library manifest --after 1234             # what was written since the record with seq 1234

## Fields

{}
## Durations

{}
## Outcomes

{}
Reasons: [reasons.md](reasons.md).

## As CSV

RFC 4180, UTF-8, lines end in CRLF, the first line names the columns. Columns are the fields above in their order, each of
`durations` as one of its own (`durations.total_ms`). What is absent is empty; `url_chain` is separated by spaces, which
no URL holds; `extra` is JSON. A text that a spreadsheet would take for a formula, one that begins with `=`, `+`, `-`,
`@`, a tab or a carriage return, gets a `'` in front of it. JSON lines have every text as it is.

## Versions

`schema` is {SCHEMA}. As long as it stays, fields are only added and readers pass over those that they do not know; columns
are added behind those there are. Reasons and outcomes may be added too. A field that goes, or whose type or meaning
changes, makes the next number. A library keeps each record as it was written, so an export may hold several; a field
that did not exist yet is absent or has its default.
",
        table(fields(&schema, "")),
        table(fields(&schema, "/$defs/Durations")),
        outcomes(&schema),
    )
}

#[test]
fn the_manifest_is_documented_as_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    for (name, current) in [("manifest.md", page()), ("manifest.schema.json", schema)] {
        let path = folder.join(name);
        if std::env::var_os("GLEANER_UPDATE").is_some() {
            std::fs::write(&path, &current).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == current, "{name} is not current: GLEANER_UPDATE=1 cargo test -p gleaner-model");
    }
}

#[test]
fn the_columns_are_the_fields() {
    let schema = schema();
    let mut columns = Vec::new();
    for (name, field) in fields(&schema, "") {
        if kind(field) == "object, see below" {
            columns.extend(fields(&schema, "/$defs/Durations").keys().map(|part| format!("{name}.{part}")));
        } else {
            columns.push(name.clone());
        }
    }
    assert_eq!(columns, COLUMNS);
}

/// The shape of schema 1, as it was: a record of the first release is still read.
#[test]
fn a_record_of_the_first_release_is_still_read() {
    let first = r#"{"schema":1,"run_id":"r","time":"2026-11-25T12:00:00.000Z","artifact_id":"doi:10.1000/x","title":null,
        "year":null,"resolver":"direct","resolver_version":null,"component_sha256":null,"candidate_url":null,
        "url_chain":[],"host":null,"status":null,"media_type_declared":null,"media_type_found":null,"bytes":null,
        "sha256":null,"etag":null,"last_modified":null,"license":null,"version":null,"host_type":null,"path":null,
        "outcome":"failed","reason":"ok","detail":"","attempt":1,"candidates":null,"durations":{"total_ms":7},
        "config_hash":"c"}"#;
    let record: ManifestRecord = serde_json::from_str(first).unwrap();
    assert_eq!((record.recheck, record.seq, record.durations.connect_ms), (false, None, None));
    assert_eq!(record.transport, None);
    let run = RunIdentity { run_id: "r".into(), config_hash: "c".into() };
    let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
    let new = serde_json::to_value(ManifestRecord::new(&run, &artifact, "direct", UnixMillis(0))).unwrap();
    let old: Value = serde_json::from_str(first).unwrap();
    for name in old.as_object().unwrap().keys() {
        assert!(new.get(name).is_some(), "{name} is gone, which makes another schema");
    }
}
