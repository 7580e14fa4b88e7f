//! A press with numbered papers, and what the suites about processes ask of a library that has them.
//!
//! Must never decide what is right: each suite says that itself.

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Barrier, Location, Reply, Work, World};
use serde_json::Value;

/// Every paper's file is there.
pub(crate) const PRESS: &str = "press.example.org";

/// Where every paper's DOI is looked up.
pub(crate) const UNPAYWALL: &str = "api.unpaywall.org";

/// Four downloads at once, and no pause between requests that a test would have to sit out.
const QUICK: &str = "
[limits]
default-host = { concurrency = 4, rate = \"1000/s\", burst = 1000 }
[orchestrator]
backoff = \"1ms\"
";

pub(crate) fn doi(number: usize) -> String {
    format!("10.5555/paper.{number}")
}

pub(crate) fn url(number: usize) -> String {
    format!("https://{PRESS}/{number}.pdf")
}

pub(crate) fn dois(count: usize) -> Vec<String> {
    (1..=count).map(doi).collect()
}

/// A bench whose Unpaywall knows the papers 1 to `count`, each with a sound file.
pub(crate) fn bench(count: usize) -> Bench {
    quick(Bench::new(world(count)))
}

/// The same with no other resolver: what waits for Unpaywall stays where it is while that is paused.
pub(crate) fn bench_with_unpaywall_alone(count: usize) -> Bench {
    quick(Bench::with_resolvers(world(count), &["unpaywall"]))
}

fn world(count: usize) -> World {
    let mut world = World::default();
    for number in 1..=count {
        world.work(Work::new(&doi(number), [Location::publisher(&url(number))]));
    }
    world
}

fn quick(mut bench: Bench) -> Bench {
    bench.configure(QUICK);
    bench
}

/// The same, with every file held back until the barrier is opened.
pub(crate) fn held(count: usize) -> (Bench, Barrier) {
    let (bench, barrier) = (bench(count), Barrier::new());
    for number in 1..=count {
        bench.sim().set(&url(number), Reply::pdf(4096).held_by(&barrier));
    }
    (bench, barrier)
}

/// Runs a command that has to succeed and print one JSON document.
pub(crate) fn json(bench: &Bench, args: &[&str]) -> Value {
    bench.run(&[&["--format", "json"], args].concat()).expect_code(0).json()
}

/// The same for a command that lists.
pub(crate) fn json_lines(bench: &Bench, args: &[&str]) -> Vec<Value> {
    bench.run(&[&["--format", "json"], args].concat()).expect_code(0).json_lines()
}

/// Enqueues the papers 1 to `count`.
pub(crate) fn enqueue(bench: &Bench, count: usize) {
    let dois = dois(count);
    let mut args = vec!["queue", "enqueue"];
    args.extend(dois.iter().map(String::as_str));
    assert_eq!(json(bench, &args)["new"], count);
}

/// How many jobs stand so: `queue stats`.
pub(crate) fn count(bench: &Bench, state: &str) -> u64 {
    json(bench, &["queue", "stats"])[state].as_u64().expect("a count")
}
