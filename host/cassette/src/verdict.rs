//! What a plugin said, in a form that can be kept and compared, and in what it differs from what was kept.
//!
//! Must never compare what no plugin can help: how long it took, what it cost.

use std::fmt;

use gleaner_model::reason::FailureClass;
use gleaner_runtime::CallReport;
use serde::Serialize;
use serde_json::{Value, json};

/// Differences that are told, of a call.
const MOST: usize = 50;

/// How a plugin did against what was recorded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// In what its answer is another.
    pub differences: Vec<Difference>,
    /// Requests that it makes and that were not recorded: `GET https://...`.
    pub missing: Vec<String>,
    /// Requests that were recorded and that it does not make any more.
    pub unused: Vec<String>,
    /// What it answers now.
    #[serde(skip)]
    pub answer: Value,
}

impl Verdict {
    /// Whether it does as it did. One that asks less and answers the same does.
    pub fn is_passed(&self) -> bool {
        self.differences.is_empty() && self.missing.is_empty()
    }
}

/// One place of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where: `candidates[0].url`.
    pub at: String,
    /// What stood there; null where nothing did.
    pub recorded: Value,
    /// What stands there now.
    pub now: Value,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: it was {}, and is {}", self.at, self.recorded, self.now)
    }
}

/// What came of a call: `candidates`, `discovered`, `complaints` and `extra`, or `failure`.
pub fn said(report: &CallReport) -> Value {
    match &report.outcome {
        Ok(found) => {
            let candidates: Vec<Value> = found.candidates.iter().map(plain).collect();
            json!({
                "candidates": candidates,
                "discovered": found.discovered,
                "complaints": found.complaints,
                "extra": report.extra,
            })
        }
        Err(failure) => {
            let class = match failure.class {
                FailureClass::Transient { .. } => "transient",
                FailureClass::Throttled { .. } => "throttled",
                FailureClass::Permanent => "permanent",
                FailureClass::Denied => "denied",
                FailureClass::PluginFault => "plugin-fault",
                FailureClass::Cancelled => "cancelled",
            };
            json!({ "failure": { "reason": failure.reason, "detail": failure.detail, "class": class } })
        }
    }
}

/// As it is written: a value made of it would have `0.8999999761581421` for 0.9.
fn plain(value: &impl Serialize) -> Value {
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut value: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        // Which stands at the head of the cassette.
        fields.shift_remove("resolver");
    }
    value
}

/// Where two answers differ.
pub(crate) fn differences(recorded: &Value, now: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), recorded, now, &mut found);
    found
}

fn compare(at: String, recorded: &Value, now: &Value, found: &mut Vec<Difference>) {
    if recorded == now || found.len() == MOST {
        return;
    }
    let below = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match (recorded, now) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                let [one, other] = [one, other].map(|fields| fields.get(name).unwrap_or(&Value::Null));
                compare(below(name), one, other, found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            for place in 0..one.len().max(other.len()) {
                let [one, other] = [one, other].map(|list| list.get(place).unwrap_or(&Value::Null));
                compare(format!("{at}[{place}]"), one, other, found);
            }
        }
        _ => found.push(Difference { at, recorded: recorded.clone(), now: now.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_their_place() {
        let at = |recorded: Value, now: Value| -> Vec<String> {
            differences(&recorded, &now).iter().map(ToString::to_string).collect()
        };
        let old = json!({ "candidates": [{ "url": "a", "kind": "file" }, { "url": "b" }], "discovered": [] });
        assert!(at(old.clone(), old.clone()).is_empty());
        let new = json!({ "candidates": [{ "url": "c", "kind": "file" }], "discovered": [], "more": 1 });
        assert_eq!(
            at(old, new),
            [
                "candidates[0].url: it was \"a\", and is \"c\"",
                "candidates[1]: it was {\"url\":\"b\"}, and is null",
                "more: it was null, and is 1",
            ]
        );
        let many = |value: u32| json!((0..100).map(|_| value).collect::<Vec<_>>());
        assert_eq!(at(many(1), many(2)).len(), MOST);
    }
}
