//! How a resolver reads its query and says its answer: constructors on the records of the WIT package. Must never
//! let a candidate through that is no http URL.

use crate::{Candidate, CandidateKind, Field, Identifier, Info, Query, Resolution, clean_url};

impl Query {
    /// The first identifier of a scheme: `query.identifier("pmcid")`.
    pub fn identifier(&self, scheme: &str) -> Option<&str> {
        self.identifiers
            .iter()
            .find(|identifier| identifier.scheme == scheme)
            .map(|found| found.value.as_str())
    }

    /// The first DOI, in lower case and not percent-encoded.
    pub fn doi(&self) -> Option<&str> {
        self.identifier("doi")
    }
}

impl Identifier {
    /// A name of the work. The host normalises the value, and drops it if the scheme does not allow it.
    pub fn new(scheme: &str, value: &str) -> Self {
        Self { scheme: scheme.to_owned(), value: value.to_owned() }
    }
}

/// The version of a work in the word that Unpaywall, and whoever follows it, has for it; none for any other word.
///
/// ```
/// assert_eq!(gleaner_sdk::version_of("acceptedVersion"), Some("accepted"));
/// ```
pub fn version_of(word: &str) -> Option<&'static str> {
    match word {
        "publishedVersion" => Some("published"),
        "acceptedVersion" => Some("accepted"),
        "submittedVersion" => Some("submitted"),
        _ => None,
    }
}

impl Candidate {
    /// The full text itself. The URL is cleaned by [`clean_url`]; none if it is no http URL.
    ///
    /// What the source says of it goes into the fields:
    ///
    /// ```
    /// # use gleaner_sdk::Candidate;
    /// let file = Candidate::file("https://example.org/a b.pdf").unwrap();
    /// let candidate = Candidate { license: Some("cc-by".to_owned()), ..file };
    /// assert_eq!(candidate.url, "https://example.org/a%20b.pdf");
    /// ```
    pub fn file(url: &str) -> Option<Self> {
        Self::new(url, CandidateKind::File)
    }

    /// A full text that the source says is a PDF. None if the URL is no http URL.
    pub fn pdf(url: &str) -> Option<Self> {
        Some(Self { media_type: Some("application/pdf".to_owned()), ..Self::file(url)? })
    }

    /// A page about the work. None if the URL is no http URL.
    pub fn landing_page(url: &str) -> Option<Self> {
        Self::new(url, CandidateKind::LandingPage)
    }

    fn new(url: &str, kind: CandidateKind) -> Option<Self> {
        Some(Self {
            url: clean_url(url)?,
            kind,
            media_type: None,
            version: None,
            license: None,
            host_type: None,
            confidence: None,
            extra: Vec::new(),
        })
    }
}

impl Resolution {
    /// The source has no open copy.
    pub fn none() -> Self {
        Self { candidates: Vec::new(), discovered: Vec::new(), extra: Vec::new() }
    }

    /// These candidates, best first. Of several with one URL the first is kept.
    pub fn of(candidates: impl IntoIterator<Item = Candidate>) -> Self {
        let mut resolution = Self::none();
        for candidate in candidates {
            if resolution.candidates.iter().all(|known| known.url != candidate.url) {
                resolution.candidates.push(candidate);
            }
        }
        resolution
    }
}

impl Info {
    /// A resolver that takes nothing yet. `version` is best `env!("CARGO_PKG_VERSION")`, `summary` is one line.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            takes: Vec::new(),
            hosts: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Asked for queries that have this: `doi`, `doi:10.48550/`, `url`, `landing-page`, `failed-url`. One match is
    /// enough; what is named first suits best.
    pub fn takes(mut self, what: &str) -> Self {
        self.takes.push(what.to_owned());
        self
    }

    /// Sends requests to this host: an exact name.
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.push(name.to_owned());
        self
    }

    /// Reads this setting. A name that ends in `!` is required.
    pub fn setting(mut self, name: &str, what_it_is: &str) -> Self {
        self.settings.push(field(name, what_it_is));
        self
    }
}

pub(crate) fn field(key: &str, value: &str) -> Field {
    Field { key: key.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::query;

    #[test]
    fn the_first_identifier_of_a_scheme_counts() {
        let query = query(&[("pmid", "1"), ("doi", "10.1/a"), ("doi", "10.1/b")]);
        assert_eq!(query.doi(), Some("10.1/a"));
        assert_eq!(query.identifier("arxiv"), None);
    }

    #[test]
    fn a_candidate_has_an_http_url_or_is_none() {
        assert_eq!(Candidate::landing_page(" http://a.example/x y ").unwrap().url, "http://a.example/x%20y");
        assert_eq!(Candidate::file("ftp://a.example/x.pdf"), None);
        assert_eq!(Candidate::pdf(""), None);
    }

    #[test]
    fn one_url_is_one_candidate_and_the_order_stays() {
        let urls = ["https://a.example/a b", "https://b.example/", "https://a.example/a%20b"];
        let resolution = Resolution::of(urls.iter().filter_map(|url| Candidate::file(url)));
        let urls: Vec<_> = resolution.candidates.iter().map(|candidate| candidate.url.as_str()).collect();
        assert_eq!(urls, ["https://a.example/a%20b", "https://b.example/"]);
    }
}
