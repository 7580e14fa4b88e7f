//! DOAJ's answers, made here in the shapes that its documentation describes.
//!
//! Must never serve a recorded answer, nor search for anything but DOIs as phrases.

use serde_json::{Value, json};

use super::reply::Reply;

/// An article of a journal that DOAJ lists, with one link to its full text.
#[derive(Debug, Clone)]
pub struct OpenArticle {
    /// The phrase that a search finds it by, in any case: its DOI.
    pub found_by: String,
    /// The DOI that it carries: the same, but for a search that finds too much.
    pub doi: String,
    /// Where the full text is.
    pub url: String,
    /// `HTML`, `PDF`; none where the journal does not say.
    pub content_type: Option<&'static str>,
}

impl OpenArticle {
    /// An article that is found by its DOI.
    pub fn new(doi: &str, url: &str, content_type: Option<&'static str>) -> Self {
        Self { found_by: doi.to_owned(), doi: doi.to_owned(), url: url.to_owned(), content_type }
    }

    fn json(&self) -> Value {
        let mut link = json!({ "type": "fulltext", "url": self.url });
        if let Some(content_type) = self.content_type {
            link["content_type"] = json!(content_type);
        }
        json!({
            "id": "0123456789abcdef",
            "bibjson": {
                "title": "An article of the simulated web",
                "identifier": [{ "type": "eissn", "id": "1234-5678" }, { "type": "doi", "id": self.doi }],
                "journal": { "title": "A journal", "license": [{ "type": "CC BY" }] },
                "link": [link],
            },
        })
    }
}

/// The answer to `/api/search/articles/{query}`: `doi:"A" OR doi:"B"`, or one alone.
pub(super) fn search(query: &str, articles: &[OpenArticle]) -> Reply {
    let phrase = |term: &'_ str| Some(term.strip_prefix("doi:\"")?.strip_suffix('"')?.to_owned());
    let Some(dois) = query.split(" OR ").map(phrase).collect::<Option<Vec<_>>>() else {
        let refusal = json!({ "status": "bad_request", "error": "only DOIs are searched for here" });
        return Reply::json(&refusal).status(400);
    };
    let is_meant = |article: &&OpenArticle| dois.iter().any(|doi| article.found_by.eq_ignore_ascii_case(doi));
    let found: Vec<_> = articles.iter().filter(is_meant).map(OpenArticle::json).collect();
    Reply::json(
        &json!({ "total": found.len(), "page": 1, "pageSize": 100, "query": query, "results": found }),
    )
}
