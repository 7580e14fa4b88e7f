//! The resolver against answers that CORE really gave. They are not part of the project: set `GLEANER_RECORDED` to the
//! directory that has them.
//!
//! All of them are of version 2 of the API, which is gone: they are of a shape that the resolver does not know, and their
//! records as they were show what a record without a DOI gives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_core::Core;
use gleaner_sdk::testing::{FakeHost, query};
use gleaner_sdk::{Failure, Resolution, Resolver};
use serde_json::{Value, json};
use std::path::PathBuf;

fn resolve(body: &Value) -> Result<Resolution, Failure> {
    let url = "https://api.core.ac.uk/v3/search/works/?q=doi%3A%2210.1000%2Fa%22&limit=10";
    let host = FakeHost::new().answer(url, 200, body.to_string());
    Core::resolve(&query(&[("doi", "10.1000/a")]), &host)
}

#[test]
fn answers_of_the_older_version_are_noticed_and_their_records_are_nobodys() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut answers, mut records) = (0, 0);
    for line in lines.filter(|line| line["api"] == "core") {
        let body = std::fs::read_to_string(folder.join(line["file"].as_str().unwrap())).unwrap();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(resolve(&body).unwrap_err().code, "unknown-shape", "{}", line["file"]);
        let data = match body["data"].as_array() {
            Some(hits) => hits.iter().map(|hit| hit["_source"].clone()).collect(),
            None => vec![body["data"].clone()],
        };
        let expected = line["expected"]["results"].as_array().cloned();
        for (record, expected) in data.iter().zip(expected.unwrap_or(vec![line["expected"].clone()])) {
            assert_eq!(record["id"], expected["id"]);
            assert!(expected["doi"].is_null() && expected["pdf_url"].is_null(), "{expected}");
            assert_eq!(resolve(&json!({ "results": [record] })), Ok(Resolution::none()));
            records += 1;
        }
        answers += 1;
    }
    assert!(answers >= 2 && records >= 11, "{answers} answers, {records} records in {}", folder.display());
}
