//! The resolver against pages that publishers and repositories really served. They are not part of the project: set
//! `GLEANER_RECORDED` to the directory that has them.

use gleaner_plugin_landing_page::LandingPage;
use gleaner_sdk::testing::{FakeHost, query};
use gleaner_sdk::{Query, Resolver, clean_url};
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn every_recorded_page_gives_the_file_that_the_manifest_names() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut pages, mut files) = (0, 0);
    // The host follows redirects, so that none reaches a resolver.
    for line in lines.filter(|line| line["api"] == "landing" && line["status"] != 301) {
        let body = std::fs::read(folder.join(line["file"].as_str().unwrap())).unwrap();
        let page = line["request_url"].as_str().unwrap_or("https://publisher.example/article");
        let host = FakeHost::new().answer(page, 200, body);
        let query = Query { landing_pages: vec![page.to_owned()], ..query(&[]) };
        let resolution = LandingPage::resolve(&query, &host).unwrap();
        let urls: Vec<_> = resolution.candidates.iter().map(|candidate| candidate.url.as_str()).collect();
        let expected: Vec<_> = line["expected"]["pdf_url"].as_str().and_then(clean_url).into_iter().collect();
        assert_eq!(urls, expected, "{}", line["file"]);
        pages += 1;
        files += expected.len();
    }
    assert!(pages > 12 && files > 6, "{pages} pages, {files} with a file in {}", folder.display());
}
