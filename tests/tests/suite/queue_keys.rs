//! `queue keys`, `pause`, `resume` and `limit`: what an operator sets holds while a run goes on, as the web saw it.
//!
//! A setting that the run has to show it obeys stands in for the moment at which all that were made before hold.

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Location, Reply, Work};
use serde_json::{Value, json};

use crate::papers::{self, PRESS, UNPAYWALL, count, json, json_lines};
use crate::queue_commands::wait_until;

/// A host of which one file is fetched at a time, until an operator allows more.
const CANARY: &str = "canary.example.org";

fn url_at_the_canary(number: usize) -> String {
    format!("https://{CANARY}/{number}.pdf")
}

/// So many papers of the press, held, and some works of the canary, of which one is held. A run has reached both.
fn run_with_a_canary(papers: usize) -> (Bench, Barrier, Running) {
    let (mut bench, barrier) = papers::held(papers);
    bench
        .configure(&format!("[limits.hosts.\"{CANARY}\"]\nconcurrency = 1\nrate = \"1000/s\"\nburst = 1000"));
    let held = Barrier::new();
    bench.sim().change(|world| {
        for number in 1..=2 {
            let url = url_at_the_canary(number);
            world.work(Work::new(&format!("10.5555/canary.{number}"), [Location::publisher(&url)]));
            world.set(&url, Reply::pdf(4096).held_by(&held));
        }
    });
    papers::enqueue(&bench, papers);
    json(&bench, &["queue", "enqueue", "10.5555/canary.1", "10.5555/canary.2"]);
    let run = bench.spawn(&["queue", "run"]);
    bench.wait_for_requests(PRESS, 4);
    bench.wait_for_requests(CANARY, 1);
    bench.wait_for_requests(UNPAYWALL, papers + 2);
    (bench, barrier, run)
}

/// Returns when the run obeys what was set before.
fn wait_until_it_holds(bench: &Bench) {
    json(bench, &["queue", "limit", CANARY, "--concurrency", "2"]);
    bench.wait_for_requests(CANARY, 2);
}

fn stop(run: Running) {
    run.signal(Signal::INT);
    run.signal(Signal::INT);
    run.wait(TIMEOUT);
}

#[test]
fn a_pause_stops_a_hosts_downloads_while_a_run_goes_on_and_resume_lets_them_go_on() {
    let (bench, barrier, run) = run_with_a_canary(8);
    let paused = json(&bench, &["queue", "pause", PRESS]);
    assert_eq!(paused, json!({ "key": "host:press.example.org", "paused": true }));
    wait_until_it_holds(&bench);
    barrier.open();
    wait_until("what ran has finished", || count(&bench, "done") == 4);
    // Another work passes all stations meanwhile.
    bench.sim().change(|world| {
        world.work(Work::new("10.5555/other", [Location::publisher("https://other.example.org/x.pdf")]));
    });
    json(&bench, &["queue", "enqueue", "10.5555/other"]);
    wait_until("the other work is done", || count(&bench, "done") == 5);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 4);
    assert_eq!(key(&bench, "host:press.example.org")["paused"], true);
    let resumed = json(&bench, &["queue", "resume", "https://press.example.org/1.pdf"]);
    assert_eq!(resumed, json!({ "key": "host:press.example.org", "paused": false }));
    wait_until("the press goes on", || count(&bench, "done") == 9);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 8);
    stop(run);
}

#[test]
fn a_pause_outlives_the_process_and_holds_for_the_next() {
    let bench = papers::bench(2);
    papers::enqueue(&bench, 2);
    json(&bench, &["queue", "pause", "resolver:unpaywall"]);
    let totals = json(&bench, &["queue", "run", "--drain", "--max-wait", "1s"]);
    assert_eq!((&totals["queued"], bench.sim().seen(UNPAYWALL).requests.len()), (&2.into(), 0), "{totals}");
    json(&bench, &["queue", "resume", "resolver:unpaywall"]);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 2);
}

#[test]
fn a_limit_that_is_lowered_while_a_run_goes_on_holds_as_the_web_sees_it() {
    let (bench, first, run) = run_with_a_canary(12);
    let limit = json(&bench, &["queue", "limit", PRESS, "--concurrency", "2"]);
    assert_eq!((&limit["concurrency"], &limit["source"]), (&2.into(), &"set".into()), "{limit}");
    wait_until_it_holds(&bench);
    let second = Barrier::new();
    for number in 1..=12 {
        bench.sim().set(&papers::url(number), Reply::pdf(4096).held_by(&second));
    }
    bench.sim().forget();
    first.open();
    wait_until("what ran has finished", || count(&bench, "done") == 4);
    bench.wait_for_requests(PRESS, 2);
    second.open();
    wait_until("all papers are done", || count(&bench, "done") == 12);
    let seen = bench.sim().seen(PRESS);
    assert_eq!((seen.requests.len(), seen.most_in_flight), (8, 2));
    stop(run);
}

#[test]
fn a_limit_that_is_raised_while_a_run_goes_on_is_used() {
    let (bench, barrier, run) = run_with_a_canary(8);
    json(&bench, &["queue", "limit", PRESS, "--concurrency", "6"]);
    bench.wait_for_requests(PRESS, 6);
    wait_until_it_holds(&bench);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 6);
    barrier.open();
    wait_until("all papers are done", || count(&bench, "done") == 8);
    assert_eq!(bench.sim().seen(PRESS).most_in_flight, 6);
    stop(run);
}

fn key(bench: &Bench, name: &str) -> Value {
    let keys = json_lines(bench, &["queue", "keys"]);
    keys.into_iter().find(|key| key["key"] == name).unwrap_or_else(|| panic!("{name} is not listed"))
}

#[test]
fn keys_are_listed_with_what_waits_what_runs_and_what_holds() {
    let (bench, barrier, run) = run_with_a_canary(6);
    json(&bench, &["queue", "limit", "idle.example.org", "--rate", "1/3s"]);
    wait_until("all wait at the press", || key(&bench, "host:press.example.org")["ready"] == 2);
    let press = key(&bench, "host:press.example.org");
    assert_eq!(
        (&press["in_flight"], &press["concurrency"], &press["delayed"]),
        (&4.into(), &4.into(), &0.into())
    );
    assert_eq!((&press["owner_pid"], &press["paused"]), (&run.pid().into(), &false.into()), "{press}");
    assert_eq!(
        (&press["source"], &press["cooldown_until"]),
        (&"configuration".into(), &Value::Null),
        "{press}"
    );
    let idle = key(&bench, "host:idle.example.org");
    assert_eq!((&idle["rate"], &idle["burst"], &idle["source"]), (&"1/3s".into(), &1.into(), &"set".into()));
    assert_eq!((&idle["ready"], &idle["owner_pid"]), (&0.into(), &Value::Null), "{idle}");
    let table = bench.run(&["queue", "keys"]).expect_code(0).stdout;
    assert!(table.contains(&format!("process {}", run.pid())) && table.contains("1/3s"), "{table}");
    barrier.open();
    stop(run);
}

#[test]
fn limits_are_set_in_parts_shown_and_reset() {
    let mut bench = papers::bench(0);
    json(&bench, &["queue", "enqueue", "10.5555/x"]);
    bench.configure(
        "[limits.hosts.\"group.example.org\"]\nconcurrency = 3\nrate = \"7/s\"\nshared = [\"member.example.org\"]",
    );
    let limit = |args: &[&str]| json(&bench, &[&["queue", "limit", "group.example.org"], args].concat());
    let told = |limit: &Value| {
        ["concurrency", "rate", "burst", "source"]
            .map(|part| limit[part].to_string().replace('"', ""))
            .join(" ")
    };
    assert_eq!(told(&limit(&[])), "3 7/s 1 configuration");
    assert_eq!(told(&limit(&["--concurrency", "9"])), "9 7/s 1 set");
    assert_eq!(told(&limit(&["--rate", "2/s", "--burst", "4"])), "9 2/s 4 set");
    assert_eq!(told(&limit(&["--burst", "5"])), "9 2/s 5 set");
    assert_eq!(limit(&[])["set"], json!({ "concurrency": 9, "rate": "2/s", "burst": 5 }));
    // Hosts of a group share one limit, and whoever names one of them is told.
    let shared = bench.run(&["--format", "json", "queue", "limit", "member.example.org"]).expect_code(0);
    assert_eq!(shared.json()["key"], "host:group.example.org");
    assert!(shared.stderr.contains("host:member.example.org shares the limit of host:group.example.org"));
    assert_eq!(told(&limit(&["--reset"])), "3 7/s 1 configuration");
}

#[test]
fn what_is_no_key_or_no_limit_is_refused_with_what_to_write() {
    let bench = papers::bench(0);
    json(&bench, &["queue", "enqueue", "10.5555/x"]);
    for (args, says) in [
        (&["pause", "plan"][..], &["never limited", "queue keys"][..]),
        (&["pause", "unpaywall"], &["resolver:unpaywall or host:unpaywall"]),
        (&["resume", "a b"], &["a b"]),
        (&["pause", "resolver:No"], &["not the name of a resolver"]),
        (&["limit", "x.org", "--concurrency", "0"], &["--concurrency", "zero"]),
        (&["limit", "x.org", "--rate", "5"], &["5/s"]),
        (&["limit", "x.org", "--reset", "--burst", "1"], &["cannot be used with"]),
    ] {
        let output = bench.run(&[&["queue"], args].concat()).expect_code(2);
        says.iter().for_each(|part| assert!(output.stderr.contains(part), "{part:?}: {}", output.stderr));
    }
    let mistyped = bench.run(&["queue", "pause", "pres.example.org"]).expect_code(0);
    assert!(mistyped.stdout.contains("nothing waits under it"), "{}", mistyped.stdout);
}
