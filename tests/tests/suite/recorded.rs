//! Real records of Unpaywall, served through the simulated web and harvested with the real binary. Some of the places that
//! they name are alive there, others are not.
//!
//! Runs when `GLEANER_RECORDED` names the folder with the recordings, and says so when it does not. Must never copy
//! a record into the project.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use flate2::read::GzDecoder;
use gleaner_model::canonical::canonical;
use gleaner_tests::harness::TIMEOUT;
use gleaner_tests::simweb::{Reply, World};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::holdings::{self, text};
use crate::papers::{UNPAYWALL, json_lines};

/// What is at a place that a record names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum There {
    File,
    /// The file, after a while.
    Slow,
    Html,
    /// A page that says that it is a PDF.
    HtmlAsPdf,
    Login,
    Challenge,
    Forbidden,
    NotFound,
    /// Less than the file, each time.
    Cut,
}

impl There {
    /// By the URL alone, so that it is the same in every record and every run, and in every spelling, with http and with
    /// https: of twenty, nine have the file, two of these after a while.
    fn at(url: &Url) -> Self {
        let decoded = percent_decode_str(&canonical(url)).decode_utf8_lossy().into_owned();
        let hash = Sha256::digest(decoded.as_bytes());
        match hash[0] % 20 {
            0..7 => Self::File,
            7 | 8 => Self::Slow,
            9..12 => Self::NotFound,
            12 | 13 => Self::Html,
            14 | 15 => Self::HtmlAsPdf,
            16 => Self::Login,
            17 => Self::Challenge,
            18 => Self::Forbidden,
            _ => Self::Cut,
        }
    }

    fn is_alive(self) -> bool {
        matches!(self, Self::File | Self::Slow)
    }

    fn reply(self) -> Reply {
        match self {
            Self::File => Reply::pdf(SIZE),
            Self::Slow => Reply::pdf(SIZE).delayed(Duration::from_millis(400)),
            Self::Html => Reply::html("Full text"),
            Self::HtmlAsPdf => Reply::html("Full text").media_type("application/pdf"),
            Self::Login => Reply::login_page(),
            Self::Challenge => Reply::challenge_page(),
            Self::Forbidden => Reply::error(403),
            Self::NotFound => Reply::error(404),
            Self::Cut => Reply::pdf(SIZE).cut_after(SIZE / 2),
        }
    }
}

/// Of a file, in bytes.
const SIZE: usize = 9000;

fn records() -> Option<Vec<Value>> {
    let folder = PathBuf::from(std::env::var_os("GLEANER_RECORDED")?);
    let path = folder.join("unpaywall/bulk_snapshot_1000.jsonl.gz");
    let file = File::open(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let lines = BufReader::new(GzDecoder::new(file)).lines();
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
fn every_real_record_that_names_a_live_file_ends_in_one() {
    let Some(records) = records() else {
        return eprintln!("skipped: GLEANER_RECORDED does not name the folder with the recordings");
    };
    assert_eq!(records.len(), 1000);
    let (mut world, mut expected, mut places) = (World::new(), BTreeMap::new(), BTreeMap::new());
    for record in &records {
        let doi = text(record, "doi").to_lowercase();
        // Percent-encoded as a whole: a DOI may have any character that a URL gives a meaning to.
        let path: String = doi.bytes().map(|byte| format!("%{byte:02X}")).collect();
        world.set(&format!("https://{UNPAYWALL}/v2/{path}"), Reply::json(record));
        let files = files(record);
        for url in &files {
            world.set(url.as_str(), There::at(url).reply());
            *places.entry(There::at(url)).or_insert(0) += 1;
        }
        let is_alive = files.iter().any(|url| There::at(url).is_alive());
        let end = if is_alive {
            "done"
        } else if files.is_empty() {
            "skipped"
        } else {
            "error"
        };
        expected.insert(doi, end);
    }
    assert!(places.len() == 9 && places.values().all(|count| *count > 10), "{places:?}");
    let mut bench = holdings::bench(world);
    // A file that stands on another port is behind the same door.
    let addr = bench.sim().addr();
    let plain = bench.sim().plain_addr();
    bench.configure(&format!("egress.connect-to = {{ \"*:8443\" = \"{addr}\", \"*:8080\" = \"{plain}\" }}"));
    let list = bench.file("list", &expected.keys().cloned().collect::<Vec<_>>().join("\n"));
    let run = bench.spawn(&["--format", "json", "get", "--input", &list]).wait(TIMEOUT).expect_code(1);
    let count = |state| expected.values().filter(|end| **end == state).count();
    let odd: Vec<_> = json_lines(&bench, &["queue", "list"])
        .into_iter()
        .filter(|job| text(job, "state") != expected[text(job, "artifact_id").strip_prefix("doi:").unwrap()])
        .collect();
    assert!(odd.is_empty(), "{} works did not end as they should, the first: {}", odd.len(), odd[0]);
    for state in ["done", "skipped", "error"] {
        assert_eq!(run.json()[state], count(state), "{}", run.stdout);
        assert!(count(state) > 50, "the records show it: {state}");
    }
    assert_eq!(json_lines(&bench, &["library", "list"]).len(), count("done"));
    assert_eq!(bench.sim().seen(UNPAYWALL).most_in_flight, 1);
}
