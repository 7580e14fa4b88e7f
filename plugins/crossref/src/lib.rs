//! Resolver `crossref`: the full-text links that publishers deposit with a DOI. Fields and their meaning:
//! <https://github.com/CrossRef/rest-api-doc/blob/master/api_format.md>. Must never propose a link without an open
//! licence in force, unless the operator asks for it: publishers deposit links to closed articles too.

mod license;

use gleaner_sdk::{Candidate, Failure, Host, Info, Maybe, Query, Resolution, Resolver, path_says_pdf};
use license::License;
use serde::Deserialize;

const BASE: &str = "https://api.crossref.org";

/// How sure a link is: one meant for another use than reading, and one without an open licence.
const FOR_CHECKING: f32 = 0.3;
const CLOSED: f32 = 0.2;

/// Takes a DOI; sends one request.
#[derive(Debug)]
pub struct Crossref;

gleaner_sdk::export_resolver!(Crossref);

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
        let mut url = host.base_url(BASE).path("works").path(doi);
        if let Some(contact) = host.setting("contact") {
            url = url.query("mailto", contact.trim());
        }
        let Some(answer) = host.get_json::<Answer>(&url)? else { return Ok(Resolution::none()) };
        let Some(work) = answer.message.as_ref().filter(|work| work.doi.is_some()) else {
            return Err(Failure::unknown_shape(
                "Crossref answered with something that is no record of a work",
            ));
        };
        let closed_links = host.setting("closed-links").as_deref() == Some("true");
        Ok(work.resolution(host.now_ms(), closed_links))
    }
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
