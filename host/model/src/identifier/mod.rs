//! Identifiers: the names of a work, each with exactly one spelling.
//!
//! An [`Identifier`] cannot be made but by normalising, so two that name the same thing compare equal.
//! Must never guess: a bare number could be anything and is an error that says what to write instead.

mod arxiv;
mod doi;
mod others;
mod parse;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The naming system of an identifier. The order is the order of preference for an artifact's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Digital Object Identifier (ISO 26324), lower case.
    Doi,
    /// PubMed: digits.
    Pmid,
    /// PubMed Central: `PMC` and digits.
    Pmcid,
    /// arXiv, old (`hep-th/9711200`) or new (`1706.03762`), with the version where one was given.
    Arxiv,
    /// OpenAlex work: `W` and digits.
    Openalex,
    /// HAL document: `hal-01234567`, with the version where one was given.
    Hal,
    /// Zenodo record: digits.
    Zenodo,
    /// OSF: five or more lower-case letters and digits.
    Osf,
    /// ISBN-13: digits.
    Isbn,
    /// An absolute http(s) URL.
    Url,
    /// A scheme that only some resolvers know: lower-case letters, digits, `-` and `_`.
    Other(Box<str>),
}

impl Scheme {
    /// The name in `scheme:value`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Doi => "doi",
            Self::Pmid => "pmid",
            Self::Pmcid => "pmcid",
            Self::Arxiv => "arxiv",
            Self::Openalex => "openalex",
            Self::Hal => "hal",
            Self::Zenodo => "zenodo",
            Self::Osf => "osf",
            Self::Isbn => "isbn",
            Self::Url => "url",
            Self::Other(name) => name,
        }
    }

    /// The scheme of that name, in any case; unknown names become [`Scheme::Other`].
    ///
    /// # Errors
    /// When the name is empty, longer than 32 bytes, or has other characters than letters, digits, `-`, `_`.
    pub fn from_name(name: &str) -> Result<Self, IdentifierError> {
        let name = name.trim().to_ascii_lowercase();
        Ok(match name.as_str() {
            "doi" => Self::Doi,
            "pmid" => Self::Pmid,
            "pmcid" | "pmc" => Self::Pmcid,
            "arxiv" => Self::Arxiv,
            "openalex" => Self::Openalex,
            "hal" => Self::Hal,
            "zenodo" => Self::Zenodo,
            "osf" => Self::Osf,
            "isbn" => Self::Isbn,
            "url" => Self::Url,
            other => {
                let well_formed = (1..=32).contains(&other.len())
                    && other.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if !well_formed {
                    return Err(IdentifierError::Scheme { name: abridged(&name) });
                }
                Self::Other(name.into())
            }
        })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One normalised name of a work. Displays as `scheme:value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier {
    scheme: Scheme,
    value: Box<str>,
}

impl Identifier {
    /// Normalises `value` as an identifier of `scheme`. The value may carry its own prefix or be a URL
    /// of the scheme's home.
    ///
    /// # Errors
    /// When the value is not an identifier of that scheme.
    pub fn new(scheme: Scheme, value: &str) -> Result<Self, IdentifierError> {
        let text = value.trim();
        let normal = match &scheme {
            Scheme::Doi => doi::normalise(text),
            Scheme::Arxiv => arxiv::normalise(text),
            Scheme::Pmid => others::pmid(text),
            Scheme::Pmcid => others::pmcid(text),
            Scheme::Openalex => others::openalex(text),
            Scheme::Hal => others::hal(text),
            Scheme::Zenodo => others::zenodo(text),
            Scheme::Osf => others::osf(text),
            Scheme::Isbn => others::isbn(text),
            Scheme::Url => others::url(text),
            Scheme::Other(_) => others::opaque(text),
        };
        match normal {
            Ok(value) => Ok(Self { scheme, value: value.into() }),
            Err(why) => Err(IdentifierError::Value { scheme, text: abridged(text), why }),
        }
    }

    /// Recognises an identifier in one of the notations that people use: a bare DOI, `doi:...`, a URL of a
    /// DOI resolver, `arXiv:...`, `PMID: ...`, `PMC...`, `scheme:value`, or any http(s) URL.
    ///
    /// # Errors
    /// When nothing is recognised; the message says what to write.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        parse::parse(text)
    }

    /// The naming system.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The normal form, without the scheme.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The identifier of another scheme that this one spells out by its own rules: the DOI
    /// `10.48550/arxiv.X` names arXiv's X, `10.5281/zenodo.N` Zenodo's record N.
    pub fn implied(&self) -> Option<Identifier> {
        if self.scheme != Scheme::Doi {
            return None;
        }
        let arxiv = self.value.strip_prefix("10.48550/arxiv.").map(|id| (Scheme::Arxiv, id));
        let zenodo = || self.value.strip_prefix("10.5281/zenodo.").map(|id| (Scheme::Zenodo, id));
        let (scheme, id) = arxiv.or_else(zenodo)?;
        Identifier::new(scheme, id).ok()
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.value)
    }
}

impl FromStr for Identifier {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Identifier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identifier {
    /// Reads `scheme:value` as [`fmt::Display`] writes it.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (scheme, value) = text.split_once(':').unwrap_or(("", &text));
        Scheme::from_name(scheme)
            .and_then(|scheme| Identifier::new(scheme, value))
            .map_err(serde::de::Error::custom)
    }
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// No notation fits.
    #[error("{text:?} is no identifier that Gleaner knows: {hint}")]
    Unknown {
        /// The beginning of the text.
        text: String,
        /// What to write instead.
        hint: &'static str,
    },
    /// The notation says which scheme, but the value does not fit it.
    #[error("{text:?} is not a valid {scheme}: {why}")]
    Value {
        /// What it was read as.
        scheme: Scheme,
        /// The beginning of the text.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Not the name of a scheme.
    #[error("{name:?} is not the name of an identifier scheme: use letters, digits, '-' and '_', at most 32")]
    Scheme {
        /// The name.
        name: String,
    },
}

/// The beginning of a text, for messages: who sent it may have sent a megabyte.
pub(crate) fn abridged(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
