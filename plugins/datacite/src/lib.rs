//! Resolver `datacite`: the files and pages that repositories register with a DOI at DataCite. Fields and their
//! meaning: <https://support.datacite.org/docs/api-get-doi>; searches: <https://support.datacite.org/docs/api-queries>.
//! Must never propose a file of a work whose rights say that it is not open, nor take for the work's what is only related
//! to it.

use gleaner_sdk::{
    BatchResolver, Candidate, Failure, Host, Identifier, Info, Many, Maybe, Query, Resolution, Resolver,
    bare_doi, path_says_pdf, quoted,
};
use serde::Deserialize;

const BASE: &str = "https://api.datacite.org";

/// How sure it is that a URL registered as another form of the work is the work, and open.
const RELATED: f32 = 0.3;

/// Relations to another name of the same work: schema.datacite.org, relationType. Versions are not among them, as
/// they may be other texts.
const SAME_WORK: [&str; 3] = ["IsIdenticalTo", "IsVariantFormOf", "IsOriginalFormOf"];

/// Takes a DOI; sends one request, for several works one and another for each that DataCite has.
#[derive(Debug)]
pub struct DataCite;

gleaner_sdk::export_batch_resolver!(DataCite);

impl Resolver for DataCite {
    fn describe() -> Info {
        Info::new(
            "datacite",
            env!("CARGO_PKG_VERSION"),
            "The files and pages that repositories register with a DOI at DataCite",
        )
        .takes("doi")
        .host("api.datacite.org")
        .setting("base-url", "where the API is, if not at https://api.datacite.org")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
        let url = host.base_url(BASE).path("dois").path(doi).query("include", "media");
        let Some(answer) = host.get_json::<Answer>(&url)? else { return Ok(Resolution::none()) };
        let work = answer.data.as_ref().and_then(|data| data.attributes.as_ref());
        let Some((work, own)) = work.and_then(|work| Some((work, work.doi.as_deref()?))) else {
            return Err(Failure::unknown_shape(
                "DataCite answered with something that is no record of a DOI",
            ));
        };
        let files = answer.included.iter().flatten().filter_map(|item| item.as_ref()?.pdf());
        Ok(if bare_doi(own) == doi { work.resolution(files) } else { Resolution::none() })
    }
}

impl BatchResolver for DataCite {
    /// Of most DOIs it is enough to know that they are not DataCite's. The records of the others are asked for one by one,
    /// since a list leaves out their files; a call has 32 requests.
    const MOST: u32 = 30;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let registered = registered(host, queries.iter().filter_map(Query::doi));
        let one = |query: &Query| match (query.doi(), &registered) {
            (None, _) => Ok(Resolution::none()),
            (Some(_), Err(failure)) => Err(failure.clone()),
            (Some(doi), Ok(known)) if known.iter().any(|own| own == doi) => Self::resolve(query, host),
            (Some(_), Ok(_)) => Ok(Resolution::none()),
        };
        queries.iter().map(one).collect()
    }
}

/// Which of these DOIs DataCite has, beside others that it may name.
fn registered<'a>(host: &impl Host, dois: impl Iterator<Item = &'a str>) -> Result<Vec<String>, Failure> {
    let dois: Vec<String> = dois.map(quoted).collect();
    if dois.is_empty() {
        return Ok(Vec::new());
    }
    let url = host.base_url(BASE).path("dois").query("query", &format!("doi:({})", dois.join(" OR ")));
    let url = url.query("fields[dois]", "doi").query("disable-facets", "true");
    let url = url.query("page[size]", &dois.len().to_string());
    let Some(list) = host.get_json::<List>(&url)? else { return Ok(Vec::new()) };
    let Some(records) = list.data.into_inner() else {
        return Err(Failure::unknown_shape("DataCite answered with something that is no list of DOIs"));
    };
    let works = records.into_iter().filter_map(|record| record.into_inner()?.attributes.into_inner());
    Ok(works.filter_map(|work| Some(bare_doi(work.doi.as_deref()?))).collect())
}

/// What a search finds.
#[derive(Deserialize, Default)]
#[serde(default)]
struct List {
    data: Maybe<Vec<Maybe<Data>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    data: Maybe<Data>,
    /// What `include=media` adds, beside others.
    included: Maybe<Vec<Maybe<Included>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Data {
    attributes: Maybe<Work>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Included {
    /// `media` for a file.
    #[serde(rename = "type")]
    kind: Maybe<String>,
    attributes: Maybe<Media>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Media {
    media_type: Maybe<String>,
    url: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Work {
    doi: Maybe<String>,
    /// Where the DOI leads to: mostly a page.
    url: Maybe<String>,
    /// The content itself; a URL or a list of them.
    content_url: Many<String>,
    /// Media types, as they were typed in.
    formats: Maybe<Vec<Maybe<String>>>,
    rights_list: Maybe<Vec<Maybe<Rights>>>,
    related_identifiers: Maybe<Vec<Maybe<Related>>>,
    types: Maybe<Types>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Rights {
    /// The URL of a licence, or one of the terms of `info:eu-repo/semantics/`.
    rights_uri: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Related {
    relation_type: Maybe<String>,
    related_identifier: Maybe<String>,
    /// `DOI`, `URL`, `arXiv`, `PMID` and others.
    related_identifier_type: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Types {
    resource_type_general: Maybe<String>,
}

impl Included {
    fn pdf(&self) -> Option<&str> {
        let media = self.attributes.as_ref().filter(|_| self.kind.as_deref() == Some("media"))?;
        let media_type = media.media_type.as_deref().unwrap_or_default();
        media.url.as_deref().filter(|_| media_type.trim().eq_ignore_ascii_case("application/pdf"))
    }
}

impl Work {
    /// The registered files, the content, where the DOI leads to, and what the work is besides.
    fn resolution<'a>(&'a self, files: impl Iterator<Item = &'a str>) -> Resolution {
        let related = || self.related_identifiers.iter().flatten().filter_map(|other| other.as_ref());
        let discovered = related().filter_map(Related::name).collect();
        if self.is_closed() {
            return Resolution { discovered, ..Resolution::none() };
        }
        let files = files.filter_map(Candidate::pdf);
        let content = self.content_url.iter().filter_map(|url| self.content_file(url));
        let target = self.url.as_deref().and_then(file_or_page);
        let own = files.chain(content).chain(target).map(|candidate| self.describe(candidate));
        let other = related().filter_map(Related::place);
        Resolution { discovered, ..Resolution::of(own.chain(other)) }
    }

    fn rights(&self) -> impl Iterator<Item = &str> {
        let rights = self.rights_list.iter().flatten().filter_map(|rights| rights.as_ref());
        rights.filter_map(|rights| rights.rights_uri.as_deref())
    }

    /// The access terms of OpenAIRE's guidelines, which repositories give as rights.
    fn is_closed(&self) -> bool {
        self.rights().any(|uri| {
            let term = uri.trim().strip_prefix("info:eu-repo/semantics/");
            matches!(term, Some("closedAccess" | "restrictedAccess" | "embargoedAccess"))
        })
    }

    /// Data sets have content too: only what is said to be a PDF counts.
    fn content_file(&self, url: &str) -> Option<Candidate> {
        let mut formats = self.formats.iter().flatten().filter_map(|format| format.as_deref());
        let mut is_pdf = || formats.any(|format| format.trim().eq_ignore_ascii_case("application/pdf"));
        if path_says_pdf(url) || is_pdf() { Candidate::file(url) } else { None }
    }

    fn describe(&self, candidate: Candidate) -> Candidate {
        let license = self.rights().find(|uri| uri.trim().starts_with("http"));
        let kind = self.types.as_ref().and_then(|types| types.resource_type_general.as_deref());
        Candidate {
            version: (kind == Some("Preprint")).then(|| "submitted".to_owned()),
            license: license.map(|uri| uri.trim().to_owned()),
            host_type: Some("repository".to_owned()),
            ..candidate
        }
    }
}

impl Related {
    /// What it is, if it is the same work: its type, and its value.
    fn same_work(&self) -> Option<(&str, &str)> {
        let relation = self.relation_type.as_deref()?;
        let same = SAME_WORK.contains(&relation);
        same.then_some((self.related_identifier_type.as_deref()?, self.related_identifier.as_deref()?))
    }

    fn name(&self) -> Option<Identifier> {
        let (kind, value) = self.same_work()?;
        let scheme =
            ["doi", "arxiv", "pmid", "isbn"].into_iter().find(|scheme| kind.eq_ignore_ascii_case(scheme))?;
        Some(Identifier::new(scheme, value))
    }

    fn place(&self) -> Option<Candidate> {
        let (_, url) = self.same_work().filter(|(kind, _)| *kind == "URL")?;
        Some(Candidate { confidence: Some(RELATED), ..file_or_page(url)? })
    }
}

fn file_or_page(url: &str) -> Option<Candidate> {
    if path_says_pdf(url) { Candidate::file(url) } else { Candidate::landing_page(url) }
}
