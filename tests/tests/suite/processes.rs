//! Several processes work on one library: together they keep every limit, share what there is to do, and take over from
//! one that died or stands still.
//!
//! What counts is what the simulated web saw. Must never assume which process does what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Reply, World};
use serde_json::Value;

use crate::papers::{count, json, json_lines};

const HOSTS: usize = 10;
const FILES: usize = 6;

fn host(number: usize) -> String {
    format!("h{number}.example.org")
}

fn url(host: &str, file: usize) -> String {
    format!("https://{host}/{file}.pdf")
}

/// A bench with these URLs enqueued, each with its answer.
fn bench(limits: &str, files: impl IntoIterator<Item = (String, Reply)>) -> Bench {
    let mut world = World::default();
    let mut list = String::new();
    for (url, reply) in files {
        list += &format!("{url}\n");
        world.set(&url, reply);
    }
    let mut bench = Bench::new(world);
    bench.configure(limits);
    let list = bench.file("list", &list);
    json(&bench, &["queue", "enqueue", "--input", &list]);
    bench
}

fn drain(bench: &Bench) -> Running {
    bench.spawn(&["--format", "json", "queue", "run", "--drain"])
}

fn expect_all_done(bench: &Bench, works: usize) {
    assert_eq!((count(bench, "done"), count(bench, "total")), (works as u64, works as u64));
    assert_eq!(json(bench, &["library", "verify"])["checked"], works);
}

/// How many files each run fetched, by its id.
fn fetched_by(bench: &Bench) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    for record in json_lines(bench, &["library", "export"]) {
        if record["outcome"] == "accepted" {
            *runs.entry(record["run_id"].to_string()).or_default() += 1;
        }
    }
    runs
}

#[test]
fn two_runs_share_the_work_and_keep_every_cap_together() {
    let slow = || Reply::pdf(4096).delayed(Duration::from_millis(250));
    let files = (0..HOSTS).flat_map(|h| (0..FILES).map(move |f| (url(&host(h), f), slow())));
    let limits = "[limits]\ndefault-host = { concurrency = 2, rate = \"1000/s\", burst = 1000 }";
    let bench = bench(limits, files);
    let runs = [drain(&bench), drain(&bench)];
    for run in runs {
        run.wait(TIMEOUT).expect_code(0);
    }
    expect_all_done(&bench, HOSTS * FILES);
    for host in (0..HOSTS).map(host) {
        let seen = bench.sim().seen(&host);
        assert_eq!(seen.requests.len(), FILES, "{host} was asked twice for something");
        assert!(seen.most_in_flight <= 2, "{host} saw {} requests at once", seen.most_in_flight);
    }
}

/// A process that has more keys than another that waits for some gives them away.
#[test]
fn a_run_that_comes_later_gets_its_share() {
    const LONG: usize = 40;
    let barrier = Barrier::new();
    let slow = || Reply::pdf(4096).delayed(Duration::from_millis(200)).held_by(&barrier);
    let urls = (0..HOSTS).flat_map(|h| (0..LONG).map(move |f| url(&host(h), f)));
    let files = urls.map(|url| (url, slow()));
    let limits = "[limits]\ndefault-host = { concurrency = 1, rate = \"1000/s\", burst = 1000 }";
    let bench = bench(limits, files);
    let first = drain(&bench);
    (0..HOSTS).for_each(|number| bench.wait_for_requests(&host(number), 1));
    let second = drain(&bench);
    let processes = bench.library().join("processes");
    let begun = Instant::now();
    while fs::read_dir(&processes).unwrap().count() < 2 {
        assert!(begun.elapsed() < TIMEOUT, "the second run did not join");
        std::thread::yield_now();
    }
    barrier.open();
    for run in [first, second] {
        run.wait(TIMEOUT).expect_code(0);
    }
    expect_all_done(&bench, HOSTS * LONG);
    let runs = fetched_by(&bench);
    assert!(runs.len() == 2 && runs.values().all(|files| *files >= HOSTS * LONG / 10), "{runs:?}");
    for host in (0..HOSTS).map(host) {
        assert!(bench.sim().seen(&host).most_in_flight <= 1, "{host}");
    }
}

#[test]
fn a_rate_holds_over_two_runs_and_a_restart() {
    let files = (0..40).map(|file| (url("h.example.org", file), Reply::pdf(4096)));
    let bench = bench("[limits]\ndefault-host = { concurrency = 9, rate = \"20/s\", burst = 4 }", files);
    let started = bench.sim().now();
    let (first, second) = (drain(&bench), drain(&bench));
    bench.wait_for_requests("h.example.org", 10);
    first.signal(Signal::TERM);
    second.signal(Signal::TERM);
    let third = drain(&bench);
    for run in [first, second, third] {
        run.wait(TIMEOUT).expect_code(0);
    }
    expect_all_done(&bench, 40);
    let seen = bench.sim().seen("h.example.org");
    let at: Vec<f64> = seen.requests.iter().map(|seen| (seen.at - started).as_secs_f64()).collect();
    for (n, at) in at.iter().enumerate() {
        assert!((n + 1) as f64 <= 4.0 + 20.0 * at, "request {n} after {at} s is too early");
    }
}

#[test]
fn what_a_killed_run_held_is_taken_up_at_once_by_the_other() {
    let barrier = Barrier::new();
    let held = |file: usize| (url("h.example.org", file), Reply::pdf(4096).held_by(&barrier));
    let bench = bench(
        "[limits]\ndefault-host = { concurrency = 2, rate = \"1000/s\", burst = 99 }",
        (0..4).map(held),
    );
    let first = drain(&bench);
    bench.wait_for_requests("h.example.org", 2);
    let second = drain(&bench);
    first.signal(Signal::KILL);
    assert_eq!(first.wait(TIMEOUT).code, None);
    let killed = Instant::now();
    bench.wait_for_requests("h.example.org", 4);
    assert!(
        killed.elapsed() < Duration::from_secs(30),
        "leases last ten minutes, and nobody waited for that"
    );
    barrier.open();
    second.wait(TIMEOUT).expect_code(0);
    expect_all_done(&bench, 4);
}

/// What a `get` waits for may be done by another process; it ends then, though that one has more to do.
#[test]
fn a_get_ends_when_another_run_has_done_its_works() {
    let barrier = Barrier::new();
    let files = [
        (url("quick.example.org", 0), Reply::pdf(4096).delayed(Duration::from_secs(2))),
        (url("held.example.org", 0), Reply::pdf(4096).held_by(&barrier)),
    ];
    let bench = bench("", files);
    let first = drain(&bench);
    bench.wait_for_requests("quick.example.org", 1);
    bench.wait_for_requests("held.example.org", 1);
    let totals = json(&bench, &["get", &url("quick.example.org", 0)]);
    assert_eq!((&totals["done"], &totals["queued"]), (&1.into(), &0.into()), "{totals}");
    assert_eq!(count(&bench, "in_progress"), 1, "the other run goes on");
    barrier.open();
    first.wait(TIMEOUT).expect_code(0);
    expect_all_done(&bench, 2);
}

/// A redirect leads to a host that another process uses: its owner lets go of it in the end, and the cap holds.
#[test]
fn a_step_gets_the_host_that_another_run_owns() {
    let barrier = Barrier::new();
    let busy = (0..2).map(|file| (url("busy.example.org", file), Reply::pdf(4096).held_by(&barrier)));
    let limits = "[limits]\ndefault-host = { concurrency = 2, rate = \"1000/s\", burst = 99 }";
    let mut bench = bench(limits, busy);
    let first = drain(&bench);
    bench.wait_for_requests("busy.example.org", 2);
    let target = url("busy.example.org", 9);
    bench.sim().set("https://way.example.org/9", Reply::redirect(302, &target));
    bench.sim().set(&target, Reply::pdf(4096));
    bench.configure("[egress]\nmax-wait = \"100ms\"");
    json(&bench, &["queue", "enqueue", "https://way.example.org/9"]);
    let second = drain(&bench);
    bench.wait_for_requests("way.example.org", 1);
    barrier.open();
    for run in [first, second] {
        run.wait(TIMEOUT).expect_code(0);
    }
    expect_all_done(&bench, 3);
    assert!(bench.sim().seen("busy.example.org").most_in_flight <= 2);
}

/// Stopped for longer than its leases last, a process has lost its keys and its jobs; when it goes on it asks for
/// nothing that is not its own any more, and what it had in hand counts for nothing.
#[test]
fn a_run_that_stands_still_is_replaced_and_does_no_harm_when_it_goes_on() {
    let barrier = Barrier::new();
    let first_held = |file: usize| {
        let held = Reply::pdf(4096).held_by(&barrier);
        (url("h.example.org", file), held)
    };
    let bench = bench(
        "[limits]\ndefault-host = { concurrency = 2, rate = \"1000/s\", burst = 99 }\n\
         [orchestrator]\nlease-ttl = \"30s\"\nheartbeat = \"5s\"",
        (0..6).map(first_held),
    );
    let first = drain(&bench);
    bench.wait_for_requests("h.example.org", 2);
    first.signal(Signal::STOP);
    let second = drain(&bench);
    // The two that hang count as in flight until their leases are over.
    bench.wait_for_requests("h.example.org", 3);
    (0..6).for_each(|file| bench.sim().set(&url("h.example.org", file), Reply::pdf(4096)));
    barrier.open();
    second.wait(TIMEOUT).expect_code(0);
    let done = bench.sim().seen("h.example.org").requests.len();
    first.signal(Signal::CONT);
    first.wait(TIMEOUT).expect_code(0);
    expect_all_done(&bench, 6);
    assert_eq!(bench.sim().seen("h.example.org").requests.len(), done, "it asked for what others had done");
    let accepted: Vec<Value> = json_lines(&bench, &["library", "export"]);
    let works = accepted.iter().filter(|record| record["outcome"] == "accepted");
    let works: Vec<String> = works.map(|record| record["artifact_id"].to_string()).collect();
    assert_eq!((works.len(), works.iter().collect::<BTreeSet<_>>().len()), (6, 6));
}
