//! The reference pages of configuration and environment, and the schema's file, made from the types and the defaults, and
//! held against what stands in the tree.
//!
//! `GLEANER_UPDATE=1 cargo test -p gleaner-cli` writes them anew.

use std::path::Path;

use serde_json::{Map, Value};

use super::schema;
use crate::environment;

const MADE: &str = "Made from the types and `config/default.toml`; `GLEANER_UPDATE=1 cargo test -p gleaner-cli` writes it anew.";

/// `duration`, `whole number`, `list of text`, `one of "a", "b"`.
fn kind(part: &Value) -> String {
    let choices = |all: &[Value]| all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(" or ");
    if let Some(all) = part["enum"].as_array() {
        return choices(all);
    }
    if let Some(all) = part["oneOf"].as_array() {
        let all: Vec<Value> = all.iter().map(|one| one["const"].clone()).collect();
        return choices(&all);
    }
    match part["type"].as_str() {
        Some("array") => format!("list of {}", kind(&part["items"])),
        Some("integer") => "whole number".into(),
        Some("boolean") => "true or false".into(),
        Some("string") => match part["pattern"].as_str() {
            Some(pattern) if pattern.contains("KiB") => "size".into(),
            Some(pattern) if pattern.contains('/') => "rate".into(),
            Some(pattern) if pattern.contains("ms") => "duration".into(),
            _ => "text".into(),
        },
        Some("number") => "number".into(),
        Some("object") => "table".into(),
        other => panic!("a type without a word for it: {other:?} of {part}"),
    }
}

fn properties(part: &Value) -> Option<&Map<String, Value>> {
    part["properties"].as_object().filter(|all| !all.is_empty())
}

/// A table's own part, a list's items, what the user names in a map: what has keys of its own, and how it is written.
fn inside<'a>(path: &str, part: &'a Value) -> Option<(String, &'a Value)> {
    let named = part.get("additionalProperties").filter(|named| named.is_object());
    let named = named.or_else(|| part["patternProperties"].as_object().and_then(|all| all.values().next()));
    [(path.to_owned(), Some(part)), (format!("{path}[]"), part.get("items")), (format!("{path}.NAME"), named)]
        .into_iter()
        .find_map(|(path, part)| part.filter(|part| properties(part).is_some()).map(|part| (path, part)))
}

fn section(page: &mut String, path: &str, part: &Value, level: usize) {
    let Some(all) = properties(part) else { return };
    if !path.is_empty() {
        page.push_str(&format!("\n{} `{path}`\n", "#".repeat(level.min(4))));
        if let Some(text) = part["description"].as_str() {
            page.push_str(&format!("\n{text}\n"));
        }
    }
    page.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for (key, value) in all {
        let meaning =
            value["description"].as_str().unwrap_or_else(|| panic!("{path}.{key} is not explained"));
        let default = match &value["default"] {
            Value::Null => String::new(),
            long if long.to_string().len() > 60 => "see below".into(),
            default => format!("`{default}`"),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        page.push_str(&format!(
            "| `{key}` | {} | {} | {} |\n",
            cell(&kind(value)),
            cell(&default),
            cell(meaning)
        ));
    }
    for (key, value) in all {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some((path, part)) = inside(&path, value) {
            section(page, &path, part, level + 1);
        }
    }
}

fn configuration() -> String {
    let mut page = format!(
        "# Configuration\n\n{MADE}\n\nThe file is `--config`, else `gleaner.toml` beside the library, else `gleaner/gleaner.toml` in the user's configuration\n\
         directory; `gleaner config init` writes one. Defaults, then the file, then [the environment](environment.md), then\n\
         flags: the later wins, key by key, and lists are replaced whole. Durations are `500ms`, `30s`, `10m`, `2h`, `30d`;\n\
         sizes `512`, `64KiB`, `64MiB`, `2GiB`; rates `5/s`, `1/3s`, `1000/5m`. NAME stands for a name of yours. A long default\n\
         stands in [default.toml](../../config/default.toml). As JSON Schema: [gleaner.schema.json](../../config/gleaner.schema.json),\n\
         printed by `gleaner config schema`.\n"
    );
    section(&mut page, "", &schema(), 1);
    page
}

/// Every key that a variable can set, with its variable.
fn settings(rows: &mut String, path: &str, part: &Value) {
    let has_dots = path.ends_with("limits.hosts") || path.contains("connect-to");
    if let (Some((inner, named)), false) =
        (inside(path, part).filter(|(path, _)| !path.ends_with("[]")), has_dots)
    {
        for (key, value) in properties(named).into_iter().flatten() {
            settings(rows, &if inner.is_empty() { key.clone() } else { format!("{inner}.{key}") }, value);
        }
        return;
    }
    if has_dots || path == "contact" {
        return;
    }
    let name = path.replace('.', "__").replace('-', "_").to_ascii_uppercase();
    rows.push_str(&format!("| `GLEANER_{name}` | `{path}` | {} |\n", kind(part).replace('|', "\\|")));
}

fn variables() -> String {
    let row = |one: &environment::Variable| format!("| `{}` | {} |\n", one.name, one.meaning);
    let others: String = environment::ALL.iter().map(row).collect();
    let mut rows = String::new();
    settings(&mut rows, "", &schema());
    format!(
        "# Environment\n\n{MADE}\n\n| variable | meaning |\n|---|---|\n\
         | `GLEANER_CONTACT` | Sets `contact`, the e-mail address that public services want to know. |\n\
         | `GLEANER_SECRET_NAME` | The secret `name` (capitals, hyphens as underscores); wins over `[secrets]`. Never shown. |\n\
         {others}\n\
         Proxies in environment variables are not used; `egress.proxy` names one.\n\n\
         ## Settings\n\nEach sets one key of [the configuration](configuration.md) and wins over the file; flags win over it. Values are as in\n\
         TOML; text needs no quotes. NAME is a resolver or a secret. Tables whose keys are hosts can only stand in a file.\n\n\
         | variable | key | type |\n|---|---|---|\n{rows}"
    )
}

#[test]
fn the_schema_and_the_pages_in_the_tree_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    for (name, current) in [
        ("config/gleaner.schema.json", text),
        ("docs/reference/configuration.md", configuration()),
        ("docs/reference/environment.md", variables()),
    ] {
        let path = root.join(name);
        if std::env::var_os("GLEANER_UPDATE").is_some() {
            std::fs::write(&path, &current).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == current, "{name} is not current: GLEANER_UPDATE=1 cargo test -p gleaner-cli");
    }
}

/// Keys that the defaults give are keys that the schema knows: neither has one that the other lacks.
#[test]
fn every_key_of_the_defaults_is_in_the_schema_with_its_value() {
    let whole = schema();
    for entry in super::annotated::Annotated::of_defaults().entries {
        let path = format!("{}.{}", entry.section, entry.key);
        let mut part = &whole;
        for key in path.split('.').filter(|key| !key.is_empty() && !entry.key.contains('.')) {
            part = match &part["properties"][key] {
                Value::Null => part
                    .get("additionalProperties")
                    .filter(|named| named.is_object())
                    .unwrap_or_else(|| panic!("the schema has no {path}")),
                known => known,
            };
        }
        assert!(part.is_object(), "{path}");
    }
}
