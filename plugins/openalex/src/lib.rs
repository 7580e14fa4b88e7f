//! Resolver `openalex`: every open copy that OpenAlex knows of a work. Fields and their meaning:
//! <https://developers.openalex.org/api-reference/works>. Must never propose a copy that is not said to be open, nor
//! take a record that does not carry the identifier asked for: merged records answer for others.

use gleaner_sdk::{
    BatchResolver, Candidate, Failure, Host, Identifier, Info, Maybe, Name, Query, Resolution, Resolver, Url,
    answer_together, bare_doi, path_says_pdf, version_of,
};
use serde::Deserialize;

const BASE: &str = "https://api.openalex.org";

/// What is read of a record; a whole one is ten times as large.
const FIELDS: &str = "id,doi,ids,open_access,best_oa_location,locations";

/// Takes an OpenAlex id, a DOI or a PMID, the first of these that there is; sends one request, for several works
/// one for those of a kind.
#[derive(Debug)]
pub struct OpenAlex;

gleaner_sdk::export_batch_resolver!(OpenAlex);

impl Resolver for OpenAlex {
    fn describe() -> Info {
        Info::new("openalex", env!("CARGO_PKG_VERSION"), "Every open copy that OpenAlex knows of a work")
            .takes("openalex")
            .takes("doi")
            .takes("pmid")
            .host("api.openalex.org")
            .setting("contact", "e-mail address of who asks")
            .setting("base-url", "where the API is, if not at https://api.openalex.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(name) = name(query) else { return Ok(Resolution::none()) };
        let (scheme, value) = name;
        let path = if scheme == "openalex" { value.to_owned() } else { format!("{scheme}:{value}") };
        let url = selected(host, host.base_url(BASE).path("works").path(&path));
        let Some(work) = host.get_json::<Work>(&url)? else { return Ok(Resolution::none()) };
        if work.id.is_none() && work.doi.is_none() {
            return Err(Failure::unknown_shape(
                "OpenAlex answered with something that is no record of a work",
            ));
        }
        Ok(if work.is(name) { work.resolution() } else { Resolution::none() })
    }
}

impl BatchResolver for OpenAlex {
    /// All can be asked about alone within the requests that `config/default.toml` gives a call. A page of 100 has room for
    /// records that are there more than once.
    const MOST: u32 = 50;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let find = |scheme: &str, values: &[&str]| {
            let url =
                host.base_url(BASE).path("works").query("filter", &format!("{scheme}:{}", values.join("|")));
            let url = selected(host, url.query("per-page", "100"));
            let Some(page) = host.get_json::<Page>(&url)? else { return Ok(Vec::new()) };
            let Some(works) = page.results.into_inner() else {
                return Err(Failure::unknown_shape(
                    "OpenAlex answered with something that is no list of works",
                ));
            };
            Ok(works.into_iter().filter_map(Maybe::into_inner).collect())
        };
        let answer = |works: &[Work], name: Name<'_>| {
            works.iter().find(|work| work.is(name)).map_or_else(Resolution::none, Work::resolution)
        };
        answer_together::<Self, _>(queries, host, plain, find, answer)
    }
}

/// What a work is asked for by.
fn name(query: &Query) -> Option<Name<'_>> {
    ["openalex", "doi", "pmid"].into_iter().find_map(|scheme| Some((scheme, query.identifier(scheme)?)))
}

/// That, where it may stand in a filter: these two characters end a value there.
fn plain(query: &Query) -> Option<Name<'_>> {
    name(query).filter(|(_, value)| !value.contains([',', '|']))
}

/// With the fields that are read, and with who asks.
fn selected(host: &impl Host, url: Url) -> Url {
    let url = url.query("select", FIELDS);
    match host.setting("contact") {
        Some(contact) => url.query("mailto", contact.trim()),
        None => url,
    }
}

/// What a filter finds.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Page {
    results: Maybe<Vec<Maybe<Work>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Work {
    id: Maybe<String>,
    doi: Maybe<String>,
    ids: Maybe<Ids>,
    open_access: Maybe<OpenAccess>,
    best_oa_location: Maybe<Location>,
    locations: Maybe<Vec<Maybe<Location>>>,
}

/// Each is a URL.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Ids {
    openalex: Maybe<String>,
    doi: Maybe<String>,
    pmid: Maybe<String>,
    pmcid: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OpenAccess {
    is_oa: Maybe<bool>,
    /// A file or a page.
    oa_url: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Location {
    is_oa: Maybe<bool>,
    /// Often null, also of gold open access.
    pdf_url: Maybe<String>,
    landing_page_url: Maybe<String>,
    version: Maybe<String>,
    license: Maybe<String>,
    source: Maybe<Source>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    /// `journal`, `repository`, `conference`, `book series`, `ebook platform` and others.
    #[serde(rename = "type")]
    kind: Maybe<String>,
}

impl Work {
    fn is(&self, (scheme, value): Name<'_>) -> bool {
        self.names().any(|name| name.scheme == scheme && name.value == value)
    }

    /// Its names, each once, in their normal form.
    fn names(&self) -> impl Iterator<Item = Identifier> {
        let ids = self.ids.as_ref();
        let pmcid = |url: &str| last_segment(url).filter(|id| id.to_ascii_uppercase().starts_with("PMC"));
        let named = [
            (
                "openalex",
                self.id.as_deref().or(ids.and_then(|ids| ids.openalex.as_deref())).and_then(last_segment),
            ),
            ("doi", self.doi.as_deref().or(ids.and_then(|ids| ids.doi.as_deref())).map(bare_doi)),
            ("pmid", ids.and_then(|ids| last_segment(ids.pmid.as_deref()?))),
            ("pmcid", ids.and_then(|ids| pmcid(ids.pmcid.as_deref()?))),
        ];
        named.into_iter().filter_map(|(scheme, value)| Some(Identifier::new(scheme, &value?)))
    }

    /// The files, best first, then the pages of copies without a file.
    fn resolution(&self) -> Resolution {
        let others = self.locations.iter().flatten().filter_map(|location| location.as_ref());
        let open = |location: &&Location| *location.is_oa == Some(true);
        let locations = || self.best_oa_location.iter().chain(others.clone()).filter(open);
        let found = Resolution::of(
            locations().filter_map(Location::file).chain(locations().filter_map(Location::page)),
        );
        let closed = self.open_access.as_ref().is_some_and(|access| *access.is_oa == Some(false));
        let candidates = match found.candidates {
            _ if closed => Vec::new(),
            none if none.is_empty() => self.oa_url().into_iter().collect(),
            found => found,
        };
        Resolution { discovered: self.names().collect(), ..Resolution::of(candidates) }
    }

    fn oa_url(&self) -> Option<Candidate> {
        let access = self.open_access.as_ref().filter(|access| *access.is_oa == Some(true))?;
        let url = access.oa_url.as_deref()?;
        if path_says_pdf(url) { Candidate::file(url) } else { Candidate::landing_page(url) }
    }
}

/// `https://openalex.org/W1` is `W1`.
fn last_segment(url: &str) -> Option<String> {
    let segment = url.trim_end_matches('/').rsplit('/').next()?;
    (!segment.is_empty()).then(|| segment.to_owned())
}

impl Location {
    fn file(&self) -> Option<Candidate> {
        Some(self.describe(Candidate::pdf(self.pdf_url.as_deref()?)?))
    }

    fn page(&self) -> Option<Candidate> {
        if self.file().is_some() {
            return None;
        }
        Some(self.describe(Candidate::landing_page(self.landing_page_url.as_deref()?)?))
    }

    fn describe(&self, candidate: Candidate) -> Candidate {
        let version = self.version.as_deref().and_then(version_of);
        let host_type = match self.source.as_ref().and_then(|source| source.kind.as_deref()) {
            Some("repository") => Some("repository"),
            Some("journal" | "conference" | "book series" | "ebook platform") => Some("publisher"),
            _ => None,
        };
        Candidate {
            version: version.map(str::to_owned),
            license: self.license.as_ref().cloned(),
            host_type: host_type.map(str::to_owned),
            ..candidate
        }
    }
}
