//! Fields of answers that others write. A field of the wrong type must never cost the rest of the record.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::ops::Deref;

/// A value, or none where the field is null or of another type; with `#[serde(default)]` also where it is missing.
///
/// It reads JSON only. It nests: of a `Maybe<Vec<Maybe<Location>>>` a broken list counts as none, and a broken element costs only itself.
///
/// ```
/// use gleaner_sdk::Maybe;
///
/// #[derive(serde::Deserialize, Default)]
/// #[serde(default)]
/// struct Record {
///     year: Maybe<u16>,
///     urls: Maybe<Vec<Maybe<String>>>,
/// }
///
/// let record: Record = serde_json::from_str(r#"{ "year": "2020?", "urls": ["https://a.example", null, 7] }"#)?;
/// assert_eq!(*record.year, None);
/// assert_eq!(record.urls.iter().flatten().flat_map(|url| url.as_deref()).collect::<Vec<_>>(), ["https://a.example"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Maybe<T>(Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Maybe<T> {
    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.0
    }
}

impl<T> Deref for Maybe<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        // From bytes, as `Host::get_json` reads: one parser in the component, not two.
        Ok(Self(serde_json::from_slice(json.get().as_bytes()).ok()))
    }
}

/// A list, of which broken elements count as none; sources that give one value in place of a list of one mean that.
///
/// ```
/// let read = |json| serde_json::from_str::<gleaner_sdk::Many<u8>>(json).map(|many| many.iter().copied().collect::<Vec<_>>());
/// assert_eq!(read("[1, null, 2]")?, [1, 2]);
/// assert_eq!(read("3")?, [3]);
/// assert!(read("{}")?.is_empty());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Many<T>(Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Many<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let bytes = json.get().as_bytes();
        let list = serde_json::from_slice::<Vec<Maybe<T>>>(bytes);
        let list = list.unwrap_or_else(|_| vec![Maybe(serde_json::from_slice(bytes).ok())]);
        Ok(Self(list.into_iter().filter_map(|element| element.0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_a_list_of_one_and_another_type_is_none() {
        for (json, expected) in [
            (r#"["a", 1, {}, [], "b"]"#, &["a", "b"][..]),
            (r#""a""#, &["a"]),
            ("[]", &[]),
            ("null", &[]),
            (r#"{ "x": ["a"] }"#, &[]),
        ] {
            assert_eq!(*serde_json::from_str::<Many<String>>(json).unwrap(), *expected, "{json}");
        }
    }

    #[derive(Deserialize, Default, Debug)]
    #[serde(default)]
    struct Record {
        id: Maybe<String>,
        files: Maybe<Vec<Maybe<File>>>,
    }

    #[derive(Deserialize, Default, Debug)]
    #[serde(default)]
    struct File {
        url: Maybe<String>,
        year: Maybe<u16>,
    }

    /// Whatever happens to one element, as long as the whole is JSON: its neighbours are kept.
    #[test]
    fn a_mutated_element_never_costs_its_neighbours() {
        let seeds = [
            r#"{"url":"https://a.example/2","year":2017}"#,
            r#"{"url":null,"year":[{"x":1e999}]}"#,
            r#"["\ud800","é"]"#,
            "-1",
        ];
        gleaner_testing::each_mutation(&seeds, |element| {
            let file = |n: u8| format!(r#"{{"url":"https://kept.example/{n}","year":{n}}}"#);
            let json = format!(r#"{{"id":"x","files":[{},{element},{}]}}"#, file(1), file(3));
            let whole = serde_json::from_str::<serde_json::Value>(&json).ok();
            let whole = whole.filter(|whole| whole["files"].is_array() && whole["id"] == "x");
            let Ok(record) = serde_json::from_str::<Record>(&json) else { return };
            let years: Vec<_> =
                record.files.iter().flatten().map(|file| file.as_ref().and_then(|f| *f.year)).collect();
            if whole.is_some_and(|whole| whole.as_object().is_some_and(|fields| fields.len() == 2)) {
                assert_eq!((years.first(), years.last()), (Some(&Some(1)), Some(&Some(3))), "{json}");
            }
            let _ = (
                record.id.as_deref(),
                record.files.iter().flatten().filter_map(|f| f.as_ref()?.url.as_deref()).count(),
            );
        });
    }
}
