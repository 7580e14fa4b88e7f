//! The resolver against answers that the Wayback Machine really gave. They are not part of the project: set
//! `GLEANER_RECORDED` to the directory that has them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use gleaner_plugin_wayback::Wayback;
use gleaner_sdk::testing::{FakeHost, query, urls};
use gleaner_sdk::{Failure, Query, Resolution, Resolver, Url};
use serde_json::Value;
use std::path::PathBuf;

/// Recordings that are no answers to what the resolver asks, and why.
const OTHERS: [(&str, &str); 4] = [
    ("cdx_json_header_row.json", "of `output=json`, which it does not ask for: an unknown shape"),
    ("cdx_papers_url_doi.cdx", "lines of 11 fields from a crawl's own index: an unknown shape"),
    ("memento_", "snapshots themselves, which the host fetches"),
    ("cdx_error_403_blocked_robots.txt", "checked by its status"),
];

/// Asks what became of a URL; the archive has it, and the index answers so.
fn resolve(gone: &str, available: &str, status: u16, index: &str) -> Result<Resolution, Failure> {
    let query = Query { failed_urls: vec![gone.to_owned()], ..query(&[]) };
    let availability = Url::new("https://archive.org/wayback/available").query("url", gone);
    let cdx = Url::new("https://web.archive.org/cdx/search/cdx").query("url", gone);
    let cdx = cdx
        .query("filter", "statuscode:200")
        .query("filter", "mimetype:application/pdf")
        .query("limit", "-10");
    let host = FakeHost::new();
    let host = host.answer(&availability.to_string(), 200, available).answer(&cdx.to_string(), status, index);
    Wayback::resolve(&query, &host)
}

const AVAILABLE: &str = r#"{ "archived_snapshots": { "closest": { "available": true } } }"#;

/// A list of captures of a page: as it was none is a file, and were they files the newest would be proposed.
fn check_index(expected: &Value, body: &str) {
    let first = &expected["first"];
    let (timestamp, original) = (first[1].as_str().unwrap(), first[2].as_str().unwrap());
    assert_eq!(resolve(original, AVAILABLE, 200, body), Ok(Resolution::none()));
    let files = body.replace("text/html", "application/pdf");
    let resolution = resolve(original, AVAILABLE, 200, &files).unwrap();
    let place = |timestamp: &str| format!("https://web.archive.org/web/{timestamp}id_/{original}");
    let rows: Vec<_> = body.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(rows.len() as u64, expected["rows"].as_u64().unwrap());
    let last = rows.iter().filter_map(|row| row.split(' ').nth(1)).max().unwrap();
    assert_eq!(urls(&resolution)[0], place(last));
    if rows.iter().all(|row| row.contains(timestamp)) {
        assert_eq!(urls(&resolution), [place(timestamp)], "one content, listed more than once");
    }
}

#[test]
fn every_recorded_answer_gives_what_the_manifest_names() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut checked, mut others) = (0, 0);
    for line in lines.filter(|line| line["api"] == "wayback") {
        let file = line["file"].as_str().unwrap().trim_start_matches("wayback/");
        let body = std::fs::read_to_string(folder.join("wayback").join(file)).unwrap();
        let expected = &line["expected"];
        if let Some((_, why)) = OTHERS.iter().find(|(name, _)| file.starts_with(name)) {
            if why.ends_with("unknown shape") {
                let failure = resolve("http://a.example/x", AVAILABLE, 200, &body).unwrap_err();
                assert_eq!(failure.code, "unknown-shape", "{file}");
            } else if line["status"] == 403 {
                assert_eq!(resolve("http://a.example/x", AVAILABLE, 403, &body), Ok(Resolution::none()));
            }
            others += 1;
            continue;
        }
        match expected["closest"].as_str() {
            // Its index lists a file at the time and the URL that the answer names.
            Some(closest) => {
                let (timestamp, gone) =
                    closest.trim_start_matches("http://web.archive.org/web/").split_once('/').unwrap();
                let row = format!("key {timestamp} {gone} application/pdf 200 DIGEST 1\n");
                let resolution = resolve(gone, &body, 200, &row).unwrap();
                assert_eq!(urls(&resolution), [format!("https://web.archive.org/web/{timestamp}id_/{gone}")]);
            }
            None => check_index(expected, &body),
        }
        checked += 1;
    }
    assert!(checked >= 3 && others >= 7, "{checked} and {others} answers in {}", folder.display());
}
