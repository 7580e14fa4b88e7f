//! The resolver against answers that Zenodo really gave. They are not part of the project: set `GLEANER_RECORDED` to
//! the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_zenodo::Zenodo;
use gleaner_sdk::testing::{FakeHost, each_recorded, query, response, urls};
use gleaner_sdk::{Identifier, Resolution, Resolver};
use serde_json::Value;

fn resolve(name: (&str, &str), line: &Value, body: &str) -> Resolution {
    let answer = response(200, body)
        .with_header("retry-after", line["headers"]["retry-after"].as_str().unwrap_or("0"));
    let host = FakeHost::new().outcome(line["request_url"].as_str().unwrap(), Ok(answer));
    Zenodo::resolve(&query(&[name]), &host).unwrap()
}

#[test]
fn every_recorded_answer_gives_the_files_that_the_manifest_names() {
    let mut files = 0;
    let lines = each_recorded("zenodo", |line, body| {
        let (file, expected) = (&line["file"], &line["expected"]);
        let number = line["request_url"].as_str().unwrap().rsplit('/').next().unwrap();
        let resolution = resolve(("zenodo", number), line, &body);
        let listed = expected["files"].as_array().unwrap().iter();
        let pdfs: Vec<_> = listed
            .filter(|listed| listed[0].as_str().unwrap().to_lowercase().ends_with(".pdf"))
            .map(|listed| listed[1].as_str().unwrap())
            .collect();
        assert_eq!(urls(&resolution), pdfs, "{file}");
        assert_eq!(pdfs.first().copied(), expected["pdf_url"].as_str(), "{file}");
        files += pdfs.len();
        let doi = expected["doi"].as_str().unwrap();
        assert_eq!(resolution.discovered, [Identifier::new("doi", doi)], "{file}");
        // By its DOI it is found only where that is Zenodo's own.
        let by_doi = resolve(("doi", &format!("10.5281/zenodo.{number}")), line, &body);
        let is_own = doi == format!("10.5281/zenodo.{number}");
        assert_eq!(by_doi, if is_own { resolution } else { Resolution::none() }, "{file}");
    });
    let Some(lines) = lines else { return println!("skipped: GLEANER_RECORDED is not set") };
    assert!(lines > 5 && files > 5, "{files} files in {lines} records");
}
