//! Resolver `semantic_scholar`: the open copy that Semantic Scholar knows. The API's manual:
//! <https://api.semanticscholar.org/api-docs/graph>. Must never take a paper for the work's that does not carry the
//! identifier asked for: the service joins papers, and may answer with a joined one.

use gleaner_sdk::{
    BatchResolver, Candidate, Failure, Host, Identifier, Info, Leads, Maybe, Query, Request, Resolution,
    Resolver, for_each, leads_through_doi_org,
};
use serde::{Deserialize, Serialize};

const BASE: &str = "https://api.semanticscholar.org/graph/v1";

const FIELDS: &str = "externalIds,openAccessPdf";

/// The schemes it takes, and what the service calls them in a request.
const SCHEMES: [(&str, &str); 4] = [("doi", "DOI"), ("arxiv", "ARXIV"), ("pmid", "PMID"), ("pmcid", "PMCID")];

/// Takes a DOI, an arXiv id, a PMID or a PMCID, the first of these that there is; sends one request. A key is not needed;
/// the host adds one to the header `x-api-key` where the operator has it.
#[derive(Debug)]
pub struct SemanticScholar;

gleaner_sdk::export_batch_resolver!(SemanticScholar);

impl Resolver for SemanticScholar {
    fn describe() -> Info {
        let info = Info::new(
            "semantic_scholar",
            env!("CARGO_PKG_VERSION"),
            "The open copy that Semantic Scholar knows",
        )
        .host("api.semanticscholar.org")
        .setting("base-url", "where the API is, if not at https://api.semanticscholar.org/graph/v1");
        SCHEMES.iter().fold(info, |info, (scheme, _)| info.takes(scheme))
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(asked) = Asked::of(query) else { return Ok(Resolution::none()) };
        let url = host.base_url(BASE).segment("paper").path(&asked.spelt()).query("fields", FIELDS);
        let Some(paper) = host.get_json::<Paper>(&url)? else { return Ok(Resolution::none()) };
        paper.resolution(&asked)
    }
}

impl BatchResolver for SemanticScholar {
    /// As many as the service takes.
    const MOST: u32 = 500;

    fn resolve_many(queries: &[Query], host: &impl Host) -> Vec<Result<Resolution, Failure>> {
        let asked: Vec<_> = queries.iter().map(Asked::of).collect();
        let ids: Vec<_> = asked.iter().flatten().map(Asked::spelt).collect();
        let papers = match papers(host, &ids) {
            Ok(papers) => papers,
            Err(failure) => return for_each(queries, &Err(failure)),
        };
        // In the order of the ids; null for one that it does not know.
        let mut papers = papers.into_iter();
        let mut answer = |asked: &Option<Asked<'_>>| match asked {
            Some(asked) => match papers.next().and_then(Maybe::into_inner) {
                Some(paper) => paper.resolution(asked),
                None => Ok(Resolution::none()),
            },
            None => Ok(Resolution::none()),
        };
        asked.iter().map(&mut answer).collect()
    }
}

/// One request for several papers; as many come as were asked for.
fn papers(host: &impl Host, ids: &[String]) -> Result<Vec<Maybe<Paper>>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let url = host.base_url(BASE).segment("paper").segment("batch").query("fields", FIELDS);
    let request = Request::post_json(&url, &Ids { ids });
    let Some(papers) = host.fetch_json::<Vec<Maybe<Paper>>>(&request)? else {
        return Ok(vec![Maybe::default(); ids.len()]);
    };
    if papers.len() == ids.len() {
        return Ok(papers);
    }
    Err(Failure::unknown_shape(
        "Semantic Scholar answered with another number of papers than it was asked for",
    ))
}

#[derive(Serialize)]
struct Ids<'a> {
    ids: &'a [String],
}

/// What a paper is asked for by.
struct Asked<'a> {
    scheme: &'static str,
    /// What the service calls the scheme.
    word: &'static str,
    value: &'a str,
}

impl<'a> Asked<'a> {
    fn of(query: &'a Query) -> Option<Self> {
        let named =
            SCHEMES.iter().find_map(|(scheme, word)| Some((*scheme, *word, query.identifier(scheme)?)));
        named.map(|(scheme, word, value)| Self { scheme, word, value: bare(scheme, value) })
    }

    fn spelt(&self) -> String {
        // PMCIDs are digits here.
        let value = if self.scheme == "pmcid" { self.value.trim_start_matches("PMC") } else { self.value };
        format!("{}:{value}", self.word)
    }
}

/// Without the version of an arXiv id: the service knows papers.
fn bare<'a>(scheme: &str, value: &'a str) -> &'a str {
    match value.rsplit_once('v') {
        Some((id, version)) if scheme == "arxiv" && version.parse::<u16>().is_ok() => id,
        _ => value,
    }
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "camelCase")]
struct Paper {
    external_ids: Maybe<ExternalIds>,
    open_access_pdf: Maybe<OpenAccessPdf>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, rename_all = "PascalCase")]
struct ExternalIds {
    #[serde(rename = "DOI")]
    doi: Maybe<String>,
    #[serde(rename = "ArXiv")]
    arxiv: Maybe<String>,
    pub_med: Maybe<String>,
    /// Digits without `PMC`.
    pub_med_central: Maybe<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct OpenAccessPdf {
    /// Empty where there is none; may be a page.
    url: Maybe<String>,
    /// `GOLD`, `HYBRID`, `BRONZE`, `GREEN`, `CLOSED` or null.
    status: Maybe<String>,
    /// Such as `CCBYNCND`.
    license: Maybe<String>,
}

impl ExternalIds {
    fn all(&self) -> Vec<Identifier> {
        let central = self.pub_med_central.as_deref().map(|digits| format!("PMC{digits}"));
        let named = [
            ("doi", self.doi.as_deref()),
            ("arxiv", self.arxiv.as_deref()),
            ("pmid", self.pub_med.as_deref()),
            ("pmcid", central.as_deref()),
        ];
        let named = named.into_iter().filter_map(|(scheme, value)| Some((scheme, value?.trim())));
        let named = named.filter(|(_, value)| !["", "PMC"].contains(value));
        named.map(|(scheme, value)| Identifier::new(scheme, value)).collect()
    }
}

impl Paper {
    fn resolution(&self, asked: &Asked<'_>) -> Result<Resolution, Failure> {
        let Some(names) = self.external_ids.as_ref() else {
            return Err(Failure::unknown_shape(
                "Semantic Scholar answered with something that is no paper with its names",
            ));
        };
        let names = names.all();
        let is_asked_for =
            |name: &Identifier| name.scheme == asked.scheme && name.value.eq_ignore_ascii_case(asked.value);
        if !names.iter().any(is_asked_for) {
            return Ok(Resolution::none());
        }
        Ok(Resolution { discovered: names, ..Resolution::of(self.copy()) })
    }

    fn copy(&self) -> Option<Candidate> {
        let pdf = self.open_access_pdf.as_ref()?;
        let status = pdf.status.as_deref().unwrap_or_default();
        if status == "CLOSED" {
            return None;
        }
        let url = pdf.url.as_deref()?;
        let candidate = match Leads::of(url, None) {
            _ if leads_through_doi_org(url) => Candidate::landing_page(url),
            Leads::ToPdf => Candidate::pdf(url),
            // It is called a PDF, and mostly is one.
            Leads::ToPage | Leads::Somewhere => Candidate::file(url),
        };
        let (host_type, version) = match status {
            "GOLD" | "HYBRID" | "BRONZE" => (Some("publisher"), Some("published")),
            "GREEN" => (Some("repository"), None),
            _ => (None, None),
        };
        Some(Candidate {
            version: version.map(str::to_owned),
            license: pdf.license.as_ref().cloned(),
            host_type: host_type.map(str::to_owned),
            ..candidate?
        })
    }
}
