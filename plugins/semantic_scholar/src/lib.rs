//! Resolver `semantic_scholar`: the open copy that Semantic Scholar knows. The API's manual:
//! <https://api.semanticscholar.org/api-docs/graph>. Must never take a paper for the work's that does not carry the
//! identifier asked for: the service joins papers, and may answer with a joined one.

use gleaner_sdk::{
    Candidate, Failure, Host, Identifier, Info, Leads, Maybe, Query, Resolution, Resolver, host_of,
};
use serde::Deserialize;

const BASE: &str = "https://api.semanticscholar.org/graph/v1";

/// The schemes it takes, and what the service calls them in a request.
const SCHEMES: [(&str, &str); 4] = [("doi", "DOI"), ("arxiv", "ARXIV"), ("pmid", "PMID"), ("pmcid", "PMCID")];

/// Takes a DOI, an arXiv id, a PMID or a PMCID, the first of these that there is; sends one request. A key is not needed;
/// the host adds one to the header `x-api-key` where the operator has it.
#[derive(Debug)]
pub struct SemanticScholar;

gleaner_sdk::export_resolver!(SemanticScholar);

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
        let named =
            SCHEMES.iter().find_map(|(scheme, word)| Some((*scheme, *word, query.identifier(scheme)?)));
        let Some((scheme, word, value)) = named else { return Ok(Resolution::none()) };
        let value = bare(scheme, value);
        let url = host
            .base_url(BASE)
            .segment("paper")
            .path(&format!("{word}:{value}"))
            .query("fields", "externalIds,openAccessPdf");
        let Some(paper) = host.get_json::<Paper>(&url)? else { return Ok(Resolution::none()) };
        let Some(names) = paper.external_ids.as_ref() else {
            return Err(Failure::unknown_shape(
                "Semantic Scholar answered with something that is no paper with its names",
            ));
        };
        let names = names.all();
        if !names.iter().any(|name| name.scheme == scheme && name.value.eq_ignore_ascii_case(value)) {
            return Ok(Resolution::none());
        }
        Ok(Resolution { discovered: names, ..Resolution::of(paper.copy()) })
    }
}

/// Without the version of an arXiv id: the service knows papers.
fn bare<'a>(scheme: &str, value: &'a str) -> &'a str {
    match value.rsplit_once('v') {
        Some((id, version)) if scheme == "arxiv" && version.parse::<u16>().is_ok() => id,
        _ => value,
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Paper {
    external_ids: Maybe<ExternalIds>,
    open_access_pdf: Maybe<OpenAccessPdf>,
}

#[derive(Deserialize, Default)]
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

#[derive(Deserialize, Default)]
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
    fn copy(&self) -> Option<Candidate> {
        let pdf = self.open_access_pdf.as_ref()?;
        let status = pdf.status.as_deref().unwrap_or_default();
        if status == "CLOSED" {
            return None;
        }
        let url = pdf.url.as_deref()?;
        let is_doi = ["doi.org", "dx.doi.org"].iter().any(|doi| host_of(url).eq_ignore_ascii_case(doi));
        let candidate = match Leads::of(url, None) {
            _ if is_doi => Candidate::landing_page(url),
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
