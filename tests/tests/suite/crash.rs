//! The process is killed at known moments of a harvest; the next run finishes what was left, once.
//!
//! The moments are chosen by what the web has seen. `durability` kills at random moments and at fault points.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Behaviour, Reply};
use serde_json::Value;

use crate::papers::{self, PRESS, UNPAYWALL, json, json_lines};

const PAPERS: usize = 12;

/// A harvest of all papers under way, with the files from `first_held` on held back.
fn harvest(first_held: usize) -> (Bench, Barrier, Running) {
    let (bench, barrier) = (papers::bench(PAPERS), Barrier::new());
    for number in first_held..=PAPERS {
        bench.sim().set(&papers::url(number), Reply::pdf(4096).held_by(&barrier));
    }
    papers::enqueue(&bench, PAPERS);
    let run = bench.spawn(&["queue", "run", "--drain"]);
    (bench, barrier, run)
}

fn kill(run: Running) {
    run.signal(Signal::KILL);
    assert_eq!(run.wait(TIMEOUT).code, None);
}

/// The identity of a step in the manifest: a lookup has no URL.
fn step(record: &Value) -> (String, String, String) {
    ["artifact_id", "resolver", "candidate_url"].map(|field| record[field].to_string()).into()
}

/// Kills the run, starts another, and checks that together they did everything, and nothing twice.
fn expect_the_next_run_to_finish(bench: &Bench, barrier: &Barrier, run: Running) {
    kill(run);
    let files_before = json_lines(bench, &["library", "list"]);
    for job in json_lines(bench, &["queue", "list", "--state", "in_progress"]) {
        assert_eq!(job["attempts"], 1, "{job}");
    }
    barrier.open();
    bench.sim().forget();

    let totals = json(bench, &["queue", "run", "--drain"]);
    let expected = [("done", PAPERS), ("skipped", 0), ("error", 0), ("queued", 0)];
    for (state, count) in expected {
        assert_eq!(totals[state], count, "{totals}");
    }
    let seen = bench.sim().seen(PRESS);
    assert_eq!(seen.requests.len(), PAPERS - files_before.len());
    for file in &files_before {
        let number = file["artifact_id"].as_str().unwrap().rsplit('.').next().unwrap();
        assert_eq!(seen.hits(&format!("/{number}.pdf")), 0, "{file} was fetched again");
    }

    let jobs = json_lines(bench, &["queue", "list"]);
    assert_eq!(jobs.len(), PAPERS);
    let records = json_lines(bench, &["library", "export"]);
    assert_eq!(records.iter().map(step).collect::<BTreeSet<_>>().len(), records.len(), "a step stands twice");
    assert_eq!(records.len(), 2 * PAPERS, "a lookup and a download each");

    let files = json_lines(bench, &["library", "list"]);
    let names: BTreeSet<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), PAPERS);
    for name in names {
        assert!(bench.library().join(name).is_file(), "{name} is missing");
    }
    let verdict = json(bench, &["library", "verify"]);
    assert_eq!(
        (&verdict["checked"], verdict["bad"].as_array().unwrap().len()),
        (&PAPERS.into(), 0),
        "{verdict}"
    );
    assert_eq!(partial_files(bench), 0, "the dead run's temporary files are still there");
}

fn partial_files(bench: &Bench) -> usize {
    let names = fs::read_dir(bench.library().join("tmp")).into_iter().flatten();
    names.filter(|entry| entry.as_ref().unwrap().file_name() != ".lock").count()
}

#[test]
fn killed_in_the_first_lookup() {
    let (bench, barrier) = (papers::bench(PAPERS), Barrier::new());
    bench.sim().change(|world| {
        let held = Reply::error(500).held_by(&barrier);
        world.set_host(UNPAYWALL, Behaviour::of_host().first(1, held));
    });
    papers::enqueue(&bench, PAPERS);
    let run = bench.spawn(&["queue", "run", "--drain"]);
    bench.wait_for_requests(UNPAYWALL, 1);
    expect_the_next_run_to_finish(&bench, &barrier, run);
}

#[test]
fn killed_when_every_download_has_just_begun() {
    let (bench, barrier, run) = harvest(1);
    bench.wait_for_requests(PRESS, 4);
    expect_the_next_run_to_finish(&bench, &barrier, run);
}

#[test]
fn killed_in_the_middle_of_bodies() {
    let bench = papers::bench(PAPERS);
    let slow = Reply::pdf(1 << 20).dribbled(1024, Duration::from_millis(100));
    (1..=PAPERS).for_each(|number| bench.sim().set(&papers::url(number), slow.clone()));
    papers::enqueue(&bench, PAPERS);
    let run = bench.spawn(&["queue", "run", "--drain"]);
    bench.wait_for_requests(PRESS, 4);
    let begun = Instant::now();
    while partial_files(&bench) == 0 {
        assert!(begun.elapsed() < TIMEOUT, "no download was begun");
        std::thread::yield_now();
    }
    (1..=PAPERS).for_each(|number| bench.sim().set(&papers::url(number), Reply::pdf(4096)));
    expect_the_next_run_to_finish(&bench, &Barrier::new(), run);
}

#[test]
fn killed_when_half_of_the_files_have_been_sent() {
    let (bench, barrier, run) = harvest(7);
    bench.wait_for_requests(PRESS, 6 + 4);
    expect_the_next_run_to_finish(&bench, &barrier, run);
}

#[test]
fn killed_when_only_the_last_file_is_missing() {
    let (bench, barrier, run) = harvest(PAPERS);
    bench.wait_for_requests(PRESS, PAPERS);
    expect_the_next_run_to_finish(&bench, &barrier, run);
}

#[test]
fn a_job_that_outlives_its_worker_twice_is_poison_and_can_be_retried() {
    let (mut bench, barrier) = papers::held(1);
    bench.configure("orchestrator.max-attempts = 2");
    papers::enqueue(&bench, 1);
    // The lookup is recorded before the first kill, so that every kill hits the same step.
    for kills in 1..=2 {
        let run = bench.spawn(&["queue", "run", "--drain"]);
        bench.wait_for_requests(PRESS, kills);
        kill(run);
        let jobs = json_lines(&bench, &["queue", "list"]);
        assert_eq!((&jobs[0]["state"], &jobs[0]["attempts"]), (&"in_progress".into(), &kills.into()));
    }
    let totals = bench.run(&["--format", "json", "queue", "run", "--drain"]).expect_code(1).json();
    assert_eq!((&totals["error"], &totals["queued"]), (&1.into(), &0.into()), "{totals}");
    let job = json(&bench, &["queue", "show", &papers::doi(1)]);
    assert_eq!((&job["state"], &job["reason"]), (&"error".into(), &"poison".into()), "{job}");
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 2, "poison was fetched once more");

    barrier.open();
    assert_eq!(json(&bench, &["queue", "retry-failed", "--reason", "poison"])["retried"], 1);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 1);
}

/// What became poison before the run began is not waited for, and the works of others are left alone.
#[test]
fn a_get_of_a_poisoned_work_ends_without_the_rest_of_the_queue() {
    let (mut bench, _never_opened) = papers::held(2);
    bench.configure("orchestrator = { max-attempts = 1, grace = \"10ms\" }");
    papers::enqueue(&bench, 1);
    let run = bench.spawn(&["queue", "run", "--drain"]);
    bench.wait_for_requests(PRESS, 1);
    kill(run);
    json(&bench, &["queue", "enqueue", &papers::doi(2)]);
    let totals = bench.run(&["--format", "json", "get", &papers::doi(1)]).expect_code(1).json();
    assert_eq!((&totals["error"], &totals["queued"]), (&1.into(), &0.into()), "{totals}");
    assert_eq!(papers::count(&bench, "queued"), 1);
}
