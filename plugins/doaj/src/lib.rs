//! Resolver `doaj`: the articles of the Directory of Open Access Journals. The API's manual: <https://doaj.org/api/docs>.
//! Must never take an article for the work's that does not carry the DOI searched for.

use gleaner_sdk::{
    BatchResolver, Candidate, Failure, Host, Identifier, Info, Leads, Maybe, Name, Query, Resolution,
    Resolver, answer_together, quoted,
};
use serde::Deserialize;

const BASE: &str = "https://doaj.org/api";

/// Takes a DOI; sends one request.
#[derive(Debug)]
pub struct Doaj;

gleaner_sdk::export_batch_resolver!(Doaj);

impl Resolver for Doaj {
    fn describe() -> Info {
        let summary = "The articles of the Directory of Open Access Journals";
        Info::new("doaj", env!("CARGO_PKG_VERSION"), summary)
            .takes("doi")
            .host("doaj.org")
            .setting("base-url", "where the API is, if not at https://doaj.org/api")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
        Ok(resolution(&find(host, &[doi], "10")?, doi))
    }
}

impl BatchResolver for Doaj {
    /// What fits into a URL that any server takes, as it stands in its path; and into a page, which has 100 at most.
    const MOST: u32 = 25;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let find = |_: &str, dois: &[&str]| find(host, dois, "100");
        let answer = |articles: &[Bibjson], (_, doi): Name<'_>| resolution(articles, doi);
        answer_together::<Self, _>(queries, host, name, find, answer)
    }
}

/// What a work is asked for by.
fn name(query: &Query) -> Option<Name<'_>> {
    query.doi().map(|doi| ("doi", doi))
}

/// The articles that a search for these DOIs finds, at most so many.
fn find(host: &impl Host, dois: &[&str], most: &str) -> Result<Vec<Bibjson>, Failure> {
    let term = |doi: &&str| format!("doi:{}", quoted(doi));
    let search = dois.iter().map(term).collect::<Vec<_>>().join(" OR ");
    let url = host.base_url(BASE).path("search/articles").segment(&search).query("pageSize", most);
    let Some(answer) = host.get_json::<Answer>(&url)? else { return Ok(Vec::new()) };
    let Some(results) = answer.results.into_inner() else {
        return Err(Failure::unknown_shape("DOAJ answered with something that is no list of articles"));
    };
    let articles = results.into_iter().filter_map(Maybe::into_inner);
    Ok(articles.filter_map(|article| article.bibjson.into_inner()).collect())
}

fn resolution(articles: &[Bibjson], doi: &str) -> Resolution {
    let is_asked_for = |article: &&Bibjson| article.dois().any(|known| known.eq_ignore_ascii_case(doi));
    let mut found = articles.iter().filter(is_asked_for);
    found.next().map_or(Resolution::none(), |first| Resolution {
        discovered: vec![Identifier::new("doi", doi)],
        ..Resolution::of([first].into_iter().chain(found).flat_map(Bibjson::full_texts))
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    results: Maybe<Vec<Maybe<Article>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Article {
    bibjson: Maybe<Bibjson>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Bibjson {
    identifier: Maybe<Vec<Maybe<Known>>>,
    link: Maybe<Vec<Maybe<Link>>>,
    journal: Maybe<Journal>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Known {
    /// `doi`, `eissn`, `pissn`.
    r#type: Maybe<String>,
    id: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Link {
    /// `fulltext`.
    r#type: Maybe<String>,
    /// `HTML`, `text/html`, `pdf`, `PDF`, or missing.
    content_type: Maybe<String>,
    url: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Journal {
    license: Maybe<Vec<Maybe<License>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct License {
    /// `CC BY`.
    r#type: Maybe<String>,
}

impl Bibjson {
    /// Journals write them with or without a resolver before them.
    fn dois(&self) -> impl Iterator<Item = &str> {
        let names = self.identifier.iter().flatten().filter_map(|name| name.as_ref());
        let dois =
            names.filter(|name| name.r#type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("doi")));
        dois.filter_map(|name| {
            let id = name.id.as_deref()?.trim();
            Some(id.find("10.").map_or(id, |start| &id[start..]))
        })
    }

    /// PDFs first. Journals of the directory are open, so a link whose kind is unknown may be either: as a page it is
    /// found out.
    fn full_texts(&self) -> impl Iterator<Item = Candidate> {
        let license = self.journal.iter().flat_map(|journal| journal.license.iter().flatten());
        let license = license.filter_map(|license| license.as_ref()?.r#type.as_ref().cloned()).next();
        let links = self.link.iter().flatten().filter_map(|link| link.as_ref());
        let mut texts: Vec<_> = links
            .filter(|link| link.r#type.as_deref() == Some("fulltext"))
            .filter_map(|link| {
                let (url, word) = (link.url.as_deref()?, link.content_type.as_deref());
                match Leads::of(url, word) {
                    Leads::ToPdf => Candidate::pdf(url),
                    Leads::ToPage | Leads::Somewhere => Candidate::landing_page(url),
                }
            })
            .collect();
        texts.sort_by_key(|text| text.media_type.is_none());
        texts.into_iter().map(move |text| Candidate {
            version: Some("published".to_owned()),
            license: license.clone(),
            host_type: Some("publisher".to_owned()),
            ..text
        })
    }
}
