//! Resolver `zenodo`: the PDFs of a record at Zenodo. The API's manual: <https://developers.zenodo.org>. Must never
//! propose files of a record that is not open, nor of one that has another DOI than the one asked for: records may
//! carry DOIs of elsewhere.

use gleaner_sdk::{
    Candidate, Failure, Host, Identifier, Info, Maybe, Query, Resolution, Resolver, Url, bare_doi,
};
use serde::Deserialize;

const BASE: &str = "https://zenodo.org/api";
const PREFIX: &str = "10.5281/zenodo.";

/// Takes a Zenodo record's number or its DOI, of a version or of all versions; sends one request. Of all versions
/// Zenodo gives the latest.
#[derive(Debug)]
pub struct Zenodo;

gleaner_sdk::export_resolver!(Zenodo);

impl Resolver for Zenodo {
    fn describe() -> Info {
        Info::new("zenodo", env!("CARGO_PKG_VERSION"), "The PDFs of a record at Zenodo")
            .takes("zenodo")
            .takes("doi:10.5281/zenodo.")
            .host("zenodo.org")
            .setting("base-url", "where the API is, if not at https://zenodo.org/api")
    }

    fn resolve(query: &Query, host: &impl Host) -> Result<Resolution, Failure> {
        let dois = query.identifiers.iter().filter(|name| name.scheme == "doi");
        let by_doi = dois.into_iter().find_map(|name| name.value.strip_prefix(PREFIX));
        let Some(number) = query.identifier("zenodo").or(by_doi) else { return Ok(Resolution::none()) };
        // The number may only be another spelling of the DOI.
        let doi = format!("{PREFIX}{number}");
        let by_number = !query.identifiers.iter().any(|name| name.scheme == "doi" && name.value == doi);
        let url = host.base_url(BASE).path("records").segment(number);
        let Some(record) = host.get_json::<Record>(&url)? else { return Ok(Resolution::none()) };
        if record.id.is_none() && record.doi.is_none() {
            return Err(Failure::unknown_shape("Zenodo answered with something that is no record"));
        }
        let is_asked_for = if by_number { record.has_number(number) } else { record.has_doi(&doi) };
        Ok(if is_asked_for { record.resolution(&url) } else { Resolution::none() })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Record {
    id: Maybe<Number>,
    /// The number that stands for all versions.
    conceptrecid: Maybe<Number>,
    doi: Maybe<String>,
    conceptdoi: Maybe<String>,
    metadata: Maybe<Metadata>,
    files: Maybe<Vec<Maybe<File>>>,
}

/// Some numbers are texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    /// `open`, `embargoed`, `restricted`, `closed`.
    access_right: Maybe<String>,
    license: Maybe<License>,
    resource_type: Maybe<ResourceType>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct License {
    id: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResourceType {
    subtype: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    /// Its name, which may hold spaces and slashes.
    key: Maybe<String>,
    links: Maybe<Links>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Links {
    #[serde(rename = "self")]
    this: Maybe<String>,
}

impl Number {
    fn is(&self, number: &str) -> bool {
        match self {
            Self::Number(own) => own.to_string() == number,
            Self::Text(own) => own == number,
        }
    }
}

impl Record {
    fn has_number(&self, number: &str) -> bool {
        [&self.id, &self.conceptrecid].iter().any(|own| own.as_ref().is_some_and(|own| own.is(number)))
    }

    fn has_doi(&self, doi: &str) -> bool {
        [&self.doi, &self.conceptdoi].iter().any(|own| own.as_deref().is_some_and(|own| bare_doi(own) == doi))
    }

    /// The PDFs in the record's order. `place` is where the record was asked for.
    fn resolution(&self, place: &Url) -> Resolution {
        let own = self.doi.as_deref().map(|doi| Identifier::new("doi", &bare_doi(doi)));
        let metadata = self.metadata.as_ref();
        let access = metadata.and_then(|metadata| metadata.access_right.as_deref());
        let is_open = matches!(access, None | Some("open"));
        let files = self.files.iter().flatten().filter_map(|file| file.as_ref()).filter(|_| is_open);
        let candidates = files.filter_map(|file| {
            Some(Candidate {
                version: metadata.and_then(Metadata::version),
                license: metadata.and_then(|metadata| metadata.license.as_ref()?.id.as_ref().cloned()),
                host_type: Some("repository".to_owned()),
                ..file.pdf(place)?
            })
        });
        Resolution { discovered: own.into_iter().collect(), ..Resolution::of(candidates) }
    }
}

impl Metadata {
    fn version(&self) -> Option<String> {
        let subtype = self.resource_type.as_ref().and_then(|kind| kind.subtype.as_deref());
        (subtype == Some("preprint")).then(|| "submitted".to_owned())
    }
}

impl File {
    fn pdf(&self, record: &Url) -> Option<Candidate> {
        let key = self.key.as_deref().filter(|key| key.to_ascii_lowercase().ends_with(".pdf"))?;
        let named = self.links.as_ref().and_then(|links| Candidate::pdf(links.this.as_deref()?));
        named.or_else(|| {
            let url = record.clone().segment("files").segment(key).segment("content");
            Candidate::pdf(&url.to_string())
        })
    }
}
