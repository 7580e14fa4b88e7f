//! Answers of services are kept in the library: who was asked once is not asked again while they are fresh.
//!
//! What is kept and for how long is tested in `gleaner-egress`; here it is a user's second run.

use gleaner_tests::simweb::Reply;
use serde_json::json;

use crate::papers::{self, PRESS, UNPAYWALL, json};

#[test]
fn a_second_run_over_works_without_a_file_asks_no_service_again() {
    let bench = papers::bench(3);
    for number in 1..=3 {
        bench.sim().set(&papers::url(number), Reply::empty().status(404));
    }
    papers::enqueue(&bench, 3);
    let first = bench.run(&["--format", "json", "queue", "run", "--drain"]).expect_code(1).json();
    assert_eq!(first["done"], 0, "{first}");
    let asked = bench.sim().seen(UNPAYWALL).requests.len();
    let files = bench.sim().seen(PRESS).requests.len();
    assert!(asked >= 3 && files >= 3, "{asked} {files}");
    let kept = json(&bench, &["library", "cache"]);
    assert!(kept["entries"].as_u64() >= Some(3) && kept["bytes"].as_u64() > Some(0), "{kept}");
    // Now the files are there, and the way to them is known.
    for number in 1..=3 {
        bench.sim().set(&papers::url(number), Reply::pdf(4096));
    }
    retry(&bench);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 3);
    assert_eq!(bench.sim().seen(UNPAYWALL).requests.len(), asked);
    assert!(bench.sim().seen(PRESS).requests.len() > files, "files are asked for, always");
    // Who wants new answers says so.
    let removed = json(&bench, &["library", "cache", "--clear"]);
    assert!(removed["removed"].as_u64() >= Some(3), "{removed}");
    assert_eq!(json(&bench, &["library", "cache"]), json!({ "entries": 0, "bytes": 0 }));
}

fn retry(bench: &gleaner_tests::harness::Bench) {
    let retried: u64 = ["error", "skipped"]
        .iter()
        .filter_map(|state| json(bench, &["queue", "retry-failed", "--state", state])["retried"].as_u64())
        .sum();
    assert_eq!(retried, 3);
}
