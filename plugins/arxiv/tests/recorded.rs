//! The resolver against answers that arXiv really gave. They are not part of the project: set `GLEANER_RECORDED`
//! to the directory that has them.

use gleaner_plugin_arxiv::Arxiv;
use gleaner_sdk::Resolver;
use gleaner_sdk::testing::{FakeHost, query};
use serde_json::Value;
use std::path::PathBuf;

#[test]
fn recorded_answers_give_the_recorded_pdfs() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return println!("skipped: GLEANER_RECORDED is not set");
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let lines = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut checked = 0;
    for line in lines.filter(|line| line["api"] == "arxiv") {
        let body = std::fs::read(folder.join(line["file"].as_str().unwrap())).unwrap();
        let list = line["request_url"].as_str().unwrap().split("id_list=").nth(1).unwrap();
        let id = list.split('&').next().unwrap();
        let status = u16::try_from(line["status"].as_u64().unwrap()).unwrap();
        let host =
            FakeHost::new().answer(&format!("https://export.arxiv.org/api/query?id_list={id}"), status, body);
        let resolution = Arxiv::resolve(&query(&[("arxiv", &id.replace("%2F", "/"))]), &host).unwrap();
        let urls: Vec<_> = resolution.candidates.iter().map(|candidate| candidate.url.as_str()).collect();
        let entries = line["expected"]["entries"].as_array().unwrap();
        let expected: Vec<_> = entries.iter().filter_map(|entry| entry["pdf_url"].as_str()).collect();
        assert_eq!(urls, expected, "{}", line["file"]);
        checked += 1;
    }
    assert!(checked > 0, "no answer of arXiv in {}", folder.display());
}
