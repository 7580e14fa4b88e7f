//! Answers of services are kept in the library: who was asked once is not asked again while they are fresh.
//!
//! What is kept and for how long is tested in `gleaner-egress`; here it is a user's second run.

use gleaner_tests::harness::{Bench, TIMEOUT};
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
    retry(&bench, 3);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 3);
    assert_eq!(bench.sim().seen(UNPAYWALL).requests.len(), asked);
    assert!(bench.sim().seen(PRESS).requests.len() > files, "files are asked for, always");
    // Who wants new answers says so.
    let removed = json(&bench, &["library", "cache", "--clear"]);
    assert!(removed["removed"].as_u64() >= Some(3), "{removed}");
    assert_eq!(json(&bench, &["library", "cache"]), json!({ "entries": 0, "bytes": 0 }));
}

/// A process that dies between a service's answer and its record has paid for the answer: the next one uses it. Every commit
/// of a run is tried as the last one.
#[test]
fn an_answer_outlives_the_process_that_died_before_it_was_recorded() {
    let mut bench = papers::bench(1);
    bench.configure("orchestrator.max-attempts = 100");
    papers::enqueue(&bench, 1);
    let mut unrecorded = 0;
    for commit in 1..100 {
        let fault = format!("GLEANER_FAULT=store.commit:{commit}");
        let run = bench.spawn_under(&["env", &fault], &["queue", "run", "--drain"]).wait(TIMEOUT);
        let asked = bench.sim().seen(UNPAYWALL).requests.len();
        assert!(asked <= 1, "asked again after its process had died at commit {commit}");
        if run.code == Some(0) {
            assert!(unrecorded > 0, "no process died in time: {commit}");
            assert_eq!(papers::count(&bench, "done"), 1);
            return;
        }
        let records = json(&bench, &["queue", "show", &papers::doi(1)])["attempts_made"].clone();
        unrecorded += usize::from(asked == 1 && records.as_array().unwrap().is_empty());
    }
    panic!("no run came to its end");
}

/// Two processes keep answers in one place, at the same time, and each uses what the other was told.
#[test]
fn two_processes_share_what_is_kept() {
    const WORKS: usize = 40;
    let bench = papers::bench(WORKS);
    for number in 1..=WORKS {
        bench.sim().set(&papers::url(number), Reply::empty().status(404));
    }
    papers::enqueue(&bench, WORKS);
    let both = || {
        for run in [(); 2].map(|()| bench.spawn(&["queue", "run", "--drain"])) {
            run.wait(TIMEOUT);
        }
    };
    both();
    let asked = bench.sim().seen(UNPAYWALL).requests.len();
    assert!(asked >= WORKS, "{asked}");
    assert!(json(&bench, &["library", "cache"])["entries"].as_u64() >= Some(WORKS as u64));
    for number in 1..=WORKS {
        bench.sim().set(&papers::url(number), Reply::pdf(4096));
    }
    retry(&bench, WORKS);
    both();
    assert_eq!(papers::count(&bench, "done"), WORKS as u64);
    assert_eq!(bench.sim().seen(UNPAYWALL).requests.len(), asked, "nothing kept was torn or lost");
}

fn retry(bench: &Bench, works: usize) {
    let retried: u64 = ["error", "skipped"]
        .iter()
        .filter_map(|state| json(bench, &["queue", "retry-failed", "--state", state])["retried"].as_u64())
        .sum();
    assert_eq!(retried, works as u64);
}
