//! The resolver against answers that DataCite really gave. They are not part of the project: set `GLEANER_RECORDED`
//! to the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_datacite::DataCite;
use gleaner_sdk::testing::{FakeHost, each_recorded, query, urls};
use gleaner_sdk::{CandidateKind, Resolution, Resolver, Url};

fn resolve(doi: &str, body: &str) -> Resolution {
    let url = Url::new("https://api.datacite.org/dois").path(doi).query("include", "media").to_string();
    DataCite::resolve(&query(&[("doi", doi)]), &FakeHost::new().answer(&url, 200, body)).unwrap()
}

/// The manifest knows no file of any of these; this one's DOI leads to one all the same.
const LEADS_TO_A_FILE: &str = "10.26102/2310-6018/2019.24.1.006";

#[test]
fn every_recorded_answer_gives_the_place_that_the_manifest_names() {
    let mut licensed = 0;
    let lines = each_recorded("datacite", |line, body| {
        let (file, expected) = (&line["file"], &line["expected"]);
        let doi = expected["doi"].as_str().unwrap();
        let resolution = resolve(doi, &body);
        assert_eq!(urls(&resolution), [expected["landing"].as_str().unwrap()], "{file}");
        let place = &resolution.candidates[0];
        let leads_to_file = place.kind == CandidateKind::File;
        assert_eq!(leads_to_file, expected["pdf_url"].is_string() || doi == LEADS_TO_A_FILE, "{file}");
        let rights = expected["rights"].as_array().unwrap().iter().filter_map(|rights| rights[1].as_str());
        let license = rights.into_iter().find(|uri| uri.starts_with("http"));
        assert_eq!(place.license.as_deref(), license, "{file}");
        licensed += usize::from(license.is_some());
        let preprint = expected["resourceTypeGeneral"] == "Preprint";
        assert_eq!(place.version.as_deref(), preprint.then_some("submitted"), "{file}");
        let same = expected["relatedIdentifiers"].as_array().unwrap().iter();
        let same = same.filter(|related| related[0] == "IsIdenticalTo" && related[1] == "DOI").count();
        assert_eq!(resolution.discovered.len(), same, "{file}");
        assert_eq!(resolve("10.1000/another", &body), Resolution::none(), "{file}");
    });
    let Some(lines) = lines else { return println!("skipped: GLEANER_RECORDED is not set") };
    assert!(lines > 10 && licensed > 4, "{licensed} with a licence of {lines}");
}
