//! The artifact: the work that somebody wants, and what they told us of it.
//!
//! Must never be built without a name: an [`Artifact`] has an id, and through it one job.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identifier::{Identifier, IdentifierError, Scheme};
use crate::key::ResolverName;

/// The name of an artifact in its library: what the user gave, else `scheme:value` of its first identifier
/// in the order doi, pmid, pmcid, arxiv, others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtifactId(Box<str>);

impl ArtifactId {
    /// Longest id, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// An id that the user chose.
    ///
    /// # Errors
    /// When it is empty, over [`Self::MAX_BYTES`], or has control characters.
    pub fn new(text: &str) -> Result<Self, ArtifactError> {
        let text = text.trim();
        if text.is_empty() || text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(ArtifactError::Id);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One work that is wanted. Serialises to the JSON that `library.db` keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name in the library. Not part of the stored JSON: it has a column of its own.
    #[serde(skip, default = "unnamed")]
    pub id: ArtifactId,
    /// Every identifier given, without duplicates, in the order of [`Scheme`].
    pub identifiers: Vec<Identifier>,
    /// Title as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Authors as given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// Year of publication as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// Ask only this resolver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver_hint: Option<String>,
    /// What else came with the work.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, serde_json::Value>,
}

fn unnamed() -> ArtifactId {
    ArtifactId("unnamed".into())
}

impl Artifact {
    /// An artifact of these identifiers, named after the first of them in the order of [`Scheme`] unless
    /// `id` names it.
    ///
    /// # Errors
    /// When there is neither an id nor an identifier.
    pub fn new(id: Option<ArtifactId>, mut identifiers: Vec<Identifier>) -> Result<Self, ArtifactError> {
        identifiers.extend(identifiers.iter().filter_map(Identifier::implied).collect::<Vec<_>>());
        // Stable: among URLs the order given is the order to try them in.
        identifiers.sort_by(|a, b| a.scheme().cmp(b.scheme()));
        let mut seen = std::collections::HashSet::new();
        identifiers.retain(|id| seen.insert(id.clone()));
        let id = match (id, identifiers.first()) {
            (Some(id), _) => id,
            (None, Some(first)) => shortened(&first.to_string()),
            (None, None) => return Err(ArtifactError::Nameless),
        };
        Ok(Self {
            id,
            identifiers,
            title: None,
            authors: Vec::new(),
            year: None,
            resolver_hint: None,
            extra: BTreeMap::new(),
        })
    }

    /// The artifact of one identifier.
    pub fn of(identifier: Identifier) -> Self {
        let id = shortened(&identifier.to_string());
        let mut identifiers = vec![identifier];
        identifiers.extend(identifiers[0].implied());
        Self {
            id,
            identifiers,
            title: None,
            authors: Vec::new(),
            year: None,
            resolver_hint: None,
            extra: BTreeMap::new(),
        }
    }

    /// The values given under that scheme.
    pub fn values<'a>(&'a self, scheme: &'a Scheme) -> impl Iterator<Item = &'a str> {
        self.identifiers.iter().filter(move |id| id.scheme() == scheme).map(Identifier::value)
    }
}

/// An id made of a long URL keeps its beginning and a digest of the whole, so that two stay two.
fn shortened(text: &str) -> ArtifactId {
    if text.len() <= ArtifactId::MAX_BYTES {
        return ArtifactId(text.into());
    }
    // FNV-1a over 64 bits: a name, not a proof; the identifier table compares whole values.
    let digest = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut end = ArtifactId::MAX_BYTES - 17;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    ArtifactId(format!("{}~{digest:016x}", &text[..end]).into())
}

/// Why an artifact cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Nothing to name it after.
    #[error("a work needs an artifact_id or at least one identifier (doi, pmid, pmcid, arxiv, url, ...)")]
    Nameless,
    /// Not an id.
    #[error("artifact_id must have 1 to 512 bytes and no control characters")]
    Id,
    /// One of its identifiers is wrong.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// A field has a value of another kind than it should.
    #[error("the field {field:?} should be {expected}")]
    Field {
        /// The field.
        field: Box<str>,
        /// What it should be.
        expected: &'static str,
    },
}

/// One object of a JSON-lines import: `artifact_id` or any identifier, bibliographic fields, and whatever
/// else the user wants to find again in the manifest.
///
/// # Errors
/// When a field has the wrong kind of value, an identifier is wrong, or nothing names the work.
pub fn from_json(object: &serde_json::Map<String, serde_json::Value>) -> Result<Artifact, ArtifactError> {
    use serde_json::Value;
    let mut id = None;
    let mut identifiers = Vec::new();
    let (mut title, mut authors, mut year, mut hint) = (None, Vec::new(), None, None);
    let mut extra = BTreeMap::new();
    for (name, value) in object {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("artifact_id", value) => id = Some(ArtifactId::new(&text(value, "artifact_id")?)?),
            ("title", value) => title = Some(text(value, "title")?),
            ("resolver_hint", value) => {
                let name = text(value, "resolver_hint")?;
                let wrong = wrong_field("resolver_hint", "the name of a resolver");
                hint = Some(ResolverName::new(&name).map_err(|_| wrong)?.to_string());
            }
            ("year", value) => year = Some(read_year(value)?),
            ("authors", value) => authors = texts(value, "authors")?,
            ("identifiers", value) => {
                for one in texts(value, "identifiers")? {
                    identifiers.push(Identifier::parse(&one)?);
                }
            }
            ("urls", value) => {
                for one in texts(value, "urls")? {
                    identifiers.push(Identifier::new(Scheme::Url, &one)?);
                }
            }
            (name, value) => match Scheme::from_name(name) {
                Ok(Scheme::Other(_)) | Err(_) => {
                    extra.insert(name.to_owned(), value.clone());
                }
                Ok(scheme) => {
                    for one in texts(value, name)? {
                        identifiers.push(Identifier::new(scheme.clone(), &one)?);
                    }
                }
            },
        }
    }
    // An id that is spelt as an identifier is one: what `library export` wrote can be imported again.
    if let Some(spelt) = id.as_ref().map(ArtifactId::as_str)
        && let Ok(identifier) = Identifier::parse(spelt)
        && identifier.to_string() == spelt
    {
        identifiers.push(identifier);
    }
    let artifact = Artifact::new(id, identifiers)?;
    Ok(Artifact { title, authors, year, resolver_hint: hint, extra, ..artifact })
}

fn wrong_field(field: &str, expected: &'static str) -> ArtifactError {
    ArtifactError::Field { field: field.into(), expected }
}

fn text(value: &serde_json::Value, field: &str) -> Result<String, ArtifactError> {
    match value {
        serde_json::Value::String(text) => Ok(text.clone()),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        _ => Err(wrong_field(field, "a string")),
    }
}

fn texts(value: &serde_json::Value, field: &str) -> Result<Vec<String>, ArtifactError> {
    match value {
        serde_json::Value::Array(list) => list.iter().map(|one| text(one, field)).collect(),
        one => Ok(vec![text(one, field).map_err(|_| wrong_field(field, "a string or a list of strings"))?]),
    }
}

fn read_year(value: &serde_json::Value) -> Result<u16, ArtifactError> {
    text(value, "year")?.trim().parse().map_err(|_| wrong_field("year", "a number like 2007"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(json: &str) -> Result<Artifact, ArtifactError> {
        from_json(serde_json::from_str::<serde_json::Value>(json).unwrap().as_object().unwrap())
    }

    #[test]
    fn the_first_identifier_in_order_names_the_artifact() {
        let artifact =
            import(r#"{"arxiv":"1706.03762","pmid":123,"doi":"10.1000/X","url":"https://a.example/x"}"#);
        let artifact = artifact.unwrap();
        assert_eq!(artifact.id.as_str(), "doi:10.1000/x");
        let spelt: Vec<_> = artifact.identifiers.iter().map(ToString::to_string).collect();
        assert_eq!(spelt, ["doi:10.1000/x", "pmid:123", "arxiv:1706.03762", "url:https://a.example/x"]);
    }

    #[test]
    fn a_given_id_wins_and_unknown_fields_are_kept() {
        let artifact =
            import(r#"{"artifact_id":"row 7","doi":"10.1000/x","shelf":{"a":1},"year":"2007"}"#).unwrap();
        assert_eq!(artifact.id.as_str(), "row 7");
        assert_eq!(artifact.year, Some(2007));
        assert_eq!(artifact.extra["shelf"], serde_json::json!({"a": 1}));
    }

    #[test]
    fn an_id_that_is_spelt_as_an_identifier_is_one() {
        let identifiers = |json: &str| import(json).unwrap().identifiers;
        assert_eq!(identifiers(r#"{"artifact_id":"doi:10.1000/x"}"#)[0].to_string(), "doi:10.1000/x");
        assert_eq!(identifiers(r#"{"artifact_id":"shelf 7"}"#), []);
        assert_eq!(identifiers(r#"{"artifact_id":"10.1000/x"}"#), []);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, part) in [
            (r#"{"title":"A"}"#, "needs an artifact_id"),
            (r#"{"doi":"nonsense"}"#, "not a valid doi"),
            (r#"{"doi":"10.1000/x","year":"soon"}"#, "\"year\" should be a number"),
            (r#"{"doi":{}}"#, "should be a string"),
            (r#"{"doi":"10.1000/x","resolver_hint":"No Such"}"#, "\"resolver_hint\" should be the name"),
            (r#"{"artifact_id":""}"#, "1 to 512"),
        ] {
            let message = import(json).unwrap_err().to_string();
            assert!(message.contains(part), "{json}: {message}");
        }
    }

    #[test]
    fn stored_json_reads_back() {
        let mut artifact = Artifact::of(Identifier::parse("10.48550/arXiv.1706.03762").unwrap());
        artifact.title = Some("Attention".into());
        let mut back: Artifact = serde_json::from_str(&serde_json::to_string(&artifact).unwrap()).unwrap();
        back.id = artifact.id.clone();
        assert_eq!(back, artifact);
        assert_eq!(artifact.values(&Scheme::Arxiv).collect::<Vec<_>>(), ["1706.03762"]);
    }

    #[test]
    fn long_ids_stay_apart() {
        let url =
            |end: &str| Identifier::parse(&format!("https://a.example/{}{end}", "x".repeat(600))).unwrap();
        let (one, two) = (Artifact::of(url("1")), Artifact::of(url("2")));
        assert!(one.id.as_str().len() <= ArtifactId::MAX_BYTES);
        assert_ne!(one.id, two.id);
    }
}
