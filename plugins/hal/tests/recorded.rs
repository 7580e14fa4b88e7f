//! The resolver against answers that HAL really gave. They are not part of the project: set `GLEANER_RECORDED` to the
//! directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_hal::Hal;
use gleaner_sdk::testing::{FakeHost, each_recorded, query, urls};
use gleaner_sdk::{Resolution, Resolver, Url};

const FIELDS: &str =
    "halId_s,version_i,doiId_s,arxivId_s,pubmedId_s,openAccess_bool,licence_s,fileMain_s,files_s";

fn resolve(id: &str, body: &str) -> Resolution {
    let url = Url::new("https://api.archives-ouvertes.fr/search")
        .segment("")
        .query("q", &format!("halId_s:\"{id}\""))
        .query("fl", FIELDS)
        .query("wt", "json");
    let host = FakeHost::new().answer(&url.to_string(), 200, body);
    Hal::resolve(&query(&[("hal", id)]), &host).unwrap()
}

#[test]
fn every_recorded_answer_gives_the_files_that_the_manifest_names() {
    let (mut found, mut files) = (0, 0);
    let lines = each_recorded("hal", |line, body| {
        let file = &line["file"];
        assert_eq!(resolve("hal-00000000", &body), Resolution::none(), "{file}");
        for document in line["expected"]["docs"].as_array().unwrap() {
            let id = document["halId_s"].as_str().unwrap();
            let resolution = resolve(id, &body);
            let listed = document["files_s"].as_array().cloned().unwrap_or_default();
            let expected = document["fileMain_s"]
                .as_str()
                .into_iter()
                .chain(listed.iter().filter_map(|url| url.as_str()));
            assert_eq!(urls(&resolution), expected.collect::<Vec<_>>(), "{file}");
            assert!(
                resolution.discovered.iter().any(|name| name.scheme == "hal" && name.value == id),
                "{file}"
            );
            found += 1;
            files += resolution.candidates.len();
        }
    });
    let Some(lines) = lines else { return println!("skipped: GLEANER_RECORDED is not set") };
    assert!(lines == 4 && found == 3 && files == 4, "{found} documents, {files} files in {lines} answers");
}
