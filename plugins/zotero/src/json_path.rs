//! A part of JSPath, with which Zotero's custom PDF resolvers find URLs in JSON: `.name`, `."a name"`, `.*` and `[0]`
//! or `[-1]`, one behind the other. Must never take another expression for one of these: predicates, `..` and `^` are
//! refused.

use serde_json::Value;

/// What follows a name is looked for in every element, where it is a list.
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

enum Step {
    Name(String),
    Any,
    /// Of what was found so far; from its end if below 0.
    Position(i64),
}

impl JsonPath {
    /// # Errors
    /// What is not read here, as the end of a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut steps, mut rest) = (Vec::new(), text.trim());
        loop {
            let step;
            (step, rest) = Step::parse(rest).ok_or_else(|| {
                format!("the selector {text:?} has {rest:?}; .name, .\"name\", .* and [0] are read")
            })?;
            steps.push(step);
            if rest.is_empty() {
                return Ok(Self { steps });
            }
        }
    }

    /// What is found; lists count as their elements.
    pub(crate) fn select<'a>(&self, json: &'a Value) -> Vec<&'a Value> {
        let mut found = elements(json);
        for step in &self.steps {
            found = match step {
                Step::Name(name) => {
                    found.iter().filter_map(|value| value.get(name)).flat_map(elements).collect()
                }
                Step::Any => found
                    .iter()
                    .filter_map(|value| value.as_object())
                    .flat_map(|fields| fields.values().flat_map(elements))
                    .collect(),
                Step::Position(place) => {
                    let length = i64::try_from(found.len()).unwrap_or(i64::MAX);
                    let place = if *place < 0 { length.saturating_add(*place) } else { *place };
                    usize::try_from(place)
                        .ok()
                        .and_then(|place| found.get(place).copied())
                        .into_iter()
                        .collect()
                }
            };
        }
        found
    }
}

fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        other => vec![other],
    }
}

impl Step {
    fn parse(text: &str) -> Option<(Self, &str)> {
        if let Some(place) = text.strip_prefix('[') {
            let (place, rest) = place.split_once(']')?;
            return Some((Self::Position(place.trim().parse().ok()?), rest));
        }
        let text = text.strip_prefix('.')?;
        if let Some(rest) = text.strip_prefix('*') {
            return Some((Self::Any, rest));
        }
        if let Some(quote) = text.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            let (name, rest) = text[1..].split_once(quote)?;
            return Some((Self::Name(name.to_owned()), rest));
        }
        let is_part = |next: char| next.is_alphanumeric() || matches!(next, '_' | '-' | '$');
        let (name, rest) = text.split_at(text.find(|next| !is_part(next)).unwrap_or(text.len()));
        (!name.is_empty()).then(|| (Self::Name(name.to_owned()), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn select(path: &str) -> Vec<Value> {
        let json = json!({
            "a": [{ "url": "1", "in": [{ "x": 1 }, { "x": 2 }] }, { "url": "2" }, { "no": 0 }, 7],
            "a b": { "url": "3" },
            "n": { "p": { "url": "4" }, "q": { "url": "5" } }
        });
        JsonPath::parse(path).unwrap().select(&json).into_iter().cloned().collect()
    }

    #[test]
    fn names_lists_and_positions_are_followed() {
        assert_eq!(select(".a.url"), [json!("1"), json!("2")]);
        assert_eq!(select(" .a[1].url "), [json!("2")]);
        assert_eq!(select(".a.url[-1]"), [json!("2")]);
        assert_eq!(select(".a.in.x"), [json!(1), json!(2)]);
        assert_eq!(select(".\"a b\".url"), [json!("3")]);
        assert_eq!(select(".n.*.url"), [json!("4"), json!("5")]);
        assert!(select(".none.url[9]").is_empty());
        assert!(select(".a[-9]").is_empty());
    }

    #[test]
    fn other_expressions_are_refused_by_name() {
        for (path, what) in [
            ("", ""),
            ("a", "a"),
            ("..a", "..a"),
            (".a{.x == 1}", "{.x == 1}"),
            (".a[0:2]", "[0:2]"),
            (".a | .b", " | .b"),
        ] {
            let why = JsonPath::parse(path).err().unwrap();
            assert!(why.contains(&format!("{what:?};")), "{path}: {why}");
        }
    }

    #[test]
    fn a_mutated_path_is_read_or_refused() {
        let json = json!({ "a": [{ "b": [1, { "c": null }] }] });
        gleaner_testing::each_mutation(&[".a.b[0]", ".\"a\".*[-1].c", ".a"], |text| {
            if let Ok(path) = JsonPath::parse(text) {
                assert!(path.select(&json).len() < 9);
            }
        });
    }
}
