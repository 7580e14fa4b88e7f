//! The answers of the APIs, made here in the shapes that their documentation describes.
//!
//! Must never serve a recorded answer, and never be kinder than the real API: no e-mail, no record.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Value, json};
use url::Url;

use super::pdf;
use super::reply::Reply;

/// A work as Unpaywall knows it. Without locations it is closed.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// In any case.
    pub doi: String,
    /// May be empty.
    pub title: String,
    /// The name of the publisher; may be empty.
    pub publisher: String,
    /// The year of publication.
    pub year: Option<u16>,
    /// Best first.
    pub locations: Vec<Location>,
}

/// One open copy of a work.
#[derive(Debug, Clone)]
pub struct Location {
    /// `url_for_pdf`: none when Unpaywall knows only a landing page.
    pub pdf: Option<String>,
    /// `url_for_landing_page`.
    pub landing_page: Option<String>,
    /// `publisher` or `repository`.
    pub host_type: &'static str,
    /// `publishedVersion`, `acceptedVersion` or `submittedVersion`.
    pub version: &'static str,
    /// Such as `cc-by`.
    pub license: Option<&'static str>,
}

impl Location {
    /// The published version under CC BY on the publisher's site.
    pub fn publisher(pdf: &str) -> Self {
        Self {
            pdf: Some(pdf.to_owned()),
            landing_page: None,
            host_type: "publisher",
            version: "publishedVersion",
            license: Some("cc-by"),
        }
    }

    /// The accepted version in a repository, with no licence named.
    pub fn repository(pdf: &str) -> Self {
        Self { host_type: "repository", version: "acceptedVersion", license: None, ..Self::publisher(pdf) }
    }

    /// A landing page without a known file, as Unpaywall often has for a publisher's best location.
    pub fn landing_page(url: &str) -> Self {
        Self { pdf: None, landing_page: Some(url.to_owned()), ..Self::publisher("") }
    }

    fn json(&self, doi: &str, best: bool) -> Value {
        let doi_url = format!("https://doi.org/{doi}");
        let landing_page = self.landing_page.as_ref().unwrap_or(&doi_url);
        json!({
            "url": self.pdf.as_ref().unwrap_or(landing_page),
            "url_for_pdf": self.pdf,
            "url_for_landing_page": landing_page,
            "host_type": self.host_type,
            "version": self.version,
            "license": self.license,
            "is_best": best,
            "evidence": "simulated",
            "oa_date": null,
            "pmh_id": null,
            "repository_institution": null,
        })
    }
}

impl Work {
    /// A work with that DOI and these locations.
    pub fn new(doi: &str, locations: impl IntoIterator<Item = Location>) -> Self {
        Self { doi: doi.to_owned(), locations: locations.into_iter().collect(), ..Self::default() }
    }

    fn json(&self) -> Value {
        let doi = self.doi.to_lowercase();
        let locations: Vec<Value> =
            self.locations.iter().enumerate().map(|(n, location)| location.json(&doi, n == 0)).collect();
        let status = match self.locations.first() {
            None => "closed",
            Some(best) if best.host_type == "repository" => "green",
            Some(best) if best.license.is_none() => "bronze",
            Some(_) => "gold",
        };
        json!({
            "doi": doi,
            "doi_url": format!("https://doi.org/{doi}"),
            "title": self.title,
            "publisher": self.publisher,
            "year": self.year,
            "genre": "journal-article",
            "journal_name": null,
            "is_oa": !locations.is_empty(),
            "oa_status": status,
            "best_oa_location": locations.first(),
            "first_oa_location": locations.first(),
            "oa_locations": locations,
            "oa_locations_embargoed": [],
            "has_repository_copy": self.locations.iter().any(|location| location.host_type == "repository"),
            "data_standard": 2,
            "z_authors": null,
        })
    }
}

/// The answer to `/v2/{doi}?email=`.
pub(super) fn unpaywall(doi: &str, url: &Url, works: &HashMap<String, Work>) -> Reply {
    let refusal = |status: u16, message: String| {
        Reply::json(&json!({ "HTTP_status_code": status, "error": true, "message": message })).status(status)
    };
    let email = url.query_pairs().find(|(name, _)| name == "email").map(|(_, value)| value.into_owned());
    match email {
        Some(email) if email.contains('@') && !email.ends_with("@example.com") => {}
        _ => {
            return refusal(
                422,
                "Name an e-mail address of your own in the call: ?email=YOUR_EMAIL".to_owned(),
            );
        }
    }
    match works.get(&doi.to_lowercase()) {
        Some(work) => Reply::json(&work.json()),
        None => refusal(404, format!("'{doi}' is not in the simulated Unpaywall.")),
    }
}

/// An e-print as arXiv knows it.
#[derive(Debug, Clone)]
pub struct Eprint {
    /// Without a version: `1706.03762` or `hep-th/9711200`.
    pub id: String,
    /// How many versions there are; the last is the newest.
    pub versions: u32,
    /// The title.
    pub title: String,
}

/// The answer to `/api/query?id_list=`: one entry for each known id, in order; 400 when an id is malformed.
pub(super) fn arxiv(url: &Url, eprints: &HashMap<String, Eprint>) -> Reply {
    let list = url.query_pairs().find(|(name, _)| name == "id_list").map(|(_, ids)| ids.into_owned());
    let list = list.unwrap_or_default();
    let ids: Vec<&str> = list.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if let Some(bad) = ids.iter().find(|id| !is_well_formed(split_version(id).0)) {
        let place = format!("https://arxiv.org/api/errors#incorrect_id_format_for_{}", escape(bad));
        let error = entry(&place, "Error", &format!("incorrect id format for {}", escape(bad)), "");
        return atom(&error, 1).status(400);
    }
    let entries: Vec<String> = ids.iter().filter_map(|id| Some(find(id, eprints)?.entry())).collect();
    atom(&entries.concat(), entries.len())
}

/// The answer to `/pdf/{id}`, with or without a version and `.pdf`.
pub(super) fn arxiv_pdf(id: &str, eprints: &HashMap<String, Eprint>) -> Option<Reply> {
    let found = find(id.strip_suffix(".pdf").unwrap_or(id), eprints)?;
    Some(Reply::pdf(pdf::size_for(&found.eprint.id)))
}

struct Found<'a> {
    eprint: &'a Eprint,
    version: u32,
}

fn find<'a>(id: &str, eprints: &'a HashMap<String, Eprint>) -> Option<Found<'a>> {
    let (bare, version) = split_version(id);
    let eprint = eprints.get(bare)?;
    let version = version.unwrap_or(eprint.versions);
    (1..=eprint.versions).contains(&version).then_some(Found { eprint, version })
}

/// `1706.03762v5` is `1706.03762` and 5.
fn split_version(id: &str) -> (&str, Option<u32>) {
    match id.rsplit_once('v') {
        Some((bare, version)) if version.parse::<u32>().is_ok() => (bare, version.parse().ok()),
        _ => (id, None),
    }
}

/// `YYMM.NNNN`, `YYMM.NNNNN` or `archive/YYMMNNN`, the archive with or without a subject class.
fn is_well_formed(id: &str) -> bool {
    let digits = |text: &str, lengths: &[usize]| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    match id.split_once('/') {
        Some((archive, number)) => {
            digits(number, &[7])
                && archive.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-.".contains(&byte))
                && !archive.is_empty()
        }
        None => {
            id.split_once('.').is_some_and(|(month, number)| digits(month, &[4]) && digits(number, &[4, 5]))
        }
    }
}

impl Found<'_> {
    fn entry(&self) -> String {
        let Self { eprint: Eprint { id, title, .. }, version } = self;
        let mut links = String::new();
        for (path, about) in [
            ("abs", "rel=\"alternate\" type=\"text/html\""),
            ("pdf", "rel=\"related\" type=\"application/pdf\" title=\"pdf\""),
        ] {
            let _ = writeln!(links, "    <link href=\"https://arxiv.org/{path}/{id}v{version}\" {about}/>");
        }
        let place = format!("http://arxiv.org/abs/{id}v{version}");
        entry(&place, &escape(title), "An abstract of the simulated web.", &links)
    }
}

fn entry(id: &str, title: &str, summary: &str, links: &str) -> String {
    format!(
        "  <entry>\n    <id>{id}</id>\n    <title>{title}</title>\n    <updated>2024-01-02T03:04:05Z</updated>\n\
         {links}    <summary>{summary}</summary>\n    <author>\n      <name>A. Simulated</name>\n    </author>\n  </entry>\n"
    )
}

fn atom(entries: &str, total: usize) -> Reply {
    let feed = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n\
         <feed xmlns:opensearch=\"http://a9.com/-/spec/opensearch/1.1/\" xmlns:arxiv=\"http://arxiv.org/schemas/atom\" \
         xmlns=\"http://www.w3.org/2005/Atom\">\n  <id>https://arxiv.org/api/simulated</id>\n\
         \x20 <title>arXiv Query</title>\n  <updated>2024-01-02T03:04:05Z</updated>\n\
         \x20 <opensearch:itemsPerPage>10</opensearch:itemsPerPage>\n\
         \x20 <opensearch:totalResults>{total}</opensearch:totalResults>\n\
         \x20 <opensearch:startIndex>0</opensearch:startIndex>\n{entries}</feed>\n"
    );
    Reply::bytes("application/atom+xml; charset=utf-8", feed)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
