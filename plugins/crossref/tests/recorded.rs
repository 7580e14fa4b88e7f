//! The resolver against answers that Crossref really gave. They are not part of the project: set `GLEANER_RECORDED`
//! to the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_crossref::Crossref;
use gleaner_sdk::testing::{FakeHost, query};
use gleaner_sdk::{Failure, Resolution, Resolver, Url};
use serde_json::{Value, json};
use std::path::PathBuf;

fn resolve(doi: &str, closed_links: &str, status: u16, body: &str) -> Result<Resolution, Failure> {
    let url = Url::new("https://api.crossref.org/works").path(doi).to_string();
    let host = FakeHost::new().set("closed-links", closed_links).answer(&url, status, body);
    Crossref::resolve(&query(&[("doi", doi)]), &host)
}

/// The URLs proposed as PDFs by their type; those that are so by their path alone are not in the manifest.
fn pdfs(resolution: &Resolution) -> Vec<&str> {
    let typed = resolution.candidates.iter().filter(|candidate| candidate.media_type.is_some());
    typed.map(|candidate| candidate.url.as_str()).collect()
}

/// What a work is expected to give, with and without the setting `closed-links`.
fn check(expected: &Value, body: &str) {
    let doi = expected["doi"].as_str().unwrap();
    let links = expected["links"].as_array().unwrap().iter();
    let typed = links.filter(|link| link[0] == "application/pdf" && link[2] != "similarity-checking");
    let urls: Vec<_> = typed.map(|link| link[3].as_str().unwrap()).collect();
    let open =
        expected["licences"].as_array().unwrap().iter().any(|license| {
            license[0] == "vor" && license[2].as_str().unwrap().contains("creativecommons.org/")
        });
    assert_eq!(pdfs(&resolve(doi, "true", 200, body).unwrap()), urls, "{doi}");
    let resolution = resolve(doi, "false", 200, body).unwrap();
    assert_eq!(pdfs(&resolution), if open { urls } else { Vec::new() }, "{doi}");
    assert!(open || resolution.candidates.is_empty(), "{doi}");
}

#[test]
fn every_recorded_answer_gives_the_files_that_the_manifest_names() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut works, mut others) = (0, 0);
    for line in lines.filter(|line| line["api"] == "crossref") {
        let body = std::fs::read_to_string(folder.join(line["file"].as_str().unwrap())).unwrap();
        let (status, expected) = (line["status"].as_u64().unwrap(), &line["expected"]);
        if expected["links"].is_array() {
            check(expected, &body);
            works += 1;
        } else if let Some(items) = expected["items"].as_array() {
            // Searches answer with works in the shape of single ones.
            let found: Value = serde_json::from_str(&body).unwrap();
            for (expected, work) in items.iter().zip(found["message"]["items"].as_array().unwrap()) {
                check(expected, &json!({ "message": work }).to_string());
                works += 1;
            }
        } else {
            let outcome = resolve("10.1000/a", "false", u16::try_from(status).unwrap(), &body);
            match status {
                // Answers about agencies are of works, without links.
                200 | 404 => assert_eq!(outcome, Ok(Resolution::none()), "{}", line["file"]),
                _ => assert_eq!(outcome.unwrap_err().code, "http-status", "{}", line["file"]),
            }
            others += 1;
        }
    }
    assert!(works > 20 && others > 5, "{works} works, {others} other answers in {}", folder.display());
}
