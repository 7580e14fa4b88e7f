//! The resolver against records that Unpaywall really gave. They are not part of the project: set
//! `GLEANER_RECORDED` to the directory that has them.

use flate2::read::GzDecoder;
use gleaner_plugin_unpaywall::Unpaywall;
use gleaner_sdk::testing::{FakeHost, query};
use gleaner_sdk::{CandidateKind, Failure, Resolution, Resolver, Url, clean_url};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

const SKIPPED: &str = "skipped: GLEANER_RECORDED is not set";

fn recorded() -> Option<PathBuf> {
    std::env::var_os("GLEANER_RECORDED").map(PathBuf::from)
}

/// What the resolver makes of an answer.
fn resolve(doi: &str, status: u16, body: &str) -> Result<Resolution, Failure> {
    let url = Url::new("https://api.unpaywall.org/v2").path(doi).query("email", "a@b.example").to_string();
    let host = FakeHost::new().set("contact", "a@b.example").answer(&url, status, body);
    Unpaywall::resolve(&query(&[("doi", doi)]), &host)
}

fn files(resolution: &Resolution) -> BTreeSet<String> {
    let files = resolution.candidates.iter().filter(|candidate| candidate.kind == CandidateKind::File);
    files.map(|candidate| candidate.url.clone()).collect()
}

/// Every URL in a list of JSON strings and nulls, cleaned, once; one that cannot be cleaned stays, and is missed.
fn cleaned<'a>(urls: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    urls.filter_map(Value::as_str).map(|url| clean_url(url).unwrap_or_else(|| url.to_owned())).collect()
}

#[test]
fn every_record_of_the_snapshot_gives_each_of_its_files_once() {
    let Some(folder) = recorded() else { return println!("{SKIPPED}") };
    let snapshot = File::open(folder.join("unpaywall/bulk_snapshot_1000.jsonl.gz")).unwrap();
    let (mut records, mut open, mut pdfs) = (0, 0, 0);
    for line in BufReader::new(GzDecoder::new(snapshot)).lines() {
        let line = line.unwrap();
        let record: Value = serde_json::from_str(&line).unwrap();
        let doi = record["doi"].as_str().unwrap();
        let resolution = resolve(doi, 200, &line).unwrap();
        let locations = record["oa_locations"].as_array().unwrap();
        let expected = cleaned(locations.iter().map(|location| &location["url_for_pdf"]));
        assert_eq!(files(&resolution), expected, "{doi}");
        assert_eq!(resolution.candidates.is_empty(), locations.is_empty(), "{doi}");
        assert_eq!(resolution.candidates.is_empty(), record["is_oa"] == false, "{doi}");
        if let Some(best) = record["best_oa_location"]["url_for_pdf"].as_str() {
            assert_eq!(resolution.candidates[0].url, clean_url(best).unwrap(), "{doi}");
        }
        records += 1;
        open += usize::from(!locations.is_empty());
        pdfs += expected.len();
    }
    println!("{records} records, {open} of them open, with {pdfs} files");
    assert_eq!(records, 1000);
}

#[test]
fn every_recorded_answer_gives_the_files_that_the_manifest_names() {
    let Some(folder) = recorded() else { return println!("{SKIPPED}") };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut checked = 0;
    for line in lines.filter(|line| line["api"] == "unpaywall" && line["expected"]["doi"].is_string()) {
        let body = std::fs::read_to_string(folder.join(line["file"].as_str().unwrap())).unwrap();
        let status = u16::try_from(line["status"].as_u64().unwrap()).unwrap();
        let resolution = resolve(line["expected"]["doi"].as_str().unwrap(), status, &body).unwrap();
        let expected =
            line["expected"]["all_pdf_urls"].as_array().map_or(BTreeSet::new(), |urls| cleaned(urls.iter()));
        assert_eq!(files(&resolution), expected, "{}", line["file"]);
        assert_eq!(resolution.candidates.is_empty(), line["expected"]["has_oa"] == false, "{}", line["file"]);
        checked += 1;
    }
    assert!(checked > 20, "only {checked} answers of Unpaywall in {}", folder.display());
}
