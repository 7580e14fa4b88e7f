//! Crossref's answers, made here in the shapes that its documentation describes.
//!
//! Must never serve a recorded answer, nor name a link that publishers would not deposit.

use std::collections::HashMap;

use serde_json::json;

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
    let reply = match deposits.get(&doi.to_lowercase()) {
        Some(deposit) => Reply::json(&deposit.json()),
        None => Reply::bytes("text/plain", format!("{doi} is not in the simulated Crossref.")).status(404),
    };
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
            "status": "ok",
            "message-type": "work",
            "message-version": "1.0.0",
            "message": {
                "DOI": self.doi.to_lowercase(),
                "type": "journal-article",
                "title": [self.title],
                "link": [link("application/pdf", "text-mining"), link("unspecified", "similarity-checking")],
                "license": [license("vor"), license("tdm")],
                "relation": {},
            },
        })
    }
}
