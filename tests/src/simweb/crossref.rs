//! Crossref's answers, made here in the shapes that its documentation describes.
//!
//! Must never serve a recorded answer, nor name a link that publishers would not deposit.

use std::collections::HashMap;

use serde_json::json;

use url::Url;

use super::reply::Reply;

/// A work as its publisher deposited it, with one link to a PDF.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// In any case.
    pub doi: String,
    /// May be empty.
    pub title: String,
    /// Where the PDF of the version of record is.
    pub pdf: String,
    /// The URL of the licence, in force since 2020.
    pub license: String,
}

impl Deposit {
    /// An article under CC BY.
    pub fn open(doi: &str, pdf: &str) -> Self {
        Self {
            doi: doi.to_owned(),
            title: String::new(),
            pdf: pdf.to_owned(),
            license: "https://creativecommons.org/licenses/by/4.0/".to_owned(),
        }
    }

    /// An article that only subscribers may read; its link is deposited all the same.
    pub fn closed(doi: &str, pdf: &str) -> Self {
        Self { license: "https://www.example.com/terms".to_owned(), ..Self::open(doi, pdf) }
    }
}

/// The answer to `/works/{doi}`.
pub(super) fn crossref(doi: &str, deposits: &HashMap<String, Deposit>) -> Reply {
    with_limits(match deposits.get(&doi.to_lowercase()) {
        Some(deposit) => Reply::json(&json!({
            "status": "ok", "message-type": "work", "message-version": "1.0.0", "message": deposit.json()
        })),
        None => Reply::bytes("text/plain", format!("{doi} is not in the simulated Crossref.")).status(404),
    })
}

/// The answer to `/works?filter=doi:A,doi:B&rows=N`; no other filter is known.
pub(super) fn crossref_list(url: &Url, deposits: &HashMap<String, Deposit>) -> Reply {
    let parameter =
        |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let filter = parameter("filter").unwrap_or_default();
    let Some(dois) = filter.split(',').map(|part| part.strip_prefix("doi:")).collect::<Option<Vec<_>>>()
    else {
        return Reply::error(400);
    };
    let rows = parameter("rows").and_then(|rows| rows.parse().ok()).unwrap_or(20_usize);
    let found = dois.iter().filter_map(|doi| deposits.get(&doi.to_lowercase())).take(rows);
    let items: Vec<_> = found.map(Deposit::json).collect();
    with_limits(Reply::json(&json!({
        "status": "ok", "message-type": "work-list", "message": { "total-results": items.len(), "items": items }
    })))
}

fn with_limits(reply: Reply) -> Reply {
    let limits =
        [("x-rate-limit-limit", "10"), ("x-rate-limit-interval", "1s"), ("x-concurrency-limit", "3")];
    limits.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
}

impl Deposit {
    fn json(&self) -> serde_json::Value {
        let link = |media_type: &str, purpose: &str| {
            json!({
                "URL": self.pdf,
                "content-type": media_type,
                "content-version": "vor",
                "intended-application": purpose,
            })
        };
        let license = |version: &str| {
            json!({
                "URL": self.license,
                "content-version": version,
                "delay-in-days": 0,
                "start": {
                    "date-parts": [[2020, 1, 1]], "date-time": "2020-01-01T00:00:00Z", "timestamp": 1_577_836_800_000_i64
                },
            })
        };
        json!({
            "DOI": self.doi.to_lowercase(),
            "type": "journal-article",
            "title": [self.title],
            "link": [link("application/pdf", "text-mining"), link("unspecified", "similarity-checking")],
            "license": [license("vor"), license("tdm")],
            "relation": {},
        })
    }
}
