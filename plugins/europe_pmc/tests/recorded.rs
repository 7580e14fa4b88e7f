//! The resolver against answers that Europe PMC really gave. They are not part of the project: set
//! `GLEANER_RECORDED` to the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_europe_pmc::EuropePmc;
use gleaner_sdk::testing::{FakeHost, query};
use gleaner_sdk::{Resolution, Resolver, Url};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Asks for a work by its PMID, and is answered with that body.
fn resolve(pmid: &str, body: &Value) -> Resolution {
    let url = Url::new("https://www.ebi.ac.uk/europepmc/webservices/rest/search")
        .query("query", &format!("EXT_ID:{pmid} AND SRC:MED"))
        .query("resultType", "core")
        .query("format", "json");
    let host = FakeHost::new().answer(&url.to_string(), 200, body.to_string());
    EuropePmc::resolve(&query(&[("pmid", pmid)]), &host).unwrap()
}

fn check(expected: &Value, body: &Value) {
    let pmid = expected["pmid"].as_str().unwrap();
    let resolution = resolve(pmid, body);
    let urls: Vec<_> = resolution.candidates.iter().map(|candidate| candidate.url.as_str()).collect();
    let open: Vec<_> =
        expected["urls"].as_array().unwrap().iter().filter(|url| url[0] != "S" && url[1] == "pdf").collect();
    assert_eq!(urls, open.iter().map(|url| url[3].as_str().unwrap()).collect::<Vec<_>>(), "{pmid}");
    assert_eq!(urls.first().copied(), expected["pdf_url"].as_str(), "{pmid}");
    let licenses = resolution.candidates.iter().map(|candidate| candidate.license.as_deref());
    assert!(licenses.into_iter().all(|license| license == expected["license"].as_str()), "{pmid}");
    let named = |scheme: &str| {
        resolution.discovered.iter().find(|name| name.scheme == scheme).map(|name| &*name.value)
    };
    for scheme in ["pmid", "pmcid", "doi"] {
        assert_eq!(
            named(scheme).map(str::to_lowercase),
            expected[scheme].as_str().map(str::to_lowercase),
            "{pmid}"
        );
    }
}

#[test]
fn every_recorded_answer_gives_the_files_that_the_manifest_names() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut works, mut files) = (0, 0);
    for line in lines.filter(|line| line["api"] == "europepmc" && line["expected"]["error_body"].is_null()) {
        let body = std::fs::read_to_string(folder.join(line["file"].as_str().unwrap())).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        // Single records were stored without the answer around them.
        let body = match body.get("full") {
            Some(record) => json!({ "resultList": { "result": [record] } }),
            None => body,
        };
        let expected = match line["expected"]["results"].as_array() {
            Some(results) => results.clone(),
            None => vec![line["expected"].clone()],
        };
        assert_eq!(
            resolve("1", &body),
            Resolution::none(),
            "{}: a work that was not asked for",
            line["file"]
        );
        for expected in expected.iter().filter(|expected| expected["pmid"].is_string()) {
            check(expected, &body);
            works += 1;
            files += usize::from(expected["pdf_url"].is_string());
        }
    }
    assert!(works > 15 && files > 5, "{works} works, {files} with files in {}", folder.display());
}
