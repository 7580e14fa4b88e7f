//! What becomes of works whose resolver or host is stopped for long, by its budget, its upstream or an operator: who can be
//! found elsewhere is, and nobody else is touched.
//!
//! Must never wait for a pause: every one here lasts longer than the test.

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Behaviour, Deposit, Location, Reply, RetryAfter, Work, World};
use serde_json::Value;

use crate::holdings::{self, attempts, job};
use crate::papers::{UNPAYWALL, json, json_lines};

const CROSSREF: &str = "api.crossref.org";

fn doi(n: usize) -> String {
    format!("10.5555/stopped.{n}")
}

fn url(n: usize) -> String {
    format!("https://press.example.org/{n}.pdf")
}

/// Works that both Unpaywall and Crossref know.
fn bench(works: usize, resolvers: &[&str], more: &str) -> Bench {
    let mut world = World::new();
    for n in 0..works {
        world.work(Work::new(&doi(n), [Location::publisher(&url(n))]));
        world.deposit(Deposit::open(&doi(n), &url(n)));
    }
    let mut bench = holdings::bench_with(world, resolvers);
    bench.configure(
        "limits.hosts.\"api.crossref.org\" = { concurrency = 8, rate = \"1000/s\", burst = 1000 }",
    );
    bench.configure(more);
    let dois: Vec<String> = (0..works).map(doi).collect();
    let list = bench.file("list", &dois.join("\n"));
    assert_eq!(json(&bench, &["queue", "enqueue", "--input", &list])["new"], works);
    bench
}

fn drain(bench: &Bench) -> Value {
    json(bench, &["queue", "run", "--drain", "--max-wait", "1s"])
}

fn asked(bench: &Bench, host: &str) -> usize {
    bench.sim().seen(host).requests.len()
}

const TWO_A_DAY: &str = "limits.resolvers.unpaywall = { concurrency = 1, per-day = 2 }";

#[test]
fn works_of_a_resolver_whose_day_is_spent_go_to_the_next_one() {
    let bench = bench(600, &["unpaywall", "crossref"], TWO_A_DAY);
    assert_eq!(drain(&bench)["done"], 600);
    assert_eq!(asked(&bench, UNPAYWALL), 2);
    assert!(asked(&bench, CROSSREF) > 0);
}

#[test]
fn works_that_nobody_else_could_find_stay_and_go_on_when_they_may() {
    let mut bench = bench(5, &["unpaywall"], TWO_A_DAY);
    let totals = drain(&bench);
    assert_eq!([&totals["done"], &totals["queued"]], [2, 3], "{totals}");
    let keys = json_lines(&bench, &["queue", "keys"]);
    let key = keys.iter().find(|key| key["key"] == "resolver:unpaywall").unwrap();
    assert_eq!((&key["ready"], &key["delayed"]), (&3.into(), &0.into()), "they wait for their key: {key}");
    bench.configure("limits.resolvers.unpaywall = { concurrency = 1, per-day = 9 }");
    assert_eq!(drain(&bench)["done"], 5);
}

#[test]
fn works_of_a_resolver_that_asked_for_a_long_pause_go_to_the_next_one() {
    let bench = bench(6, &["unpaywall", "crossref"], "");
    bench.sim().change(|world| {
        world.set_host(UNPAYWALL, Reply::too_many(RetryAfter::Seconds(3600)));
    });
    assert_eq!(drain(&bench)["done"], 6);
    assert_eq!(asked(&bench, UNPAYWALL), 1, "nobody asks in the pause");
}

#[test]
fn works_of_a_resolver_that_an_operator_stopped_go_to_the_next_one() {
    let bench = bench(6, &["unpaywall", "crossref"], "");
    json(&bench, &["queue", "pause", "resolver:unpaywall"]);
    assert_eq!(drain(&bench)["done"], 6);
    assert_eq!(asked(&bench, UNPAYWALL), 0);
}

#[test]
fn a_copy_elsewhere_is_fetched_where_a_host_asked_for_a_long_pause() {
    const DOI: &str = "10.5555/copies";
    let mut world = World::new();
    let copies = ["https://press.example.org/x.pdf", "https://repo.example.org/x.pdf"];
    world.work(Work::new(DOI, [Location::publisher(copies[0]), Location::repository(copies[1])]));
    let refusal = Reply::too_many(RetryAfter::Seconds(3600));
    world.set_host("press.example.org", Behaviour::of_host().first(1, refusal));
    let bench = holdings::bench_with(world, &["unpaywall"]);
    assert_eq!(holdings::get(&bench, &[DOI, "--max-wait", "1s"], 0)["done"], 1);
    assert_eq!(
        attempts(&job(&bench, DOI)),
        [("unpaywall", "ok"), (copies[1], "ok")],
        "a pause is no attempt"
    );
}
