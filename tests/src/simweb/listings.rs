//! Indexes and repositories that know single works, made here in the shapes that their documentation describes.
//!
//! Must never serve a recorded answer, nor answer a request that the real service would not: a path without its last
//! `/`, a list asked for the files that it does not carry.

use serde_json::{Value, json};
use url::Url;

use super::reply::Reply;

/// Who knows a work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Names open copies.
    OpenAlex,
    /// Where a DOI leads to, and its content.
    DataCite,
    /// A record with files.
    Zenodo,
    /// A preprint; its file is a record of its own.
    Osf,
    /// A document.
    Hal,
    /// An article with files.
    Figshare,
    /// Copies of a work.
    OpenAire,
}

/// A work as a source has it.
#[derive(Debug, Clone)]
pub struct Listing {
    source: Source,
    doi: String,
    /// The source's own name of it.
    id: String,
    open: bool,
    mistaken: bool,
}

impl Listing {
    /// A work that everybody may read. `doi` in any case; `id` is the source's own name of it: a number, `W` and a
    /// number, `hal-` and a number.
    pub fn open(source: Source, doi: &str, id: &str) -> Self {
        Self { source, doi: doi.to_owned(), id: id.to_owned(), open: true, mistaken: false }
    }

    /// A work that the source knows, and does not give.
    pub fn closed(source: Source, doi: &str, id: &str) -> Self {
        Self { open: false, ..Self::open(source, doi, id) }
    }

    /// The source answers with this work whatever DOI it is asked for, as with a record that was merged.
    pub fn mistaken(self) -> Self {
        Self { mistaken: true, ..self }
    }

    /// Where its file is, if everybody may read it.
    pub fn file(&self) -> Option<String> {
        let id = &self.id;
        let url = match self.source {
            Source::OpenAlex | Source::DataCite | Source::OpenAire => {
                format!("https://repo.example.org/{id}.pdf")
            }
            Source::Zenodo => format!("https://zenodo.org/api/records/{id}/files/the%20paper.pdf/content"),
            Source::Osf => format!("https://osf.io/download/{id}f/"),
            Source::Hal => format!("https://hal.science/{id}/document"),
            Source::Figshare => format!("https://ndownloader.figshare.com/files/{id}"),
        };
        self.open.then_some(url)
    }

    fn doi_url(&self) -> String {
        format!("https://doi.org/{}", self.doi)
    }

    fn has_doi(&self, doi: &str) -> bool {
        self.mistaken || self.doi.eq_ignore_ascii_case(doi)
    }
}

/// The answer of the source whose API that is; `path` is decoded. None if it is nobody's.
pub(super) fn answer(url: &Url, path: &str, listings: &[Listing]) -> Option<Reply> {
    let (source, rest) = match (url.host_str()?, path) {
        ("api.openalex.org", path) => (Source::OpenAlex, path.strip_prefix("/works")?),
        ("api.datacite.org", path) => (Source::DataCite, path.strip_prefix("/dois")?),
        ("zenodo.org", path) => (Source::Zenodo, path.strip_prefix("/api/records/")?),
        ("api.osf.io", path) => (Source::Osf, path.strip_prefix("/v2/")?),
        ("api.archives-ouvertes.fr", "/search/") => (Source::Hal, ""),
        ("api.figshare.com", path) => (Source::Figshare, path.strip_prefix("/v2/articles")?),
        ("api.openaire.eu", "/graph/v1/researchProducts") => (Source::OpenAire, ""),
        _ => return None,
    };
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let mut known = listings.iter().filter(|listing| listing.source == source);
    let found = match source {
        // `filter=doi:A|B`.
        Source::OpenAlex if rest.is_empty() => {
            let filter = parameter("filter").unwrap_or_default();
            let (scheme, values) = filter.split_once(':')?;
            let name = |value| if scheme == "doi" { format!("doi:{value}") } else { String::from(value) };
            let names: Vec<String> = values.split('|').map(name).collect();
            let is_meant = |work: &&Listing| names.iter().any(|name| work.is_openalex(name));
            let found: Vec<Value> = known.filter(is_meant).map(Listing::openalex).collect();
            Some(json!({ "meta": { "count": found.len() }, "results": found }))
        }
        Source::OpenAlex => {
            let rest = rest.strip_prefix('/')?;
            return Some(match known.find(|work| work.is_openalex(rest)) {
                Some(work) => Reply::json(&work.openalex()).header("x-ratelimit-remaining", "995"),
                None => Reply::error(404),
            });
        }
        // `query=doi:("A" OR "B")`; a list carries no more of a work than was asked for.
        Source::DataCite if rest.is_empty() => {
            let query = parameter("query").unwrap_or_default();
            let terms = query.strip_prefix("doi:(")?.strip_suffix(')')?;
            let dois: Vec<&str> = terms.split(" OR ").map(|term| term.trim_matches('"')).collect();
            let is_meant = |work: &&Listing| dois.iter().any(|doi| work.has_doi(doi));
            let record = |work: &Listing| {
                let doi = work.doi.to_lowercase();
                json!({ "id": doi, "type": "dois", "attributes": { "doi": doi } })
            };
            let found: Vec<Value> = known.filter(is_meant).map(record).collect();
            Some(json!({ "meta": { "total": found.len() }, "data": found }))
        }
        Source::DataCite => {
            let doi = rest.strip_prefix('/')?;
            known.find(|work| work.has_doi(doi)).map(Listing::datacite)
        }
        Source::Zenodo => known.find(|work| work.id == rest).map(Listing::zenodo),
        Source::Osf => known.find_map(|work| work.osf(rest)),
        Source::Hal => {
            let search = parameter("q").unwrap_or_default();
            let found: Vec<Value> = known
                .filter(|work| search.split(" OR ").any(|term| work.is_meant_by(term)))
                .map(Listing::hal)
                .collect();
            Some(json!({ "response": { "numFound": found.len(), "start": 0, "docs": found } }))
        }
        Source::Figshare => match (rest.strip_prefix('/'), parameter("doi")) {
            (Some(id), _) => known.find(|work| work.id == id).map(Listing::figshare),
            (None, Some(doi)) => {
                Some(known.filter(|work| work.has_doi(&doi)).map(Listing::figshare_listed).collect())
            }
            (None, None) => None,
        },
        Source::OpenAire => {
            let pid = parameter("pid").unwrap_or_default();
            let found: Vec<Value> = known.filter(|work| work.has_doi(&pid)).map(Listing::openaire).collect();
            Some(
                json!({ "header": { "numFound": found.len(), "page": 1, "pageSize": 10 }, "results": found }),
            )
        }
    };
    let reply = found.map(|found| Reply::json(&found));
    let reply = reply.unwrap_or_else(|| Reply::json(&json!({ "message": "Not found." })).status(404));
    // It is there on every answer, and asks for nothing.
    Some(if source == Source::Zenodo { reply.header("retry-after", "59") } else { reply })
}

impl Listing {
    fn is_openalex(&self, name: &str) -> bool {
        self.id == name || name.strip_prefix("doi:").is_some_and(|doi| self.has_doi(doi))
    }

    fn openalex(&self) -> Value {
        let id = format!("https://openalex.org/{}", self.id);
        let location = json!({
            "is_oa": self.open,
            "landing_page_url": self.doi_url(),
            "pdf_url": self.file(),
            "source": { "type": "repository" },
            "license": if self.open { json!("cc-by") } else { Value::Null },
            "version": "acceptedVersion",
        });
        json!({
            "id": id,
            "doi": self.doi_url().to_lowercase(),
            "ids": { "openalex": id, "doi": self.doi_url().to_lowercase() },
            "open_access": { "is_oa": self.open, "oa_url": self.file() },
            "best_oa_location": if self.open { location.clone() } else { Value::Null },
            "locations": [location],
        })
    }

    fn datacite(&self) -> Value {
        let access = if self.open { "openAccess" } else { "closedAccess" };
        json!({ "data": { "id": self.doi.to_lowercase(), "type": "dois", "attributes": {
            "doi": self.doi.to_lowercase(),
            "url": format!("https://repo.example.org/record/{}", self.id),
            "contentUrl": self.file(),
            "formats": ["application/pdf"],
            "types": { "resourceTypeGeneral": "Text" },
            "rightsList": [{ "rights": access, "rightsUri": format!("info:eu-repo/semantics/{access}") }],
            "relatedIdentifiers": [],
            "state": "findable",
        } } })
    }

    fn zenodo(&self) -> Value {
        let file = |url: String| json!({ "key": "the paper.pdf", "size": 20_000, "links": { "self": url } });
        json!({
            "id": self.id.parse::<u64>().unwrap_or_default(),
            "conceptrecid": "1",
            "doi": self.doi,
            "metadata": {
                "access_right": if self.open { "open" } else { "restricted" },
                "license": { "id": "cc-by-4.0" },
                "resource_type": { "type": "publication", "subtype": "preprint" },
            },
            "files": self.file().map(file).into_iter().collect::<Vec<_>>(),
        })
    }

    fn osf(&self, path: &str) -> Option<Value> {
        let (id, file) = (&self.id, format!("{}f", self.id));
        if path == format!("files/{file}/") {
            let download = self.file();
            let attributes = json!({ "name": "paper.pdf", "kind": "file" });
            return Some(
                json!({ "data": { "id": file, "attributes": attributes, "links": { "download": download } } }),
            );
        }
        let withdrawn = (!self.open).then_some("2020-01-01T00:00:00Z");
        (path == format!("preprints/{id}/")).then(|| {
            json!({ "data": {
            "id": format!("{id}_v1"),
            "type": "preprints",
            "attributes": { "doi": null, "date_withdrawn": withdrawn },
            "links": { "preprint_doi": self.doi_url() },
            "relationships": { "primary_file": { "data": { "id": file, "type": "files" } } },
        } })
        })
    }

    fn is_meant_by(&self, search: &str) -> bool {
        let doi = search.strip_prefix("doiId_s:\"").and_then(|doi| doi.strip_suffix('"'));
        search == format!("halId_s:\"{}\"", self.id) || doi.is_some_and(|doi| self.has_doi(doi))
    }

    fn hal(&self) -> Value {
        let mut document =
            json!({ "halId_s": self.id, "version_i": 1, "doiId_s": self.doi, "openAccess_bool": self.open });
        if let Some(file) = self.file() {
            document["fileMain_s"] = json!(file);
        }
        document
    }

    fn figshare(&self) -> Value {
        let file = |url| json!({ "name": "paper.pdf", "mimetype": "application/pdf", "download_url": url, "is_link_only": false });
        let mut article = self.figshare_listed();
        article["license"] =
            json!({ "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/" });
        article["is_embargoed"] = json!(!self.open);
        article["files"] = self.file().map(file).into_iter().collect();
        article
    }

    fn figshare_listed(&self) -> Value {
        json!({ "id": self.id.parse::<u64>().unwrap_or_default(), "doi": self.doi })
    }

    fn openaire(&self) -> Value {
        let (code, label) = if self.open { ("c_abf2", "OPEN") } else { ("c_14cb", "CLOSED") };
        let right = json!({ "code": code, "label": label });
        let url = self.file().unwrap_or_else(|| self.doi_url());
        json!({
            "id": format!("doi_dedup___::{}", self.id),
            "pids": [{ "scheme": "doi", "value": self.doi }],
            "bestAccessRight": right,
            "instances": [{ "accessRight": right, "type": "Article", "urls": [url] }],
        })
    }
}
