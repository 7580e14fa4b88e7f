//! The file: one JSON document, indented, whose texts are texts.
//!
//! Must never be read past its bound, nor written half.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gleaner_model::identifier::Identifier;
use gleaner_runtime::Query;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exchange::Exchange;

/// What this version writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// The largest file, in bytes.
const MOST: u64 = 64 << 20;

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    /// The file cannot be read.
    #[error("cannot read the cassette {}: {source}; `gleaner plugin record` makes one", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no cassette.
    #[error("{} is no cassette: {detail}; `gleaner plugin record` makes one", .path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        detail: String,
    },
    /// Another version of Gleaner made it.
    #[error(
        "{} has the format {format} of cassettes, and this version knows {FORMAT}; record it anew with `gleaner plugin record`",
        .path.display()
    )]
    Format {
        /// Which.
        path: PathBuf,
        /// What it says.
        format: u32,
    },
    /// It is too large.
    #[error("the cassette would be larger than {MOST} bytes; record fewer works in one")]
    TooLarge,
    /// The file cannot be written.
    #[error("cannot write the cassette {}: {source}; name another file", .path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// All that was recorded of one plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cassette {
    /// The version of this form.
    gleaner_cassette: u32,
    /// The resolver's name.
    pub plugin: String,
    /// As it said then.
    pub version: String,
    /// Of its component then, in lower-case hex.
    pub sha256: String,
    /// RFC 3339.
    pub recorded_at: String,
    /// One for each work.
    pub calls: Vec<Call>,
}

/// One call of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// What it was asked.
    pub query: Asked,
    /// The time of day that it was told, in milliseconds since 1970.
    pub now_ms: u64,
    /// The settings that it read; null where there was none.
    pub settings: BTreeMap<String, Option<String>>,
    /// What it asked of the web, in the order of the answers.
    pub exchanges: Vec<Exchange>,
    /// What it answered, as [`crate::said`] puts it.
    pub answer: Value,
}

/// What a plugin is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    identifiers: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    urls: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    landing_pages: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
}

impl Cassette {
    /// One without calls.
    pub fn new(plugin: &str, version: &str, sha256: &str, recorded_at: String) -> Self {
        let [plugin, version, sha256] = [plugin, version, sha256].map(str::to_owned);
        Self { gleaner_cassette: FORMAT, plugin, version, sha256, recorded_at, calls: Vec::new() }
    }

    /// Reads a file of at most 64 MiB.
    ///
    /// # Errors
    /// When it cannot be read, or is no cassette of this version.
    pub fn read(path: &Path) -> Result<Self, CassetteError> {
        let unreadable = |source| CassetteError::Unreadable { path: path.to_owned(), source };
        let broken = |detail| CassetteError::Broken { path: path.to_owned(), detail };
        let mut bytes = Vec::new();
        File::open(path).map_err(unreadable)?.take(MOST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MOST {
            return Err(broken(format!("it is larger than {MOST} bytes")));
        }
        #[derive(Deserialize)]
        struct Head {
            gleaner_cassette: u32,
        }
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if head.gleaner_cassette != FORMAT {
            return Err(CassetteError::Format { path: path.to_owned(), format: head.gleaner_cassette });
        }
        let read: Self = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
        if read.calls.is_empty() {
            return Err(broken("it has no call, so nothing can be held to it".to_owned()));
        }
        Ok(read)
    }

    /// Writes the file whole, or leaves the one that is there. Returns its size in bytes.
    ///
    /// # Errors
    /// When it would be too large to be read again, or cannot be written.
    pub fn write(&self, path: &Path) -> Result<u64, CassetteError> {
        let unwritable = |source| CassetteError::Unwritable { path: path.to_owned(), source };
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| unwritable(error.into()))?;
        text.push(b'\n');
        let size = text.len() as u64;
        if size > MOST {
            return Err(CassetteError::TooLarge);
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let beside = PathBuf::from(name);
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(unwritable)?;
        Ok(size)
    }
}

impl From<&Query> for Asked {
    fn from(query: &Query) -> Self {
        let Query { identifiers, title, authors, year, urls, landing_pages, failed_urls, metadata, .. } =
            query;
        Self {
            identifiers: identifiers.clone(),
            title: title.clone(),
            authors: authors.clone(),
            year: *year,
            urls: urls.clone(),
            landing_pages: landing_pages.clone(),
            failed_urls: failed_urls.clone(),
            metadata: metadata.clone(),
        }
    }
}

impl Asked {
    /// The first thing that names the work, if anything does.
    pub fn about(&self) -> Option<String> {
        let named = self.identifiers.first().map(ToString::to_string);
        named.or_else(|| self.urls.iter().chain(&self.landing_pages).next().cloned())
    }

    /// The same question again.
    pub(crate) fn query(&self, deadline: Duration) -> Query {
        let Self { identifiers, title, authors, year, urls, landing_pages, failed_urls, metadata } =
            self.clone();
        let (job, attempt) = ("test".to_owned(), 1);
        Query {
            job,
            attempt,
            deadline,
            identifiers,
            title,
            authors,
            year,
            urls,
            landing_pages,
            failed_urls,
            metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use gleaner_runtime::{GuestHttpError, GuestResponse};
    use proptest::prelude::*;

    use super::*;
    use crate::record::tests::{request, response};

    fn cassette(answers: Vec<Result<GuestResponse, GuestHttpError>>) -> Cassette {
        let mut cassette = Cassette::new("x", "1.0.0", "00", "2030-01-31T08:00:00Z".into());
        let exchanges =
            answers.iter().map(|answer| Exchange::new(&request("https://a.org/"), answer)).collect();
        let settings = BTreeMap::from([("contact".into(), Some("a@b.org".into())), ("key".into(), None)]);
        let identifiers = vec![Identifier::parse("10.1000/x").unwrap()];
        let query = Asked { identifiers, year: Some(1999), ..Asked::default() };
        cassette.calls.push(Call { query, now_ms: 7, settings, exchanges, answer: Value::Null });
        cassette
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(body: Vec<u8>, text: String, status: u16, number: u64) {
            let answers = vec![
                Ok(GuestResponse { status, ..response(&body) }),
                Ok(response(text.as_bytes())),
                Err(GuestHttpError::Denied(text.clone())),
                Err(GuestHttpError::Timeout),
                Err(GuestHttpError::TooLarge(number)),
                Err(GuestHttpError::RateLimited(Some(number))),
                Err(GuestHttpError::RateLimited(None)),
                Err(GuestHttpError::Transport(text)),
            ];
            let (dir, written) = (tempfile::tempdir().unwrap(), cassette(answers.clone()));
            let path = dir.path().join("x.json");
            written.write(&path).unwrap();
            let read = Cassette::read(&path).unwrap();
            prop_assert_eq!(&read, &written);
            let given: Vec<Result<_, _>> = read.calls[0].exchanges.iter().map(|one| (&one.answer).into()).collect();
            prop_assert_eq!(given, answers);
        }
    }

    #[test]
    fn mutated_cassettes_are_read_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        cassette(vec![Ok(response(b"{}")), Ok(response(&[0xff]))]).write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        gleaner_testing::each_mutation(&[&text], |text| {
            fs::write(&path, text).unwrap();
            if let Ok(read) = Cassette::read(&path) {
                assert!(
                    read.calls
                        .iter()
                        .all(|call| !call.exchanges.iter().any(|one| one.is_of(&request("x:y"))))
                );
            }
        });
    }
}
