//! The configuration as it is shown: every value, and where it came from.
//!
//! Must never show a secret: those stand in files, and what looks like one where it does not belong is hidden.

use schemars::JsonSchema;
use serde::Serialize;
use toml::Value;

/// What stands in place of a value that looks like a secret.
const HIDDEN: &str = "(hidden)";
/// Names of values that are secrets.
const SECRET_NAMES: [&str; 6] = ["token", "secret", "password", "passwd", "api-key", "apikey"];

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Setting {
    /// Dotted.
    pub key: String,
    /// As TOML has it.
    #[schemars(with = "serde_json::Value")]
    pub value: Value,
    /// `default`, `FILE:LINE`, a variable or a flag.
    pub origin: String,
    /// What the configuration says by now, which holds from the next start on; absent where the value is that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Setting {
    /// A value, hidden where it looks like a secret.
    pub fn new(key: String, value: Value, origin: &str) -> Self {
        let value = if names_a_secret(&key) { hidden(value) } else { without_credentials(value) };
        Self { key, value, origin: origin.to_owned(), next: None }
    }

    /// Settings that were read again: of those that `holds` does not take in while a run goes on, the ones it began with
    /// stay, with what they will be.
    pub fn taken_in(began: &[Self], new: Vec<Self>, holds: impl Fn(&str) -> bool) -> Vec<Self> {
        let mut rows: Vec<Self> = began.iter().filter(|one| !holds(&one.key)).cloned().collect();
        for row in &mut rows {
            let now = new.iter().find(|one| one.key == row.key);
            let said = now.map_or_else(|| "not set".to_owned(), |one| one.value.to_string());
            row.next = Some(said).filter(|said| *said != row.value.to_string());
        }
        for one in new {
            let is_known = rows.iter().any(|row| row.key == one.key);
            if holds(&one.key) {
                rows.push(one);
            } else if !is_known {
                let (value, next) = (Value::from("not set"), Some(one.value.to_string()));
                rows.push(Self { value, next, ..one });
            }
        }
        rows.sort_by(|one, other| one.key.cmp(&other.key));
        rows
    }
}

fn names_a_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key).trim_matches('"').to_ascii_lowercase().replace('_', "-");
    SECRET_NAMES.iter().any(|name| last == *name || last.ends_with(&format!("-{name}")))
}

fn hidden(value: Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::String(text),
        _ => Value::String(HIDDEN.to_owned()),
    }
}

/// User and password of a URL are nobody's to see.
fn without_credentials(value: Value) -> Value {
    match value {
        Value::String(text) => {
            match text.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
                Some((scheme, Some((user, rest)))) if !user.contains('/') => {
                    Value::String(format!("{scheme}://{HIDDEN}@{rest}"))
                }
                _ => Value::String(text),
            }
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_credentials).collect()),
        Value::Table(table) => {
            let shown = |(key, value): (String, Value)| {
                let value = if names_a_secret(&key) { hidden(value) } else { without_credentials(value) };
                (key, value)
            };
            Value::Table(table.into_iter().map(shown).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_does_not_take_in_stays_and_says_what_it_will_be() {
        let setting = |key: &str, value: i64, origin: &str| Setting::new(key.into(), value.into(), origin);
        let began = [
            setting("limits.a", 1, "default"),
            setting("queue.b", 1, "default"),
            setting("queue.c", 1, "f:1"),
        ];
        let new =
            vec![setting("limits.a", 2, "f:2"), setting("queue.b", 2, "f:3"), setting("queue.d", 4, "f:4")];
        let rows = Setting::taken_in(&began, new, |key| key.starts_with("limits."));
        let rows = rows
            .iter()
            .map(|row| (row.key.as_str(), row.value.to_string(), row.origin.as_str(), row.next.as_deref()));
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                ("limits.a", "2".into(), "f:2", None),
                ("queue.b", "1".into(), "default", Some("2")),
                ("queue.c", "1".into(), "f:1", Some("not set")),
                ("queue.d", "\"not set\"".into(), "f:4", Some("4")),
            ]
        );
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let shown = |key: &str, text: &str| Setting::new(key.to_owned(), Value::from(text), "x").value;
        for (key, text, wanted) in [
            ("resolvers.core.settings.api-key", "sesame", HIDDEN),
            ("resolvers.core.settings.\"TOKEN\"", "sesame", HIDDEN),
            ("resolvers.x.settings.app_password", "sesame", HIDDEN),
            ("resolvers.x.settings.token", "", ""),
            (
                "egress.proxy",
                "http://me:sesame@proxy.example.org:3128",
                "http://(hidden)@proxy.example.org:3128",
            ),
            ("egress.proxy", "http://proxy.example.org/a@b", "http://proxy.example.org/a@b"),
            ("contact", "me@example.org", "me@example.org"),
            ("orchestrator.backoff", "60s", "60s"),
        ] {
            assert_eq!(shown(key, text).as_str(), Some(wanted), "{key}");
        }
        let table: Value =
            "x = [{ token = \"sesame\", url = \"http://a:b@c/\" }]".parse::<toml::Table>().unwrap().into();
        let text = Setting::new("k".to_owned(), table, "x").value.to_string();
        assert!(!text.contains("sesame") && !text.contains("a:b"), "{text}");
    }
}
