//! The resolver against answers that DOAJ really gave. They are not part of the project: set `GLEANER_RECORDED` to the
//! directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_doaj::Doaj;
use gleaner_sdk::testing::{FakeHost, query, urls};
use gleaner_sdk::{Resolution, Resolver, Url};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Asks for a work by its DOI, and is answered with that body.
fn resolve(doi: &str, body: &Value) -> Resolution {
    let url = Url::new("https://doaj.org/api/search/articles")
        .segment(&format!("doi:\"{doi}\""))
        .query("pageSize", "10");
    let host = FakeHost::new().answer(&url.to_string(), 200, body.to_string());
    Doaj::resolve(&query(&[("doi", doi)]), &host).unwrap()
}

/// Whether the article was found by a DOI; some have none.
fn check(expected: &Value, body: &Value) -> bool {
    let Some(doi) = expected["doi"].as_str() else { return false };
    let resolution = resolve(&doi.to_lowercase(), body);
    let links = expected["links"].as_array().unwrap().iter().filter(|link| link[0] == "fulltext");
    assert_eq!(urls(&resolution), links.map(|link| link[2].as_str().unwrap()).collect::<Vec<_>>(), "{doi}");
    let pdf = resolution.candidates.iter().find(|text| text.media_type.is_some());
    assert_eq!(pdf.map(|pdf| pdf.url.as_str()), expected["pdf_url"].as_str(), "{doi}");
    true
}

#[test]
fn every_recorded_answer_gives_the_links_that_the_manifest_names() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut answers, mut works) = (0, 0);
    for line in lines.filter(|line| line["api"] == "doaj") {
        let body = std::fs::read_to_string(folder.join(line["file"].as_str().unwrap())).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        // A single article was stored without the answer around it.
        let is_article = body["results"].is_null();
        let body = if is_article { json!({ "results": [body] }) } else { body };
        assert_eq!(resolve("10.1000/other", &body), Resolution::none(), "a work that was not asked for");
        let expected = match line["expected"]["results"].as_array() {
            Some(results) => results.clone(),
            None => vec![line["expected"].clone()],
        };
        works += expected.iter().filter(|expected| check(expected, &body)).count();
        answers += 1;
    }
    assert!(answers >= 4 && works >= 7, "{answers} answers, {works} works in {}", folder.display());
}
