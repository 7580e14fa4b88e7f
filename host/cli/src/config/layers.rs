//! Layers of settings, from the embedded defaults up to flags, and where each value came from.
//!
//! Knows TOML and paths of keys, and nothing of what a key means.

use std::collections::BTreeMap;
use std::path::Path;

use gleaner_desk::Setting;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Levels of a variable's name; what is beyond them stays one unknown name, since a table for each would not end in time
/// nor fit on the stack.
const MOST_LEVELS: usize = 8;

/// The origin of a value: `default`, `FILE:LINE`, a variable's or a flag's name.
pub(crate) type Origins = BTreeMap<String, String>;

/// Settings merged so far. A later layer wins, key by key; lists are replaced whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    merged: Table,
    origins: Origins,
}

impl Layers {
    /// Lays the text of a TOML file over the rest. `origin` names the file.
    pub(crate) fn add_toml(&mut self, text: &str, origin: &str) -> Result<(), toml::de::Error> {
        let table: Table = toml::from_str(text)?;
        let lines = DeTable::parse(text)?;
        let mut places = Origins::new();
        note_lines(lines.get_ref(), text, origin, "", &mut places);
        merge(&mut self.merged, table);
        self.origins.extend(places);
        Ok(())
    }

    /// Sets one value. `path` is dotted; its last part may be the name of a host, with dots of its own.
    pub(crate) fn set(&mut self, path: &[&str], value: Value, origin: &str) {
        let Some((last, folders)) = path.split_last() else { return };
        let mut table = &mut self.merged;
        for folder in folders {
            let entry = table.entry(*folder).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            let Value::Table(inner) = entry else { return };
            table = inner;
        }
        table.insert((*last).to_owned(), value);
        self.origins.insert(dotted(path), origin.to_owned());
    }

    /// Lays the environment over the rest: `GLEANER_CONTACT`, and `GLEANER_SECTION__KEY` with hyphens as
    /// underscores. Names of resolvers keep their underscores.
    pub(crate) fn add_environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, text) in variables {
            let Some(path) = name.strip_prefix("GLEANER_") else { continue };
            if path.starts_with("SECRET_") || (path != "CONTACT" && !path.contains("__")) {
                continue;
            }
            let lower = path.to_ascii_lowercase();
            let parts: Vec<String> = lower
                .splitn(MOST_LEVELS, "__")
                .scan("", |before, part| {
                    let kept = if *before == "resolvers" { part.to_owned() } else { part.replace('_', "-") };
                    *before = part;
                    Some(kept)
                })
                .collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            self.set(&parts, environment_value(&text), &name);
        }
    }

    /// Makes a path that a file gave absolute: it is meant from the file's directory.
    pub(crate) fn rebase_paths(&mut self, paths: &[&[&str]], base: &Path, file: &str) {
        for path in paths {
            let from_file = self.origins.iter().any(|(key, origin)| {
                *key == dotted(path) && origin.strip_prefix(file).is_some_and(|rest| rest.starts_with(':'))
            });
            if let Some(value) = from_file.then(|| find(&mut self.merged, path)).flatten() {
                rebase(value, base);
            }
        }
    }

    /// The text of one string value, if there is one.
    pub(crate) fn text(&mut self, path: &[&str]) -> Option<&str> {
        find(&mut self.merged, path).and_then(|value| value.as_str())
    }

    /// The names in a section.
    pub(crate) fn names_in(&self, section: &str) -> Vec<String> {
        let table = self.merged.get(section).and_then(Value::as_table);
        table.into_iter().flat_map(Table::keys).cloned().collect()
    }

    /// Everything merged.
    pub(crate) fn merged(&self) -> &Table {
        &self.merged
    }

    /// Where the value of this dotted key came from. A key that has no origin of its own, as in a list, has
    /// that of what it stands in, else of what stands in it. Quotes around a part do not matter.
    pub(crate) fn origin(&self, key: &str) -> &str {
        let bare = |text: &str| text.replace('"', "");
        let stands_in = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let key = bare(key);
        let known = || self.origins.iter().map(|(known, origin)| (bare(known), origin));
        let around = known().filter(|(known, _)| stands_in(&key, known)).max_by_key(|(known, _)| known.len());
        let inside = || known().find(|(known, _)| stands_in(known, &key));
        around.or_else(inside).map_or("default", |(_, origin)| origin)
    }

    /// Whether a value was given for exactly this dotted key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    /// Every value with its dotted key and where it came from, as it is shown.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let setting = |(key, value): (String, Value)| {
            let origin = self.origin(&key).to_owned();
            Setting::new(key, value, &origin)
        };
        self.flattened().into_iter().map(setting).collect()
    }

    /// Every value with its dotted key, to compare.
    pub(crate) fn flattened(&self) -> Vec<(String, Value)> {
        let mut rows = Vec::new();
        flatten("", &self.merged, &mut rows);
        rows
    }
}

/// `8`, `"30s"`, `["a"]` as TOML; anything else is a string as it stands.
fn environment_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn note_lines(table: &DeTable<'_>, text: &str, origin: &str, prefix: &str, places: &mut Origins) {
    for (key, value) in table {
        let path = join(prefix, key.get_ref());
        let line = text[..key.span().start].matches('\n').count() + 1;
        if let DeValue::Table(inner) = value.get_ref() {
            note_lines(inner, text, origin, &path, places);
        }
        places.insert(path, if origin == "default" { origin.to_owned() } else { format!("{origin}:{line}") });
    }
}

fn flatten(prefix: &str, table: &Table, rows: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let path = join(prefix, key);
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(&path, inner, rows),
            value => rows.push((path, value.clone())),
        }
    }
}

fn find<'a>(table: &'a mut Table, path: &[&str]) -> Option<&'a mut Value> {
    let (last, folders) = path.split_last()?;
    let mut table = table;
    for folder in folders {
        table = table.get_mut(*folder)?.as_table_mut()?;
    }
    table.get_mut(*last)
}

fn rebase(value: &mut Value, base: &Path) {
    match value {
        Value::String(text) => *text = base.join(&*text).to_string_lossy().into_owned(),
        Value::Array(list) => list.iter_mut().for_each(|one| rebase(one, base)),
        _ => {}
    }
}

fn dotted(path: &[&str]) -> String {
    path.iter().fold(String::new(), |prefix, part| join(&prefix, part))
}

/// A key with dots of its own is quoted, as in TOML.
fn join(prefix: &str, key: &str) -> String {
    let key = if key.contains('.') { format!("{key:?}") } else { key.to_owned() };
    if prefix.is_empty() { key } else { format!("{prefix}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Layers {
        let mut layers = Layers::default();
        layers.add_toml("a = 1\n[s]\nx = 1\ny = \"30s\"\nlist = [1, 2]\n", "default").unwrap();
        layers.add_toml("[s]\nx = 2\n\n[hosts]\n\"a.example\" = { c = 1 }\n", "my.toml").unwrap();
        layers
    }

    #[test]
    fn later_layers_win_and_origins_are_known() {
        let mut layers = layers();
        let environment = [("GLEANER_S__Y", "9s"), ("GLEANER_S__LIST", "[3]"), ("HOME", "/")];
        layers.add_environment(environment.into_iter().map(|(k, v)| (k.into(), v.into())));
        layers.set(&["s", "z"], Value::Integer(7), "--z");
        let rows: Vec<_> = layers
            .flattened()
            .into_iter()
            .map(|(k, v)| format!("{k} = {v} ({})", layers.origin(&k)))
            .collect();
        assert_eq!(
            rows,
            [
                "a = 1 (default)",
                "s.x = 2 (my.toml:2)",
                "s.y = \"9s\" (GLEANER_S__Y)",
                "s.list = [3] (GLEANER_S__LIST)",
                "s.z = 7 (--z)",
                "hosts.\"a.example\".c = 1 (my.toml:5)",
            ]
        );
    }

    #[test]
    fn environment_keeps_underscores_of_resolvers_only() {
        let mut layers = Layers::default();
        let variables =
            [("GLEANER_RESOLVERS__EUROPE_PMC__BASE_URL", "https://a.example"), ("GLEANER_CONTACT", "a@b.c")];
        layers.add_environment(variables.into_iter().map(|(k, v)| (k.into(), v.into())));
        let rows: Vec<_> = layers.flattened().into_iter().map(|(k, _)| k).collect();
        assert_eq!(rows, ["resolvers.europe_pmc.base-url", "contact"]);
    }

    #[test]
    fn paths_in_a_file_are_meant_from_its_directory() {
        let mut layers = layers();
        layers.add_toml("p = \"x\"\nq = [\"y\", \"/z\"]\n", "dir/my.toml").unwrap();
        layers.rebase_paths(&[&["p"], &["q"], &["a"]], Path::new("/base"), "dir/my.toml");
        assert_eq!(layers.merged()["p"].as_str(), Some("/base/x"));
        assert_eq!(layers.merged()["q"].to_string(), r#"["/base/y", "/z"]"#);
    }
}
