//! Resolver `figshare`: the files of an article at figshare or a portal that runs on it. The API's manual:
//! <https://docs.figshare.com>. Must never take an article that has another DOI than the one asked for.
//!
//! figshare ends its DOIs in the article's number, under the prefixes of many institutions; that number alone finds the
//! article in one request. The search, which knows the few DOIs without one, would have to be asked for every work
//! there is, at the one request a second that figshare recommends: so the operator decides on that.

use gleaner_sdk::{
    Candidate, Failure, Host, Identifier, Info, Maybe, Query, Resolution, Resolver, Url, bare_doi,
};
use serde::Deserialize;

const BASE: &str = "https://api.figshare.com/v2";

/// Takes a DOI; sends one request where it ends in an article's number, two where it searches, else none.
#[derive(Debug)]
pub struct Figshare;

gleaner_sdk::export_resolver!(Figshare);

impl Resolver for Figshare {
    fn describe() -> Info {
        Info::new("figshare", env!("CARGO_PKG_VERSION"), "The files of an article at figshare")
            .takes("doi:10.6084/")
            .takes("doi")
            .host("api.figshare.com")
            .setting("search", "\"true\" searches for DOIs that do not end in an article's number too")
            .setting("base-url", "where the API is, if not at https://api.figshare.com/v2")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
        let articles = host.base_url(BASE).segment("articles");
        let place = match Place::of(doi) {
            Some(place) => Some(place),
            None if host.setting("search").as_deref() == Some("true") => search(doi, &articles, host)?,
            None => None,
        };
        let Some(place) = place else { return Ok(Resolution::none()) };
        let Some(article) = host.get_json::<Article>(&place.url(articles))? else {
            return Ok(Resolution::none());
        };
        let Some(own) = article.doi.as_deref() else {
            return Err(Failure::unknown_shape("figshare answered with something that is no article"));
        };
        Ok(if is_meant(&bare_doi(own), doi) { article.resolution() } else { Resolution::none() })
    }
}

/// Lists carry no files, so a search only finds the article's number.
fn search(doi: &str, articles: &Url, host: &impl Host) -> Result<Option<Place>, Failure> {
    let Some(found) = host.get_json::<Vec<Maybe<Article>>>(&articles.clone().query("doi", doi))? else {
        return Ok(None);
    };
    let found = found.iter().filter_map(|article| article.as_ref());
    let numbers = found.filter_map(|article| {
        let own = bare_doi(article.doi.as_deref()?);
        let number = (*article.id)?.to_string();
        is_meant(&own, doi).then_some(Place { number, version: None })
    });
    Ok(numbers.into_iter().next())
}

/// Where an article is.
struct Place {
    number: String,
    version: Option<String>,
}

impl Place {
    /// Of a DOI such as `10.6084/m9.figshare.1449060.v4` or `10.48420/32055810`.
    fn of(doi: &str) -> Option<Self> {
        let (bare, version) = split_version(doi);
        let number = bare.rsplit(['/', '.']).next()?;
        let fits = (5..=12).contains(&number.len()) && is_number(number);
        fits.then(|| Self { number: number.to_owned(), version: version.map(str::to_owned) })
    }

    fn url(&self, articles: Url) -> Url {
        let url = articles.segment(&self.number);
        match &self.version {
            Some(version) => url.segment("versions").segment(version),
            None => url,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn split_version(doi: &str) -> (&str, Option<&str>) {
    match doi.rsplit_once(".v") {
        Some((bare, version)) if is_number(version) => (bare, Some(version)),
        _ => (doi, None),
    }
}

/// A DOI without a version means the latest, and an article's own DOI mostly names one.
fn is_meant(own: &str, asked: &str) -> bool {
    own == asked || split_version(own).0 == asked
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Article {
    id: Maybe<u64>,
    doi: Maybe<String>,
    license: Maybe<License>,
    /// True while the files are not given out.
    is_embargoed: Maybe<bool>,
    is_confidential: Maybe<bool>,
    download_disabled: Maybe<bool>,
    files: Maybe<Vec<Maybe<File>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct License {
    url: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    name: Maybe<String>,
    mimetype: Maybe<String>,
    download_url: Maybe<String>,
    /// A link to elsewhere.
    is_link_only: Maybe<bool>,
}

impl Article {
    fn resolution(&self) -> Resolution {
        let own = self.doi.as_deref().map(|doi| Identifier::new("doi", &bare_doi(doi)));
        let closed = [&self.is_embargoed, &self.is_confidential, &self.download_disabled];
        let is_closed = closed.iter().any(|flag| ***flag == Some(true));
        let files = self.files.iter().flatten().filter_map(|file| file.as_ref()).filter(|_| !is_closed);
        let candidates = files.filter_map(|file| {
            Some(Candidate {
                license: self.license.as_ref().and_then(|license| license.url.as_ref().cloned()),
                host_type: Some("repository".to_owned()),
                ..file.pdf()?
            })
        });
        Resolution { discovered: own.into_iter().collect(), ..Resolution::of(candidates) }
    }
}

impl File {
    fn pdf(&self) -> Option<Candidate> {
        let named = self.name.as_deref().unwrap_or_default().to_ascii_lowercase().ends_with(".pdf");
        let is_pdf = named || self.mimetype.as_deref() == Some("application/pdf");
        let url = self.download_url.as_deref().filter(|_| is_pdf)?;
        // What a link leads to may be a page.
        if *self.is_link_only == Some(true) { Candidate::file(url) } else { Candidate::pdf(url) }
    }
}
