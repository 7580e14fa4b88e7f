//! Stopping a run, and what other processes may do meanwhile.
//!
//! Downloads are frozen by a barrier, so that every signal meets a run in a known state.

use std::time::{Duration, Instant};

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Reply};
use serde_json::json;

use crate::papers::{self, PRESS, UNPAYWALL, count, json, json_lines};

/// What a run says once it has taken a signal in.
const STOPPING: &str = "stopping: running steps may finish";

/// A grace period that no test waits for.
const PATIENT: &str = "orchestrator.grace = \"10m\"";

/// A run with four downloads held, and so many papers more in its queue.
fn held_run(command: &[&str], more: usize, config: &str) -> (Bench, Barrier, Running) {
    let (mut bench, barrier) = papers::held(4 + more);
    bench.configure(config);
    papers::enqueue(&bench, 4 + more);
    let run = bench.spawn(&[&["--format", "json"], command].concat());
    bench.wait_for_requests(PRESS, 4);
    bench.wait_for_requests(UNPAYWALL, 4 + more);
    (bench, barrier, run)
}

/// Every work is still wanted, nobody holds one, and nobody was charged.
fn expect_all_given_back(bench: &Bench, works: usize) {
    let stats = json(bench, &["queue", "stats"]);
    assert_eq!((&stats["in_progress"], &stats["queued"]), (&0.into(), &works.into()), "{stats}");
    for job in json_lines(bench, &["queue", "list"]) {
        assert_eq!(job["attempts"], 0, "{job}");
    }
}

fn expect_rest_is_done(bench: &Bench, works: usize) {
    let totals = json(bench, &["queue", "run", "--drain"]);
    assert_eq!((&totals["done"], &totals["queued"]), (&works.into(), &0.into()), "{totals}");
    assert_eq!(json(bench, &["library", "verify"])["checked"], works);
}

#[test]
fn an_interrupt_gives_held_downloads_back_free_of_charge() {
    let (bench, barrier, run) = held_run(&["queue", "run"], 2, "orchestrator.grace = \"100ms\"");
    run.signal(Signal::INT);
    run.wait(TIMEOUT).expect_code(130);
    expect_all_given_back(&bench, 6);
    barrier.open();
    expect_rest_is_done(&bench, 6);
}

#[test]
fn an_interrupted_get_ends_with_130_and_its_totals() {
    let (mut bench, barrier) = papers::held(4);
    bench.configure("orchestrator.grace = \"100ms\"");
    let list = bench.file("list", &papers::dois(4).join("\n"));
    let run = bench.spawn(&["--format", "json", "get", "--input", &list]);
    bench.wait_for_requests(PRESS, 4);
    run.signal(Signal::INT);
    let totals = run.wait(TIMEOUT).expect_code(130).json();
    assert_eq!((&totals["done"], &totals["queued"]), (&0.into(), &4.into()), "{totals}");
    expect_all_given_back(&bench, 4);
    barrier.open();
    assert_eq!(json(&bench, &["get", "--input", &list])["done"], 4);
}

#[test]
fn an_order_to_terminate_is_carried_out_and_ends_with_0() {
    let (bench, barrier, run) = held_run(&["queue", "run", "--drain"], 2, "orchestrator.grace = \"100ms\"");
    run.signal(Signal::TERM);
    let totals = run.wait(TIMEOUT).expect_code(0).json();
    assert_eq!(totals["queued"], 6, "{totals}");
    expect_all_given_back(&bench, 6);
    barrier.open();
    expect_rest_is_done(&bench, 6);
}

#[test]
fn running_downloads_finish_within_the_grace_period_and_nothing_new_is_leased() {
    let (bench, barrier, run) = held_run(&["queue", "run"], 0, PATIENT);
    run.signal(Signal::TERM);
    run.wait_until_it_says(STOPPING);
    json(&bench, &["queue", "enqueue", "https://press.example.org/late.pdf"]);
    barrier.open();
    run.wait(TIMEOUT).expect_code(0);
    let stats = json(&bench, &["queue", "stats"]);
    assert_eq!((&stats["done"], &stats["queued"], &stats["in_progress"]), (&4.into(), &1.into(), &0.into()));
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 4);
}

#[test]
fn a_job_whose_step_finishes_after_the_signal_does_not_begin_another() {
    let mut bench = papers::bench(1);
    bench.configure(PATIENT);
    let barrier = Barrier::new();
    let location = json!({ "url_for_pdf": papers::url(1), "host_type": "publisher", "is_best": true });
    let record = json!({ "doi": papers::doi(1), "is_oa": true, "best_oa_location": location, "oa_locations": [location] });
    let address = format!("https://{UNPAYWALL}/v2/{}", papers::doi(1));
    bench.sim().set(&address, Reply::json(&record).held_by(&barrier));
    papers::enqueue(&bench, 1);
    let run = bench.spawn(&["queue", "run"]);
    bench.wait_for_requests(UNPAYWALL, 1);
    run.signal(Signal::TERM);
    run.wait_until_it_says(STOPPING);
    barrier.open();
    run.wait(TIMEOUT).expect_code(0);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 0);
    assert_eq!(json_lines(&bench, &["library", "export"]).len(), 1, "the lookup finished");
    expect_rest_is_done(&bench, 1);
}

#[test]
fn a_second_signal_stops_at_once_and_the_next_run_takes_over_at_once() {
    let (bench, barrier, run) = held_run(&["queue", "run"], 2, PATIENT);
    run.signal(Signal::INT);
    run.wait_until_it_says(STOPPING);
    let second = Instant::now();
    run.signal(Signal::INT);
    run.wait(TIMEOUT).expect_code(130);
    assert!(second.elapsed() < Duration::from_secs(3), "it took {:?} to stop at once", second.elapsed());
    barrier.open();
    expect_rest_is_done(&bench, 6);
}

#[test]
fn a_run_that_serves_picks_up_what_another_process_enqueues() {
    let bench = papers::bench(2);
    papers::enqueue(&bench, 1);
    let run = bench.spawn(&["--format", "json", "queue", "run"]);
    bench.wait_for_requests(PRESS, 1);
    json(&bench, &["queue", "enqueue", &papers::doi(2)]);
    bench.wait_for_requests(PRESS, 2);
    run.signal(Signal::TERM);
    let output = run.wait(TIMEOUT).expect_code(0);
    assert_eq!(output.stdout, "");
    assert_eq!(count(&bench, "done"), 2);
}

#[test]
fn a_second_run_joins_the_first_and_neither_does_what_the_other_does() {
    let (bench, barrier, run) = held_run(&["queue", "run", "--drain"], 0, "");
    let second = bench.spawn(&["--format", "json", "queue", "run", "--drain"]);
    let third = bench.spawn(&["--format", "json", "get", &papers::doi(1)]);
    barrier.open();
    for run in [run, second, third] {
        let totals = run.wait(TIMEOUT).expect_code(0).json();
        assert_eq!((&totals["queued"], &totals["error"]), (&0.into(), &0.into()), "{totals}");
    }
    assert_eq!(count(&bench, "done"), 4);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 4);
}

#[test]
fn everything_that_does_not_run_jobs_works_while_a_run_goes_on() {
    let (bench, barrier, run) = held_run(&["queue", "run", "--drain"], 0, "");
    assert_eq!(count(&bench, "in_progress"), 4);
    assert_eq!(json(&bench, &["queue", "enqueue", &papers::doi(1), "10.5555/new"])["new"], 1);
    assert_eq!(json_lines(&bench, &["queue", "list", "--state", "in_progress"]).len(), 4);
    assert_eq!(json(&bench, &["queue", "show", &papers::doi(1)])["state"], "in_progress");
    assert_eq!(json(&bench, &["queue", "retry-failed", "--dry-run"])["retried"], 0);
    assert_eq!(json_lines(&bench, &["library", "export"]).len(), 4);
    assert_eq!(json_lines(&bench, &["library", "list"]).len(), 0);
    assert_eq!(json(&bench, &["library", "verify"])["checked"], 0);
    assert_eq!(json(&bench, &["resolve", &papers::doi(1)])["candidates"][0]["url"], papers::url(1));
    barrier.open();
    let totals = run.wait(TIMEOUT).expect_code(0).json();
    assert_eq!((&totals["done"], &totals["skipped"]), (&4.into(), &1.into()), "{totals}");
}

#[test]
fn a_get_ends_with_its_works_and_gives_the_rest_back() {
    let (mut bench, _never_opened) = papers::held(2);
    bench.configure("orchestrator.grace = \"10ms\"");
    bench.sim().set(&papers::url(1), Reply::pdf(4096));
    json(&bench, &["queue", "enqueue", &papers::doi(2)]);
    let totals = json(&bench, &["get", &papers::doi(1)]);
    assert_eq!((&totals["done"], &totals["queued"]), (&1.into(), &0.into()), "{totals}");
    let stats = json(&bench, &["queue", "stats"]);
    assert_eq!((&stats["done"], &stats["queued"], &stats["in_progress"]), (&1.into(), &1.into(), &0.into()));
}
