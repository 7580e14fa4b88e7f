//! CORE's answers, made here in the shapes that its documentation describes.
//!
//! Must never serve a recorded answer, nor anybody without the key.

use serde_json::{Value, json};
use url::Url;

use super::reply::Reply;

/// The key that the simulated CORE gave out.
pub const CORE_KEY: &str = "core-1234";

/// A work as CORE knows it.
#[derive(Debug, Clone)]
pub struct CoreWork {
    /// In any case.
    pub doi: String,
    /// An arXiv id.
    pub arxiv: Option<String>,
    /// `downloadUrl`; empty where there is none.
    pub download: String,
}

impl CoreWork {
    /// A work with that copy.
    pub fn new(doi: &str, download: &str) -> Self {
        Self { doi: doi.to_owned(), arxiv: None, download: download.to_owned() }
    }

    fn json(&self) -> Value {
        json!({
            "id": 1,
            "doi": self.doi,
            "arxivId": self.arxiv,
            "title": "A work of the simulated web",
            "downloadUrl": self.download,
            "links": [{ "type": "display", "url": "https://core.ac.uk/works/1" }],
        })
    }
}

/// The answer to `/v3/search/works/?q=doi:"..."`.
pub(super) fn core(url: &Url, authorization: Option<&str>, works: &[CoreWork]) -> Reply {
    if authorization != Some(&format!("Bearer {CORE_KEY}")) {
        return Reply::json(&json!({ "message": "an API key is needed" })).status(401);
    }
    let query = url.query_pairs().find(|(name, _)| name == "q").map(|(_, query)| query.into_owned());
    let found = works.iter().filter(|work| {
        let phrase = format!("doi:\"{}\"", work.doi);
        query.as_deref().is_some_and(|query| query.eq_ignore_ascii_case(&phrase))
    });
    let found: Vec<_> = found.map(CoreWork::json).collect();
    Reply::json(&json!({ "totalHits": found.len(), "limit": 10, "offset": 0, "results": found }))
}
