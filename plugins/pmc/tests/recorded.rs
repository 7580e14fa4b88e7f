//! The resolver against answers that the services of PMC really gave. They are not part of the project: set
//! `GLEANER_RECORDED` to the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_pmc::Pmc;
use gleaner_sdk::testing::{FakeHost, query, urls};
use gleaner_sdk::{Resolution, Resolver};
use serde_json::Value;
use std::path::PathBuf;

const DATASETS: &str = "https://pmc-oa-opendata.s3.amazonaws.com/";

fn listing_url(pmcid: &str) -> String {
    format!("{DATASETS}?list-type=2&prefix={pmcid}.&delimiter=%2F")
}

/// A listing of these folders, as the datasets give one.
fn listing(folders: &[&str]) -> String {
    let folders: String = folders.iter().map(|name| format!("<Prefix>{name}</Prefix>")).collect();
    format!("<ListBucketResult>{folders}</ListBucketResult>")
}

fn by_pmcid(pmcid: &str, host: &FakeHost) -> Resolution {
    Pmc::resolve(&query(&[("pmcid", pmcid)]), host).unwrap()
}

/// Metadata of the first version of an article.
fn check_metadata(expected: &Value, body: &str) {
    let pmcid = expected["pmcid"].as_str().unwrap();
    let folder = format!("{pmcid}.1");
    let host = FakeHost::new().answer(&listing_url(pmcid), 200, listing(&[&format!("{folder}/")])).answer(
        &format!("{DATASETS}{folder}/{folder}.json"),
        200,
        body,
    );
    let resolution = by_pmcid(pmcid, &host);
    assert_eq!(urls(&resolution).first().copied(), expected["https_equivalent"].as_str(), "{pmcid}");
    assert_eq!(expected["pdf_url"].is_null(), resolution.candidates.is_empty(), "{pmcid}");
    let doi = resolution.discovered.iter().find(|name| name.scheme == "doi").unwrap();
    assert_eq!(doi.value, expected["doi"].as_str().unwrap());
}

fn check_listing(expected: &Value, body: &str) {
    let pmcid = expected["pmcid"].as_str().unwrap();
    let host = FakeHost::new().answer(&listing_url(pmcid), 200, body);
    Pmc::resolve(&query(&[("pmcid", pmcid)]), &host).unwrap_err();
    let folder = expected["prefixes"][0].as_str().unwrap();
    let url = format!("{DATASETS}{folder}{}.json", folder.trim_end_matches('/'));
    assert_eq!(host.sent().last().unwrap().url, url);
}

/// The older service: its files are at another place than it says, which the row names too.
fn check_oa(expected: &Value, body: &str) {
    let pmcid = expected["pmcid"].as_str().unwrap();
    let url = format!("https://www.ncbi.nlm.nih.gov/pmc/utils/oa/oa.fcgi?id={pmcid}");
    let host = FakeHost::new().answer(&listing_url(pmcid), 200, listing(&[])).answer(&url, 200, body);
    let named = expected["pdf_url"].as_str().map(|url| url.replace("ftp://", "https://"));
    let moved = expected["live_pdf_url_2026"].as_str().map(str::to_owned);
    assert_eq!(urls(&by_pmcid(pmcid, &host)), moved.into_iter().chain(named).collect::<Vec<_>>(), "{pmcid}");
    assert!(host.logged().is_empty(), "{:?}", host.logged());
}

/// Asks the converter for one name, answered so, and for nothing else: the article is nowhere.
fn convert(scheme: &str, value: &str, status: u16, body: &str) -> Resolution {
    let value_in_url = value.replace('/', "%2F");
    let url = format!(
        "https://pmc.ncbi.nlm.nih.gov/tools/idconv/api/v1/articles/?ids={value_in_url}&idtype={scheme}&format=json&tool=gleaner"
    );
    let mut host = FakeHost::new().answer(&url, status, body);
    for pmcid in body.split('"').filter(|word| word.starts_with("PMC")) {
        host = host.answer(&listing_url(pmcid), 404, "");
    }
    Pmc::resolve(&query(&[(scheme, value)]), &host).unwrap()
}

fn pmcid(resolution: &Resolution) -> Option<&str> {
    resolution.discovered.iter().find(|name| name.scheme == "pmcid").map(|name| name.value.as_str())
}

fn check_converter(expected: &Value, status: u16, body: &str) {
    if expected["status"] == "error" {
        return assert_eq!(convert("doi", "28371833", status, body), Resolution::none());
    }
    let records: Value = serde_json::from_str(body).unwrap();
    let asked: Vec<_> =
        records["records"].as_array().unwrap().iter().map(|one| &one["requested-id"]).collect();
    let found = asked.iter().map(|pmid| convert("pmid", pmid.as_str().unwrap(), 200, body));
    let found: Vec<_> = found.collect();
    match expected["n"].as_u64() {
        Some(n) => {
            assert_eq!(found.len() as u64, n);
            assert_eq!(
                found.iter().filter_map(pmcid).count() as u64,
                expected["with_pmcid"].as_u64().unwrap()
            );
        }
        None => {
            assert_eq!(pmcid(&found[0]), expected["pmcid"].as_str());
            let pmid = expected["pmid"].as_u64().map(|number| number.to_string());
            let told = found[0].discovered.iter().find(|name| name.scheme == "pmid");
            assert_eq!(told.map(|name| name.value.as_str()), pmid.as_deref());
        }
    }
}

#[test]
fn every_recorded_answer_gives_what_the_manifest_names() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut checked = 0;
    for line in lines.filter(|line| line["api"] == "pmc_oa" || line["api"] == "idconv") {
        let file = line["file"].as_str().unwrap();
        let body = std::fs::read_to_string(folder.join(file)).unwrap();
        let expected = &line["expected"];
        if line["api"] == "idconv" {
            check_converter(expected, u16::try_from(line["status"].as_u64().unwrap()).unwrap(), &body);
        } else if expected["prefixes"].is_array() {
            check_listing(expected, &body);
        } else if file.ends_with(".json") {
            check_metadata(expected, &body);
        } else {
            check_oa(expected, &body);
        }
        checked += 1;
    }
    assert!(checked >= 8, "{checked} answers in {}", folder.display());
}
