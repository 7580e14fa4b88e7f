//! Resolver `core`: the copies in repositories that CORE knows. The API's manual: <https://api.core.ac.uk/docs/v3>. Must
//! never take a work for the one wanted that does not carry its DOI, nor know the key: the host adds it to requests.

use gleaner_sdk::{
    Candidate, Failure, Host, Identifier, Info, Leads, Maybe, Query, Resolution, Resolver, bare_doi, host_of,
    leads_through_doi_org, quoted,
};
use serde::Deserialize;

const BASE: &str = "https://api.core.ac.uk/v3";

/// Takes a DOI; sends one request.
#[derive(Debug)]
pub struct Core;

gleaner_sdk::export_resolver!(Core);

impl Resolver for Core {
    fn describe() -> Info {
        Info::new("core", env!("CARGO_PKG_VERSION"), "The copies in repositories that CORE knows")
            .takes("doi")
            .host("api.core.ac.uk")
            .setting("base-url", "where the API is, if not at https://api.core.ac.uk/v3")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
        let url = host
            .base_url(BASE)
            .path("search/works")
            .segment("") // without the last `/` it answers with a redirect
            .query("q", &format!("doi:{}", quoted(doi)))
            .query("limit", "10");
        let Some(answer) = host.get_json::<Answer>(&url).map_err(about_the_key)? else {
            return Ok(Resolution::none());
        };
        let Some(works) = answer.results.as_ref() else {
            return Err(Failure::unknown_shape("CORE answered with something that is no list of works"));
        };
        let works = works.iter().filter_map(|work| work.as_ref());
        let works = works.filter(|work| work.dois().any(|known| known == bare_doi(doi)));
        let mut resolution = Resolution::of(works.clone().flat_map(Work::copies));
        for name in works.flat_map(Work::names) {
            if !resolution.discovered.contains(&name) {
                resolution.discovered.push(name);
            }
        }
        Ok(resolution)
    }
}

/// Says what a refusal mostly means here.
fn about_the_key(failure: Failure) -> Failure {
    match failure.upstream_status {
        Some(401 | 403) => Failure {
            message: format!(
                "{}; it wants a key: see [resolvers.core] in the default configuration",
                failure.message
            ),
            ..failure
        },
        _ => failure,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    results: Maybe<Vec<Maybe<Work>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Work {
    doi: Maybe<String>,
    identifiers: Maybe<Vec<Maybe<Name>>>,
    arxiv_id: Maybe<String>,
    pubmed_id: Maybe<String>,
    /// CORE's own copy, or the repository's; empty where there is none, and of e-prints their page.
    download_url: Maybe<String>,
    full_text_links: Maybe<Vec<Maybe<String>>>,
    source_fulltext_urls: Maybe<Vec<Maybe<String>>>,
    links: Maybe<Vec<Maybe<Link>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Name {
    /// `DOI`, `ARXIV_ID`, `OAI_ID`, `CORE_ID`.
    r#type: Maybe<String>,
    identifier: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Link {
    /// `download`, `reader`, `display`, `thumbnail_m`.
    r#type: Maybe<String>,
    url: Maybe<String>,
}

impl Work {
    /// Repositories write them with or without a resolver before them.
    fn dois(&self) -> impl Iterator<Item = String> {
        let names = self.identifiers.iter().flatten().filter_map(|name| name.as_ref());
        let names = names.filter(|name| name.r#type.as_deref() == Some("DOI"));
        let all = self.doi.as_deref().into_iter().chain(names.filter_map(|name| name.identifier.as_deref()));
        all.map(bare_doi).filter(|doi| !doi.is_empty())
    }

    fn names(&self) -> Vec<Identifier> {
        let eprint = self.urls().find_map(|url| eprint(url));
        let doi = self.dois().next();
        let named = [
            ("doi", doi.as_deref()),
            ("arxiv", self.arxiv_id.as_deref().filter(|id| !id.is_empty()).or(eprint)),
            ("pmid", self.pubmed_id.as_deref().filter(|id| !id.is_empty())),
        ];
        named.into_iter().filter_map(|(scheme, value)| Some(Identifier::new(scheme, value?))).collect()
    }

    /// Best first.
    fn urls(&self) -> impl Iterator<Item = &str> {
        let links = self.links.iter().flatten().filter_map(|link| link.as_ref());
        let links = links.filter(|link| link.r#type.as_deref() == Some("download"));
        let lists = [&self.full_text_links, &self.source_fulltext_urls];
        let listed =
            lists.into_iter().flat_map(|list| list.iter().flatten().filter_map(|url| url.as_deref()));
        let download = self.download_url.as_deref().into_iter();
        download.chain(links.filter_map(|link| link.url.as_deref())).chain(listed)
    }

    fn copies(&self) -> impl Iterator<Item = Candidate> {
        self.urls().filter_map(|url| {
            let is_page = eprint(url).is_some() || leads_through_doi_org(url);
            let candidate = match Leads::of(url, None) {
                _ if is_page => Candidate::landing_page(url),
                Leads::ToPdf => Candidate::pdf(url),
                Leads::ToPage | Leads::Somewhere => Candidate::file(url),
            };
            Some(Candidate { host_type: Some("repository".to_owned()), ..candidate? })
        })
    }
}

/// The id of an e-print whose page at arXiv this is.
fn eprint(url: &str) -> Option<&str> {
    let is_arxiv =
        ["arxiv.org", "www.arxiv.org"].iter().any(|arxiv| host_of(url).eq_ignore_ascii_case(arxiv));
    let id = url.split_once("/abs/").filter(|_| is_arxiv)?.1.split(['?', '#']).next()?.trim();
    (!id.is_empty()).then_some(id)
}
