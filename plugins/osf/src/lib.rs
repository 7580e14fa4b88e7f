//! Resolver `osf`: the file of a preprint at the Open Science Framework, which PsyArXiv, SocArXiv and others run on.
//! The API's manual: <https://developer.osf.io/#tag/Preprints>. Must never take a preprint that has another DOI than
//! the one asked for, nor one that was withdrawn.
//!
//! Each preprint service has a DOI prefix of its own, and there is no published list of them; but every DOI that OSF
//! registers ends in `osf.io/` and the preprint's id, which is how they are known here.

use gleaner_sdk::{
    Candidate, Failure, Host, Identifier, Info, Maybe, Query, Resolution, Resolver, Url, bare_doi,
};
use serde::Deserialize;

const BASE: &str = "https://api.osf.io/v2";

/// Takes an OSF id or a DOI of OSF's own; sends two requests, one for the preprint and one for its file.
#[derive(Debug)]
pub struct Osf;

gleaner_sdk::export_resolver!(Osf);

impl Resolver for Osf {
    fn describe() -> Info {
        Info::new("osf", env!("CARGO_PKG_VERSION"), "The file of a preprint at the Open Science Framework")
            .takes("osf")
            .takes("doi")
            .host("api.osf.io")
            .setting("base-url", "where the API is, if not at https://api.osf.io/v2")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let Some(asked) = Asked::of(query) else { return Ok(Resolution::none()) };
        let base = host.base_url(BASE);
        let url = with_last_slash(base.clone().segment("preprints").segment(asked.id));
        let Some(preprint) = host.get_json::<Answer<Preprint>>(&url)? else { return Ok(Resolution::none()) };
        let Some(preprint) = preprint.data.as_ref().filter(|preprint| preprint.id.is_some()) else {
            return Err(Failure::unknown_shape(
                "OSF answered with something that is no record of a preprint",
            ));
        };
        if !preprint.is(&asked) {
            return Ok(Resolution::none());
        }
        let names = preprint.names();
        let Some(file) = preprint.primary_file() else {
            return Ok(Resolution { discovered: names, ..Resolution::none() });
        };
        let url = with_last_slash(base.segment("files").segment(file));
        let Some(file) = host.get_json::<Answer<File>>(&url)? else {
            return Ok(Resolution { discovered: names, ..Resolution::none() });
        };
        let Some(file) = file.data.as_ref().filter(|file| file.links.is_some()) else {
            return Err(Failure::unknown_shape("OSF answered with something that is no record of a file"));
        };
        Ok(Resolution { discovered: names, ..Resolution::of(file.candidate()) })
    }
}

/// Without it the API answers with a redirect to it.
fn with_last_slash(url: Url) -> Url {
    url.segment("")
}

/// The preprint that is asked for.
struct Asked<'a> {
    /// Letters and digits; a certain version has `_v2` behind them.
    id: &'a str,
    doi: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn of(query: &'a Query) -> Option<Self> {
        let dois = query.identifiers.iter().filter(|name| name.scheme == "doi");
        let of_doi = |doi: &'a str| {
            let id = doi.split_once("/osf.io/")?.1;
            let fits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            fits.then_some(Self { id, doi: Some(doi) })
        };
        let by_id = query.identifier("osf").map(|id| Self { id, doi: None });
        by_id.or_else(|| dois.into_iter().find_map(|name| of_doi(&name.value)))
    }
}

#[derive(Deserialize)]
#[serde(default, bound = "T: serde::de::DeserializeOwned")]
struct Answer<T> {
    data: Maybe<T>,
}

impl<T> Default for Answer<T> {
    fn default() -> Self {
        Self { data: Maybe::default() }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Preprint {
    id: Maybe<String>,
    attributes: Maybe<Attributes>,
    links: Maybe<PreprintLinks>,
    relationships: Maybe<Relationships>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Attributes {
    /// Of the version that a journal published.
    doi: Maybe<String>,
    date_withdrawn: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PreprintLinks {
    /// The preprint's own DOI, as a URL.
    preprint_doi: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Relationships {
    primary_file: Maybe<Answer<Reference>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    id: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    attributes: Maybe<FileAttributes>,
    links: Maybe<FileLinks>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FileAttributes {
    name: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FileLinks {
    download: Maybe<String>,
}

impl Preprint {
    /// By its DOI where it was asked for by one. The DOI or the id of all versions means the latest one.
    fn is(&self, asked: &Asked<'_>) -> bool {
        let meant = |own: &str, asked: &str| {
            own == asked || own.rsplit_once("_v").is_some_and(|(own, _)| own == asked)
        };
        let own = self.links.as_ref().and_then(|links| links.preprint_doi.as_deref()).map(bare_doi);
        let id = self.id.as_deref().unwrap_or_default();
        match asked.doi {
            // A version's record has the DOI of all versions until it got one of its own.
            Some(doi) => own.is_some_and(|own| meant(&own, doi) || (own + version(id) == doi)),
            None => meant(id, asked.id),
        }
    }

    fn names(&self) -> Vec<Identifier> {
        let own = self.links.as_ref().and_then(|links| links.preprint_doi.as_deref());
        let published = self.attributes.as_ref().and_then(|attributes| attributes.doi.as_deref());
        [own, published].into_iter().flatten().map(|doi| Identifier::new("doi", &bare_doi(doi))).collect()
    }

    /// The id of its file; none where it was withdrawn.
    fn primary_file(&self) -> Option<&str> {
        let attributes = self.attributes.as_ref();
        if attributes.is_some_and(|attributes| attributes.date_withdrawn.is_some()) {
            return None;
        }
        self.relationships.as_ref()?.primary_file.as_ref()?.data.as_ref()?.id.as_deref()
    }
}

/// `hqb2p_v1` has the version `_v1`.
fn version(id: &str) -> &str {
    id.rfind("_v").map_or("", |at| &id[at..])
}

impl File {
    /// Most are PDFs; where the name says so, the candidate does.
    fn candidate(&self) -> Option<Candidate> {
        let url = self.links.as_ref()?.download.as_deref()?;
        let name =
            self.attributes.as_ref().and_then(|attributes| attributes.name.as_deref()).unwrap_or_default();
        let is_pdf = name.to_ascii_lowercase().ends_with(".pdf");
        Some(Candidate {
            version: Some("submitted".to_owned()),
            host_type: Some("repository".to_owned()),
            ..if is_pdf { Candidate::pdf(url)? } else { Candidate::file(url)? }
        })
    }
}
