//! The resolver against answers that Semantic Scholar really gave. They are not part of the project: set
//! `GLEANER_RECORDED` to the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_semantic_scholar::SemanticScholar;
use gleaner_sdk::testing::{FakeHost, query};
use gleaner_sdk::{CandidateKind, Failure, Resolution, Resolver, Url};
use serde_json::Value;
use std::path::PathBuf;

/// Asks for a work by its DOI, and is answered so.
fn resolve(doi: &str, status: u16, body: &Value) -> Result<Resolution, Failure> {
    let url = Url::new("https://api.semanticscholar.org/graph/v1/paper")
        .path(&format!("DOI:{doi}"))
        .query("fields", "externalIds,openAccessPdf");
    let host = FakeHost::new().answer(&url.to_string(), status, body.to_string());
    SemanticScholar::resolve(&query(&[("doi", doi)]), &host)
}

/// One paper. A paper without its names is a shape that was not asked for: those are of requests for other fields.
fn check(expected: &Value, paper: &Value) {
    let Some(doi) = expected["doi"].as_str() else {
        let failure = resolve("10.1000/a", 200, paper).unwrap_err();
        return assert_eq!(failure.code, "unknown-shape", "{paper}");
    };
    assert_eq!(resolve("10.1000/other", 200, paper), Ok(Resolution::none()), "a work that was not asked for");
    let resolution = resolve(&doi.to_lowercase(), 200, paper).unwrap();
    let copy = resolution.candidates.first();
    assert_eq!(copy.map(|copy| copy.url.as_str()), expected["pdf_url"].as_str(), "{doi}");
    let is_page = copy.is_some_and(|copy| copy.kind == CandidateKind::LandingPage);
    assert_eq!(is_page, copy.is_some_and(|copy| copy.url.contains("://doi.org/")), "{doi}");
    let pmid =
        resolution.discovered.iter().find(|name| name.scheme == "pmid").map(|name| name.value.as_str());
    assert_eq!(pmid, expected["externalIds"]["PubMed"].as_str(), "{doi}");
}

#[test]
fn every_recorded_answer_gives_what_the_manifest_names() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut answers, mut files) = (0, 0);
    for line in lines.filter(|line| line["api"] == "semanticscholar") {
        let body = std::fs::read_to_string(folder.join(line["file"].as_str().unwrap())).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        let (status, expected) = (line["status"].as_u64().unwrap(), &line["expected"]);
        match (status, body.as_array(), expected["results"].as_array()) {
            (404, ..) => assert_eq!(resolve("10.1000/a", 404, &body), Ok(Resolution::none())),
            (400, ..) => assert_eq!(resolve("10.1000/a", 400, &body).unwrap_err().code, "http-status"),
            // A batch: each of its papers as an answer of its own; null is how it says 404.
            (200, Some(papers), Some(results)) => {
                let known = papers.iter().filter(|paper| !paper.is_null());
                let results = results.iter().filter(|result| !result.is_null());
                known.zip(results).for_each(|(paper, result)| check(result, paper));
            }
            (200, None, _) => check(expected, &body),
            other => panic!("{other:?} in {}", line["file"]),
        }
        answers += 1;
        files += usize::from(expected["pdf_url"].is_string());
    }
    assert!(answers >= 13 && files >= 2, "{answers} answers, {files} with files in {}", folder.display());
}
