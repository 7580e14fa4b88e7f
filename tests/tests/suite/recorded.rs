//! Real records of Unpaywall, served through the simulated web and harvested with the real binary.
//!
//! Runs when `GLEANER_RECORDED` names the folder with the recordings, and says so when it does not. Must never copy
//! a record into the project.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use gleaner_tests::simweb::{Reply, World, pdf};
use serde_json::Value;
use url::Url;

use crate::holdings::{self, text};
use crate::papers::{UNPAYWALL, json_lines};

/// Every how many-th record is taken: about 150 of the 1000.
const STEP: usize = 7;

fn records() -> Option<Vec<Value>> {
    let folder = PathBuf::from(std::env::var_os("GLEANER_RECORDED")?);
    let path = folder.join("unpaywall/bulk_snapshot_1000.jsonl.gz");
    let file = File::open(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let lines = BufReader::new(GzDecoder::new(file)).lines().step_by(STEP);
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

/// The files of a record that can be fetched: http or https, on a port that downloads may use.
fn files(record: &Value) -> Vec<Url> {
    let locations = record["oa_locations"].as_array().into_iter().flatten();
    let urls = locations.filter_map(|location| Url::parse(location["url_for_pdf"].as_str()?).ok());
    let usual = |url: &Url| url.port().is_none_or(|port| [80, 443, 8080, 8443].contains(&port));
    urls.filter(|url| matches!(url.scheme(), "http" | "https") && usual(url)).collect()
}

#[test]
fn real_records_lead_to_files_wherever_they_name_one() {
    let Some(records) = records() else {
        return eprintln!("skipped: GLEANER_RECORDED does not name the folder with the recordings");
    };
    assert!((100..=200).contains(&records.len()), "{} records", records.len());
    let (mut world, mut expected) = (World::new(), BTreeMap::new());
    for record in &records {
        let doi = text(record, "doi").to_lowercase();
        // Percent-encoded as a whole: a DOI may have any character that a URL gives a meaning to.
        let path: String = doi.bytes().map(|byte| format!("%{byte:02X}")).collect();
        world.set(&format!("https://{UNPAYWALL}/v2/{path}"), Reply::json(record));
        for url in files(record) {
            world.set(url.as_str(), Reply::pdf(pdf::size_for(url.as_str()) / 8));
        }
        expected.insert(doi, if files(record).is_empty() { "skipped" } else { "done" });
    }
    let mut bench = holdings::bench(world);
    // A file that stands on another port is behind the same door.
    let addr = bench.sim().addr();
    let plain = bench.sim().plain_addr();
    bench.configure(&format!("egress.connect-to = {{ \"*:8443\" = \"{addr}\", \"*:8080\" = \"{plain}\" }}"));
    let list = bench.file("list", &expected.keys().cloned().collect::<Vec<_>>().join("\n"));
    let run = bench.run(&["--format", "json", "get", "--input", &list]).expect_code(0);
    let count = |state| expected.values().filter(|end| **end == state).count();
    for state in ["done", "skipped"] {
        assert_eq!(run.json()[state], count(state), "{}", run.stdout);
    }
    assert!(count("done") > 80 && count("skipped") > 10, "the selection shows both");
    for job in json_lines(&bench, &["queue", "list"]) {
        let doi = text(&job, "artifact_id").strip_prefix("doi:").unwrap();
        assert_eq!(text(&job, "state"), expected[doi], "{job}");
    }
    assert_eq!(json_lines(&bench, &["library", "list"]).len(), count("done"));
    assert_eq!(bench.sim().seen(UNPAYWALL).most_in_flight, 1);
}
