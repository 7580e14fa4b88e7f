//! The resolver against answers that OSF really gave. They are not part of the project: set `GLEANER_RECORDED` to the
//! directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_osf::Osf;
use gleaner_sdk::testing::{FakeHost, each_recorded, query, urls};
use gleaner_sdk::{Failure, Resolution, Resolver, bare_doi};
use serde_json::{Value, json};

/// Asks for a preprint by its DOI; `preprint` and `file` are what the two requests are answered with.
fn resolve(doi: &str, preprint: &str, file: (u16, &str)) -> Result<Resolution, Failure> {
    let id = doi.rsplit('/').next().unwrap();
    let record: Value = serde_json::from_str(preprint).unwrap();
    let file_id = &record["data"]["relationships"]["primary_file"]["data"]["id"];
    let host =
        FakeHost::new().answer(&format!("https://api.osf.io/v2/preprints/{id}/"), 200, preprint).answer(
            &format!("https://api.osf.io/v2/files/{}/", file_id.as_str().unwrap_or_default()),
            file.0,
            file.1,
        );
    Osf::resolve(&query(&[("doi", doi)]), &host)
}

/// A preprint of the shape that is asked for, with this file.
fn preprint_with(file: &str) -> String {
    let data = json!({
        "id": "abcde_v1",
        "links": { "preprint_doi": "https://doi.org/10.31234/osf.io/abcde" },
        "relationships": { "primary_file": { "data": { "id": file } } }
    });
    json!({ "data": data }).to_string()
}

#[test]
fn every_recorded_answer_is_read_as_the_manifest_says() {
    let (mut preprints, mut files, mut others) = (0, 0, 0);
    let lines = each_recorded("osf", |line, body| {
        let (file, expected) = (&line["file"], &line["expected"]);
        if let Some(doi) = expected["doi"].as_str() {
            let doi = bare_doi(doi);
            let resolution = resolve(&doi, &body, (404, "")).unwrap();
            let names: Vec<_> = resolution.discovered.iter().map(|name| name.value.as_str()).collect();
            let published = expected["attributes.doi"].as_str();
            assert_eq!(names, [Some(&*doi), published].into_iter().flatten().collect::<Vec<_>>(), "{file}");
            // The file is asked for where the manifest says.
            let api = expected["primary_file_api"].as_str().unwrap();
            assert!(resolve(&doi, &body, (500, "")).unwrap_err().message.starts_with(api), "{file}");
            assert_eq!(resolve("10.31235/osf.io/other", &body, (404, "")), Ok(Resolution::none()), "{file}");
            preprints += 1;
        } else if let Some(download) = expected["download"].as_str() {
            let id = expected["id"].as_str().unwrap();
            let resolution = resolve("10.31234/osf.io/abcde", &preprint_with(id), (200, &body)).unwrap();
            assert_eq!(urls(&resolution), [download], "{file}");
            assert_eq!(resolution.candidates[0].media_type.as_deref(), Some("application/pdf"), "{file}");
            files += 1;
        } else {
            // Lists, projects, and refusals of other requests: none is a preprint with a file.
            let outcome = resolve("10.31234/osf.io/abc12", &body, (404, ""));
            match outcome {
                Ok(resolution) => assert_eq!(resolution, Resolution::none(), "{file}"),
                Err(failure) => assert_eq!(failure.code, "unknown-shape", "{file}"),
            }
            others += 1;
        }
    });
    if lines.is_none() {
        return println!("skipped: GLEANER_RECORDED is not set");
    }
    assert!(preprints == 1 && files == 1 && others == 4, "{preprints} {files} {others}");
}
