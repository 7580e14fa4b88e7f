//! The resolver against answers that OpenAIRE really gave. They are not part of the project: set `GLEANER_RECORDED` to
//! the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_openaire::OpenAire;
use gleaner_sdk::testing::{FakeHost, each_recorded, query, urls};
use gleaner_sdk::{CandidateKind, Disposition, Failure, Resolution, Resolver, Url, bare_doi};

fn resolve(doi: &str, body: &str) -> Result<Resolution, Failure> {
    let url = Url::new("https://api.openaire.eu/graph/v1/researchProducts").query("pid", doi);
    OpenAire::resolve(&query(&[("doi", doi)]), &FakeHost::new().answer(&url.to_string(), 200, body))
}

#[test]
fn every_recorded_answer_gives_the_places_that_the_manifest_names() {
    let lines = each_recorded("openaire", |line, body| {
        let (file, expected) = (&line["file"], &line["expected"]);
        let Some(doi) = expected["doi"].as_str().map(bare_doi) else {
            // The older search API, which answered in XML and is gone: whatever still answers so is no JSON.
            let failure = resolve("10.1000/a", &body).unwrap_err();
            assert_eq!((&*failure.code, failure.disposition), ("bad-json", Disposition::Retry), "{file}");
            return;
        };
        let resolution = resolve(&doi, &body).unwrap();
        let expected = expected["urls"].as_array().unwrap().iter().map(|url| url.as_str().unwrap());
        assert_eq!(urls(&resolution), expected.collect::<Vec<_>>(), "{file}");
        assert!(resolution.candidates.iter().all(|one| one.kind == CandidateKind::LandingPage), "{file}");
        assert_eq!(resolve("10.1000/another", &body), Ok(Resolution::none()), "{file}");
    });
    let Some(lines) = lines else { return println!("skipped: GLEANER_RECORDED is not set") };
    assert_eq!(lines, 2);
}
