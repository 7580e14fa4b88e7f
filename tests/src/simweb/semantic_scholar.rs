//! Semantic Scholar's answers, made here in the shapes that its documentation describes.
//!
//! Must never serve a recorded answer, nor tell fields that were not asked for.

use serde_json::{Map, Value, json};
use url::Url;

use super::reply::Reply;

/// A paper as Semantic Scholar knows it.
#[derive(Debug, Clone)]
pub struct Paper {
    /// The name it is found by: `DOI:10.1000/a`, `ARXIV:2104.12255`, `PMID:9`; in any case.
    pub asked: String,
    /// The DOI that it carries, where another paper was joined with it: another one.
    pub doi: Option<String>,
    /// `openAccessPdf.url`; empty where there is none.
    pub url: String,
    /// `GOLD`, `HYBRID`, `BRONZE`, `GREEN`, `CLOSED`; none is null.
    pub status: Option<&'static str>,
}

impl Paper {
    /// With an open copy.
    pub fn open(doi: &str, url: &str, status: &'static str) -> Self {
        Self {
            asked: format!("DOI:{doi}"),
            doi: Some(doi.to_owned()),
            url: url.to_owned(),
            status: Some(status),
        }
    }

    /// Without one.
    pub fn closed(doi: &str) -> Self {
        Self { status: None, ..Self::open(doi, "", "") }
    }
}

/// The answer to `/graph/v1/paper/{id}?fields=`.
pub(super) fn paper(id: &str, url: &Url, papers: &[Paper]) -> Reply {
    match found(id, url, papers) {
        Ok(Value::Null) => {
            let error = format!("{id} is not in the simulated Semantic Scholar");
            Reply::json(&json!({ "error": error })).status(404)
        }
        Ok(paper) => Reply::json(&paper),
        Err(error) => Reply::json(&json!({ "error": error })).status(400),
    }
}

/// The answer to `POST /graph/v1/paper/batch?fields=` with `{"ids": [...]}`: a paper or null for each, in their order.
pub(super) fn papers(body: &[u8], url: &Url, papers: &[Paper]) -> Reply {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let ids = asked["ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match ids.map(|id| found(id, url, papers)).collect::<Result<Vec<_>, _>>() {
        Ok(papers) if !papers.is_empty() && papers.len() <= 500 => Reply::json(&json!(papers)),
        Ok(_) => Reply::json(&json!({ "error": "1 to 500 ids are needed" })).status(400),
        Err(error) => Reply::json(&json!({ "error": error })).status(400),
    }
}

/// A paper with the fields that were asked for; null if it is not known. The error is that of an unknown field.
fn found(id: &str, url: &Url, papers: &[Paper]) -> Result<Value, String> {
    let fields = url.query_pairs().find(|(name, _)| name == "fields").map(|(_, fields)| fields.into_owned());
    let Some(paper) = papers.iter().find(|paper| paper.asked.eq_ignore_ascii_case(id)) else {
        return Ok(Value::Null);
    };
    let mut answer = Map::from_iter([("paperId".to_owned(), json!("0123"))]);
    for field in fields.as_deref().unwrap_or_default().split(',') {
        let value = match field {
            "externalIds" => json!({ "CorpusId": 1, "DOI": paper.doi }),
            "openAccessPdf" => json!({ "url": paper.url, "status": paper.status, "license": null }),
            unknown => return Err(format!("Unrecognized or unsupported fields: [{unknown}]")),
        };
        answer.insert(field.to_owned(), value);
    }
    Ok(Value::Object(answer))
}
