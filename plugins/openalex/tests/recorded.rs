//! The resolver against answers that OpenAlex really gave. They are not part of the project: set `GLEANER_RECORDED`
//! to the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_openalex::OpenAlex;
use gleaner_sdk::testing::{FakeHost, each_recorded, query, response};
use gleaner_sdk::{CandidateKind, Disposition, Failure, Resolution, Resolver, Url, bare_doi};
use serde_json::Value;

fn resolve(doi: &str, line: &Value, body: &str) -> Result<Resolution, Failure> {
    let url = Url::new("https://api.openalex.org/works")
        .path(&format!("doi:{doi}"))
        .query("select", "id,doi,ids,open_access,best_oa_location,locations");
    let answer = response(u16::try_from(line["status"].as_u64().unwrap()).unwrap(), body);
    let answer = match line["headers"]["retry-after"].as_str() {
        Some(seconds) => answer.with_header("retry-after", seconds),
        None => answer,
    };
    OpenAlex::resolve(&query(&[("doi", doi)]), &FakeHost::new().outcome(&url.to_string(), Ok(answer)))
}

fn of_kind(resolution: &Resolution, kind: CandidateKind) -> Vec<&str> {
    let candidates = resolution.candidates.iter().filter(|candidate| candidate.kind == kind);
    candidates.map(|candidate| candidate.url.as_str()).collect()
}

/// What is expected of a work: all its files, the page of the best copy where that has no file, and what is said of it.
fn check(line: &Value, body: &str) {
    let (file, expected) = (&line["file"], &line["expected"]);
    let doi = bare_doi(expected["doi"].as_str().unwrap());
    let resolution = resolve(&doi, line, body).unwrap();
    let pdfs: Vec<_> =
        expected["all_pdf_urls"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(of_kind(&resolution, CandidateKind::File), pdfs, "{file}");
    assert_eq!(pdfs.first().copied(), expected["pdf_url"].as_str(), "{file}");
    assert_eq!(resolution.candidates.is_empty(), expected["has_oa"] == false, "{file}");
    assert!(resolution.discovered.iter().any(|name| name.scheme == "doi" && name.value == doi), "{file}");
    let Some(best) = resolution.candidates.first() else { return };
    assert_eq!(best.url, expected["oa_url"], "{file}");
    let version = expected["version"].as_str().and_then(|version| version.strip_suffix("Version"));
    assert_eq!(best.version.as_deref(), version, "{file}");
    assert_eq!(best.license.as_deref(), expected["license"].as_str(), "{file}");
    if expected["pdf_url"].is_null() && expected["landing"].is_string() {
        assert_eq!(best.url, expected["landing"], "{file}");
    }
    assert_eq!(resolve("10.1000/another", line, body), Ok(Resolution::none()), "{file}");
}

#[test]
fn every_recorded_answer_gives_what_the_manifest_says() {
    let (mut works, mut refusals) = (0, 0);
    let lines = each_recorded("openalex", |line, body| match line["status"].as_u64().unwrap() {
        200 => {
            check(line, &body);
            works += 1;
        }
        404 => assert_eq!(resolve("10.1000/a", line, &body), Ok(Resolution::none()), "{}", line["file"]),
        429 => {
            let failure = resolve("10.1000/a", line, &body).unwrap_err();
            let wait = line["expected"]["retry_after"].as_u64().map(|seconds| seconds * 1000);
            assert_eq!(failure.disposition, Disposition::RateLimited, "{}", line["file"]);
            assert_eq!(failure.retry_after_ms, wait, "{}", line["file"]);
            refusals += 1;
        }
        other => panic!("{other}: {}", line["file"]),
    });
    let Some(lines) = lines else { return println!("skipped: GLEANER_RECORDED is not set") };
    assert!(works > 10 && refusals == 2, "{works} works, {refusals} refusals in {lines} answers");
}
