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
