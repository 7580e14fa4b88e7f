//! The resolver against answers that figshare really gave. They are not part of the project: set `GLEANER_RECORDED` to
//! the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_figshare::Figshare;
use gleaner_sdk::testing::{FakeHost, each_recorded, query, urls};
use gleaner_sdk::{Identifier, Resolution, Resolver};
use serde_json::{Value, json};

#[test]
fn every_recorded_answer_is_found_by_its_doi_and_gives_the_files_that_the_manifest_names() {
    let lines = each_recorded("figshare", |line, body| {
        let (file, expected) = (&line["file"], &line["expected"]);
        let (doi, place) = (expected["doi"].as_str().unwrap(), line["request_url"].as_str().unwrap());
        let resolve = |doi: &str, body: &str| -> Resolution {
            let host =
                FakeHost::new().answer(place, 200, body).answer(&format!("{place}/versions/1"), 200, body);
            Figshare::resolve(&query(&[("doi", doi)]), &host).unwrap()
        };
        let unversioned = doi.strip_suffix(".v1").unwrap();
        for asked in [doi, unversioned] {
            let resolution = resolve(asked, &body);
            assert_eq!(urls(&resolution).first().copied(), expected["pdf_url"].as_str(), "{file}");
            assert_eq!(resolution.discovered, [Identifier::new("doi", doi)], "{file}");
        }
        // Neither has a PDF: were their files called so, they would be proposed, each from where the manifest says.
        let mut named: Value = serde_json::from_str(&body).unwrap();
        for listed in named["files"].as_array_mut().unwrap() {
            listed["name"] = json!("paper.pdf");
        }
        let places = expected["files"].as_array().unwrap().iter().map(|listed| listed[1].as_str().unwrap());
        assert_eq!(urls(&resolve(doi, &named.to_string())), places.collect::<Vec<_>>(), "{file}");
        let number = place.rsplit('/').next().unwrap();
        assert_eq!(resolve(&format!("10.1000/{number}"), &body), Resolution::none(), "{file}");
    });
    let Some(lines) = lines else { return println!("skipped: GLEANER_RECORDED is not set") };
    assert_eq!(lines, 2);
}
