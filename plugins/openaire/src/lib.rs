//! Resolver `openaire`: the open copies that the OpenAIRE Graph knows of a work. The API's manual and fields:
//! <https://graph.openaire.eu/docs/apis/graph-api/>. Must never take a product for the work's that does not carry the
//! DOI searched for, nor propose a copy that is not open.
//!
//! The older search API, whose `webresource` is an object or a list, was switched off in May 2026.

use gleaner_sdk::{
    Candidate, Failure, Host, Identifier, Info, Many, Maybe, Query, Resolution, Resolver, bare_doi,
    path_says_pdf,
};
use serde::Deserialize;

const BASE: &str = "https://api.openaire.eu/graph/v1";

/// Takes a DOI; sends one request.
#[derive(Debug)]
pub struct OpenAire;

gleaner_sdk::export_resolver!(OpenAire);

impl Resolver for OpenAire {
    fn describe() -> Info {
        Info::new(
            "openaire",
            env!("CARGO_PKG_VERSION"),
            "The open copies that the OpenAIRE Graph knows of a work",
        )
        .takes("doi")
        .host("api.openaire.eu")
        .setting("base-url", "where the API is, if not at https://api.openaire.eu/graph/v1")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(doi) = query.doi() else { return Ok(Resolution::none()) };
        let url = host.base_url(BASE).segment("researchProducts").query("pid", doi);
        let Some(answer) = host.get_json::<Answer>(&url)? else { return Ok(Resolution::none()) };
        let Some(products) = answer.results.as_ref() else {
            return Err(Failure::unknown_shape(
                "OpenAIRE answered with something that is no list of products",
            ));
        };
        let found = products.iter().filter_map(|product| product.as_ref());
        let found: Vec<&Product> = found.filter(|product| product.has(doi)).collect();
        Ok(Resolution {
            discovered: found.iter().flat_map(|product| product.names()).collect(),
            ..Resolution::of(found.iter().flat_map(|product| product.copies()))
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    results: Maybe<Vec<Maybe<Product>>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Product {
    pids: Maybe<Vec<Maybe<Pid>>>,
    best_access_right: Maybe<AccessRight>,
    instances: Maybe<Vec<Maybe<Instance>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pid {
    /// `doi`, `pmid`, `pmc`, `arXiv`, `handle` and others.
    scheme: Maybe<String>,
    value: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AccessRight {
    /// Of the COAR vocabulary; `c_abf2` is open access.
    code: Maybe<String>,
}

/// One copy of the work.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Instance {
    pids: Maybe<Vec<Maybe<Pid>>>,
    alternate_identifiers: Maybe<Vec<Maybe<Pid>>>,
    access_right: Maybe<AccessRight>,
    license: Maybe<String>,
    /// `Article`, `Preprint`, `Thesis` and others.
    #[serde(rename = "type")]
    kind: Maybe<String>,
    urls: Many<String>,
}

impl AccessRight {
    fn is_open(&self) -> bool {
        self.code.as_deref() == Some("c_abf2")
    }
}

impl Product {
    fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().flatten().filter_map(|instance| instance.as_ref())
    }

    /// Whether one of its names is the DOI. Products are merged from several sources, so each instance has names too.
    fn has(&self, doi: &str) -> bool {
        let own = self.pids.iter().chain(
            self.instances()
                .flat_map(|instance| instance.pids.iter().chain(instance.alternate_identifiers.iter())),
        );
        let mut values = own.flatten().filter_map(|pid| pid.as_ref()?.value.as_deref());
        values.any(|value| bare_doi(value) == doi)
            || self.instances().flat_map(|instance| instance.urls.iter()).any(|url| bare_doi(url) == doi)
    }

    fn names(&self) -> impl Iterator<Item = Identifier> {
        let pids = self.pids.iter().flatten().filter_map(|pid| pid.as_ref());
        pids.filter_map(|pid| {
            let scheme = match &*pid.scheme.as_deref()?.to_ascii_lowercase() {
                "doi" => "doi",
                "pmid" => "pmid",
                "pmc" => "pmcid",
                "arxiv" => "arxiv",
                _ => return None,
            };
            Some(Identifier::new(scheme, pid.value.as_deref()?))
        })
    }

    /// The files of open copies, then their pages.
    fn copies(&self) -> impl Iterator<Item = Candidate> {
        let best = self.best_access_right.as_ref().is_some_and(AccessRight::is_open);
        let open = self.instances().filter(move |instance| instance.is_open(best));
        let urls = open.flat_map(|instance| instance.urls.iter().map(move |url| (instance, url)));
        let (files, pages): (Vec<_>, Vec<_>) = urls.partition(|(_, url)| path_says_pdf(url));
        let files = files.into_iter().map(|(instance, url)| (instance, Candidate::file(url)));
        let pages = pages.into_iter().map(|(instance, url)| (instance, Candidate::landing_page(url)));
        files.chain(pages).filter_map(|(instance, candidate)| Some(instance.describe(candidate?)))
    }
}

impl Instance {
    /// By its own word, or where it says nothing by that of the whole, `best`.
    fn is_open(&self, best: bool) -> bool {
        self.access_right.as_ref().map_or(best, AccessRight::is_open)
    }

    fn describe(&self, candidate: Candidate) -> Candidate {
        let version = (self.kind.as_deref() == Some("Preprint")).then(|| "submitted".to_owned());
        Candidate { version, license: self.license.as_ref().cloned(), ..candidate }
    }
}
