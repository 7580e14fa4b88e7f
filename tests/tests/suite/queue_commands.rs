//! Cancelling, forgetting, and whose turn it is: the commands that change which jobs there are.
//!
//! What an operator sets for keys is in `queue_keys`, and what `queue explain` says in `queue_explain`.

use std::time::Instant;

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Reply};
use serde_json::json;

use crate::papers::{self, PRESS, UNPAYWALL, count, json, json_lines};
use crate::serve::Served;

/// Asks again and again, as fast as the answer comes, until it is yes.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_download_that_is_cancelled_ends_and_the_run_goes_on() {
    let (mut bench, barrier) = papers::held(3);
    bench.configure("orchestrator.heartbeat = \"5s\"");
    bench.sim().set(&papers::url(1), Reply::pdf(4096).held_by(&Barrier::new()));
    let dois = papers::dois(3);
    let args =
        [&["--format", "json", "get"][..], &dois.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let run = bench.spawn(&args);
    bench.wait_for_requests(PRESS, 3);
    assert_eq!(
        json(&bench, &["queue", "cancel", &papers::doi(1)]),
        json!({ "cancelled": 1, "ended": 0, "unknown": 0 })
    );
    let job = json(&bench, &["queue", "show", &papers::doi(1)]);
    assert_eq!((&job["state"], &job["reason"]), (&"skipped".into(), &"cancelled".into()));
    barrier.open();
    // The cancelled file's barrier is never opened.
    let totals = run.wait(TIMEOUT).expect_code(0).json();
    assert_eq!((&totals["done"], &totals["skipped"], &totals["queued"]), (&2.into(), &1.into(), &0.into()));
    // And it stays cancelled.
    assert_eq!(json(&bench, &["queue", "enqueue", &papers::doi(1)])["known"], 1);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["skipped"], 1);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 3);
    assert_eq!(json(&bench, &["library", "verify"])["bad"], json!([]));
    // Until somebody wants it after all.
    bench.sim().set(&papers::url(1), Reply::pdf(4096));
    let anew = ["queue", "retry-failed", "--state", "skipped", "--reason", "cancelled"];
    assert_eq!(json(&bench, &anew)["retried"], 1);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 3);
}

/// A run with one place for downloads, held by a file that never comes, and a second work that waits for the place. The
/// heartbeat is far away.
fn held_up() -> Bench {
    let mut bench = papers::bench(2);
    bench.configure("orchestrator = { heartbeat = \"500s\", max-fetches = 1 }");
    bench.sim().set(&papers::url(1), Reply::pdf(4096).held_by(&Barrier::new()));
    bench.run(&["queue", "enqueue", &papers::doi(1)]).expect_code(0);
    bench
}

#[test]
fn a_download_that_another_process_cancels_gives_its_place_away_before_the_heartbeat() {
    let bench = held_up();
    let run = bench.spawn(&["queue", "run"]);
    bench.wait_for_requests(PRESS, 1);
    bench.run(&["queue", "enqueue", &papers::doi(2)]).expect_code(0);
    assert_eq!(json(&bench, &["queue", "cancel", &papers::doi(1)])["cancelled"], 1);
    wait_until("the second file is there", || count(&bench, "done") == 1);
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0);
}

#[test]
fn a_download_that_is_cancelled_on_the_page_gives_its_place_away() {
    let bench = held_up();
    let served = Served::start(&bench);
    bench.wait_for_requests(PRESS, 1);
    let works = json!({ "works": [papers::doi(2)] });
    served.post("/jobs", &works).expect(200);
    served.post("/jobs/cancel", &json!({ "ids": [papers::doi(1)] })).expect(200);
    wait_until("the second file is there", || count(&bench, "done") == 1);
    served.stop();
}

#[test]
fn jobs_are_cancelled_by_any_name_and_from_lists_and_what_is_unknown_is_named() {
    let bench = papers::bench(1);
    json(&bench, &["get", &papers::doi(1)]);
    json(&bench, &["queue", "enqueue", "10.5555/a", "10.5555/b", "10.5555/c", "10.5555/d"]);
    let job = json(&bench, &["queue", "show", "10.5555/b"])["job"].to_string();
    let list =
        bench.file("list", &format!("# unwanted\n{job}  # by number\n\n10.5555/a\nnobody\n{{\"x\":1}}\n"));
    let args = ["--format", "json", "queue", "cancel", "doi:10.5555/A", &papers::doi(1), "--input", &list];
    let output = bench.run(&args).expect_code(1);
    assert_eq!(output.json(), json!({ "cancelled": 2, "ended": 1, "unknown": 2 }));
    for says in ["list: line 5: no job", "\"nobody\"", "list: line 6: the object has neither"] {
        assert!(output.stderr.contains(says), "{says:?}: {}", output.stderr);
    }
    // What `queue list` prints can be given back.
    let queued = bench.run(&["--format", "json", "queue", "list", "--state", "queued"]).expect_code(0).stdout;
    let output = bench.run_with_input(&["--format", "json", "queue", "cancel", "--input", "-"], &queued);
    assert_eq!(output.expect_code(0).json(), json!({ "cancelled": 2, "ended": 0, "unknown": 0 }));
    let stats = json(&bench, &["queue", "stats"]);
    assert_eq!(
        (&stats["done"], &stats["skipped"], &stats["total"]),
        (&1.into(), &4.into(), &5.into()),
        "{stats}"
    );
    bench.run(&["queue", "cancel"]).expect_code(2);
    bench.run(&["queue", "cancel", "--input", "nowhere"]).expect_code(2);
}

#[test]
fn works_that_ended_without_a_file_are_forgotten_and_can_be_enqueued_as_new() {
    let bench = papers::bench(2);
    bench.sim().set(&papers::url(2), Reply::html("A page"));
    bench.run(&["get", &papers::doi(1), &papers::doi(2), "10.5555/nobody"]).expect_code(1);
    json(&bench, &["queue", "enqueue", "10.5555/waits"]);
    let purge = |args: &[&str]| json(&bench, &[&["queue", "purge", "--older-than"], args].concat());
    assert_eq!(purge(&["1h"]), json!({ "purged": 0, "dry_run": false }));
    assert_eq!(purge(&["0s", "--dry-run"]), json!({ "purged": 2, "dry_run": true }));
    assert_eq!(purge(&["0s", "--state", "error"])["purged"], 1);
    assert_eq!((count(&bench, "error"), count(&bench, "skipped")), (0, 1));
    assert_eq!(purge(&["0s"])["purged"], 1);
    let stats = json(&bench, &["queue", "stats"]);
    assert_eq!(
        (&stats["done"], &stats["queued"], &stats["total"]),
        (&1.into(), &1.into(), &2.into()),
        "{stats}"
    );
    let left = json_lines(&bench, &["library", "export"]);
    assert!(left.iter().all(|record| record["artifact_id"] == format!("doi:{}", papers::doi(1))), "{left:?}");
    assert_eq!(json(&bench, &["queue", "enqueue", &papers::doi(2)])["new"], 1);
    bench.run(&["queue", "purge"]).expect_code(2);
    let refused = bench.run(&["queue", "purge", "--older-than", "0s", "--state", "done"]).expect_code(2);
    assert!(refused.stderr.contains("never forgotten"), "{}", refused.stderr);
}

/// What `orchestrator.retention` forgets, a run forgets before it begins and now and then.
#[test]
fn a_run_forgets_what_is_older_than_its_retention() {
    let mut bench = papers::bench(2);
    bench.sim().set(&papers::url(2), Reply::html("A page"));
    bench.run(&["get", &papers::doi(1), &papers::doi(2), "10.5555/nobody"]).expect_code(1);
    bench.configure("orchestrator.retention = \"1h\"");
    json(&bench, &["queue", "run", "--drain"]);
    assert_eq!(count(&bench, "total"), 3);
    bench.configure("orchestrator.retention = \"1ms\"");
    json(&bench, &["queue", "run", "--drain"]);
    assert_eq!((count(&bench, "done"), count(&bench, "total")), (1, 1));
}

/// The papers in the order in which Unpaywall, which is asked one question at a time, was asked for them.
fn asked(bench: &Bench) -> Vec<String> {
    let targets = bench.sim().seen(UNPAYWALL).requests.into_iter().map(|seen| seen.target);
    let numbers = targets.map(|target| {
        let (_, rest) = target.split_once("paper.").expect("only papers are asked for");
        rest.chars().take_while(char::is_ascii_digit).collect()
    });
    numbers.collect()
}

#[test]
fn smaller_priorities_go_first() {
    let bench = papers::bench(6);
    json(&bench, &["queue", "enqueue", &papers::doi(1), "--priority", "5"]);
    json(&bench, &["queue", "enqueue", &papers::doi(2)]);
    json(&bench, &["queue", "enqueue", &papers::doi(3), "--priority=-7"]);
    let lines = format!(
        "{{\"doi\":\"{}\",\"priority\":-9}}\n{{\"doi\":\"{}\"}}\n{{\"doi\":\"{}\",\"priority\":\"high\"}}\n",
        papers::doi(4),
        papers::doi(5),
        papers::doi(6)
    );
    let file = bench.file("works.jsonl", &lines);
    let output = bench.run(&["queue", "import", &file, "--priority", "-8"]).expect_code(1);
    assert!(output.stderr.contains("line 3: the field \"priority\": \"high\" is not"), "{}", output.stderr);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 5);
    assert_eq!(asked(&bench), ["4", "5", "3", "2", "1"]);
    bench.run(&["get", "10.5555/x", "--priority", "first"]).expect_code(2);
}

#[test]
fn what_is_not_to_start_before_a_time_waits_for_it() {
    let bench = papers::bench(3);
    json(&bench, &["queue", "enqueue", &papers::doi(1), "--not-before", "2h"]);
    json(&bench, &["queue", "enqueue", &papers::doi(2), "--not-before", "2020-01-31T08:00:00+01:00"]);
    let totals = json(&bench, &["queue", "run", "--drain", "--max-wait", "5s"]);
    assert_eq!((&totals["done"], &totals["queued"]), (&1.into(), &1.into()), "{totals}");
    assert_eq!(asked(&bench), ["2"]);
    let explained = json(&bench, &["queue", "explain", &papers::doi(1)]);
    assert!(explained["why"].to_string().contains("\"not_before\""), "{explained}");
    assert_eq!(explained["next"][0]["not_before"], explained["not_before"]);
    let file =
        bench.file("works.jsonl", &format!("{{\"doi\":\"{}\",\"not_before\":\"1s\"}}\n", papers::doi(3)));
    json(&bench, &["queue", "import", &file, "--not-before", "2h"]);
    assert_eq!(json(&bench, &["queue", "run", "--drain", "--max-wait", "1m"])["done"], 2);
    let output = bench.run(&["get", "10.5555/x", "--not-before", "tomorrow"]).expect_code(2);
    assert!(output.stderr.contains("tomorrow") && output.stderr.contains("2h"), "{}", output.stderr);
}

#[test]
fn failed_jobs_are_picked_by_reason_resolver_host_and_age() {
    let bench = papers::bench(3);
    bench.sim().set(&papers::url(1), Reply::html("A page"));
    bench.sim().set(&papers::url(2), Reply::error(404));
    bench.sim().change(|world| {
        world.set(&format!("https://{UNPAYWALL}/v2/{}", papers::doi(3)), Reply::html("No JSON"));
    });
    let dois = papers::dois(3);
    bench.run(&["get", &dois[0], &dois[1], &dois[2]]).expect_code(1);
    assert_eq!(count(&bench, "error"), 3);
    let picked = |filter: &[&str]| {
        json(&bench, &[&["queue", "retry-failed", "--dry-run"], filter].concat())["retried"].as_u64().unwrap()
    };
    for (filter, wanted) in [
        (&[][..], 3),
        (&["--reason", "html_instead_of_pdf"], 1),
        (&["--reason", "not_found"], 1),
        (&["--reason", "timeout"], 0),
        (&["--resolver", "unpaywall"], 3),
        (&["--resolver", "arxiv"], 0),
        (&["--host", PRESS], 2),
        (&["--host", "https://press.example.org/1.pdf", "--reason", "not_found"], 1),
        (&["--host", "elsewhere.example.org"], 0),
        (&["--older-than", "1h"], 0),
        (&["--older-than", "0s"], 3),
        (&["--state", "skipped"], 0),
    ] {
        assert_eq!(picked(filter), wanted, "{filter:?}");
    }
    bench.sim().set(&papers::url(2), Reply::pdf(4096));
    assert_eq!(
        json(&bench, &["queue", "retry-failed", "--host", PRESS, "--reason", "not_found"])["retried"],
        1
    );
    let totals = json(&bench, &["queue", "run", "--drain"]);
    assert_eq!((&totals["done"], &totals["error"]), (&1.into(), &2.into()), "{totals}");
}
