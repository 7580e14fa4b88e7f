//! Resolver `crossref`: the full-text links that publishers deposit with a DOI. Fields and their meaning:
//! <https://github.com/CrossRef/rest-api-doc/blob/master/api_format.md>. Must never propose a link without an open
//! licence in force, unless the operator asks for it: publishers deposit links to closed articles too.

mod license;

use gleaner_sdk::{
    BatchResolver, Candidate, Failure, Host, Info, Maybe, Name, Query, Resolution, Resolver, Url,
    answer_together, bare_doi, path_says_pdf,
};
use license::License;
use serde::Deserialize;

const BASE: &str = "https://api.crossref.org";

/// How sure a link is: one meant for another use than reading, and one without an open licence.
const FOR_CHECKING: f32 = 0.3;
const CLOSED: f32 = 0.2;

/// Takes a DOI; sends one request.
#[derive(Debug)]
pub struct Crossref;

gleaner_sdk::export_batch_resolver!(Crossref);

impl Resolver for Crossref {
    fn describe() -> Info {
        Info::new(
            "crossref",
            env!("CARGO_PKG_VERSION"),
            "The full-text links that publishers deposit with a DOI",
        )
        .takes("doi")
        .host("api.crossref.org")
        .setting("contact", "e-mail address of who asks; Crossref serves those who say it better")
        .setting("closed-links", "\"true\" proposes links without an open licence too")
        .setting("base-url", "where the API is, if not at https://api.crossref.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
        let url = polite(host, host.base_url(BASE).path("works").path(doi));
        let Some(answer) = host.get_json::<Answer>(&url)? else { return Ok(Resolution::none()) };
        let Some(work) = answer.message.as_ref().filter(|work| work.doi.is_some()) else {
            return Err(Failure::unknown_shape(
                "Crossref answered with something that is no record of a work",
            ));
        };
        Ok(work.resolution(host.now_ms(), takes_closed_links(host)))
    }
}

impl BatchResolver for Crossref {
    /// All can be asked about alone within the requests of a call, and fit into a URL of 4 KiB even where DOIs are long.
    const MOST: u32 = 30;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let find = |_: &str, dois: &[&str]| {
            let filter: Vec<_> = dois.iter().map(|doi| format!("doi:{doi}")).collect();
            let url = host.base_url(BASE).path("works").query("filter", &filter.join(","));
            let url = url.query("select", "DOI,link,license").query("rows", &dois.len().to_string());
            let Some(answer) = host.get_json::<ListAnswer>(&polite(host, url))? else {
                return Ok(Vec::new());
            };
            let Some(works) = answer.message.into_inner().and_then(|list| list.items.into_inner()) else {
                return Err(Failure::unknown_shape(
                    "Crossref answered with something that is no list of works",
                ));
            };
            Ok(works.into_iter().filter_map(Maybe::into_inner).collect())
        };
        let answer = |works: &[Work], (_, doi): Name<'_>| {
            let work = works.iter().find(|work| work.doi.as_deref().is_some_and(|own| bare_doi(own) == doi));
            work.map_or_else(Resolution::none, |work| {
                work.resolution(host.now_ms(), takes_closed_links(host))
            })
        };
        answer_together::<Self, _>(queries, host, plain, find, answer)
    }
}

/// What a work is asked for by, where it may stand in a filter: a comma ends a value there.
fn plain(query: &Query) -> Option<Name<'_>> {
    query.doi().filter(|doi| !doi.contains(',')).map(|doi| ("doi", doi))
}

/// With who asks.
fn polite(host: &impl Host, url: Url) -> Url {
    match host.setting("contact") {
        Some(contact) => url.query("mailto", contact.trim()),
        None => url,
    }
}

fn takes_closed_links(host: &impl Host) -> bool {
    host.setting("closed-links").as_deref() == Some("true")
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ListAnswer {
    message: Maybe<List>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct List {
    items: Maybe<Vec<Maybe<Work>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    message: Maybe<Work>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Work {
    #[serde(rename = "DOI")]
    doi: Maybe<String>,
    link: Maybe<Vec<Maybe<Link>>>,
    license: Maybe<Vec<Maybe<License>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct Link {
    #[serde(rename = "URL")]
    url: Maybe<String>,
    /// A media type, or `unspecified`.
    content_type: Maybe<String>,
    content_version: Maybe<Version>,
    /// `text-mining`, `syndication`, `similarity-checking`, `unspecified`.
    intended_application: Maybe<String>,
}

/// Which version of the work a link or a licence is about, the best first.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Version {
    /// The version of record.
    Vor,
    /// The accepted manuscript.
    Am,
    Unspecified,
    /// Of licences only: any version, for text and data mining.
    Tdm,
}

impl Work {
    /// The files, the version of record first. Links for similarity checking lead to what a checker, and perhaps
    /// nobody else, may read; they mostly repeat another link, so they count only where there is no other.
    fn resolution(&self, now_ms: u64, closed_links: bool) -> Resolution {
        let mut links: Vec<&Link> = self.link.iter().flatten().filter_map(|link| link.as_ref()).collect();
        links.sort_by_key(|link| link.version());
        let (for_checking, others): (Vec<_>, Vec<_>) =
            links.into_iter().partition(|link| link.is_for_checking());
        let files = |links: Vec<&Link>| {
            Resolution::of(links.into_iter().filter_map(|link| self.file(link, now_ms, closed_links)))
        };
        let resolution = files(others);
        if resolution.candidates.is_empty() { files(for_checking) } else { resolution }
    }

    fn file(&self, link: &Link, now_ms: u64, closed_links: bool) -> Option<Candidate> {
        let licenses = || {
            let licenses = self.license.iter().flatten().filter_map(|license| license.as_ref());
            licenses.filter(|license| license.covers(link.version(), now_ms))
        };
        let open = licenses().find(|license| license.is_open());
        if open.is_none() && !closed_links {
            return None;
        }
        let confidence = match open {
            None => Some(CLOSED),
            Some(_) if link.is_for_checking() => Some(FOR_CHECKING),
            Some(_) => None,
        };
        let version = match link.version() {
            Version::Vor => Some("published"),
            Version::Am => Some("accepted"),
            Version::Unspecified | Version::Tdm => None,
        };
        Some(Candidate {
            version: version.map(str::to_owned),
            license: open.or(licenses().next()).and_then(|license| license.url.as_ref().cloned()),
            host_type: Some("publisher".to_owned()),
            confidence,
            ..link.pdf()?
        })
    }
}

impl Link {
    fn version(&self) -> Version {
        self.content_version.filter(|version| *version != Version::Tdm).unwrap_or(Version::Unspecified)
    }

    fn is_for_checking(&self) -> bool {
        self.intended_application.as_deref() == Some("similarity-checking")
    }

    /// A PDF by its type, or by its path where no type is given: many publishers give none.
    fn pdf(&self) -> Option<Candidate> {
        let url = self.url.as_deref()?;
        match self.content_type.as_deref().unwrap_or("unspecified") {
            "application/pdf" => Candidate::pdf(url),
            "unspecified" if path_says_pdf(url) => Candidate::file(url),
            _ => None,
        }
    }
}
